# SPDX-License-Identifier: Apache-2.0
"""The link of every simulated driver is lost at once: the world's socket. `hal/ports.py` says what must be so then."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import EvseOptions, WorldBus, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.inputs import SimulatedInputs
from drivers.simulated.insulation import SimulatedInsulationMonitor
from drivers.simulated.links import SimulatedNetworkLinks
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.screen import ScreenOptions, SimulatedScreen
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.vehicle import SimulatedVehicleLink
from drivers.simulated.world.world import World
from drivers.simulated.world_link import SocketBus, SocketBusOptions
from firmware.clock import SystemClock
from firmware.contract import Page, PageModel
from firmware.errors import DeviceLost
from tests.support.sockets import eventually
from tests.support.world_bench import new_world
from tools.rig.sockets import listen_unix
from tools.rig.world_server import WorldServer


def of_evse(driver: type[Any]) -> Callable[[WorldBus], Any]:
    return lambda bus: driver(EvseOptions(bus=bus, evse=1))


def of_station(driver: type[Any]) -> Callable[[WorldBus], Any]:
    return lambda bus: driver(driver.Options(bus=bus))


CALLS: dict[str, tuple[Callable[[WorldBus], Any], dict[str, tuple[Any, ...]]]] = {
    "shelf": (
        of_station(SimulatedShelf),
        {"assign": ({1: 2, 2: 2},), "set_output": (1, 400.0, 10.0), "switch_off": (1,), "reading": (1,)},
    ),
    "meter": (of_evse(SimulatedMeter), {"sample": ()}),
    "insulation": (
        of_evse(SimulatedInsulationMonitor),
        {"enable": (True,), "start_self_test": (), "reading": ()},
    ),
    "contactor": (of_evse(SimulatedContactor), {"command": (True,), "is_closed": (), "connector_voltage_v": ()}),
    "inputs": (of_station(SimulatedInputs), {"reading": ()}),
    "vehicle": (
        of_evse(SimulatedVehicleLink),
        {
            "vehicle": (),
            "authorise": (True,),
            "wake": (),
            "report_output": (400.0, 10.0, None),
            "announce_limits": (1000.0, 500.0, 400_000.0),
            "finish_cable_check": (True,),
            "request_stop": (),
            "emergency_stop": (),
            "set_available": (False,),
        },
    ),
    "screen": (lambda bus: SimulatedScreen(ScreenOptions(bus=bus, screen=1)), {"show": (PageModel(page=Page.IDLE),)}),
    "links": (of_station(SimulatedNetworkLinks), {"links": ()}),
    "board": (of_station(SimulatedBoard), {"clock": (), "reboot": (), "feed_watchdog": (True,)}),
}


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[World, WorldServer, SocketBus]]:
    world = new_world()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    bus = SocketBus(SocketBusOptions(path=str(tmp_path / "world.sock")))
    await bus.open()
    yield world, server, bus
    bus.close()
    server.close()


@pytest.mark.parametrize("port", CALLS)
async def test_lost_driver_refuses_everything_and_closes(
    served: tuple[World, WorldServer, SocketBus], port: str
) -> None:
    _, server, bus = served
    make, calls = CALLS[port]
    driver = make(bus)
    server.unplug_hal()
    await eventually(lambda: is_lost(bus))
    for name, arguments in calls.items():
        with pytest.raises(DeviceLost):
            getattr(driver, name)(*arguments)
    driver.close()


def is_lost(bus: WorldBus) -> bool:
    try:
        bus.readings()
    except DeviceLost:
        return True
    return False


async def test_world_without_its_hal_is_safe_and_keeps_nothing_of_it(
    served: tuple[World, WorldServer, SocketBus], tmp_path: Path
) -> None:
    """The next HAL finds everything off, whatever the one before has commanded."""
    world, server, bus = served
    shelf, contactor = SimulatedShelf(WorldOptions(bus=bus)), SimulatedContactor(EvseOptions(bus=bus, evse=1))
    SimulatedBoard(WorldOptions(bus=bus)).feed_watchdog(coils=True)
    shelf.assign({1: 2})
    contactor.command(True)
    await eventually(contactor.is_closed)
    server.unplug_hal()
    await eventually(lambda: is_lost(bus))
    again = SocketBus(SocketBusOptions(path=str(tmp_path / "world.sock")))
    await again.open()
    back = SimulatedContactor(EvseOptions(bus=again, evse=1))
    await eventually(lambda: not back.is_closed())
    await eventually(lambda: world.shelf.banks[1].assigned_groups == 0)
    assert not world.shelf.banks[1].on
    again.close()
