# SPDX-License-Identifier: Apache-2.0
"""The tables of the database as their owners see them; no other module knows their columns.

Every write is part of the open unit of work; every statement may be repeated. Unreadable rows are skipped: they can't
be repaired, and the rest is usable.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from firmware.words import not_json
from services.ocpp.authorization_cache import Entry
from services.ocpp.device_model import Address, Row
from services.ocpp.durable_lane import OutboxRow
from services.ocpp.key_values import Key
from services.ocpp.storage.database import Database

__all__ = ["CacheTable", "KeyValueTable", "OutboxTable", "TransactionTable", "VariableTable"]

_log = logging.getLogger(__name__)

_ROW = "SELECT id, action, transaction_id, payload, attempts, boot_id, clock_offset FROM outbox"


class OutboxTable:
    """`durable_lane.OutboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: OutboxRow) -> None:
        self._database.write(
            "INSERT OR REPLACE INTO outbox (id, action, transaction_id, payload, attempts, boot_id, clock_offset)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            row.id,
            row.action,
            row.transaction_id,
            msgspec.json.encode(row.payload),
            row.attempts,
            row.boot_id,
            row.clock_offset,
        )

    def remove(self, row_id: int) -> None:
        self._database.write("DELETE FROM outbox WHERE id = ?", row_id, may_wait=True)

    def set_attempts(self, row_id: int, attempts: int) -> None:
        self._database.write("UPDATE outbox SET attempts = ? WHERE id = ?", attempts, row_id)

    def read(self, after: int, limit: int) -> list[OutboxRow]:
        rows = self._database.read(f"{_ROW} WHERE id > ? ORDER BY id LIMIT ?", after, limit)
        readable = [
            OutboxRow(row_id, action, transaction_id, payload, attempts, boot_id, clock_offset)
            for row_id, action, transaction_id, text, attempts, boot_id, clock_offset in rows
            if (payload := _decode(text, f"message {row_id}")) is not None
        ]
        if len(readable) == len(rows):
            return readable
        for row_id in {row[0] for row in rows} - {row.id for row in readable}:
            self.remove(row_id)
        return self.read(after, limit)

    def census(self) -> tuple[int, dict[str, int]]:
        rows = self._database.read("SELECT ifnull(transaction_id, ''), count(*) FROM outbox GROUP BY 1")
        last = self._database.read("SELECT ifnull(max(id), 0) FROM outbox")[0][0]
        return last, dict(rows)

    def thin(self, limit: int, after: int) -> list[tuple[str, int]]:
        total = self._database.read("SELECT count(*) FROM outbox")[0][0]
        dropped: dict[str, int] = {}
        while total > limit:
            victims = self._every_other_update(after)[: total - limit]
            if not victims:
                break
            for row_id, transaction_id in victims:
                self.remove(row_id)
                dropped[transaction_id] = dropped.get(transaction_id, 0) + 1
            total -= len(victims)
        return list(dropped.items())

    def _every_other_update(self, after: int) -> list[tuple[int, str]]:
        """E04.FR.08: the 1st, 3rd, 5th ... of the queued Updated messages."""
        rows = self._database.read(
            "SELECT id, transaction_id FROM outbox"
            " WHERE transaction_id IS NOT NULL AND id > ? AND json_extract(payload, '$.eventType') = 'Updated'"
            " ORDER BY id",
            after,
        )
        return [(row_id, transaction_id) for row_id, transaction_id in rows[::2]]


class VariableTable:
    """`device_model.Store`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self) -> list[Row]:
        rows = self._database.read(
            "SELECT component, component_instance, evse, connector, variable, variable_instance, attribute, value"
            " FROM variables"
        )
        return [(Address(*address), attribute, text) for *address, attribute, text in rows]

    def save(self, address: Address, attribute: str, text: str) -> None:
        self._database.write(
            "INSERT INTO variables"
            " (component, component_instance, evse, connector, variable, variable_instance, attribute, value)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            *address,
            attribute,
            text,
        )

    def on_replaced(self, rows: Callable[[], Iterable[Row]]) -> None:
        self._database.on_replaced(lambda: self._rewrite(rows()))

    def _rewrite(self, rows: Iterable[Row]) -> None:
        self._database.write("DELETE FROM variables")
        for row in rows:
            self.save(*row)


class TransactionTable:
    """`context.TransactionStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, tuple[int, bytes]] = {}
        database.on_replaced(self._rewrite)

    def load(self) -> list[bytes]:
        rows = self._database.read("SELECT id, evse, state FROM transactions")
        self._known = {transaction_id: (evse, bytes(state)) for transaction_id, evse, state in rows}
        return [state for _evse, state in self._known.values()]

    def save(self, transaction_id: str, evse: int, state: bytes) -> None:
        self._known[transaction_id] = (evse, state)
        self._write(transaction_id, evse, state)

    def drop(self, transaction_id: str) -> None:
        self._known.pop(transaction_id, None)
        self._database.write("DELETE FROM transactions WHERE id = ?", transaction_id)

    def _write(self, transaction_id: str, evse: int, state: bytes) -> None:
        self._database.write(
            "INSERT OR REPLACE INTO transactions (id, evse, state) VALUES (?, ?, ?)", transaction_id, evse, state
        )

    def _rewrite(self) -> None:
        for transaction_id, (evse, state) in self._known.items():
            self._write(transaction_id, evse, state)


