# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import WorldOptions
from drivers.simulated.inputs import SimulatedInputs
from firmware.contract import Fault
from tests.support.world_bench import WiredWorld


async def test_edges_are_reported(wired: WiredWorld) -> None:
    inputs = SimulatedInputs(WorldOptions(bus=wired.bus))
    reported: list[tuple[bool, bool]] = []
    inputs.listen(lambda reading: reported.append((reading.emergency_stop, reading.door_open)))
    wired.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    wired.touch()
    await wired.until(lambda: reported == [(True, False)])
    wired.world.faults.set(Fault.DOOR_OPEN, None, True)
    wired.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    await wired.until(lambda: reported[-1] == (False, True))
    wired.world.faults.set(Fault.OVER_TEMPERATURE, 2, True)
    await wired.until(lambda: inputs.reading().plug_temp_c[2] == 120)
    wired.world.evses[1].set_plug_temperature(None)
    await wired.until(lambda: inputs.reading().plug_temp_c[1] is None)
