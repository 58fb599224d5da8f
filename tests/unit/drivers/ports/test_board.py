# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.Board`, over each driver."""

from __future__ import annotations

from firmware.contract import BoardClock, BootCause, Fault
from hal.ports import Described
from tests.support.station_benches import StationBench, WireStation


async def test_identity_and_boot(station: StationBench) -> None:
    assert station.board.serial_number == station.world.board.serial_number
    assert station.board.boot_id == station.world.board.boot_id
    assert station.board.boot_cause is BootCause.POWER_UP


async def test_clock_that_is_set_or_lost_is_reported(station: StationBench) -> None:
    clocks: list[BoardClock] = []
    station.board.listen(clocks.append, lambda fault, evse, present, detail: None)
    await station.until(lambda: station.board.clock().is_set)
    utc_s = station.board.clock().utc_s
    station.world.board.set_clock(3600.0)
    await station.until(lambda: clocks and clocks[-1].utc_s > utc_s + 3500.0)
    assert clocks[-1].is_set
    station.world.board.synchronised = True
    await station.until(lambda: clocks[-1].synchronised)
    station.world.board.synchronised = False
    await station.until(lambda: not clocks[-1].synchronised)
    station.world.board.lose_clock(utc_s)
    await station.until(lambda: not clocks[-1].is_set)
    assert not station.board.clock().is_set


async def test_fault_of_the_boards_own_sensors_is_raised_and_cleared(station: StationBench) -> None:
    faults: list[tuple[Fault, int | None, bool]] = []
    station.board.listen(lambda clock: None, lambda fault, evse, present, detail: faults.append((fault, evse, present)))
    station.heat_controller(True)
    await station.until(lambda: faults == [(Fault.OVER_TEMPERATURE, None, True)])
    station.heat_controller(False)
    await station.until(lambda: faults[1:] == [(Fault.OVER_TEMPERATURE, None, False)])


async def test_installer_sees_board_and_watchdog(wire: WireStation) -> None:
    assert isinstance(wire.board, Described)
    board, watchdog = wire.board.devices()
    assert (board.serial_number, board.state) == ("BW1", "boot cause power_up, clock set, 45 °C")
    assert (watchdog.address, watchdog.answers) == (str(wire.tree.root / "dev/watchdog"), True)
    wire.tree.lose_watchdog()
    assert [each.answers for each in wire.board.devices()] == [True, False]


async def test_reboot_is_requested(station: StationBench) -> None:
    station.board.reboot()
    await station.until(station.rebooted)


async def test_watchdog_that_is_not_fed_opens_every_contactor(station: StationBench) -> None:
    for contactor in station.contactors.values():
        contactor.command(True)
    await station.until(lambda: all(contactor.is_closed() for contactor in station.contactors.values()))
    station.fed = False
    await station.until(lambda: not any(contactor.is_closed() for contactor in station.contactors.values()))


async def test_hardware_watchdog_is_fed_and_stopped_by_an_orderly_end(wire: WireStation) -> None:
    await wire.until(lambda: wire.tree.watchdog_feeds > 3)
    assert not wire.tree.watchdog_stopped
    wire.fed = False
    wire.board.close()
    await wire.until(lambda: wire.tree.watchdog_stopped)
