-- The first schema. `0` and `''` stand for "none" in keys, because NULLs are never equal.
-- WITHOUT ROWID: an update of one row then touches one page instead of two (flash wear).

CREATE TABLE variables (
    component          TEXT    NOT NULL,
    component_instance TEXT    NOT NULL DEFAULT '',
    evse               INTEGER NOT NULL DEFAULT 0,
    connector          INTEGER NOT NULL DEFAULT 0,
    variable           TEXT    NOT NULL,
    variable_instance  TEXT    NOT NULL DEFAULT '',
    attribute          TEXT    NOT NULL DEFAULT 'Actual',
    value              TEXT    NOT NULL,
    PRIMARY KEY (component, component_instance, evse, connector, variable, variable_instance, attribute)
) WITHOUT ROWID;

-- Messages for the CSMS in the order of their ids, which the outbox gives. `clock_offset` is UTC minus monotonic of a
-- message that was made before the time was known.
CREATE TABLE outbox (
    id             INTEGER PRIMARY KEY,
    action         TEXT    NOT NULL,
    transaction_id TEXT,
    payload        BLOB    NOT NULL,
    attempts       INTEGER NOT NULL DEFAULT 0,
    boot_id        TEXT    NOT NULL,
    clock_offset   REAL
);

CREATE TABLE transactions (
    id    TEXT    PRIMARY KEY NOT NULL,
    evse  INTEGER NOT NULL,
    state BLOB    NOT NULL
) WITHOUT ROWID;

CREATE TABLE facts (
    key   TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL
) WITHOUT ROWID;
