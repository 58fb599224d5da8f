# SPDX-License-Identifier: Apache-2.0
"""Advances the simulated world in time, and connects the HAL's drivers to it.

The world is stepped every 25 ms while something happens in it, otherwise every 100 ms; readings are sent every 50 ms
(100 ms), and at once when an input has changed. A HAL that connects replaces the one that is connected: that may be
a dead process whose end the kernel has not reported yet.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from functools import partial

from drivers.simulated.messages import Actuation, decode_actuation, encode
from drivers.simulated.world.world import Happening, World, WorldRefused
from firmware.clock import Clock
from firmware.errors import ContractError
from firmware.ipc.connection import Connection

__all__ = ["WorldServer"]

BUSY_S = 0.025
IDLE_S = 0.1
PUSH_S = 0.05
_log = logging.getLogger(__name__)


class WorldServer:
    """`on_happening` is called for what an onlooker sees, `on_push` before readings are sent."""

    def __init__(self, world: World, clock: Clock) -> None:
        self.world = world
        self.on_happening: Callable[[Happening], None] = lambda happening: None
        self.on_push: Callable[[], None] = lambda: None
        self._clock = clock
        self._hal: Connection[Actuation] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._server: asyncio.Server | None = None
        self._pushed = 0.0
        self._edges: tuple[object, ...] = ()

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(partial(Connection, decode_actuation, self), sock=listening)
        self._tick()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._server is not None:
            self._server.close()
        self.unplug_hal()

    def unplug_hal(self) -> None:
        """Disconnect the HAL: the power is off, or the rig ends."""
        hal, self._hal = self._hal, None
        if hal is not None:
            self.world.disconnect_hal()
            hal.abort("the simulated world has disconnected")

    def touch(self) -> None:
        """An operation has changed the world: step it and send readings now."""
        self._step()
        self._publish(at_once=True)

    # --- time -------------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        self._step()
        self._publish(at_once=False)
        pause = BUSY_S if self.world.busy else IDLE_S
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _step(self) -> None:
        self.world.step(self._clock.monotonic())
        self._report()

    def _report(self) -> None:
        happened = self.world.happened[:]
        self.world.happened.clear()
        for happening in happened:
            self.on_happening(happening)

    def _publish(self, *, at_once: bool) -> None:
        now = self._clock.monotonic()
        edges = self.world.edges(now)
        outbox = self.world.outbox[:]
        self.world.outbox.clear()
        if at_once or edges != self._edges or now - self._pushed >= PUSH_S:
            self._edges = edges
            self._pushed = now
            self.on_push()
            if self._hal is not None:
                self._hal.send(encode(self.world.readings(now, self._clock.utc())))
        if self._hal is not None:
            for message in outbox:
                self._hal.send(encode(message))

    # --- Handler ----------------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[Actuation]) -> None:
        if not self.world.board.powered:
            connection.abort("no power")
            return
        if self._hal is not None:
            _log.warning("another HAL connects: the older one is disconnected")
            self.unplug_hal()
        self._step()
        self._hal = connection
        self.world.connect_hal()
        connection.send(encode(self.world.hello()))
        self.touch()

    def on_message(self, connection: Connection[Actuation], message: Actuation) -> None:
        if connection is not self._hal:
            return
        try:
            self.world.apply(message)
        except WorldRefused as error:
            raise ContractError(str(error)) from error
        if self.world.happened:
            self._report()

    def on_closed(self, connection: Connection[Actuation], reason: str) -> None:
        if connection is self._hal:
            _log.info("the HAL has disconnected: %s", reason)
            self._hal = None
            self.world.disconnect_hal()
            self.touch()
