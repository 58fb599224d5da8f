# SPDX-License-Identifier: Apache-2.0
"""The HAL's end of the socket to the simulated world.

The world is another process (the rig), so that car, cable and meter register outlive a HAL that is killed. When the
connection is lost, so is the hardware: every driver raises `DeviceLost`, and the world goes to its safe state by
itself. There is no reconnecting: a HAL without its hardware is restarted by its supervisor.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial
from typing import Annotated

from msgspec import Meta, Struct

from drivers.simulated.bus import Listener, WorldBus
from drivers.simulated.messages import Actuation, FromWorld, Hello, Readings, decode_from_world, encode
from firmware.errors import DeviceLost
from firmware.ipc.connection import Connection

__all__ = ["SocketBus", "SocketBusOptions"]

CONNECT_S = 10.0
"""How long the HAL waits for a world that starts at the same time."""
_log = logging.getLogger(__name__)


class SocketBusOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    path: str
    """The world's socket."""
    connect_s: Annotated[float, Meta(gt=0)] = CONNECT_S


class SocketBus(WorldBus):
    """`WorldBus` over a connection."""

    Options = SocketBusOptions

    def __init__(self, options: SocketBusOptions) -> None:
        self._options = options
        self._ready = asyncio.Event()
        self._connection: Connection[FromWorld] | None = None
        self._latest: Readings | None = None
        self._listeners: list[Listener] = []
        self._lost: str | None = None
        self._greeted = False

    async def open(self) -> None:
        """Connect; raises `DeviceLost` if there is no world within `connect_s`."""
        path, limit_s = self._options.path, self._options.connect_s
        try:
            async with asyncio.timeout(limit_s):
                await self._connect(path)
                await self._ready.wait()
        except TimeoutError:
            raise DeviceLost(f"{path}: no simulated world within {limit_s:g} s") from None
        if self._lost is not None:
            raise DeviceLost(f"the simulated world is gone: {self._lost}")

    async def _connect(self, path: str) -> None:
        """Connect; retries until it is cancelled."""
        make = partial(Connection[FromWorld], decode_from_world, self)
        while True:
            try:
                await asyncio.get_running_loop().create_unix_connection(make, path)
                return
            except OSError:
                await asyncio.sleep(0.02)

    def readings(self) -> Readings:
        if self._lost is not None or self._latest is None:
            raise DeviceLost(f"the simulated world is gone: {self._lost}")
        return self._latest

    def send(self, message: Actuation) -> None:
        if self._lost is not None or self._connection is None:
            raise DeviceLost(f"the simulated world is gone: {self._lost}")
        self._connection.send(encode(message))

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close("the HAL is stopping")
        self._lose("closed")

    def _lose(self, reason: str) -> None:
        if self._lost is None:
            self._lost = reason
        self._ready.set()

    # --- Handler ---------------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromWorld]) -> None:
        self._connection = connection

    def on_message(self, connection: Connection[FromWorld], message: FromWorld) -> None:
        if isinstance(message, Hello):
            self.hello = message
            self._greeted = True
            return
        if isinstance(message, Readings):
            self._latest = message
            if self._greeted:
                self._ready.set()
        for listener in self._listeners:
            listener(message)

    def on_closed(self, connection: Connection[FromWorld], reason: str) -> None:
        if self._lost is None:
            _log.error("the simulated world is gone: %s", reason)
        self._lose(reason)
