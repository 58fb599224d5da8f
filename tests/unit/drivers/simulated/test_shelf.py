# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import WorldOptions
from drivers.simulated.shelf import SimulatedShelf
from firmware.contract import Fault
from tests.support.world_bench import WiredWorld


async def test_shelf_joins_groups_and_brings_the_voltage_up(wired: WiredWorld) -> None:
    shelf = SimulatedShelf(WorldOptions(bus=wired.bus))
    assert (shelf.groups, shelf.group_power_w, shelf.max_voltage_v, shelf.min_voltage_v) == (10, 40_000, 1000, 150)
    shelf.assign({1: 4, 2: 6})
    await wired.until(lambda: (shelf.reading(1).groups, shelf.reading(2).groups) == (4, 6))
    shelf.set_output(1, 400.0, 2.0)
    await wired.until(lambda: shelf.reading(1).voltage_v > 395)
    assert shelf.reading(2).voltage_v == 0
    shelf.switch_off(1)
    await wired.until(lambda: shelf.reading(1).voltage_v < 60)
    wired.world.faults.set(Fault.POWER_MODULE, 1, True)
    await wired.until(lambda: shelf.reading(1).failed_modules == 1)
