# SPDX-License-Identifier: Apache-2.0
"""`Screen` with a touch panel."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated import messages as wire
from drivers.simulated.bus import ScreenOptions, send_if_connected
from firmware.contract import OutOfService, Page, PageModel

__all__ = ["SimulatedScreen"]


class SimulatedScreen:
    Options = ScreenOptions

    def __init__(self, options: ScreenOptions) -> None:
        self._bus = options.bus
        self._screen = options.screen

    def show(self, model: PageModel) -> None:
        self._bus.send(wire.ShowPage(screen=self._screen, model=model))

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        def on_message(message: wire.FromWorld) -> None:
            if isinstance(message, wire.Touched) and message.screen == self._screen:
                (on_stop if message.stop else on_select)()

        self._bus.listen(on_message)

    def close(self) -> None:
        model = PageModel(page=Page.UNAVAILABLE, out_of_service=OutOfService.RESTART)
        send_if_connected(self._bus, wire.ShowPage(screen=self._screen, model=model))
