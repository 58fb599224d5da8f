# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.simulated.bus import EvseOptions
from drivers.simulated.meter import SimulatedMeter
from firmware.contract import Fault
from firmware.errors import DeviceLost
from tests.support.world_bench import WiredWorld


async def test_meter_reads_its_register_and_is_lost_when_it_fails(wired: WiredWorld) -> None:
    meter = SimulatedMeter(EvseOptions(bus=wired.bus, evse=2))
    wired.world.evses[2].energy_wh = 1234.56
    await wired.until(lambda: meter.sample().energy_wh == 1234.5)
    wired.world.faults.set(Fault.METER, 2, True)
    await wired.until(lambda: wired.bus.readings().evses[1].meter is None)
    with pytest.raises(DeviceLost):
        meter.sample()
    assert SimulatedMeter(EvseOptions(bus=wired.bus, evse=1)).sample().energy_wh == 0
