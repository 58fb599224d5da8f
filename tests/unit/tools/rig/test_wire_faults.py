# SPDX-License-Identifier: Apache-2.0
"""Each fault of a simulator can be set and cleared, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from drivers.simulated.world.world import World
from firmware.clock import SystemClock
from tests.support.world_bench import new_world
from tools.rig.devices.lem_dcbm import LemDcbm
from tools.rig.wire import Wire


@pytest.fixture
def world() -> World:
    return new_world()


@pytest.fixture
def wire(world: World, tmp_path: Path) -> Wire:
    return Wire(world, SystemClock(), tmp_path, lambda _: None)


async def test_every_fault_of_every_device_can_be_set_and_cleared(wire: Wire) -> None:
    played = 0
    for name in wire.names:
        for switch in wire.switches[name].values():
            switch(True)
            switch(False)
            played += 1
    assert played > 100
    modules, boards = wire.shelf.modules, wire.boards.values()
    assert all(not (each.alarms or each.silent or each.babbling) and each.temperature_c < 50.0 for each in modules)
    assert not any(each.interlock_open for each in boards)
    assert not any((wire.modules_bus.full, wire.vehicles_bus.bus_off, wire.lines.stop_wire_broken))


async def test_a_fault_changes_the_simulator_that_is_named(wire: Wire) -> None:
    wire.switches["module 3"]["over-temperature"](True)
    assert [each.address for each in wire.shelf.modules if each.alarms] == [3]
    meter = wire.lem[1]
    own = meter.serial_number
    wire.switches["meter 1"]["exchanged"](True)
    assert isinstance(meter, LemDcbm)
    assert meter.serial_number != own
    wire.switches["meter 1"]["exchanged"](False)
    assert meter.serial_number == own


async def test_what_has_no_faults_of_its_own(wire: Wire) -> None:
    assert wire.switches["logind"] == {}
    assert "twin" in wire.switches["meter 2"]
    assert "device_error" not in wire.switches["meter 2"]
