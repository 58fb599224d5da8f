# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import WorldOptions
from drivers.simulated.messages import FeedWatchdog
from drivers.simulated.world.world import Happening
from drivers.simulated.world_link import SocketBus, SocketBusOptions
from firmware.clock import SystemClock
from tests.support.world_bench import LocalBus, WiredWorld, new_world
from tools.rig.sockets import listen_unix
from tools.rig.world_server import WorldServer


@pytest.fixture(params=["local", "socket"])
async def wired(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[WiredWorld]:
    """Each driver keeps the duties of its port, over the wiring in this process and over the socket."""
    world = new_world()
    if request.param == "local":
        local = LocalBus(world)

        def tick() -> None:
            local.send(FeedWatchdog())
            local.advance(0.025)

        yield WiredWorld(world, local, world.happened, lambda: None, tick)
        local.close()
        return
    server = WorldServer(world, SystemClock())
    happened: list[Happening] = []
    server.runner.on_happening = happened.append
    await server.start(listen_unix(tmp_path / "world.sock"))
    bus = SocketBus(SocketBusOptions(path=str(tmp_path / "world.sock")))
    await bus.open()
    feeding = asyncio.create_task(_feed(SimulatedBoard(WorldOptions(bus=bus))))
    yield WiredWorld(world, bus, happened, server.touch, None)
    feeding.cancel()
    bus.close()
    server.close()


async def _feed(board: SimulatedBoard) -> None:
    while True:
        board.feed_watchdog(coils=True)
        await asyncio.sleep(0.2)
