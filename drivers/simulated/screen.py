# SPDX-License-Identifier: Apache-2.0
"""`Screen` with a touch panel, in the simulated world; with `server` also as a web page, which can be touched, too.

Nobody need have the page open: it is not supervised.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.screen.kiosk import KioskServer
from drivers.simulated import messages as wire
from drivers.simulated.bus import WorldOptions, send_if_connected
from firmware.contract import OutOfService, Page, PageModel

__all__ = ["ScreenOptions", "SimulatedScreen"]


class ScreenOptions(WorldOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    screen: int
    server: KioskServer | None = None


class SimulatedScreen:
    Options = ScreenOptions

    def __init__(self, options: ScreenOptions) -> None:
        self._bus = options.bus
        self._screen = options.screen
        self._web = None
        if options.server is not None:
            from drivers.screen.web import WebScreen, WebScreenOptions

            self._web = WebScreen(
                WebScreenOptions(server=options.server, screen=options.screen, theme="auto"), watched=False
            )

    def show(self, model: PageModel) -> None:
        if self._web is not None:
            self._web.show(model)
        self._bus.send(wire.ShowPage(screen=self._screen, model=model))

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        def on_message(message: wire.FromWorld) -> None:
            if isinstance(message, wire.Touched) and message.screen == self._screen:
                (on_stop if message.stop else on_select)()

        self._bus.listen(on_message)
        if self._web is not None:
            self._web.listen(on_select, on_stop, on_lost)

    def close(self) -> None:
        if self._web is not None:
            self._web.close()
        model = PageModel(page=Page.UNAVAILABLE, out_of_service=OutOfService.RESTART)
        send_if_connected(self._bus, wire.ShowPage(screen=self._screen, model=model))
