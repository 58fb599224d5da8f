# SPDX-License-Identifier: Apache-2.0
"""The station's database: units of work that survive a power cut, a full disk and a damaged file.

Rules
- `write` opens a unit of work, `commit` makes all of it durable with one fsync. The shell commits before anything
  that depends on it leaves the process: no other party learns of a state that a power cut could undo. What only has to
  be durable before something else leaves (`may_wait`) joins the next commit and costs none of its own.
- A full or failing disk never raises. The database continues in memory (`degraded`), with everything that was on the
  disk and the open unit; statements are kept in order, and each `commit` first tries to write them to the disk, in one
  transaction, at growing intervals. Until that has succeeded, `commit` returns False.
- A damaged database is set aside, its readable rows are copied into a new one, and the owners that registered with
  `on_replaced` write their state again. They must use statements that may be repeated (upsert, delete by key), and
  change their memory after `write` has returned, not before, unless its statement may be repeated.
- Nothing here waits for another process or reads the system clock.

Wear: a commit appends each changed page once to the log (4 KiB and 24 bytes). When the log has 1000 pages, SQLite
copies the latest version of each page into the database and restarts the log, so that a page that changes each minute
is copied once in hours. The log's file keeps its 4 MiB and is overwritten: a commit that need not extend the file costs
half (one flush of data, none of the file system's tables), and works on a full disk. A unit of one small row costs 4 to
12 KiB; write values whose loss is tolerable less often than they change.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from firmware.clock import Clock
from firmware.errors import StorageError
from services.ocpp.storage.connection import Trouble, connect, migrate, rollback, trouble_of
from services.ocpp.storage.damaged import TABLES, salvage, set_aside

__all__ = ["Database", "Incident"]

_log = logging.getLogger(__name__)

_JOURNAL_LIMIT = 5000  # statements; beyond it, the whole database in memory is copied to the disk instead
_RETRY_FIRST_S = 0.1
_RETRY_MOST_S = 5.0
_ATTEMPTS = 3


class Incident(NamedTuple):
    """One event in the life of the database file."""

    kind: Literal["unwritable", "written again", "damaged"]
    detail: str


_Statement = tuple[str, tuple[Any, ...]]


class Database:
    """One SQLite file; see the module for its rules. Use it from one thread.

    Raises `StorageError` at opening when another process has the file. Any other problem with the disk is shown by
    `degraded` and `incidents`.
    """

    def __init__(self, path: Path, *, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._owners: list[Callable[[], None]] = []
        self._disk: sqlite3.Connection | None = None
        self._memory: sqlite3.Connection | None = None
        self._unit: list[_Statement] = []
        self._pressing = False
        """The open unit holds a statement that may not wait."""
        self._journal: list[_Statement] | None = []
        self._retry_at = 0.0
        self._retry_s = _RETRY_FIRST_S
        self.incidents: list[Incident] = []
        """For security events and diagnostics. The reader may clear it."""
        self.replaced = False
        """The file was damaged, at opening or later, and a new one has replaced it."""
        self._open()

    @property
    def degraded(self) -> bool:
        """The disk can't be written, and all later changes are in memory only."""
        return self._memory is not None

    def on_replaced(self, rewrite: Callable[[], None]) -> None:
        """Call `rewrite` when a damaged database was replaced; it writes its owner's state again."""
        self._owners.append(rewrite)

    @property
    def waits(self) -> bool:
        """A unit of work is open; after `commit(leaves=False)`, one that may wait."""
        return self._memory is None and self._disk is not None and self._disk.in_transaction

    def write(self, sql: str, *params: Any, may_wait: bool = False) -> int:
        """Execute `sql` within the open unit of work, or a new one. Returns the row id of an INSERT.

        `may_wait`: it is not needed on the disk before something leaves the process, see `commit`.
        """
        self._pressing = self._pressing or not may_wait
        statement = (sql, params)
        for _ in range(_ATTEMPTS):
            if self._memory is not None:
                return self._write_memory(self._memory, statement)
            try:
                return self._write_disk(statement)
            except sqlite3.Error as error:
                self._handle(error)
        self._degrade("damaged repeatedly")
        return self.write(sql, *params, may_wait=may_wait)

    def read(self, sql: str, *params: Any) -> list[tuple[Any, ...]]:
        """All rows of a query; sees the open unit of work."""
        try:
            return self._active().execute(sql, params).fetchall()
        except sqlite3.Error as error:
            self._handle(error)
        return self._active().execute(sql, params).fetchall()

    def commit(self, *, leaves: bool = True) -> bool:
        """Make the open unit of work durable. Returns False while the disk can't be written: it is kept in memory.

        If nothing `leaves` the process after it, a unit of statements that may wait stays open; the caller commits it
        soon, because it may be lost until then.
        """
        if self.waits and not leaves and not self._pressing:
            return True
        for _ in range(_ATTEMPTS):
            if self._memory is not None:
                return self._recover()
            try:
                self._commit_disk()
            except sqlite3.Error as error:
                self._handle(error)
            else:
                return True
        self._degrade("damaged repeatedly")
        return False

    def verify(self) -> bool:
        """Check the whole file for damage (tens of milliseconds for some MiB). Returns False if it was replaced.

        A database this small fits into SQLite's cache, so damage on the disk would be found at the next start only.
        """
        if self.degraded:
            return True
        try:
            self._active().execute("PRAGMA shrink_memory")
            (result,) = self._active().execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.Error as error:
            self._handle(error)
            return False
        if result != "ok":
            self._replace(str(result))
        return bool(result == "ok")

    def close(self) -> None:
        """Commit, copy the log into the database and release the file."""
        if self._disk is not None or self._memory is not None:
            self._retry_at = 0.0
            self.commit()
        for connection in (self._disk, self._memory):
            if connection is not None:
                connection.close()
        self._disk = self._memory = None

    # --- the disk --------------------------------------------------------------------------------------

    def _open(self) -> None:
        try:
            self._disk = connect(self._path)
            migrate(self._disk)
        except OSError as error:
            self._degrade(error.strerror or "can't be opened")
        except sqlite3.Error as error:
            self._handle(error)

    def _active(self) -> sqlite3.Connection:
        connection = self._memory or self._disk
        if connection is None:
            raise StorageError("the database is closed")
        return connection

    def _write_disk(self, statement: _Statement) -> int:
        disk = self._active()
        if not disk.in_transaction:
            disk.execute("BEGIN IMMEDIATE")
        row_id = disk.execute(*statement).lastrowid
        self._unit.append(statement)
        return row_id or 0

    def _commit_disk(self) -> None:
        disk = self._active()
        if disk.in_transaction:
            disk.execute("COMMIT")
        self._unit.clear()
        self._pressing = False

    def _handle(self, error: sqlite3.Error) -> None:
        """Make the database usable again after `error`; re-raises it if it is a bug."""
        trouble = trouble_of(error)
        if trouble is Trouble.DAMAGED:
            self._replace(str(error))
        elif trouble is Trouble.UNWRITABLE and not self.degraded:
            self._degrade(str(error))
        else:
            raise error

    # --- a full or failing disk --------------------------------------------------------------------------

    def _degrade(self, why: str) -> None:
        """Continue in memory with the content of the disk and the open unit."""
        _log.error("database: %s; continuing in memory", why)
        self.incidents.append(Incident("unwritable", why))
        memory = sqlite3.connect(":memory:", isolation_level=None)
        copied = self._copy_to(memory)
        migrate(memory)
        for statement in self._unit:
            memory.execute(*statement)
        self._journal = list(self._unit)
        self._unit.clear()
        self._memory = memory
        self._retry_at = self._clock.monotonic()
        self._retry_s = _RETRY_FIRST_S
        if not copied:
            self._let_owners_rewrite()

    def _copy_to(self, memory: sqlite3.Connection) -> bool:
        """Copy the disk's content. Returns False if there was a database and it has become unreadable."""
        if self._disk is None:
            return True
        try:
            rollback(self._disk)
            self._disk.backup(memory)
            return True
        except sqlite3.Error as error:
            _log.error("database: unreadable, too: %s", error)
            self._disk.close()
            self._disk = None
            return False

    def _write_memory(self, memory: sqlite3.Connection, statement: _Statement) -> int:
        row_id = memory.execute(*statement).lastrowid
        if self._journal is not None:
            self._journal.append(statement)
            if len(self._journal) > _JOURNAL_LIMIT and self._disk is not None:
                self._journal = None
        return row_id or 0

    def _recover(self) -> bool:
        """Write the changes in memory to the disk, if a retry is due. Returns whether they are on the disk."""
        now = self._clock.monotonic()
        if now < self._retry_at:
            return False
        self._retry_at = now + self._retry_s
        self._retry_s = min(2 * self._retry_s, _RETRY_MOST_S)
        try:
            self._write_to_disk()
        except (sqlite3.Error, OSError, StorageError) as error:
            _log.debug("database: still %s", error)
            return False
        self._end_memory()
        self.incidents.append(Incident("written again", ""))
        _log.info("database: on the disk again")
        return True

    def _write_to_disk(self) -> None:
        if self._disk is None:
            self._disk = self._connect_empty()
        disk = self._disk
        migrate(disk)  # the disk may have been full already when the firmware was new
        try:
            if self._journal is None:
                self._active().backup(disk)
                return
            disk.execute("BEGIN IMMEDIATE")
            for statement in self._journal:
                disk.execute(*statement)
            disk.execute("COMMIT")
        finally:
            rollback(disk)

    def _connect_empty(self) -> sqlite3.Connection:
        """Open a disk that was unreadable at the start; raises `StorageError` if it has rows of an earlier run.

        The rows in memory were written without knowledge of them, and ids would clash. They wait for the next start.
        """
        disk = connect(self._path)
        try:
            migrate(disk)
            if any(disk.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone() for table in TABLES):  # noqa: S608 (ours)
                raise StorageError("readable again, with data of an earlier run: waiting for a restart")
        except (sqlite3.Error, StorageError):
            disk.close()
            raise
        return disk

    def _end_memory(self) -> None:
        if self._memory is not None:
            self._memory.close()
        self._memory = None
        self._journal = []

    # --- a damaged database --------------------------------------------------------------------------------

    def _replace(self, why: str) -> None:
        """Replace the damaged database by a new one."""
        _log.error("database damaged: %s", why)
        if self._disk is not None:
            self._disk.close()
            self._disk = None
        self._end_memory()
        self._unit.clear()
        self.replaced = True
        try:
            aside = set_aside(self._path, self._clock.utc())
            self.incidents.append(Incident("damaged", f"{why}, set aside as {aside.name}"))
            self._disk = connect(self._path)
            migrate(self._disk)
            _log.warning("database: %d rows salvaged from %s", salvage(aside, self._disk), aside.name)
        except (sqlite3.Error, OSError) as error:
            self._degrade(str(error))
        self._let_owners_rewrite()

    def _let_owners_rewrite(self) -> None:
        for rewrite in self._owners:
            rewrite()