class CacheTable:
    """`authorization_cache.CacheStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[str, Entry] = {}
        database.on_replaced(self._rewrite)

    def load(self) -> dict[str, Entry]:
        rows = self._database.read("SELECT token, info, updated, used FROM auth_cache")
        self._known = {
            token: Entry(info, updated, used)
            for token, text, updated, used in rows
            if (info := _decode(text, "an entry of the authorization cache")) is not None
        }
        return dict(self._known)

    def save(self, token: str, entry: Entry) -> None:
        self._known[token] = entry
        self._database.write(
            "INSERT OR REPLACE INTO auth_cache (token, info, updated, used) VALUES (?, ?, ?, ?)",
            token,
            msgspec.json.encode(entry.info),
            entry.updated,
            entry.used,
        )

    def drop(self, token: str) -> None:
        self._known.pop(token, None)
        self._database.write("DELETE FROM auth_cache WHERE token = ?", token)

    def clear(self) -> None:
        self._known.clear()
        self._database.write("DELETE FROM auth_cache")

    def _rewrite(self) -> None:
        for token, entry in list(self._known.items()):
            self.save(token, entry)


class KeyValueTable:
    """`key_values.KeyValueStore`. An unchanged value is not written again: the stored texts are kept for comparison,
    not the values, which a caller may change later."""

    def __init__(self, database: Database) -> None:
        self._database = database
        rows = database.read("SELECT key, value FROM facts")
        self._texts: dict[str, bytes] = {key: text for key, text in rows if _decode(text, f"value {key}") is not None}
        database.on_replaced(self._rewrite)

    def get(self, key: Key) -> Any:
        text = self._texts.get(key)
        return None if text is None else msgspec.json.decode(text)

    def put(self, key: Key, value: Any) -> None:
        text = msgspec.json.encode(value)
        if value is None:
            self._texts.pop(key, None)
            self._database.write("DELETE FROM facts WHERE key = ?", key)
        elif self._texts.get(key) != text:
            self._texts[key] = text
            self._write(key, text)

    def _write(self, key: str, text: bytes) -> None:
        self._database.write("INSERT OR REPLACE INTO facts (key, value) VALUES (?, ?)", key, text)

    def _rewrite(self) -> None:
        for key, text in self._texts.items():
            self._write(key, text)


def _decode(text: bytes, what: str) -> Any:
    """Returns None for unreadable text, which a salvaged row may hold."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.error("%s is unreadable: %s", what, not_json(error))
        return None
