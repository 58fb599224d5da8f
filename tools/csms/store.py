# SPDX-License-Identifier: Apache-2.0
"""The database of the bench CSMS: one SQLite file of mode 0600. Synchronous: a row takes some 20 microseconds.

With `grouped`, what is written is on disk after `commit`, which `commits.py` calls for many messages at once; a commit
costs more than all their rows. Without it each row is committed by itself.

The file holds raw messages, and with them any secrets that an engineer sends to a station. Everything is bounded: the
oldest messages, transactions and absent stations are deleted first. A damaged file is renamed and a new one started.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from firmware.errors import StorageError

__all__ = ["Limits", "MessageRow", "Store", "StoredEvent", "Token"]

_log = logging.getLogger(__name__)
_PRUNE_EVERY = 500

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages(
    id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT NOT NULL, station TEXT NOT NULL, direction TEXT NOT NULL,
    kind TEXT NOT NULL, action TEXT, message_id TEXT, text TEXT NOT NULL, problem TEXT, took_ms REAL);
CREATE INDEX IF NOT EXISTS messages_by_station ON messages(station, id);
CREATE TABLE IF NOT EXISTS tokens(
    id_token TEXT PRIMARY KEY, type TEXT NOT NULL, status TEXT NOT NULL, group_id_token TEXT);
CREATE TABLE IF NOT EXISTS stations(
    id TEXT PRIMARY KEY, touched INTEGER NOT NULL, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS transactions(
    number INTEGER PRIMARY KEY AUTOINCREMENT, station TEXT NOT NULL, id TEXT NOT NULL, summary TEXT NOT NULL,
    UNIQUE(station, id));
CREATE TABLE IF NOT EXISTS events(
    number INTEGER PRIMARY KEY AUTOINCREMENT, station TEXT NOT NULL, transaction_id TEXT NOT NULL,
    seq_no INTEGER NOT NULL, t TEXT NOT NULL, payload TEXT NOT NULL,
    repeated INTEGER NOT NULL DEFAULT 0, conflicts INTEGER NOT NULL DEFAULT 0,
    UNIQUE(station, transaction_id, seq_no));
CREATE TABLE IF NOT EXISTS certificates(
    number INTEGER PRIMARY KEY AUTOINCREMENT, pem TEXT NOT NULL UNIQUE);
PRAGMA user_version = 1;
"""

_NEXT_MESSAGES = """
SELECT * FROM messages WHERE (? IS NULL OR station = ?) AND id > ? AND id < ? ORDER BY id LIMIT ?"""
_NEWEST_MESSAGES = """
SELECT * FROM messages WHERE (? IS NULL OR station = ?) AND id > ? AND id < ? ORDER BY id DESC LIMIT ?"""
_COUNT_EVENT_AGAIN = """
UPDATE events SET repeated = repeated + ?, conflicts = conflicts + ?
WHERE station = ? AND transaction_id = ? AND seq_no = ?"""
_PUT_STATION = "INSERT OR REPLACE INTO stations VALUES(?, ?, ?)"
_DROP_STATIONS = """
DELETE FROM stations WHERE id NOT IN (SELECT id FROM stations ORDER BY touched DESC LIMIT ?)"""


@dataclass(frozen=True)
class Limits:
    """How much is stored."""

    messages: int = 50_000
    message_bytes: int = 256 * 1024 * 1024
    transactions: int = 2_000
    events: int = 200_000
    stations: int = 2_000
    certificates: int = 2_000


class MessageRow(Struct, frozen=True):
    """A line of the log. `kind`: call, result, error, malformed, or link (a note about the connection)."""

    id: int
    t: str
    station: str
    direction: str
    kind: str
    action: str | None
    message_id: str | None
    text: str
    problem: str | None = None
    took_ms: float | None = None


class Token(Struct, frozen=True):
    """An id token and its status. Ids are compared without regard to case (part 2, IdTokenType)."""

    id_token: str
    type: str = "ISO14443"
    status: str = "Accepted"
    group_id_token: str | None = None


