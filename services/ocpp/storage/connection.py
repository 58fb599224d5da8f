# SPDX-License-Identifier: Apache-2.0
"""Opening SQLite as this station needs it, its migrations, and the meaning of its errors.

WAL with `synchronous=FULL`: one fsync a commit, and a committed unit survives a power cut. The lock is held for the
process's whole life (`locking_mode=EXCLUSIVE`): no other process can delay a commit, and no shared-memory file is
needed, so that a database can be read even on a disk that is full from the start.
"""

from __future__ import annotations

import os
import sqlite3
from enum import Enum
from pathlib import Path

from firmware import files
from firmware.errors import StorageError

__all__ = ["Trouble", "connect", "migrate", "rollback", "trouble_of"]

_PAGE_SIZE = 4096
_CHECKPOINT_PAGES = 1000  # when the log has this size (4 MiB), it is copied into the database, see `database.py`

_MIGRATIONS = Path(__file__).with_name("migrations")
_BUSY_S = 5.0


class Trouble(Enum):
    """The kinds of SQLite error, by what has to be done."""

    UNWRITABLE = "unwritable"  # disk full, I/O error, read-only: nothing is lost, but writing is impossible now
    DAMAGED = "damaged"  # the file is no valid database
    BUSY = "busy"  # another process has locked it
    BUG = "bug"  # a wrong statement


_TROUBLES = {
    sqlite3.SQLITE_FULL: Trouble.UNWRITABLE,
    sqlite3.SQLITE_IOERR: Trouble.UNWRITABLE,
    sqlite3.SQLITE_READONLY: Trouble.UNWRITABLE,
    sqlite3.SQLITE_CANTOPEN: Trouble.UNWRITABLE,
    sqlite3.SQLITE_PERM: Trouble.UNWRITABLE,
    sqlite3.SQLITE_NOMEM: Trouble.UNWRITABLE,
    sqlite3.SQLITE_CORRUPT: Trouble.DAMAGED,
    sqlite3.SQLITE_NOTADB: Trouble.DAMAGED,
    sqlite3.SQLITE_IOERR_SHORT_READ: Trouble.DAMAGED,  # the file was cut
    sqlite3.SQLITE_IOERR_CORRUPTFS: Trouble.DAMAGED,
    sqlite3.SQLITE_BUSY: Trouble.BUSY,
    sqlite3.SQLITE_LOCKED: Trouble.BUSY,
}


def trouble_of(error: sqlite3.Error) -> Trouble:
    """The kind of `error`; the low byte of an extended code is its primary code."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Trouble.BUG
    return _TROUBLES.get(code) or _TROUBLES.get(code & 0xFF, Trouble.BUG)


def connect(path: Path) -> sqlite3.Connection:
    """Open and check the database at `path`, which is created if it is missing; call `migrate` next.

    Raises `sqlite3.Error` (see `trouble_of`), `OSError` when the file can't be created, and `StorageError` when
    another process has it open.
    """
    _prepare(path)
    connection = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_S)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA temp_store=MEMORY")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")
        # A log that one large unit has made longer is cut at the next checkpoint; the remaining file is overwritten.
        connection.execute(f"PRAGMA journal_size_limit={2 * _CHECKPOINT_PAGES * _PAGE_SIZE}")
        _check(connection)
    except sqlite3.Error as error:
        connection.close()
        if trouble_of(error) is Trouble.BUSY:
            raise StorageError(f"{path}: another process has it open") from error
        raise
    return connection


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, each step in one transaction.

    Steps only add. A database newer than this firmware is used unchanged: after a failed update the older image has
    to continue with it.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, script in _steps():
        if number > version:
            try:
                connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")
            except sqlite3.Error:
                rollback(connection)
                raise


def rollback(connection: sqlite3.Connection) -> None:
    """Undo an open transaction, unless SQLite has done so itself."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _steps() -> list[tuple[int, str]]:
    files = sorted(_MIGRATIONS.glob("[0-9]*.sql"))
    return [(int(file.name.split("_", 1)[0]), file.read_text(encoding="utf-8")) for file in files]


def _check(connection: sqlite3.Connection) -> None:
    """Raise now what SQLite would raise at the first use of a damaged page."""
    (result,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        error = sqlite3.DatabaseError(result)
        error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
        raise error


def _prepare(path: Path) -> None:
    """Create directory and file, readable by our user only; the log inherits the file's mode."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True)
    new = not path.exists()
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    if new:
        files.sync_folder(path.parent)
    elif path.stat().st_mode & 0o077:
        path.chmod(0o600)
