# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.simulated.bus import EvseOptions
from drivers.simulated.meter import SimulatedMeter
from firmware.errors import DeviceRefused
from tests.support.world_bench import WiredWorld


async def test_evse_that_does_not_exist_is_refused(wired: WiredWorld) -> None:
    with pytest.raises(DeviceRefused):
        SimulatedMeter(EvseOptions(bus=wired.bus, evse=7)).sample()