class StoredEvent(Struct, frozen=True):
    """A TransactionEvent as it was first received, and how often it was received again."""

    seq_no: int
    t: str
    payload: msgspec.Raw
    repeated: int
    conflicts: int


_FIRST_TOKENS = (Token("04A1B2C3D4E580"), Token("DEADBEEF", status="Blocked"))


class Store:
    """The file. Every method raises `StorageError` if SQLite fails."""

    def __init__(self, path: Path, limits: Limits | None = None, *, grouped: bool = False) -> None:
        self.limits = limits or Limits()
        self._grouped = grouped
        self._is_open = False
        self._since_prune = 0
        self._db = _open(path)
        (self._bytes,) = self._row("SELECT coalesce(sum(length(text)), 0) FROM messages")
        (self._touched,) = self._row("SELECT coalesce(max(touched), 0) FROM stations")
        self.prune()
        self.commit()

    def commit(self) -> None:
        """What was written is on disk when this returns; `StorageError`: nothing since the last commit is."""
        began, self._is_open = self._is_open, False
        if not began:
            return
        with self._translated():
            # SQLite itself rolls back what meets a full disk.
            if not self._db.in_transaction:
                raise sqlite3.OperationalError("what was written since the last commit is lost")
            try:
                self._db.execute("COMMIT")
            except sqlite3.Error:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def close(self) -> None:
        try:
            self.commit()
        finally:
            self._db.close()

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OverflowError) as error:
            # OverflowError: a number of a station that is too large for a column.
            raise StorageError(str(error)) from error

    def _run(self, sql: str, *values: object) -> sqlite3.Cursor:
        with self._translated():
            return self._db.execute(sql, values)

    def _write(self, sql: str, *values: object) -> sqlite3.Cursor:
        if self._grouped and not self._is_open:
            self._run("BEGIN")
            self._is_open = True
        return self._run(sql, *values)

    def _rows(self, sql: str, *values: object) -> list[Any]:
        with self._translated():
            return self._db.execute(sql, values).fetchall()

    def _row(self, sql: str, *values: object) -> Any:
        return self._run(sql, *values).fetchone()

    # Messages

    def add_message(self, row: MessageRow) -> MessageRow:
        """Stores a message and returns it with its number."""
        _, *values = msgspec.structs.astuple(row)
        cursor = self._write("INSERT INTO messages VALUES(NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *values)
        self._bytes += len(row.text)
        self._since_prune += 1
        if self._since_prune >= _PRUNE_EVERY or self._bytes > self.limits.message_bytes:
            self.prune()
        return msgspec.structs.replace(row, id=cursor.lastrowid)

    def messages(
        self, station: str | None = None, after: int | None = None, *, before: int | None = None, limit: int = 200
    ) -> list[MessageRow]:
        """In order: the first `limit` after the number `after`, else the last `limit` (before the number `before`)."""
        bounds = (station, station, after or 0, before or 2**62, limit)
        rows = self._rows(_NEWEST_MESSAGES if after is None else _NEXT_MESSAGES, *bounds)
        return [MessageRow(*row) for row in (rows if after is not None else reversed(rows))]

    def message(self, number: int) -> MessageRow | None:
        row = self._row("SELECT * FROM messages WHERE id = ?", number)
        return MessageRow(*row) if row else None

    # Tokens

    def tokens(self) -> list[Token]:
        return [Token(*row) for row in self._rows("SELECT * FROM tokens ORDER BY id_token")]

    def token(self, id_token: str) -> Token | None:
        row = self._row("SELECT * FROM tokens WHERE id_token = ?", id_token.upper())
        return Token(*row) if row else None

    def put_token(self, token: Token) -> Token:
        token = msgspec.structs.replace(token, id_token=token.id_token.upper())
        self._write("INSERT OR REPLACE INTO tokens VALUES(?, ?, ?, ?)", *msgspec.structs.astuple(token))
        return token

    def delete_token(self, id_token: str) -> bool:
        """True if it was there."""
        return self._write("DELETE FROM tokens WHERE id_token = ?", id_token.upper()).rowcount > 0

    # Stations

    def stations(self) -> list[bytes]:
        return [row[0].encode() for row in self._rows("SELECT data FROM stations ORDER BY id")]

    def put_station(self, station: str, data: bytes) -> None:
        self._touched += 1
        self._write(_PUT_STATION, station, self._touched, data.decode())

    # Transactions

    def put_transaction(self, station: str, transaction_id: str, summary: bytes) -> None:
        self._write(
            "INSERT INTO transactions(station, id, summary) VALUES(?, ?, ?) "
            "ON CONFLICT(station, id) DO UPDATE SET summary = excluded.summary",
            station,
            transaction_id,
            summary.decode(),
        )

    def transactions(self) -> list[bytes]:
        """Summaries, the oldest first."""
        return [row[0].encode() for row in self._rows("SELECT summary FROM transactions ORDER BY number")]

    def add_event(self, station: str, transaction_id: str, event: StoredEvent) -> None:
        values = (station, transaction_id, event.seq_no, event.t, bytes(event.payload).decode())
        self._write("INSERT INTO events(station, transaction_id, seq_no, t, payload) VALUES(?, ?, ?, ?, ?)", *values)

    def count_event_again(self, station: str, transaction_id: str, seq_no: int, *, conflict: bool) -> None:
        counts = (int(not conflict), int(conflict))
        self._write(_COUNT_EVENT_AGAIN, *counts, station, transaction_id, seq_no)

    def events(self, station: str, transaction_id: str) -> list[StoredEvent]:
        """In the order in which they came."""
        rows = self._rows(
            "SELECT seq_no, t, payload, repeated, conflicts FROM events "
            "WHERE station = ? AND transaction_id = ? ORDER BY number",
            station,
            transaction_id,
        )
        return [StoredEvent(row[0], row[1], msgspec.Raw(row[2].encode()), row[3], row[4]) for row in rows]

    # Certificates

    def certificates(self) -> list[str]:
        """In PEM, the oldest first."""
        return [row[0] for row in self._rows("SELECT pem FROM certificates ORDER BY number")]

    def put_certificate(self, pem: str) -> None:
        self._write("INSERT OR IGNORE INTO certificates(pem) VALUES(?)", pem)

    # Retention

    def prune(self) -> None:
        """Deletes the oldest rows over the limits."""
        limits = self.limits
        self._since_prune = 0
        (newest,) = self._row("SELECT coalesce(max(id), 0) FROM messages")
        self._drop_messages(newest - limits.messages)
        while self._bytes > limits.message_bytes * 0.9:
            (upto,) = self._row("SELECT max(id) FROM (SELECT id FROM messages ORDER BY id LIMIT 200)")
            if upto is None:
                break
            self._drop_messages(upto)
        self._write(
            "DELETE FROM transactions WHERE number <= (SELECT max(number) FROM transactions) - ?", limits.transactions
        )
        self._write("DELETE FROM events WHERE number <= (SELECT max(number) FROM events) - ?", limits.events)
        self._write(_DROP_STATIONS, limits.stations)
        self._write(
            "DELETE FROM certificates WHERE number <= (SELECT max(number) FROM certificates) - ?", limits.certificates
        )

    def _drop_messages(self, upto: int) -> None:
        # Counted here: to add up all that is kept would read the whole file each time.
        (size,) = self._row("SELECT coalesce(sum(length(text)), 0) FROM messages WHERE id <= ?", upto)
        self._write("DELETE FROM messages WHERE id <= ?", upto)
        self._bytes -= size


def _open(path: Path) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StorageError(f"{path}: {error}") from error
        aside = path.with_name(path.name + ".damaged")
        _log.warning("%s is damaged (%s): renamed to %s", path, error, aside.name)
        os.replace(path, aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        # A power cut may cost the last rows of the log; a bench bills no one.
        db.execute("PRAGMA synchronous = NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.executescript(_SCHEMA)
        if version == 0:
            for token in _FIRST_TOKENS:
                db.execute("INSERT OR IGNORE INTO tokens VALUES(?, ?, ?, ?)", msgspec.structs.astuple(token))
    except sqlite3.Error:
        db.close()
        raise
    return db
