# SPDX-License-Identifier: Apache-2.0
"""A power cut at any instant: committed units are whole, uncommitted ones absent."""

from __future__ import annotations

import os
import random
import shutil
import signal
from pathlib import Path

import pytest

from firmware.clock import SystemClock
from services.ocpp.storage import Database
from tests.support.database import put_raw, raw

INSERT = "INSERT INTO outbox(transaction_id, action, payload, boot_id) VALUES (?, 'TransactionEvent', ?, 'b')"


def put_unit(database: Database, number: int) -> None:
    """One unit over three tables, with the payload sometimes larger than a page."""
    database.write(INSERT, f"m{number}", os.urandom(random.Random(number).choice((50, 500, 9000))))
    database.write(
        "INSERT INTO transactions VALUES ('t', 1, ?) ON CONFLICT DO UPDATE SET state = excluded.state", b"%d" % number
    )
    put_raw(database, "unit", b"%d" % number)


def units(database: Database) -> tuple[int, int, int]:
    """The last unit in each table; equal if units are whole."""
    (queued,) = database.read("SELECT count(*) FROM outbox")[0]
    state = database.read("SELECT state FROM transactions")
    return queued, int(state[0][0]) if state else 0, int(raw(database, "unit") or b"0")


def copy_of(path: Path, target: Path) -> Path:
    target.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy(file, target / file.name)
    return target / path.name


def test_power_cut_between_any_two_steps(tmp_path: Path) -> None:
    path = tmp_path / "live" / "station.db"
    database = Database(path, clock=SystemClock())
    for number in range(1, 41):
        put_unit(database, number)
        before = Database(copy_of(path, tmp_path / f"before{number}"), clock=SystemClock())
        assert units(before) == (number - 1,) * 3
        assert database.commit()
        after = Database(copy_of(path, tmp_path / f"after{number}"), clock=SystemClock())
        assert units(after) == (number,) * 3
        assert not before.incidents + after.incidents
    database.close()


@pytest.mark.parametrize("seed", range(8))
def test_power_cut_in_the_middle_of_writing(tmp_path: Path, seed: int) -> None:
    """Bytes written after the last fsync may be there in part, or be noise."""
    dice = random.Random(seed)
    path = tmp_path / "live" / "station.db"
    database = Database(path, clock=SystemClock())
    for number in range(1, 21):
        put_unit(database, number)
        database.commit()
    log = path.with_name("station.db-wal")
    synced = log.stat().st_size
    put_unit(database, 21)
    database.commit()
    torn = copy_of(path, tmp_path / "torn")
    torn_log = torn.with_name("station.db-wal")
    data = torn_log.read_bytes()
    cut = dice.randrange(synced, len(data))
    torn_log.write_bytes(data[:cut] + dice.randbytes(dice.randrange(0, len(data) - cut)))
    found = Database(torn, clock=SystemClock())
    assert units(found) == (20,) * 3
    assert not found.incidents
    database.close()


def _work_until_killed(path: Path, pipe: int) -> None:
    database = Database(path, clock=SystemClock())
    number = 0
    while True:
        number += 1
        put_unit(database, number)
        database.commit()
        os.write(pipe, b"%d\n" % number)


@pytest.mark.parametrize("wanted", [1, 7, 60])
def test_killed_while_working(tmp_path: Path, wanted: int) -> None:
    """Every reported unit is there, and at most one that was not reported."""
    path = tmp_path / "station.db"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _work_until_killed(path, writer)
        finally:
            os._exit(1)
    os.close(writer)
    with os.fdopen(reader, "rb") as lines:
        reported = [int(lines.readline()) for _ in range(wanted)]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        reported += [int(line) for line in lines if line.endswith(b"\n")]
    queued, state, value = units(Database(path, clock=SystemClock()))
    assert queued == state == value
    assert reported[-1] <= queued <= reported[-1] + 1
