# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from drivers.simulated.bus import EvseOptions, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.insulation import SimulatedInsulationMonitor
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.world.garage import CarOrder
from tests.support.world_bench import WiredWorld


async def test_monitor_settles_then_measures_the_car(wired: WiredWorld) -> None:
    monitor = SimulatedInsulationMonitor(EvseOptions(bus=wired.bus, evse=1))
    assert not monitor.reading().valid
    wired.world.plug_in(1, CarOrder())
    car = wired.world.evses[1].car
    assert car is not None
    car.insulation_kohm = 60
    monitor.enable(True)
    await wired.until(lambda: monitor.reading().valid)
    assert monitor.reading().resistance_kohm == pytest.approx(60)


async def test_self_test_needs_voltage(wired: WiredWorld) -> None:
    monitor = SimulatedInsulationMonitor(EvseOptions(bus=wired.bus, evse=1))
    monitor.enable(True)
    monitor.start_self_test()
    await wired.until(lambda: monitor.reading().self_test_passed is not None)
    assert monitor.reading().self_test_passed is False
    shelf = SimulatedShelf(WorldOptions(bus=wired.bus))
    contactor = SimulatedContactor(EvseOptions(bus=wired.bus, evse=1))
    shelf.assign({1: 1})
    contactor.command(True)
    await wired.until(lambda: contactor.is_closed() and shelf.reading(1).groups == 1)
    shelf.set_output(1, 400.0, 2.0)
    await wired.until(lambda: (contactor.connector_voltage_v() or 0.0) > 390)
    monitor.start_self_test()
    await wired.until(lambda: monitor.reading().self_test_passed is None)
    await wired.until(lambda: monitor.reading().self_test_passed is not None)
    assert monitor.reading().self_test_passed is True
