# SPDX-License-Identifier: Apache-2.0
"""Setting a damaged database aside, and salvaging the rows that can still be read.

The damaged file and its log are kept for analysis; at most `KEPT` of them, because a disk that damages one database
will damage the next.
"""

from __future__ import annotations

import logging
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from services.ocpp.storage.connection import rollback

__all__ = ["KEPT", "TABLES", "salvage", "set_aside"]

KEPT = 2

TABLES = ("facts", "variables", "transactions", "outbox")
_log = logging.getLogger(__name__)


def set_aside(path: Path, utc_s: float) -> Path:
    """Rename `path` and its log to `….damaged-<utc>`; remove the oldest beyond `KEPT`. Raises `OSError`."""
    aside = _free_name(path, datetime.fromtimestamp(utc_s, UTC))
    log = Path(f"{path}-wal")
    if log.exists():
        log.rename(f"{aside}-wal")
    path.rename(aside)
    Path(f"{path}-shm").unlink(missing_ok=True)
    for old in _kept(path)[:-KEPT]:
        for file in (old, Path(f"{old}-wal"), Path(f"{old}-shm")):
            file.unlink(missing_ok=True)
    return aside


def salvage(aside: Path, target: sqlite3.Connection) -> int:
    """Copy every readable row into `target`. Returns the number of rows.

    Each table is read from its beginning and from its end, up to the damage. A row may be wrong all the same: its owner
    checks it, as any stored value.
    """
    try:
        with closing(sqlite3.connect(aside, isolation_level=None)) as source:
            source.execute("PRAGMA locking_mode=EXCLUSIVE")
            source.text_factory = lambda data: data.decode("utf-8", "replace")
            return sum(_salvage_table(source, target, table) for table in TABLES)
    except sqlite3.Error as error:
        _log.warning("%s is unreadable: %s", aside.name, error)
        return 0


def _salvage_table(source: sqlite3.Connection, target: sqlite3.Connection, table: str) -> int:
    columns = [row[1] for row in target.execute(f"PRAGMA table_info({table})")]
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    before = target.total_changes
    target.execute("BEGIN")
    try:
        for order in (f"{columns[0]} ASC", f"{columns[0]} DESC"):
            try:
                for row in source.execute(f"SELECT {names} FROM {table} ORDER BY {order}"):  # noqa: S608 (our schema)
                    target.execute(f"INSERT OR IGNORE INTO {table} VALUES ({marks})", row)  # noqa: S608
                break
            except sqlite3.DatabaseError as error:
                _log.debug("%s %s: %s", table, order, error)
        target.execute("COMMIT")
    finally:
        rollback(target)
    return target.total_changes - before


def _kept(path: Path) -> list[Path]:
    """The databases set aside, oldest first by the file system's time, because the clock may have been wrong."""
    files = [file for file in path.parent.glob(f"{path.name}.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
    return sorted(files, key=lambda file: (os.stat(file).st_ctime_ns, file.name))


def _free_name(path: Path, moment: datetime) -> Path:
    stamp = moment.strftime("%Y%m%dT%H%M%SZ")
    names = [path.with_name(f"{path.name}.damaged-{stamp}")]
    names += [path.with_name(f"{path.name}.damaged-{stamp}.{number}") for number in range(1, KEPT + 2)]
    return next((name for name in names if not name.exists()), names[-1])
