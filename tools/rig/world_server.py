# SPDX-License-Identifier: Apache-2.0
"""Connects the HAL's drivers to the simulated world, over a socket.

A HAL that connects replaces the one that is connected: that may be a dead process whose end the kernel has not reported
yet.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from functools import partial

from drivers.simulated.messages import Actuation, FromWorld, Readings, decode_actuation, encode
from drivers.simulated.world.world import World, WorldRefused
from drivers.simulated.world_runner import WorldRunner
from firmware.clock import Clock
from firmware.errors import ContractError
from firmware.ipc.connection import Connection

__all__ = ["WorldServer"]

_log = logging.getLogger(__name__)


class WorldServer:
    """`runner` is what lets time pass in the world.

    With `wired`, the HAL has real wires to the cabinet, and this connection is only for what has none: it does not
    count as the HAL's presence.
    """

    def __init__(self, world: World, clock: Clock, *, wired: bool = False) -> None:
        self.world = world
        self._wired = wired
        self.runner = WorldRunner(world, clock, self._deliver)
        self._hal: Connection[Actuation] | None = None
        self._has_readings = False
        """The HAL has its first readings and, as its wires go elsewhere, needs no more."""
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(partial(Connection, decode_actuation, self), sock=listening)
        self.runner.start()

    def close(self) -> None:
        self.runner.close()
        if self._server is not None:
            self._server.close()
        self.unplug_hal()

    def unplug_hal(self) -> None:
        """Disconnect the HAL: the power is off, or the rig ends."""
        hal, self._hal = self._hal, None
        if hal is not None:
            self._lose_hal()
            hal.abort("the simulated world has disconnected")

    def touch(self) -> None:
        """An operation has changed the world: step it and send readings now."""
        self.runner.touch()

    def _deliver(self, message: FromWorld) -> None:
        if self._hal is None:
            return
        if isinstance(message, Readings):
            if self._has_readings:
                return
            self._has_readings = self._wired
        self._hal.send(encode(message))

    # --- Handler ----------------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[Actuation]) -> None:
        if not self.world.board.powered:
            connection.abort("no power")
            return
        if self._hal is not None:
            _log.warning("another HAL connects: the older one is disconnected")
            self.unplug_hal()
        self.runner.step()
        self._hal, self._has_readings = connection, False
        if not self._wired:
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
            self.runner.report()

    def on_closed(self, connection: Connection[Actuation], reason: str) -> None:
        if connection is self._hal:
            _log.info("the HAL has disconnected: %s", reason)
            self._hal = None
            self._lose_hal()
            self.touch()

    def _lose_hal(self) -> None:
        if not self._wired:
            self.world.disconnect_hal()
