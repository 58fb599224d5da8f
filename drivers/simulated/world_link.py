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

from drivers.simulated.bus import Listener, Options, WorldBus
from drivers.simulated.messages import Actuation, FromWorld, Hello, Readings, decode_from_world, encode
from firmware.errors import ConfigError, DeviceLost
from firmware.ipc.connection import Connection

__all__ = ["SocketBus", "open_bus"]

CONNECT_S = 10.0
"""How long the HAL waits for a world that starts at the same time."""
_log = logging.getLogger(__name__)


class SocketBus:
    """`WorldBus` over a connection; made by `open_bus`."""

    hello: Hello

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._connection: Connection[FromWorld] | None = None
        self._latest: Readings | None = None
        self._listeners: list[Listener] = []
        self._lost: str | None = None
        self._greeted = False

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
        if not self.ready.done():
            self.ready.set_exception(DeviceLost(f"the simulated world is gone: {reason}"))

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
            if self._greeted and not self.ready.done():
                self.ready.set_result(None)
        for listener in self._listeners:
            listener(message)

    def on_closed(self, connection: Connection[FromWorld], reason: str) -> None:
        if self._lost is None:
            _log.error("the simulated world is gone: %s", reason)
        self._lose(reason)


async def open_bus(options: Options) -> WorldBus:
    """Connect to the world at `options["path"]`; returns after its first readings.

    Raises:
        ConfigError: there is no path.
        DeviceLost: no world within 10 s.
    """
    path = options.get("path")
    if not isinstance(path, str) or not path:
        raise ConfigError("simulated bus: `path` (of the world's socket) is missing")
    limit_s = float(options.get("connect_s", CONNECT_S))
    try:
        async with asyncio.timeout(limit_s):
            bus = await _connect(path)
            await bus.ready
    except TimeoutError:
        raise DeviceLost(f"{path}: no simulated world within {limit_s:g} s") from None
    return bus


async def _connect(path: str) -> SocketBus:
    """Connect; retries until it is cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        bus = SocketBus()
        try:
            await loop.create_unix_connection(partial(Connection[FromWorld], decode_from_world, bus), path)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return bus
