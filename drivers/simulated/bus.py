# SPDX-License-Identifier: Apache-2.0
"""The wiring between the HAL's simulated drivers and the world, as the drivers see it.

`WorldBus` is what a driver needs. Two kinds: over a Unix socket (`link.py`, the world in another process), and
`LocalBus` here, which holds a world in the same process and is stepped by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from drivers.simulated.messages import (
    Actuation,
    FromWorld,
    Hello,
    OutletLevels,
    Readings,
)
from drivers.simulated.world import World
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["Listener", "LocalBus", "WorldBus", "outlet_of"]

Listener = Callable[[FromWorld], None]


class WorldBus(Protocol):
    """What the drivers of one cabinet share."""

    hello: Hello

    def readings(self) -> Readings:
        """The latest; raises `DeviceLost` when the world is gone."""

    def send(self, message: Actuation) -> None:
        """Actuate; raises `DeviceLost` when the world is gone."""

    def listen(self, listener: Listener) -> None:
        """`listener` is called with whatever comes, readings too, in order."""

    def close(self) -> None: ...


def outlet_of(readings: Readings, evse: int) -> OutletLevels:
    """One outlet's levels; raises `DeviceRefused` when the cabinet has no such outlet."""
    for levels in readings.outlets:
        if levels.evse == evse:
            return levels
    raise DeviceRefused(f"the simulated cabinet has no EVSE {evse}")


class LocalBus:
    """The wiring to a world in this process; time passes in it by `advance`."""

    def __init__(self, world: World, *, mono_s: float = 1000.0, utc_s: float = 1_800_000_000.0) -> None:
        self.world = world
        self.mono_s = mono_s
        self._utc_ahead_s = utc_s - mono_s
        self._listeners: list[Listener] = []
        self._open = True
        world.step(mono_s)
        world.hal_came()
        self.hello = world.hello()
        self._latest = world.readings(mono_s, utc_s)

    def readings(self) -> Readings:
        self._require_open()
        return self._latest

    def send(self, message: Actuation) -> None:
        self._require_open()
        self.world.apply(message)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def advance(self, seconds: float) -> None:
        """Let time pass in the world, then hand out what its sensors say."""
        self.mono_s += seconds
        self.world.step(self.mono_s)
        self._latest = self.world.readings(self.mono_s, self.mono_s + self._utc_ahead_s)
        came = [self._latest, *self.world.outbox]
        self.world.outbox.clear()
        for message in came:
            for listener in self._listeners:
                listener(message)

    def close(self) -> None:
        if self._open:
            self._open = False
            self.world.hal_left()

    def _require_open(self) -> None:
        if not self._open:
            raise DeviceLost("the simulated world is gone")
