# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import WorldOptions
from drivers.simulated.world.world import RebootRequested
from firmware.contract import BootCause, Fault
from tests.support.world_bench import WiredWorld


async def test_clock_steps_and_faults_of_the_board_are_reported(wired: WiredWorld) -> None:
    wired.world.faults.set(Fault.GROUND_FAULT, None, True)
    await wired.until(lambda: wired.bus.readings().faults)
    board = SimulatedBoard(WorldOptions(bus=wired.bus))
    assert (board.boot_cause, board.serial_number) == (BootCause.POWER_UP, "BW1")
    clocks: list[bool] = []
    faults: list[tuple[Fault, int | None, bool]] = []
    board.listen(
        lambda clock: clocks.append(clock.is_set),
        lambda fault, evse, present, _: faults.append((fault, evse, present)),
    )
    await wired.until(lambda: faults == [(Fault.GROUND_FAULT, None, True)])
    wired.world.faults.set(Fault.CONNECTOR_LOCK, 2, True)
    wired.world.faults.set(Fault.GROUND_FAULT, None, False)
    await wired.until(lambda: len(faults) == 3)
    assert set(faults[1:]) == {(Fault.CONNECTOR_LOCK, 2, True), (Fault.GROUND_FAULT, None, False)}
    assert clocks == []
    wired.world.board.set_clock(3600.0)
    await wired.until(lambda: clocks == [True])
    wired.world.board.lose_clock(1_800_000_000.0)
    await wired.until(lambda: clocks == [True, False])
    assert not board.clock().is_set


async def test_reboot_is_requested(wired: WiredWorld) -> None:
    SimulatedBoard(WorldOptions(bus=wired.bus)).reboot()
    await wired.until(lambda: RebootRequested() in wired.happened)
