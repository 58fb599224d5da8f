# SPDX-License-Identifier: Apache-2.0
"""Units of work, migrations, file modes, wear."""

from __future__ import annotations

import multiprocessing
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from firmware.errors import StorageError
from services.ocpp.storage import Database
from tests.support.clock import ManualClock
from tests.support.database import put_raw, raw

OUTBOX = "INSERT INTO outbox(transaction_id, action, payload, boot_id) VALUES (?, 'A', ?, 'b')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "station.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path, clock=ManualClock())
    yield database
    database.close()


def reopened(path: Path) -> Database:
    return Database(path, clock=ManualClock())


def test_a_committed_unit_survives_a_restart(database: Database, path: Path) -> None:
    put_raw(database, "clock", b"1")
    assert database.commit()
    database.close()
    assert raw(reopened(path), "clock") == b"1"


def test_an_uncommitted_unit_is_lost(database: Database, path: Path, tmp_path: Path) -> None:
    put_raw(database, "a", b"1")
    database.commit()
    put_raw(database, "a", b"2")
    assert raw(database, "a") == b"2", "the unit sees itself"
    assert raw(_as_on_disk(path, tmp_path / "cut"), "a") == b"1"


def test_what_may_wait_joins_the_next_commit(database: Database, path: Path, tmp_path: Path) -> None:
    put_raw(database, "a", b"1")
    assert database.commit(leaves=False), "this may not wait"
    assert not database.waits
    database.write("DELETE FROM facts", may_wait=True)
    assert database.commit(leaves=False)
    assert database.waits
    assert raw(database, "a") is None
    assert raw(_as_on_disk(path, tmp_path / "cut"), "a") == b"1"
    put_raw(database, "b", b"2")
    assert database.commit(leaves=False)
    assert not database.waits
    found = _as_on_disk(path, tmp_path / "later")
    assert (raw(found, "a"), raw(found, "b")) == (None, b"2")


def test_what_may_wait_is_committed_when_something_leaves(database: Database, path: Path, tmp_path: Path) -> None:
    put_raw(database, "a", b"1")
    database.commit()
    database.write("DELETE FROM facts", may_wait=True)
    assert database.commit()
    assert raw(_as_on_disk(path, tmp_path / "cut"), "a") is None


def _as_on_disk(path: Path, folder: Path) -> Database:
    folder.mkdir()
    for file in path.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return reopened(folder / path.name)


def test_bugs_are_raised(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        database.write("INSERT INTO nowhere VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        database.write("INSERT INTO facts VALUES (NULL, x'00')")
    with pytest.raises(sqlite3.OperationalError):
        database.read("SELECT * FROM nowhere")
    assert not database.degraded


def test_only_the_owner_may_read(database: Database, path: Path) -> None:
    put_raw(database, "a", b"1")
    database.commit()
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_file_that_others_can_read_is_made_private(path: Path) -> None:
    path.parent.mkdir()
    path.touch(mode=0o644)
    reopened(path).close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_newer_database_is_used_unchanged(database: Database, path: Path) -> None:
    """After a failed update the older image continues with it (migrations only add)."""
    put_raw(database, "a", b"1")
    database.write("ALTER TABLE facts ADD COLUMN later TEXT")
    database.write("PRAGMA user_version = 99")
    database.commit()
    database.close()
    older = reopened(path)
    assert raw(older, "a") == b"1"
    assert not older.replaced


def test_the_log_does_not_grow_without_bound(database: Database, path: Path) -> None:
    largest = 0
    for number in range(3000):
        put_raw(database, "big", bytes([number % 256]) * 3000)
        database.commit()
        largest = max(largest, path.with_name("station.db-wal").stat().st_size)
    assert largest < 5 * 1024 * 1024
    assert path.stat().st_size < 1024 * 1024


def test_the_log_is_cut_after_one_large_unit(database: Database, path: Path) -> None:
    for number in range(3000):
        database.write(OUTBOX, "t", b"%d" % number * 1000)
    database.commit()
    log = path.with_name("station.db-wal")
    assert log.stat().st_size > 10 * 1024 * 1024, "a unit is never split"
    for number in range(10):
        put_raw(database, "a", b"%d" % number)
        database.commit()
    assert log.stat().st_size <= 8 * 1024 * 1024


def test_the_log_is_overwritten_and_not_created_again(database: Database, path: Path) -> None:
    """A commit that extends the file costs twice as much."""
    sizes = []
    for number in range(4000):
        put_raw(database, "a", b"%d" % number)
        database.commit()
        sizes.append(path.with_name("station.db-wal").stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[2000] == sizes[-1]


def _open_and_report(path: str, results: multiprocessing.SimpleQueue[str]) -> None:
    try:
        Database(Path(path), clock=ManualClock())
        results.put("opened")
    except StorageError as error:
        results.put(str(error))


def test_a_second_process_is_refused(database: Database, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ocpp.storage.connection._BUSY_S", 0.05)
    put_raw(database, "a", b"1")
    database.commit()
    context = multiprocessing.get_context("fork")
    results: multiprocessing.SimpleQueue[str] = context.SimpleQueue()
    child = context.Process(target=_open_and_report, args=(str(path), results))
    child.start()
    assert "another process" in results.get()
    child.join()


def test_the_directory_can_be_missing_several_levels(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "station.db"
    reopened(path).close()
    assert os.access(path, os.R_OK)
