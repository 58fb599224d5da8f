# SPDX-License-Identifier: Apache-2.0
"""The simulated pigpiod by literal frames, and the cabinet's contacts and coils on its lines.

gpiozero's own back-end for pigpiod (gpiozero 2.0.1, pigpio 1.78) worked with it without a violation.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest

from drivers.simulated.world.board import BoardState
from drivers.simulated.world.world import World
from firmware.contract import BootCause, Fault
from tests.support.sockets import eventually
from tools.rig.devices.gpio import LINES, CabinetLines, Pigpiod


class _Client:
    """Bytes to the daemon and from it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def of(cls, daemon: Pigpiod) -> _Client:
        return cls(*await asyncio.open_connection("127.0.0.1", daemon.port))

    async def ask(self, frame: str) -> str:
        self._writer.write(bytes.fromhex(frame))
        return (await self._reader.readexactly(16)).hex(" ", 4)

    async def report(self) -> tuple[int, int, int]:
        """Number, flags, levels."""
        data = await self._reader.readexactly(12)
        number, flags, _tick_us, levels = struct.unpack("<HHII", data)
        return number, flags, levels

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.fixture
async def daemon() -> AsyncIterator[Pigpiod]:
    made = Pigpiod()
    await made.start()
    yield made
    made.close()


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("1a000000 00000000 00000000 00000000", "1a000000 00000000 00000000 4f000000"),  # version 79
        ("11000000 00000000 00000000 00000000", "11000000 00000000 00000000 8220a000"),  # a Raspberry Pi 3B
        ("04000000 05000000 01000000 00000000", "04000000 05000000 01000000 00000000"),
        ("03000000 04000000 00000000 00000000", "03000000 04000000 00000000 01000000"),  # line 4 is high
        ("0a000000 00000000 00000000 00000000", "0a000000 00000000 00000000 10000000"),
        ("04000000 63000000 01000000 00000000", "04000000 63000000 01000000 fdffffff"),  # no line 99
        ("04000000 05000000 02000000 00000000", "04000000 05000000 02000000 fbffffff"),  # no level 2
        ("00000000 05000000 09000000 00000000", "00000000 05000000 09000000 fcffffff"),  # no mode 9
        ("02000000 05000000 03000000 00000000", "02000000 05000000 03000000 faffffff"),  # no pull 3
        ("13000000 07000000 01000000 00000000", "13000000 07000000 01000000 e7ffffff"),  # no notification 7
        ("61000000 05000000 e1930400 00000000", "61000000 05000000 e1930400 83ffffff"),  # 300,001 us
        ("c8000000 00000000 00000000 00000000", "c8000000 00000000 00000000 a8ffffff"),  # no such command
    ],
)
async def test_answers(daemon: Pigpiod, asked: str, answered: str) -> None:
    daemon.drive(4, True)
    client = await _Client.of(daemon)
    assert await client.ask(asked) == answered
    assert bool(daemon.violations) is answered.endswith("ff")
    await client.close()


async def test_reports_of_the_chosen_lines(daemon: Pigpiod) -> None:
    commands, reports = await _Client.of(daemon), await _Client.of(daemon)
    assert await reports.ask("63000000 00000000 00000000 00000000") == "63000000 00000000 00000000 00000000"
    await commands.ask("13000000 00000000 10000000 00000000")
    daemon.drive(5, True)
    daemon.drive(4, True)
    assert await reports.report() == (0, 0, 0x30)
    daemon.drive(4, None)
    assert await reports.report() == (1, 0, 0x20)
    assert await commands.ask("15000000 00000000 00000000 00000000") == "15000000 00000000 00000000 00000000"
    assert daemon.violations == []
    await commands.close()
    await reports.close()


async def test_input_follows_its_pull_while_nothing_drives_it(daemon: Pigpiod) -> None:
    client = await _Client.of(daemon)
    await client.ask("02000000 04000000 02000000 00000000")
    assert daemon.level(4)
    await client.ask("02000000 04000000 01000000 00000000")
    assert not daemon.level(4)
    await client.close()


async def test_lines_stay_as_they_are_without_their_client(daemon: Pigpiod) -> None:
    client = await _Client.of(daemon)
    await client.ask("04000000 05000000 01000000 00000000")
    await client.close()
    await eventually(lambda: not daemon.connected)
    daemon.close()
    assert daemon.level(5)


# --- the cabinet ----------------------------------------------------------------------------------------------


def _world(evses: int) -> World:
    world = World(BoardState("BW1"), range(1, evses + 1))
    world.power_on(BootCause.POWER_UP)
    world.connect_hal()
    return world


@pytest.mark.parametrize(("evses", "daemons"), [(2, 1), (10, 1), (11, 2), (16, 2)])
def test_cabinet_takes_as_many_daemons_as_it_needs(evses: int, daemons: int) -> None:
    cabinet = CabinetLines(_world(evses))
    assert len(cabinet.daemons) == daemons == len(cabinet.buses())
    used: list[tuple[object, object]] = [("lines0", line) for line in (cabinet.STOP, cabinet.DOOR, cabinet.WATCHDOG)]
    for evse in range(1, evses + 1):
        table = cabinet.contactor(evse)
        used += [(table["lines"], table["coil"]), (table["lines"], table["mirror"])]
    assert len(set(used)) == len(used)
    assert all(isinstance(line, int) and 0 <= line < LINES for _, line in used)


async def test_contacts_of_stop_button_and_door_are_normally_closed() -> None:
    world = _world(2)
    cabinet = CabinetLines(world)
    daemon = cabinet.daemons[0]
    cabinet.step()
    assert (daemon.level(cabinet.STOP), daemon.level(cabinet.DOOR)) == (True, True)
    world.faults.set(Fault.EMERGENCY_STOP, None, True)
    world.faults.set(Fault.DOOR_OPEN, None, True)
    cabinet.step()
    assert (daemon.level(cabinet.STOP), daemon.level(cabinet.DOOR)) == (False, False)
    world.faults.set(Fault.EMERGENCY_STOP, None, False)
    cabinet.stop_wire_broken = True
    cabinet.step()
    assert not daemon.level(cabinet.STOP)


async def test_coil_works_only_while_the_watchdog_relay_is_pulsed() -> None:
    world = _world(2)
    cabinet = CabinetLines(world)
    await cabinet.start()
    client = await _Client.of(cabinet.daemons[0])
    now = 100.0

    def pass_time(seconds: float) -> None:
        nonlocal now
        for _ in range(round(seconds / 0.05)):
            now += 0.05
            world.step(now)
            cabinet.step()

    coil, mirror = cabinet.coil(2), cabinet.mirror(2)
    await client.ask(f"04000000 {coil:02x}000000 01000000 00000000")
    for level in (1, 0, 1):
        await client.ask(f"04000000 {cabinet.WATCHDOG:02x}000000 {level:02x}000000 00000000")
        pass_time(0.4)
    assert world.evses[2].contactor.closed
    assert not cabinet.daemons[0].level(mirror)
    pass_time(1.5)
    assert not world.evses[2].contactor.closed
    assert cabinet.daemons[0].level(mirror)
    await client.close()
    cabinet.close()
