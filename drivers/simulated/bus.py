# SPDX-License-Identifier: Apache-2.0
"""The wiring between the HAL's simulated drivers and the simulated world, as the drivers see it.

The driver of each port of `hal/ports.py` is the module of this package that is named like its key in
`hal/registry.py`. It keeps no state of its own except what it needs to detect changes: readings carry the world's time
stamp, and a lost world is `DeviceLost`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from drivers.simulated.messages import Actuation, EvseReadings, FromWorld, Hello, Readings
from firmware.errors import DeviceLost, DeviceRefused

__all__ = [
    "STALE_AFTER_S",
    "EvseOptions",
    "Listener",
    "WorldBus",
    "WorldOptions",
    "evse_of",
    "send_if_connected",
]

Listener: TypeAlias = Callable[[FromWorld], None]

STALE_AFTER_S = 2.0
"""A simulation on a busy laptop may be delayed longer than real hardware is silent; readings come at 10 to 20 Hz."""


class WorldBus(ABC):
    """What the drivers of one cabinet share."""

    hello: Hello
    """Set when the bus is open."""

    @abstractmethod
    async def open(self) -> None:
        """Returns after the world's first readings; raises `DeviceLost`."""

    @abstractmethod
    def readings(self) -> Readings:
        """The latest; raises `DeviceLost` when the world is gone."""

    @abstractmethod
    def send(self, message: Actuation) -> None:
        """Actuate; raises `DeviceLost` when the world is gone."""

    @abstractmethod
    def listen(self, listener: Listener) -> None:
        """Call `listener` with every message of the world, readings included, in order."""

    @abstractmethod
    def close(self) -> None: ...


class WorldOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of a simulated device of the station."""

    bus: WorldBus


class EvseOptions(WorldOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Options of a simulated device of one EVSE."""

    evse: int


def evse_of(readings: Readings, evse: int) -> EvseReadings:
    """The readings of one EVSE; raises `DeviceRefused` when the cabinet has no such EVSE."""
    for each in readings.evses:
        if each.evse == evse:
            return each
    raise DeviceRefused(f"the simulated cabinet has no EVSE {evse}")


def send_if_connected(bus: WorldBus, message: Actuation) -> None:
    """For `close`: a world that is gone is already in its safe state."""
    try:
        bus.send(message)
    except DeviceLost:
        return
