# SPDX-License-Identifier: Apache-2.0
"""How long the HAL takes from the edge of the emergency stop input to its command to a contactor's coil.

The HAL runs as in the field, a process of its own; the simulated world is here, so that both ends of the time are read
by one clock. Both EVSEs have a car, so that the HAL has its usual work to do. The safety chain's own, hard-wired way
to the coils is not measured.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from drivers.simulated.messages import Actuation, CommandContactor
from drivers.simulated.world.board import BoardState
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import World
from firmware.clock import SystemClock
from firmware.contract import BootCause, Fault
from firmware.ipc.connection import Connection
from tools.rig.sockets import listen_unix
from tools.rig.station_dir import WORLD_SOCKET, StationDir
from tools.rig.world_server import WorldServer

__all__ = ["emergency_stops"]

_PATIENCE_S = 10.0
_BETWEEN_S = 0.12
"""Long enough for world and HAL to settle, and no multiple of their periods: stops fall on every part of them."""


class _Stopwatch(WorldServer):
    """Records when the first coil is commanded to open."""

    opened: asyncio.Future[float]

    def on_message(self, connection: Connection[Actuation], message: Actuation) -> None:
        if isinstance(message, CommandContactor) and not message.closed and not self.opened.done():
            self.opened.set_result(time.monotonic())
        super().on_message(connection, message)


async def emergency_stops(folder: Path, count: int) -> list[float]:
    """Milliseconds of `count` emergency stops; `folder` is for the HAL's files."""
    station = StationDir.open(folder, None, "WARNING")
    world = World(BoardState("BENCH"))
    world.power_on(BootCause.POWER_UP)
    for evse in world.evses:
        world.plug_in(evse, CarOrder())
    server = _Stopwatch(world, SystemClock())
    server.opened = asyncio.get_running_loop().create_future()
    await server.start(listen_unix(folder / WORLD_SOCKET))
    hal = await asyncio.create_subprocess_exec(sys.executable, "-m", "hal", "--config", "etc/hal.toml", cwd=folder)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            await server.opened  # a HAL that starts opens every contactor
        return [await _stop_once(server) for _ in range(count)]
    finally:
        hal.terminate()
        await hal.wait()
        server.close()
        station.release()


async def _stop_once(server: _Stopwatch) -> float:
    await asyncio.sleep(_BETWEEN_S)
    server.opened = asyncio.get_running_loop().create_future()
    pressed = time.monotonic()
    server.world.faults.set(Fault.EMERGENCY_STOP, None, True)
    server.touch()
    async with asyncio.timeout(_PATIENCE_S):
        opened = await server.opened
    server.world.faults.set(Fault.EMERGENCY_STOP, None, False)
    server.touch()
    return 1000 * (opened - pressed)
