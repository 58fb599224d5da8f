# SPDX-License-Identifier: Apache-2.0
"""The tables that keep a copy in memory: what a restart and a replaced database leave of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.ocpp.device_model import Address
from services.ocpp.key_values import Key
from services.ocpp.storage import Database
from services.ocpp.storage.tables import KeyValueTable, VariableTable
from tests.support.clock import ManualClock
from tests.support.database import put_raw, raw

INTERVAL = Address("OCPPCommCtrlr", "", 0, 0, "HeartbeatInterval", "")
SPEED = Address("AirCoolingSystem", "rear", 2, 1, "FanSpeed", "x")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "station.db", clock=ManualClock())
    yield database
    database.close()


def replace(database: Database, tmp_path: Path) -> None:
    """The file turns into noise and is replaced by an empty one."""
    database.commit()
    path = tmp_path / "station.db"
    path.write_bytes(b"\xff" * path.stat().st_size)
    path.with_name("station.db-wal").write_bytes(b"")
    assert not database.verify()


def test_a_value_is_kept_until_it_is_removed(database: Database) -> None:
    KeyValueTable(database).put(Key.RESET, {"reason": "RemoteReset"})
    again = KeyValueTable(database)
    assert again.get(Key.RESET) == {"reason": "RemoteReset"}
    again.put(Key.RESET, None)
    assert again.get(Key.RESET) is None
    assert raw(database, "reset") is None
    assert KeyValueTable(database).get(Key.RESET) is None


def test_a_value_is_what_it_was_when_it_was_put(database: Database) -> None:
    table = KeyValueTable(database)
    seen = ["run-1", 1]
    table.put(Key.HAL_EVENTS_SEEN, seen)
    seen[1] = 2
    assert table.get(Key.HAL_EVENTS_SEEN) == ["run-1", 1]
    table.put(Key.HAL_EVENTS_SEEN, seen)
    assert raw(database, "hal_seen") == b'["run-1",2]'


def test_an_unchanged_value_costs_no_write(database: Database) -> None:
    table = KeyValueTable(database)
    table.put(Key.BOOT_ID, "boot-1")
    before = database.read("SELECT total_changes()")
    table.put(Key.BOOT_ID, "boot-1")
    assert database.read("SELECT total_changes()") == before


def test_an_unreadable_value_is_no_value(database: Database) -> None:
    put_raw(database, "boot_id", b'"boot')
    assert KeyValueTable(database).get(Key.BOOT_ID) is None


def test_values_are_written_again_to_a_new_database(database: Database, tmp_path: Path) -> None:
    KeyValueTable(database).put(Key.BOOT_ID, "boot-1")
    replace(database, tmp_path)
    assert raw(database, "boot_id") == b'"boot-1"'


def test_variables(database: Database) -> None:
    table = VariableTable(database)
    table.save(INTERVAL, "Actual", "60")
    table.save(SPEED, "Target", "300")
    table.save(INTERVAL, "Actual", "70")
    assert table.load() == [(SPEED, "Target", "300"), (INTERVAL, "Actual", "70")]


def test_a_new_database_has_the_variables_that_the_owner_gives(database: Database, tmp_path: Path) -> None:
    table = VariableTable(database)
    table.save(INTERVAL, "Actual", "60")
    table.on_replaced(lambda: [(SPEED, "Target", "400")])
    replace(database, tmp_path)
    assert table.load() == [(SPEED, "Target", "400")]
