# SPDX-License-Identifier: Apache-2.0
"""The driver towards a board that a test plays by hand: which frames it sends when, and what it says of a bad board."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from drivers.can.bus import CanBus
from drivers.can.secc import AdvanticsSecc, SeccOptions
from firmware.errors import DeviceLost, DriverError
from hal.ports import DeviceInfo, Pilot, VehicleStage
from tests.support.sockets import eventually
from tests.support.virtual_time import in_virtual_time
from tools.rig.devices.can_hub import CanHub

STATUS, PARAMETERS, SEQUENCE = 0x01063000, 0x01063001, 0x01063002


class HandPlayedBoard:
    """A board of index 1 that repeats its state and pilot, and notes what it is sent."""

    def __init__(self, hub: CanHub) -> None:
        self.state: int | None = None
        self.pilot: int | None = 9
        self.always: list[tuple[int, str]] = []
        """Frames that it repeats, too."""
        self.received: dict[int, list[str]] = {STATUS: [], PARAMETERS: [], SEQUENCE: []}
        self._send = hub.attach(lambda can_id, data: self.received[can_id].append(data.hex().upper()))

    def send(self, number: int, data: str, *, index: int = 1) -> None:
        self._send(index << 24 | 0x6B000 | number, bytes.fromhex(data))

    async def run(self) -> None:
        while True:
            if self.state is not None:
                self.send(0x000, f"{self.state:02X}")
                if self.pilot is not None:
                    self.send(0x203, f"{self.pilot:02X}")
            for number, data in self.always:
                self.send(number, data)
            await asyncio.sleep(0.1)

    def last(self, can_id: int) -> str:
        return self.received[can_id][-1] if self.received[can_id] else ""

    async def gets(self, can_id: int, data: str) -> None:
        await eventually(lambda: self.last(can_id) == data)

    async def gets_new(self, can_id: int) -> str:
        """Wait for the next frame of this kind."""
        self.received[can_id].clear()
        await eventually(lambda: self.received[can_id])
        return self.last(can_id)


class Bench:
    def __init__(self) -> None:
        self.hub = CanHub()
        self.board = HandPlayedBoard(self.hub)

    async def start(self) -> None:
        await self.hub.start()
        self.bus = CanBus(CanBus.Options(interface="slcan", channel=self.hub.channel, bitrate=500_000))
        await self.bus.open()
        self.secc = AdvanticsSecc(SeccOptions(bus=self.bus, evse=1, index=1, wake_s=0.2))

    async def go(self, state: int, stage: VehicleStage) -> None:
        """The board changes its state and the driver reports the stage."""
        self.board.state = state
        await eventually(lambda: self.reports() and self.secc.vehicle().stage is stage)

    async def charge(self) -> None:
        """Every step of a session up to energy transfer."""
        await self.go(11, VehicleStage.WAITING_AUTHORISATION)
        self.secc.authorise(True)
        self.secc.announce_limits(1000.0, 500.0, 400_000.0)
        await self.go(4, VehicleStage.CABLE_CHECK)
        self.secc.finish_cable_check(True)
        self.board.pilot = 6
        await self.go(7, VehicleStage.CHARGE)
        await eventually(lambda: self.enabled)

    def reports(self) -> bool:
        try:
            self.secc.vehicle()
        except DriverError:
            return False
        return True

    def why(self) -> str:
        """Why there is no report."""
        try:
            self.secc.vehicle()
        except DriverError as error:
            return str(error)
        return ""

    @property
    def enabled(self) -> bool:
        return self.board.last(STATUS)[12:14] == "01"


@asynccontextmanager
async def new_bench() -> AsyncIterator[Bench]:
    bench = Bench()
    await bench.start()
    running = asyncio.create_task(bench.board.run())
    yield bench
    running.cancel()
    bench.secc.close()
    bench.bus.close()
    bench.hub.close()


on_a_bench = in_virtual_time(new_bench)


@on_a_bench
async def test_modules_status_is_sent_always_and_flags_when_the_board_answers(bench: Bench) -> None:
    await eventually(lambda: len(bench.board.received[STATUS]) >= 3)
    assert set(bench.board.received[STATUS]) == {"0000000041410000"}
    assert bench.board.received[SEQUENCE] == []
    bench.board.state = 1
    await bench.board.gets(SEQUENCE, "010000")
    assert await bench.board.gets_new(SEQUENCE) == "010000"


@on_a_bench
async def test_flags_and_limits_of_a_session(bench: Bench) -> None:
    board, secc = bench.board, bench.secc
    bench.board.state = 1
    await board.gets(SEQUENCE, "010000")
    secc.authorise(True)
    await bench.go(2, VehicleStage.NEGOTIATING)
    assert await board.gets_new(SEQUENCE) == "010000"
    await bench.go(11, VehicleStage.WAITING_AUTHORISATION)
    await board.gets(SEQUENCE, "010300")
    await eventually(lambda: bench.enabled)
    assert board.received[PARAMETERS] == []
    secc.announce_limits(1000.0, 500.0, 400_000.0)
    await board.gets(PARAMETERS, "1027A00F00000000")
    await board.gets(SEQUENCE, "010700")
    board.send(0x101, "B80B6810D80E")
    await board.gets(PARAMETERS, "1027881300000000")
    await bench.go(3, VehicleStage.WAITING_AUTHORISATION)
    assert await board.gets_new(SEQUENCE) == "010700"
    assert await board.gets_new(PARAMETERS) == "1027881300000000"


@on_a_bench
async def test_limit_of_power_is_a_current_at_the_present_voltage(bench: Bench) -> None:
    await bench.charge()
    bench.secc.report_output(400.0, 100.0, None)
    bench.secc.announce_limits(1000.0, 500.0, 60_000.0)
    await bench.board.gets(PARAMETERS, "1027DC0500000000")
    bench.secc.announce_limits(1000.0, 0.0, 0.0)
    await bench.board.gets(PARAMETERS, "1027010000000000")


@on_a_bench
async def test_output_and_insulation_are_reported(bench: Bench) -> None:
    await bench.charge()
    bench.secc.report_output(399.8, 125.1, 500.0)
    await bench.board.gets(STATUS, "9E0FE304414101FA")
    bench.secc.report_output(399.8, 125.1, None)
    assert await bench.board.gets_new(STATUS) == "9E0FE304414101FA"
    await bench.board.gets(STATUS, "00000000414101FA")


@on_a_bench
async def test_insulation_that_is_not_valid_is_none_before_the_boards_test_is_over(bench: Bench) -> None:
    await bench.go(4, VehicleStage.CABLE_CHECK)
    bench.secc.report_output(500.0, 0.0, 5000.0)
    await bench.board.gets(STATUS, "88130000414100FF")
    bench.secc.report_output(500.0, 0.0, None)
    await bench.board.gets(STATUS, "8813000041410000")


@on_a_bench
async def test_failed_cable_check_is_a_stop_without_insulation(bench: Bench) -> None:
    await bench.go(11, VehicleStage.WAITING_AUTHORISATION)
    bench.secc.authorise(True)
    await bench.go(4, VehicleStage.CABLE_CHECK)
    bench.secc.report_output(500.0, 0.0, 5000.0)
    bench.secc.finish_cable_check(False)
    await bench.board.gets(SEQUENCE, "010301")
    await eventually(lambda: bench.board.last(STATUS).endswith("0100"))


@on_a_bench
async def test_normal_stop_leaves_the_power_side_enabled(bench: Bench) -> None:
    await bench.charge()
    bench.secc.request_stop()
    await bench.board.gets(SEQUENCE, "010701")
    assert bench.enabled
    await bench.go(8, VehicleStage.STOP)
    await bench.go(10, VehicleStage.ENDED)
    assert bench.enabled
    bench.board.state = 1
    await bench.board.gets(SEQUENCE, "010000")
    await eventually(lambda: not bench.enabled)


@on_a_bench
async def test_authorisation_that_is_taken_back_is_a_stop(bench: Bench) -> None:
    await bench.charge()
    bench.secc.authorise(False)
    await bench.board.gets(SEQUENCE, "010001")
    assert bench.enabled


@on_a_bench
async def test_stop_of_one_session_does_not_touch_the_next(bench: Bench) -> None:
    await bench.charge()
    bench.secc.request_stop()
    await bench.go(1, VehicleStage.ENDED)
    bench.secc.request_stop()
    bench.secc.emergency_stop()
    bench.secc.finish_cable_check(False)
    await bench.go(2, VehicleStage.NEGOTIATING)
    await bench.charge()
    await bench.board.gets(SEQUENCE, "010700")


@on_a_bench
async def test_emergency_stop_is_not_armed_again_in_its_session(bench: Bench) -> None:
    await bench.charge()
    bench.secc.emergency_stop()
    await eventually(lambda: not bench.enabled)
    bench.secc.authorise(True)
    bench.secc.finish_cable_check(True)
    await bench.board.gets_new(STATUS)
    await bench.board.gets_new(STATUS)
    assert not bench.enabled
    await bench.go(1, VehicleStage.ENDED)
    await bench.charge()


@on_a_bench
async def test_session_that_was_under_way_before_the_driver_is_not_enabled(bench: Bench) -> None:
    bench.board.pilot = 6
    bench.board.state = 7
    await eventually(bench.reports)
    bench.secc.authorise(True)
    await bench.board.gets_new(STATUS)
    await bench.board.gets_new(STATUS)
    assert not bench.enabled


@on_a_bench
async def test_silent_board_is_lost_and_its_session_stays_stopped(bench: Bench) -> None:
    await bench.charge()
    bench.board.state = None
    await eventually(lambda: bench.why() == "SECC of index 1 is silent")
    await eventually(lambda: not bench.enabled)
    commands: list[Callable[[], None]] = [
        lambda: bench.secc.authorise(True),
        lambda: bench.secc.report_output(400.0, 1.0, None),
        lambda: bench.secc.finish_cable_check(True),
        bench.secc.wake,
        bench.secc.request_stop,
        bench.secc.emergency_stop,
        lambda: bench.secc.set_available(False),
        lambda: bench.secc.announce_limits(1000.0, 1.0, 1.0),
    ]
    for command in commands:
        with pytest.raises(DeviceLost, match="silent"):
            command()
    bench.board.state = 7
    await eventually(bench.reports)
    await bench.board.gets(SEQUENCE, "010001")
    await bench.board.gets_new(STATUS)
    assert not bench.enabled
    assert bench.board.last(PARAMETERS) == "1027A00F00000000"


@on_a_bench
async def test_lost_order_is_not_carried_out_later(bench: Bench) -> None:
    await bench.go(11, VehicleStage.WAITING_AUTHORISATION)
    bench.hub.close()
    await eventually(lambda: not bench.bus.up)
    assert bench.why().startswith("CAN bus socket://127.0.0.1")
    with pytest.raises(DeviceLost):
        bench.secc.authorise(True)
    await bench.hub.start()
    await eventually(bench.reports)
    assert await bench.board.gets_new(SEQUENCE) == "010000"


@on_a_bench
async def test_vehicle_is_woken_by_a_plug_that_is_not_available(bench: Bench) -> None:
    await bench.go(1, VehicleStage.NONE)
    bench.secc.wake()
    assert bench.secc.vehicle().pilot is Pilot.F
    await bench.board.gets(SEQUENCE, "000000")
    bench.board.state, bench.board.pilot = 12, 0
    await bench.board.gets(SEQUENCE, "010000")
    assert bench.secc.vehicle().pilot is Pilot.F
    bench.board.state, bench.board.pilot = 1, 9
    await eventually(lambda: bench.secc.vehicle().pilot is Pilot.B)


@on_a_bench
async def test_board_of_another_index_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.can.secc.ANSWERS_WITHIN_S", 0.2)
    assert bench.why() == "SECC of index 1 has not answered yet"
    await eventually(lambda: bench.why() == "SECC of index 1 does not answer; of other boards none does")
    bench.board.send(0x000, "01", index=3)
    await eventually(lambda: bench.why() == "SECC of index 1 does not answer; of other boards index 3 does")
    with pytest.raises(DeviceLost, match="index 3"):
        bench.secc.authorise(False)
    bench.board.state = 1
    await eventually(bench.reports)


@on_a_bench
async def test_garbage_is_named_and_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.go(1, VehicleStage.NONE)
    bench.board.state = 99
    await eventually(
        lambda: bench.why() == "SECC of index 1 sends what it should not: 99 is not a valid ControllerState"
    )
    bench.board.always = [(0x003, "0102"), (0x105, ""), (0x203, "FF"), (0x999, "00")]
    await bench.board.gets_new(STATUS)
    await bench.board.gets_new(STATUS)
    bench.board.always, bench.board.state = [], 1
    await eventually(bench.reports)
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@on_a_bench
async def test_two_boards_of_one_index_are_refused(bench: Bench) -> None:
    bench.board.always = [(0x000, "07")]
    bench.board.state = 1
    await eventually(lambda: "two boards of one index" in bench.why())
    bench.board.always = []
    await eventually(bench.reports)


@on_a_bench
async def test_the_end_of_a_session_is_logged_once(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    await bench.charge()
    bench.board.always = [(0x004, "00")]
    with caplog.at_level("INFO"):
        await bench.go(10, VehicleStage.ENDED)
        await bench.go(1, VehicleStage.ENDED)
        await asyncio.sleep(5.0)
    lines = [record.message for record in caplog.records if "finished" in record.message]
    assert 1 <= len(lines) <= 3, "once in each state of the board"


@on_a_bench
async def test_states_of_two_boards_are_neither_logged_nor_answered_each_time(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.board.always = [(0x000, "07")]
    bench.board.state = 1
    await eventually(lambda: "two boards of one index" in bench.why())
    with caplog.at_level("INFO"):
        caplog.clear()
        bench.board.received[STATUS].clear()
        await asyncio.sleep(10.0)
    assert not caplog.records
    assert len(bench.board.received[STATUS]) <= 102


@on_a_bench
async def test_open_interlock_line_is_named(bench: Bench) -> None:
    await bench.go(1, VehicleStage.NONE)
    bench.board.always = [(0x005, "01")]
    await eventually(lambda: "interlock line" in bench.why())
    bench.board.always = []
    await eventually(bench.reports)


@on_a_bench
async def test_pilot_that_is_no_longer_reported(bench: Bench) -> None:
    await bench.go(1, VehicleStage.NONE)
    bench.board.pilot = None
    await eventually(lambda: bench.why() == "SECC of index 1 does not report the control pilot")


@on_a_bench
async def test_probe_reads_the_state(bench: Bench) -> None:
    address = f"index 1 on {bench.hub.channel}"
    (unknown,) = bench.secc.devices()
    assert (unknown.address, unknown.answers) == (address, False)
    await bench.go(2, VehicleStage.NEGOTIATING)
    await eventually(lambda: bench.secc.vehicle().pilot is Pilot.B)
    assert bench.secc.devices() == [DeviceInfo(address=address, state="negotiating, pilot B")]


@on_a_bench
async def test_closed_driver_disables_the_power_side(bench: Bench) -> None:
    await bench.charge()
    bench.board.received[STATUS].clear()
    bench.secc.close()
    await eventually(lambda: bench.board.received[STATUS] and not bench.enabled)
