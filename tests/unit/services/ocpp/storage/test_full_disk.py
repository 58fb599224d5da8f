# SPDX-License-Identifier: Apache-2.0
"""A disk that can't be written: nothing raises, nothing is lost while the process lives, all is written later."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.ocpp.storage import Database
from tests.support.clock import ManualClock
from tests.support.database import put_raw, raw
from tests.support.full_disk import full, in_child

INSERT = "INSERT INTO outbox(transaction_id, action, payload, boot_id) VALUES (?, 'A', ?, 'b')"


def messages(database: Database) -> list[str]:
    return [row[0] for row in database.read("SELECT transaction_id FROM outbox ORDER BY id")]


def test_units_of_a_full_disk_are_written_later(tmp_path: Path) -> None:
    def scenario() -> None:
        clock = ManualClock()
        path = tmp_path / "station.db"
        database = Database(path, clock=clock)
        first = database.write(INSERT, "m1", b"1")
        assert database.commit()
        full(True)
        second = database.write(INSERT, "m2", b"2" * 9000)
        assert not database.commit()
        assert database.degraded
        assert messages(database) == ["m1", "m2"], "reading still works"
        assert database.write(INSERT, "m3", b"3") == second + 1 == first + 2
        database.write("DELETE FROM outbox WHERE id = ?", first)
        clock.advance(10)
        assert not database.commit()
        full(False)
        clock.advance(10)
        assert database.commit()
        assert not database.degraded
        assert messages(database) == ["m2", "m3"]
        assert database.write(INSERT, "m4", b"4") == second + 2
        database.commit()
        database.close()
        again = Database(path, clock=clock)
        assert [row[0] for row in again.read("SELECT id FROM outbox")] == [second, second + 1, second + 2]
        assert database.incidents[0].kind == "unwritable"
        assert database.incidents[1].kind == "written again"

    in_child(scenario)


def test_what_waits_while_the_disk_fills_is_written_later(tmp_path: Path) -> None:
    def scenario() -> None:
        clock = ManualClock()
        path = tmp_path / "station.db"
        database = Database(path, clock=clock)
        first = database.write(INSERT, "m1", b"1" * 9000)
        assert database.commit()
        database.write("DELETE FROM outbox WHERE id = ?", first, may_wait=True)
        assert database.commit(leaves=False)
        full(True)
        database.write(INSERT, "m2", b"2" * 9000)
        assert not database.commit()
        assert not database.waits
        assert messages(database) == ["m2"]
        full(False)
        clock.advance(10)
        assert database.commit(leaves=False), "what the disk did not take does not wait any more"
        assert not database.degraded
        database.close()
        assert messages(Database(path, clock=clock)) == ["m2"]

    in_child(scenario)


def test_the_open_unit_is_kept_whole(tmp_path: Path) -> None:
    """A write that no longer fits into SQLite's cache reaches the full disk before the commit does."""

    def scenario() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "station.db", clock=clock)
        put_raw(database, "before", b"1")
        full(True)
        for number in range(4000):
            database.write(INSERT, f"m{number}", b"x" * 2000)
        assert raw(database, "before") == b"1"
        assert not database.commit()
        full(False)
        clock.advance(10)
        assert database.commit()
        database.close()
        again = Database(tmp_path / "station.db", clock=clock)
        assert len(messages(again)) == 4000
        assert raw(again, "before") == b"1"

    in_child(scenario)


def test_retries_are_spaced(tmp_path: Path) -> None:
    """A long journal on a disk that stays full must not be retried with each message."""

    def scenario() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "station.db", clock=clock)
        full(True)
        put_raw(database, "a", b"1")
        assert not database.commit()
        full(False)
        assert not database.commit(), "too soon"
        clock.advance(1)
        assert database.commit()

    in_child(scenario)


def test_full_at_the_first_start(tmp_path: Path) -> None:
    def scenario() -> None:
        clock = ManualClock()
        full(True)
        database = Database(tmp_path / "station.db", clock=clock)
        assert database.degraded
        assert not database.replaced
        message = database.write(INSERT, "m1", b"1")
        assert not database.commit()
        full(False)
        clock.advance(10)
        assert database.commit()
        database.close()
        assert Database(tmp_path / "station.db", clock=clock).read("SELECT id FROM outbox") == [(message,)]

    in_child(scenario)


def test_full_at_a_later_start(tmp_path: Path) -> None:
    """The queue of the last run is there, although nothing can be written."""

    def scenario() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "station.db", clock=clock)
        database.write(INSERT, "m1", b"1")
        database.commit()
        os._exit(0)  # like a kill: the committed unit is still in the log

    in_child(scenario)

    def later() -> None:
        clock = ManualClock()
        full(True)
        database = Database(tmp_path / "station.db", clock=clock)
        assert messages(database) == ["m1"]
        database.write("DELETE FROM outbox WHERE transaction_id = 'm1'")
        database.write(INSERT, "m2", b"2")
        assert not database.commit()
        assert messages(database) == ["m2"]
        full(False)
        clock.advance(10)
        assert database.commit()
        assert messages(database) == ["m2"]

    in_child(later)


def test_a_long_outage_does_not_fill_the_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ocpp.storage.database._JOURNAL_LIMIT", 10)

    def scenario() -> None:
        clock = ManualClock()
        database = Database(tmp_path / "station.db", clock=clock)
        put_raw(database, "before", b"1")
        database.commit()
        full(True)
        for number in range(50):
            put_raw(database, "state", b"%d" % number)
            database.commit()
        full(False)
        clock.advance(10)
        assert database.commit()
        put_raw(database, "after", b"1")
        assert database.commit()
        database.close()
        again = Database(tmp_path / "station.db", clock=clock)
        assert [raw(again, key) for key in ("before", "state", "after")] == [b"1", b"49", b"1"]
        assert again.read("PRAGMA journal_mode") == [("wal",)]

    in_child(scenario)


def test_a_database_that_cant_be_created(tmp_path: Path) -> None:
    """A path that is a folder: the station works from memory, and reports it."""
    (tmp_path / "station.db").mkdir()
    database = Database(tmp_path / "station.db", clock=ManualClock())
    put_raw(database, "a", b"1")
    assert not database.commit()
    assert raw(database, "a") == b"1"
    assert database.incidents


def test_a_disk_that_returns_with_old_data_is_not_written(tmp_path: Path) -> None:
    """Rows that were unreadable at the start are not mixed with rows written without knowledge of them."""
    clock = ManualClock()
    path = tmp_path / "station.db"
    old = Database(path, clock=clock)
    old.write(INSERT, "old", b"1")
    old.close()
    path.rename(tmp_path / "away")
    path.mkdir()
    database = Database(path, clock=clock)
    database.write(INSERT, "new", b"2")
    assert not database.commit()
    path.rmdir()
    (tmp_path / "away").rename(path)
    clock.advance(10)
    assert not database.commit()
    assert messages(database) == ["new"]
    database.close()
    assert messages(Database(path, clock=clock)) == ["old"]


def test_a_dead_disk_leaves_what_the_owners_know(tmp_path: Path) -> None:
    database = Database(tmp_path / "station.db", clock=ManualClock())
    put_raw(database, "owned", b"1")
    put_raw(database, "not owned", b"1")
    database.commit()
    database.on_replaced(lambda: put_raw(database, "owned", b"1"))
    put_raw(database, "open unit", b"1")
    assert database._disk is not None
    database._disk.close()  # from now on reading fails, too
    database._degrade("dead")
    assert database.degraded
    assert [raw(database, key) for key in ("owned", "not owned", "open unit")] == [b"1", None, b"1"]
