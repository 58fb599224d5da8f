# SPDX-License-Identifier: Apache-2.0
"""`NetworkLinks`."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.bus import WorldOptions
from drivers.simulated.messages import FromWorld, Readings
from hal.ports import Link

__all__ = ["SimulatedNetworkLinks"]


class SimulatedNetworkLinks:
    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus

    def links(self) -> dict[str, Link]:
        return _links(self._bus.readings())

    def listen(self, on_change: Callable[[str, Link], None]) -> None:
        last = self.links()

        def on_message(message: FromWorld) -> None:
            nonlocal last
            if not isinstance(message, Readings):
                return
            before, last = last, _links(message)
            for interface, link in last.items():
                if before.get(interface) != link:
                    on_change(interface, link)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Links have no outputs."""


def _links(readings: Readings) -> dict[str, Link]:
    return {name: Link(up, readings.link_details[name]) for name, up in readings.links.items()}
