# SPDX-License-Identifier: Apache-2.0
"""A damaged database is set aside, its readable rows are salvaged, and the owners write their state again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from services.ocpp.storage import Database
from tests.support.clock import ManualClock
from tests.support.database import put_raw, raw

INSERT = "INSERT INTO outbox(transaction_id, action, payload, boot_id) VALUES (?, 'A', ?, 'b')"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed database with 200 messages, about two a page, and a value."""
    path = tmp_path / "station.db"
    database = Database(path, clock=ManualClock())
    put_raw(database, "a", b"1")
    for number in range(200):
        database.write(INSERT, f"m{number}", b"x" * 1500)
    database.commit()
    database.close()
    return path


def asides(path: Path) -> list[str]:
    return sorted(file.name for file in path.parent.glob("*.damaged-*") if not file.name.endswith(("-wal", "-shm")))


def forget_cache(database: Database) -> None:
    """Empty SQLite's cache, as if other pages had been needed since."""
    database.read("PRAGMA shrink_memory")


def spoil(path: Path, first: int, last: int) -> None:
    data = bytearray(path.read_bytes())
    data[first:last] = random.Random(1).randbytes(min(last, len(data)) - first)
    path.write_bytes(data)


def test_noise_instead_of_a_database(path: Path) -> None:
    spoil(path, 0, 10**9)
    database = Database(path, clock=ManualClock())
    assert database.replaced
    assert raw(database, "a") is None
    put_raw(database, "a", b"2")
    assert database.commit()
    assert asides(path) == ["station.db.damaged-20270115T080000Z"]
    assert database.incidents[0].kind == "damaged"
    database.close()
    assert not Database(path, clock=ManualClock()).replaced


def test_readable_rows_are_salvaged(path: Path) -> None:
    """Pages in the middle are noise: the messages before and after them survive."""
    spoil(path, 40 * 4096, 45 * 4096)
    database = Database(path, clock=ManualClock())
    assert database.replaced
    assert raw(database, "a") == b"1"
    left = [row[0] for row in database.read("SELECT transaction_id FROM outbox ORDER BY id")]
    assert 150 < len(left) < 200
    assert left[0] == "m0"
    assert left[-1] == "m199"
    assert database.write(INSERT, "new", b"") > 200


def test_an_empty_file_is_a_new_station(path: Path) -> None:
    path.write_bytes(b"")
    database = Database(path, clock=ManualClock())
    assert not database.replaced
    assert raw(database, "a") is None


def test_damage_while_running(path: Path) -> None:
    database = Database(path, clock=ManualClock())
    memory = {"a": b"in memory"}
    database.on_replaced(lambda: put_raw(database, "a", memory["a"]))
    spoil(path, 4096, 10**9)
    forget_cache(database)
    assert database.read("SELECT sum(length(payload)) FROM outbox") == [(None,)]
    assert database.replaced
    put_raw(database, "b", b"2")
    assert database.commit()
    assert raw(database, "a") == b"in memory"
    assert raw(database, "b") == b"2"
    database.close()
    again = Database(path, clock=ManualClock())
    assert (raw(again, "a"), raw(again, "b")) == (b"in memory", b"2")


def test_damage_found_by_a_write(path: Path) -> None:
    """The statement that found it is written to the new database, and the next commit is durable."""
    database = Database(path, clock=ManualClock())
    database.on_replaced(lambda: put_raw(database, "owner", b"1"))
    spoil(path, 4096, 10**9)
    forget_cache(database)
    database.write(INSERT, "m", b"")
    put_raw(database, "c", b"3")
    assert database.commit()
    database.close()
    again = Database(path, clock=ManualClock())
    assert (raw(again, "owner"), raw(again, "c")) == (b"1", b"3")
    assert again.read("SELECT count(*) FROM outbox WHERE transaction_id = 'm'") == [(1,)]


def test_damage_found_by_verifying(path: Path) -> None:
    database = Database(path, clock=ManualClock())
    assert database.verify()
    spoil(path, 4096, 10**9)
    assert not database.verify()
    assert database.verify()
    assert database.replaced


def test_at_most_two_are_kept(path: Path) -> None:
    clock = ManualClock()
    names = []
    for _ in range(4):
        spoil(path, 0, 10**9)
        Database(path, clock=clock).close()
        names.append(set(asides(path)))
        clock.advance(60)
    assert [len(kept) for kept in names] == [1, 2, 2, 2]
    assert names[3] - names[2], "the oldest goes"


def test_two_in_the_same_second(path: Path) -> None:
    for _ in range(5):
        spoil(path, 0, 10**9)
        Database(path, clock=ManualClock()).close()
    assert len(asides(path)) == 2
