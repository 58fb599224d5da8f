# SPDX-License-Identifier: Apache-2.0
"""The wiring between the HAL's simulated drivers and the simulated world, as the drivers see it.

The driver of each port of `hal/ports.py` is the module of this package that is named like its key in
`hal/registry.py`. It is made of the shared bus and its options (`evse` or `screen`), and keeps no state of its own
except what it needs to detect changes: readings carry the world's time stamp, and a lost world is `DeviceLost`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from drivers.simulated.messages import Actuation, EvseReadings, FromWorld, Hello, Readings
from firmware.errors import ConfigError, DeviceLost, DeviceRefused

__all__ = ["STALE_AFTER_S", "Listener", "Options", "WorldBus", "evse_of", "number", "send_if_connected"]

Options: TypeAlias = Mapping[str, Any]
Listener: TypeAlias = Callable[[FromWorld], None]

STALE_AFTER_S = 2.0
"""A simulation on a busy laptop may be delayed longer than real hardware is silent; readings come at 10 to 20 Hz."""


class WorldBus(Protocol):
    """What the drivers of one cabinet share."""

    hello: Hello

    def readings(self) -> Readings:
        """The latest; raises `DeviceLost` when the world is gone."""

    def send(self, message: Actuation) -> None:
        """Actuate; raises `DeviceLost` when the world is gone."""

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every message of the world, readings included, in order."""

    def close(self) -> None: ...


def evse_of(readings: Readings, evse: int) -> EvseReadings:
    """The readings of one EVSE; raises `DeviceRefused` when the cabinet has no such EVSE."""
    for each in readings.evses:
        if each.evse == evse:
            return each
    raise DeviceRefused(f"the simulated cabinet has no EVSE {evse}")


def number(options: Options, key: str) -> int:
    """The number of the EVSE or screen that a driver is for; raises `ConfigError`."""
    value = options.get(key)
    if not isinstance(value, int):
        raise ConfigError(f"simulated device: `{key}` is missing")
    return value


def send_if_connected(bus: WorldBus, message: Actuation) -> None:
    """For `close`: a world that is gone is already in its safe state."""
    try:
        bus.send(message)
    except DeviceLost:
        return
