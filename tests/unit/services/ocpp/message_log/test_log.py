# SPDX-License-Identifier: Apache-2.0
"""When the message log is written, and how much."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.bounded_file import BoundedFile
from services.ocpp.message_log import Formatter, MessageLog, Redaction, open_file
from services.ocpp.message_log.log import FILE_BYTES, Allowance
from services.ocpp.message_log.ring import RING_BYTES
from services.ocpp.rpc.peer import CONNECTION_LOST, TIMED_OUT, Failed
from tests.support.clock import ManualClock
from tests.support.sockets import eventually
from tests.support.timer import ManualTimer

CALL = '[2,"1","Heartbeat",{}]'
RESULT = '[3,"1",{"currentTime":"2027-01-15T08:00:00Z"}]'


class Bench:
    """A log in a folder, with time that stands still."""

    def __init__(self, folder: Path, file: BoundedFile | None = None, allowance: Allowance | None = None) -> None:
        self.timer = ManualTimer()
        formatter = Formatter(Redaction([]), lambda now: 1_800_000_000.0 + now)
        self.file = file or open_file(folder)
        self.log = MessageLog(self.file, formatter, clock=self.timer.clock, timer=self.timer, allowance=allowance)

    @property
    def asked(self) -> bool:
        """The log is to be written."""
        return bool(self.timer.pending)

    @property
    def lines(self) -> list[dict[str, Any]]:
        texts = [path.read_text() for path in self.file.paths if path.exists()]
        return [json.loads(line) for line in "".join(texts).splitlines()]

    @property
    def types(self) -> list[str]:
        return [line["type"] for line in self.lines]

    def exchange(self) -> None:
        self.log.sent(CALL)
        self.log.received(RESULT)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "log")


def failed(code: str, *, timed_out: bool = False) -> Failed:
    return Failed("1", "Heartbeat", code, "", timed_out)


async def test_nothing_is_written_while_all_is_well(bench: Bench) -> None:
    bench.log.connected("slot 1")
    for _ in range(100):
        bench.exchange()
    bench.log.session_ended(None)
    bench.log.session_ended("Remote")
    bench.log.switch(recording=False)
    assert not bench.asked
    assert not bench.file.paths[1].exists()


@pytest.mark.parametrize(
    "trouble",
    [
        lambda log: log.sent('[4,"1","NotSupported","",{}]'),
        lambda log: log.received('[4,"1","InternalError","",{}]'),
        lambda log: log.failed(failed("InternalError")),
        lambda log: log.failed(failed(TIMED_OUT, timed_out=True)),
        lambda log: log.failed(failed(CONNECTION_LOST)),
        lambda log: log.disconnected("no pong in time"),
        lambda log: log.not_connected("slot 1: refused"),
        lambda log: log.session_ended("EmergencyStop"),
        lambda log: log.session_ended("PowerLoss"),
        lambda log: log.switch(recording=True),
    ],
)
async def test_trouble_writes_what_led_to_it(bench: Bench, trouble: Callable[[MessageLog], None]) -> None:
    bench.exchange()
    trouble(bench.log)
    assert bench.timer.pending == [0.2]
    bench.timer.advance(0.2)
    await eventually(lambda: bench.types[:2] == ["CALL", "CALLRESULT"])
    assert bench.file.paths[1].stat().st_mode & 0o777 == 0o600


async def test_a_record_is_written_once(bench: Bench) -> None:
    bench.exchange()
    await bench.log.flush()
    bench.log.disconnected("stopping")
    await bench.log.flush()
    assert bench.types == ["CALL", "CALLRESULT", "DISCONNECTED"]


async def test_what_is_on_its_way_to_the_disk_is_still_in_memory(bench: Bench) -> None:
    """Who reads the file and then the memory misses nothing."""
    for _ in range(20):
        bench.exchange()
    flushing = asyncio.create_task(bench.log.flush())
    file = bench.file.paths[1]
    while not flushing.done():
        written = file.read_bytes().count(b"\n") if file.exists() else 0
        assert written + len(bench.log.in_memory()) >= 40
        await asyncio.sleep(0)
    assert bench.log.in_memory() == ()
    assert len(bench.lines) == 40


async def test_the_end_of_the_process_writes_the_rest(bench: Bench) -> None:
    bench.exchange()
    await bench.log.close()
    assert bench.types == ["CALL", "CALLRESULT"]


async def test_while_it_records_everything_is_written(bench: Bench) -> None:
    bench.log.switch(recording=True)
    bench.timer.advance(0.2)
    await eventually(lambda: bench.types == ["RECORDING"])
    bench.exchange()
    assert bench.asked
    bench.timer.advance(0.2)
    await eventually(lambda: bench.types == ["RECORDING", "CALL", "CALLRESULT"])
    bench.log.switch(recording=False)
    await bench.log.flush()
    bench.timer.advance(0.2)
    bench.exchange()
    assert bench.lines[-1]["text"] == "off"
    await eventually(lambda: not bench.asked)


async def test_each_reason_for_no_connection_once(bench: Bench) -> None:
    for _ in range(3):
        bench.log.not_connected("slot 1: refused")
        bench.log.not_connected("slot 2: refused")
    bench.log.connected("slot 1")
    bench.log.not_connected("slot 1: refused")
    await bench.log.flush()
    assert bench.types == ["NO CONNECTION", "NO CONNECTION", "CONNECTED", "NO CONNECTION"]
    for number in range(1000):
        bench.log.not_connected(f"slot 1: {number}")
    await bench.log.flush()
    assert len(bench.lines) < 30


async def test_a_flood_grows_neither_memory_nor_disk(tmp_path: Path) -> None:
    bench = Bench(tmp_path, BoundedFile(tmp_path / "messages.jsonl", 200_000, mode=0o600))
    for number in range(20):
        for _ in range(400):
            bench.log.received(f'[2,"{number}","DataTransfer",{{"vendorId":"{"x" * 200}"}}]')
        bench.log.received("x" * 262_144)
        assert bench.log._ring.held <= RING_BYTES
        await bench.log.flush()
    assert bench.log._ring.held == 0
    assert sum(path.stat().st_size for path in bench.file.paths) <= 2 * 200_000
    assert set(bench.types) == {"CALL", "UNREADABLE"}


async def test_frames_that_memory_has_no_room_for_are_counted(bench: Bench) -> None:
    for _ in range(5000):
        bench.log.sent(CALL)
    await bench.log.flush()
    first = bench.lines[0]
    assert first["type"] == "LEFT OUT"
    assert first["count"] + len(bench.lines) - 1 == 5000


async def test_the_allowance_spares_the_flash(tmp_path: Path) -> None:
    bench = Bench(tmp_path, allowance=Allowance(per_s=10.0, burst=1000.0))
    for _ in range(100):
        bench.log.sent(CALL)
    await bench.log.flush()
    written = bench.file.paths[1].stat().st_size
    assert 1000 <= written < 1300
    left_out = 100 - len(bench.lines)
    bench.log.sent(CALL)
    await bench.log.flush()
    assert bench.file.paths[1].stat().st_size == written
    bench.timer.clock.advance(60.0)
    bench.log.sent(CALL)
    await bench.log.flush()
    assert [line.get("count") for line in bench.lines[-2:]] == [left_out + 1, None]


def test_a_days_allowance() -> None:
    """200 MB a day is what the whole station may write."""
    clock, allowance, written = ManualClock(), Allowance(), 0
    for _ in range(24 * 3600):
        clock.advance(1.0)
        if allowance.has_some(clock.monotonic()):
            allowance.spend(100_000)
            written += 100_000
    assert written < 65_000_000
    assert 2 * FILE_BYTES <= 4 * 1024 * 1024


async def test_a_full_disk_costs_lines_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path)
    monkeypatch.setattr(bench.file, "_path", Path("/dev/full"))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            bench.exchange()
            await bench.log.flush()
    assert len(caplog.records) == 1
    assert bench.log._ring.held == 0
    monkeypatch.undo()
    bench.log.sent(CALL)
    await bench.log.flush()
    assert [(line["type"], line.get("count")) for line in bench.lines] == [("LEFT OUT", 6), ("CALL", None)]


async def test_a_bug_costs_a_line(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.ocpp.message_log.formatter.decode", lambda _: 1 / 0)
    bench.log.sent(CALL)
    await bench.log.flush()
    monkeypatch.undo()
    bench.log.sent(CALL)
    await bench.log.flush()
    assert [(line["type"], line.get("count")) for line in bench.lines] == [("LEFT OUT", 1), ("CALL", None)]
