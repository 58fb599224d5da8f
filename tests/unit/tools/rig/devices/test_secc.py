# SPDX-License-Identifier: Apache-2.0
"""The simulated board by literal frames of a host: its states, its watchdogs, and what it finds fault with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from drivers.simulated.messages import Assign, CommandContactor, FeedWatchdog, SetOutput, SwitchOff
from drivers.simulated.world.garage import CarOrder
from firmware.clock import SystemClock
from tests.support.sockets import eventually
from tests.support.virtual_time import in_virtual_time
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.secc import SeccBoard

STATUS, NEW_SESSION, CONTROL, FINISHED, STOP = 0x0206B000, 0x0206B001, 0x0206B003, 0x0206B004, 0x0206B005
VOLTAGES, LIMITS, IDENTITY, INPUTS, PILOT = 0x0206B101, 0x0206B102, 0x0206B105, 0x0206B201, 0x0206B203
MODULES, PARAMETERS, SEQUENCE = 0x02063000, 0x02063001, 0x02063002
OFF, STANDBY = "0000000041410000", "0000000041410100"
TESTED, LOWERED, AT_PACK = "8C230000414101FA", "C8000000414101FA", "1F1C0000414101FA"
"""910 V and 500 kΩ for a test voltage of 924 V; 20 V; 719.9 V, as the pack has it."""


class Bench:
    """A board of index 2 with its outlet and car, and a host that repeats the frames that a test sets."""

    def __init__(self) -> None:
        clock = SystemClock()
        self.local = LocalBus(new_world(), mono_s=clock.monotonic())
        self.world, self.outlet = self.local.world, self.local.world.evses[2]
        self.hub = CanHub()
        self.board = SeccBoard(self.hub, 2, self.outlet, boot_s=0.5, monotonic=clock.monotonic)
        self.host: dict[int, str] = {MODULES: OFF, SEQUENCE: "010000"}
        self.volts = 0.0
        """What the modules are driven to."""
        self.heard: dict[int, list[str]] = {}
        self._clock = clock
        self._send = self.hub.attach(self._on_frame)

    def _on_frame(self, can_id: int, data: bytes) -> None:
        self.heard.setdefault(can_id, []).append(data.hex().upper())

    async def run(self) -> None:
        while True:
            for can_id, data in self.host.items():
                self.send(can_id, data)
            if self.volts > 0.0:
                self.local.send(SetOutput(evse=2, voltage_v=self.volts, current_a=2.0))
            for _ in range(4):
                self.local.send(FeedWatchdog())
                self.local.advance(self._clock.monotonic() - self.local.mono_s)
                await asyncio.sleep(0.025)

    def send(self, can_id: int, data: str) -> None:
        self._send(can_id, bytes.fromhex(data))

    def last(self, can_id: int) -> str:
        return self.heard.get(can_id, [""])[-1]

    async def reaches(self, state: int) -> None:
        await eventually(lambda: self.last(STATUS) == f"{state:02X}")

    async def hears(self, can_id: int, data: str) -> None:
        await eventually(lambda: self.last(can_id) == data)

    async def begin(self) -> None:
        """A car comes and the host authorises it, up to the insulation test."""
        self.world.plug_in(2, CarOrder())
        await self.reaches(11)
        self.host |= {MODULES: STANDBY, SEQUENCE: "010300"}
        await self.reaches(3)
        self.send(PARAMETERS, "1027881300000000")
        self.host[SEQUENCE] = "010700"
        await self.reaches(4)

    async def charge(self) -> None:
        await self.begin()
        self.host[MODULES] = TESTED
        await eventually(lambda: self.last(CONTROL)[12:] == "81")
        self.host[MODULES] = LOWERED
        await self.reaches(5)
        self.local.send(Assign(groups={2: 4}))
        self.local.send(CommandContactor(evse=2, closed=True))
        self.volts = 720.0
        self.host[MODULES] = AT_PACK
        await self.reaches(6)
        await self.reaches(7)


@asynccontextmanager
async def a_board() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.board.start()
    running = asyncio.create_task(bench.run())
    yield bench
    running.cancel()
    bench.board.close()


on_a_bench = in_virtual_time(a_board)


@on_a_bench
async def test_a_session_from_boot_to_the_end(bench: Bench) -> None:
    bench.host[SEQUENCE] = "000000"
    await bench.reaches(12)
    await bench.hears(PILOT, "00E8030000000000")
    bench.host[SEQUENCE] = "010000"
    await bench.reaches(1)
    await bench.hears(PILOT, "0CE8030000000000")
    await bench.charge()
    assert bench.heard[NEW_SESSION][-1] == "0001"
    assert bench.last(VOLTAGES)[4:8] == "D020"
    assert bench.last(LIMITS) == "0000A00F00000E01"
    assert bench.last(IDENTITY) == "02BA7700B002"
    await bench.hears(INPUTS, "0000000000554141")
    await eventually(lambda: bench.last(CONTROL)[12:] == "48")
    await bench.hears(PILOT, "0632000000000000")
    bench.host[SEQUENCE] = "010701"
    await bench.reaches(8)
    bench.volts = 0.0
    bench.local.send(SwitchOff(evse=2))
    await bench.reaches(9)
    bench.local.send(CommandContactor(evse=2, closed=False))
    await bench.reaches(10)
    await bench.reaches(1)
    bench.host |= {MODULES: OFF, SEQUENCE: "010000"}
    assert bench.heard[FINISHED] == ["00"]
    assert {int(state, 16) for state in bench.heard[STATUS]} == set(range(1, 13))
    assert STOP not in bench.heard
    assert bench.board.violations == []


@on_a_bench
async def test_silence_until_it_has_booted(bench: Bench) -> None:
    await bench.reaches(1)
    bench.board.boot()
    bench.heard.clear()
    await asyncio.sleep(0.45)
    assert bench.heard == {}
    await bench.reaches(1)


@on_a_bench
async def test_insulation_test_needs_ten_cycles_in_a_row_of_voltage_and_insulation(bench: Bench) -> None:
    await bench.begin()
    await bench.hears(CONTROL, "18241400140002")
    bench.host[MODULES] = "88130000414101FA"
    await asyncio.sleep(2.0)
    bench.host[MODULES] = "8C23000041410120"
    await asyncio.sleep(2.0)
    bench.host[MODULES] = TESTED
    await asyncio.sleep(0.7)
    bench.host[MODULES] = STANDBY
    await asyncio.sleep(0.2)
    bench.host[MODULES] = TESTED
    await asyncio.sleep(0.7)
    assert bench.last(CONTROL)[12:] == "02"
    await eventually(lambda: bench.last(CONTROL)[12:] == "81")
    assert bench.last(STATUS) == "04"


@pytest.mark.parametrize("failing", ["disabled", "silent", "interlock"])
@on_a_bench
async def test_watchdogs_of_the_station_side(bench: Bench, failing: str) -> None:
    await bench.charge()
    if failing == "disabled":
        bench.host[MODULES] = "1F1C0000414100FA"
    elif failing == "silent":
        del bench.host[MODULES]
    else:
        bench.board.interlock_open = True
    await bench.hears(STOP, "01")
    assert bench.outlet.car is not None
    assert not bench.outlet.car.contactor_closed
    await eventually(lambda: bench.heard.get(FINISHED) == ["01"])


@on_a_bench
async def test_stop_of_the_vehicle(bench: Bench) -> None:
    await bench.charge()
    bench.board.stop_by_vehicle()
    await bench.hears(STOP, "03")
    await bench.reaches(1)


@on_a_bench
async def test_limit_of_zero_is_the_configured_value(bench: Bench) -> None:
    await bench.charge()
    bench.send(PARAMETERS, "1027640000000000")
    assert bench.outlet.secc.max_current_a == 10.0
    await asyncio.sleep(0.1)
    bench.send(PARAMETERS, "1027000000000000")
    assert bench.outlet.secc.max_current_a == float("inf")


@on_a_bench
async def test_sensors_and_identity_that_are_not_there(bench: Bench) -> None:
    bench.board.plug_c = (80.4, None)
    await bench.hears(INPUTS, "0000000000557800")
    bench.board.send_garbage()
    assert bench.last(0x0206BFFF) == "00" * 8


@pytest.mark.parametrize(
    ("frames", "violation"),
    [
        ([(MODULES, "00000000414100")], "has 7 bytes"),
        ([(0x02063777, "00")], "does not exist"),
        ([(MODULES, "0000000000000000")], "modules' status"),
        ([(SEQUENCE, "050000")], "sequence flags"),
        ([(SEQUENCE, "010300")], "flags of the last session"),
        ([(PARAMETERS, "1027881300000000"), (PARAMETERS, "1027881300000000")], "less than 100 ms apart"),
    ],
)
@on_a_bench
async def test_what_a_host_does_wrong(bench: Bench, frames: list[tuple[int, str]], violation: str) -> None:
    await bench.reaches(1)
    await asyncio.sleep(0.5)
    for can_id, data in frames:
        bench.send(can_id, data)
    assert len(bench.board.violations) == 1
    assert violation in bench.board.violations[0]


@on_a_bench
async def test_current_in_the_insulation_test_is_wrong(bench: Bench) -> None:
    await bench.begin()
    bench.send(MODULES, "8C231E00414101FA")
    assert "3.0 A in state 4" in bench.board.violations[0]


@on_a_bench
async def test_the_voltage_of_the_battery_is_to_be_reported_a_second_after_it_is_there(bench: Bench) -> None:
    await bench.charge()
    bench.host[MODULES] = LOWERED  # as a reading of the ramp that has just ended
    bench.send(MODULES, LOWERED)
    assert not bench.board.violations
    await eventually(lambda: bench.board.violations)
    assert "20.0 V reported while the battery of 720 V is connected" in bench.board.violations[0]


@on_a_bench
async def test_frames_for_other_boards_are_not_its_own(bench: Bench) -> None:
    await bench.reaches(1)
    bench.send(0x01063000, "00")
    bench.send(0x0206B000, "00")
    assert bench.board.violations == []
