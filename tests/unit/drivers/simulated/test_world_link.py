# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from drivers.simulated.bus import EvseOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.world_link import SocketBus, SocketBusOptions
from firmware.clock import SystemClock
from firmware.errors import DeviceLost
from tests.support.sockets import eventually
from tests.support.world_bench import new_world
from tools.rig.sockets import listen_unix
from tools.rig.world_server import WorldServer


async def opened(path: Path, connect_s: float = 10.0) -> SocketBus:
    bus = SocketBus(SocketBusOptions(path=str(path), connect_s=connect_s))
    await bus.open()
    return bus


async def test_world_that_has_gone_is_a_lost_device(tmp_path: Path) -> None:
    server = WorldServer(new_world(), SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    bus = await opened(tmp_path / "world.sock")
    contactor = SimulatedContactor(EvseOptions(bus=bus, evse=1))
    meter = SimulatedMeter(EvseOptions(bus=bus, evse=1))
    server.unplug_hal()
    await eventually(lambda: _is_lost(meter))
    with pytest.raises(DeviceLost):
        contactor.command(True)
    contactor.close()
    server.close()


def _is_lost(meter: SimulatedMeter) -> bool:
    try:
        meter.sample()
    except DeviceLost:
        return True
    return False


async def test_bus_waits_for_a_world_that_starts_later(tmp_path: Path) -> None:
    path = tmp_path / "world.sock"
    opening = asyncio.create_task(opened(path))
    await asyncio.sleep(0)
    server = WorldServer(new_world(), SystemClock())
    await server.start(listen_unix(path))
    bus = await opening
    assert bus.hello.serial_number == "BW1"
    bus.close()
    server.close()


async def test_no_world_is_a_lost_device(tmp_path: Path) -> None:
    with pytest.raises(DeviceLost, match="no simulated world"):
        await opened(tmp_path / "none.sock", connect_s=0.05)


async def test_second_hal_takes_the_wiring_from_the_first(tmp_path: Path) -> None:
    world = new_world()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    first = await opened(tmp_path / "world.sock")
    SimulatedContactor(EvseOptions(bus=first, evse=1)).command(True)
    await eventually(lambda: world.evses[1].contactor.closed)
    second = await opened(tmp_path / "world.sock")
    await eventually(lambda: _is_lost(SimulatedMeter(EvseOptions(bus=first, evse=1))))
    await eventually(lambda: not world.evses[1].contactor.closed)
    assert world.hal_present
    second.close()
    await eventually(lambda: not world.hal_present)
    server.close()


@pytest.mark.parametrize("garbage", [b"nonsense\n", b'{"kind":"set_output","evse":99,"voltage_v":1,"current_a":1}\n'])
async def test_garbage_on_the_wiring_ends_the_connection_safely(tmp_path: Path, garbage: bytes) -> None:
    world = new_world()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    client = socket.socket(socket.AF_UNIX)
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(client, str(tmp_path / "world.sock"))
    await eventually(lambda: world.hal_present)
    await loop.sock_sendall(client, garbage)
    await eventually(lambda: not world.hal_present)
    client.close()
    server.close()


async def test_board_without_power_has_no_wiring(tmp_path: Path) -> None:
    world = new_world()
    world.power_off()
    server = WorldServer(world, SystemClock())
    await server.start(listen_unix(tmp_path / "world.sock"))
    with pytest.raises(DeviceLost):
        await opened(tmp_path / "world.sock", connect_s=0.3)
    server.close()
