# SPDX-License-Identifier: Apache-2.0
"""The simulated line keeps to the Modbus specifications, byte by byte."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.sockets import eventually
from tools.rig.devices.isocha import IsoCha, Wires
from tools.rig.devices.modbus_meter import AcrelMeter, GavazziMeter, Readout
from tools.rig.devices.modbus_slave import SlaveLine, crc16


class Master:
    """The other end of the terminal, byte by byte."""

    def __init__(self, link: Path) -> None:
        self.descriptor = os.open(link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self.received = b""
        asyncio.get_running_loop().add_reader(self.descriptor, self._read)

    def _read(self) -> None:
        self.received += os.read(self.descriptor, 1024)

    def send(self, hexadecimal: str) -> None:
        data = bytes.fromhex(hexadecimal)
        os.write(self.descriptor, data + crc16(data))

    async def answer(self, size: int) -> str:
        await eventually(lambda: len(self.received) >= size)
        frame, self.received = self.received, b""
        assert crc16(frame[:-2]) == frame[-2:]
        await asyncio.sleep(0.006)  # less is a violation
        return frame[:-2].hex(" ").upper()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self.descriptor)
        os.close(self.descriptor)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[SlaveLine]:
    line = SlaveLine("pty", tmp_path / "tty")
    await line.start()
    yield line
    line.close()


@pytest.fixture
async def master(line: SlaveLine) -> AsyncIterator[Master]:
    assert line.link is not None
    master = Master(line.link)
    yield master
    master.close()


def test_the_crc_is_that_of_the_specification() -> None:
    assert crc16(bytes.fromhex("02 07")) == bytes.fromhex("41 12")


async def test_registers_of_the_meters(line: SlaveLine, master: Master) -> None:
    readout = Readout(812.3, -10.0, 987_654.0)
    line.add(1, AcrelMeter(readout))
    line.add(2, GavazziMeter(readout))
    master.send("01 03 00 00 00 04")
    assert await master.answer(13) == "01 03 08 1F BB 00 02 D8 F0 00 00"
    master.send("01 03 00 0C 00 02")
    assert await master.answer(9) == "01 03 04 00 0F 12 06"
    master.send("02 04 00 00 00 04")
    assert await master.answer(13) == "02 04 08 1F BB 00 00 D8 F0 FF FF"


async def test_exceptions(line: SlaveLine, master: Master) -> None:
    line.add(1, AcrelMeter(Readout()))
    for request, answer in (
        ("01 03 00 13 00 02", "01 83 02"),
        ("01 03 00 00 00 7E", "01 83 03"),
        ("01 06 00 00 00 01", "01 86 01"),
        ("01 10 00 00 00 01 02 00 01", "01 90 02"),
        ("01 10 00 00 00 02 02 00 01", "01 90 03"),
    ):
        master.send(request)
        assert await master.answer(5) == answer
    assert line.violations == []


async def test_what_a_master_does_wrong_is_kept(line: SlaveLine, master: Master) -> None:
    line.add(1, AcrelMeter(Readout()))
    os.write(master.descriptor, bytes.fromhex("01 03 00 00 00 04 00 00"))
    await eventually(lambda: len(line.violations) == 1)
    master.send("01 03 00 00 00 01")
    master.send("01 03 00 00 00 01")
    await eventually(lambda: len(line.violations) == 2)
    assert all("a damaged frame" in each for each in line.violations)
    line.slaves[1].idle_since = float("inf")
    master.send("01 03 00 00 00 01")
    await eventually(lambda: "less than 5 ms" in line.violations[-1])
    assert master.received == b""


async def test_a_monitor_measures_tests_itself_and_stops(line: SlaveLine, master: Master) -> None:
    now = 100.0
    monitor = IsoCha(Wires(500_000.0, 400.0), clock=lambda: now)
    line.add(3, monitor)
    master.send("03 10 0B D2 00 01 02 00 00")
    assert await master.answer(8) == "03 10 0B D2 00 01"
    master.send("03 03 03 E8 00 04")
    assert (await master.answer(13)).endswith("00 C2 00 47")
    master.send("03 10 0B D2 00 01 02 00 01")
    await master.answer(8)
    now += monitor.settle_s
    master.send("03 03 03 E8 00 04")
    assert await master.answer(13) == "03 03 08 48 F4 24 00 01 02 00 47"
    master.send("03 10 1F 45 00 01 02 54 45")
    assert await master.answer(8) == "03 10 1F 45 00 01"
    for later_s, status in ((0.5, "01 02"), (1.0, "81 02"), (5.0, "01 02")):
        now += later_s
        master.send("03 03 03 E8 00 04")
        assert (await master.answer(13)).endswith(f"{status} 00 47")


async def test_a_self_test_without_voltage_is_a_device_error(line: SlaveLine, master: Master) -> None:
    now = 100.0
    monitor = IsoCha(Wires(500_000.0, 0.0), clock=lambda: now, settle_s=0.0)
    line.add(3, monitor)
    master.send("03 10 1F 45 00 01 02 54 45")
    await master.answer(8)
    for later_s, status in ((2.0, "81 02"), (10.0, "02 02")):
        now += later_s
        master.send("03 03 03 E8 00 04")
        assert (await master.answer(13)).endswith(f"{status} 00 47")
