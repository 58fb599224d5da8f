# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import EvseOptions
from drivers.simulated.contactor import SimulatedContactor
from firmware.contract import Fault
from tests.support.world_bench import WiredWorld


async def test_contactor_follows_its_coil_and_close_opens_it(wired: WiredWorld) -> None:
    contactor = SimulatedContactor(EvseOptions(bus=wired.bus, evse=1))
    contactor.command(True)
    await wired.until(contactor.is_closed)
    contactor.close()
    await wired.until(lambda: not contactor.is_closed())


async def test_jammed_contactor_does_not_close(wired: WiredWorld) -> None:
    contactor, other = (
        SimulatedContactor(EvseOptions(bus=wired.bus, evse=1)),
        SimulatedContactor(EvseOptions(bus=wired.bus, evse=2)),
    )
    wired.world.faults.set(Fault.CONTACTOR_FAILED, 1, True)
    contactor.command(True)
    other.command(True)
    await wired.until(other.is_closed)
    await wired.until(lambda: not wired.world.evses[1].contactor.moving)
    assert not contactor.is_closed()
