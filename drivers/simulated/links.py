# SPDX-License-Identifier: Apache-2.0
"""`NetworkLinks`."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.bus import WorldOptions
from drivers.simulated.messages import FromWorld, Readings

__all__ = ["SimulatedNetworkLinks"]


class SimulatedNetworkLinks:
    Options = WorldOptions

    def __init__(self, options: WorldOptions) -> None:
        self._bus = options.bus

    def links(self) -> dict[str, bool]:
        return dict(self._bus.readings().links)

    def listen(self, on_change: Callable[[str, bool], None]) -> None:
        last = self.links()

        def on_message(message: FromWorld) -> None:
            nonlocal last
            if not isinstance(message, Readings):
                return
            before, last = last, dict(message.links)
            for interface, up in last.items():
                if before.get(interface) is not up:
                    on_change(interface, up)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Links have no outputs."""
