-- The authorization cache (C10). Tokens are kept as hashes (C10.FR.12); `info` is an IdTokenInfoType as JSON.
CREATE TABLE auth_cache (
    token   TEXT PRIMARY KEY NOT NULL,
    info    BLOB NOT NULL,
    updated REAL NOT NULL,
    used    REAL NOT NULL
) WITHOUT ROWID;
