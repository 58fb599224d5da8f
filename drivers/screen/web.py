# SPDX-License-Identifier: Apache-2.0
"""`Screen` as a web page, shown by a kiosk browser on the board (docs/displays.md).

    [[screen]]
    screen = 1
    evse = 1
    driver = "web"
    server = "displays"                     # a bus of the driver kiosk
    language = "de"                         # until the EV driver chooses another one
    unit = "baywatt-display@1.service"      # the browser's unit, restarted when the page falls silent

A browser that does not show the page stops no session: it is restarted, after three restarts in vain the fault is
`screen`, and it is tried on. Without `unit` the fault is all that follows.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

from msgspec import Meta, Struct

from drivers import systemd
from drivers.background import Background
from drivers.screen import languages, messages
from drivers.screen.browser_watch import START_S, BrowserWatch
from drivers.screen.kiosk import KioskServer
from drivers.screen.shown import Shown
from firmware.clock import Clock, SystemClock
from firmware.contract import PageModel
from firmware.errors import DriverError
from firmware.trouble import Trouble
from firmware.words import one_of

__all__ = ["WebScreen", "WebScreenOptions"]

CHECK_S = 1.0
TOUCH_S = 0.3
"""The same touch again within this time is one: a finger trembles."""
_log = logging.getLogger(__name__)


class WebScreenOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`dbus_address`: of another bus than the system's; `start_s`: how long the browser may take to show the page."""

    server: KioskServer
    screen: int
    language: str = "en"
    theme: Literal["light", "dark", "auto"] = "light"
    unit: Annotated[str, Meta(pattern=r"^[\w@.:\\-]+\.service$")] | None = None
    dbus_address: str | None = None
    start_s: Annotated[float, Meta(ge=1.0, le=600.0)] = START_S

    def __post_init__(self) -> None:
        if self.language not in languages.codes():
            raise ValueError(f"language: expected {one_of(languages.codes())}")


class WebScreen:
    """`watched`: False for a page that nobody needs to have open."""

    Options = WebScreenOptions

    def __init__(
        self,
        options: WebScreenOptions,
        *,
        clock: Clock | None = None,
        restart: Callable[[], Awaitable[None]] | None = None,
        watched: bool = True,
    ) -> None:
        self._options = options
        self._clock = clock or SystemClock()
        self._restart = restart or self._restart_unit
        self._on_select: Callable[[], None] = lambda: None
        self._on_stop: Callable[[], None] = lambda: None
        self._on_lost: Callable[[str | None], None] = lambda _detail: None
        self._touched_at: dict[type[messages.FromPage], float] = {}
        self._lost: str | None = None
        self._stuck = Trouble(_log, f"display {options.screen}: {options.unit} can't be restarted")
        self._shown = Shown(messages.hello(options.language, options.theme), self._on_message)
        options.server.add(options.screen, self._shown)
        can_restart = restart is not None or options.unit is not None
        self.watch = BrowserWatch(self._clock.monotonic(), can_restart=can_restart, start_s=options.start_s)
        self._background = Background(f"display {options.screen}")
        if watched:
            self._background.start("supervision", self._supervise)

    def show(self, model: PageModel) -> None:
        self._shown.show(messages.page(model))

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        self._on_select, self._on_stop, self._on_lost = on_select, on_stop, on_lost

    def close(self) -> None:
        self._background.close()

    def _on_message(self, message: messages.FromPage) -> None:
        now = self._clock.monotonic()
        if isinstance(message, messages.Beat):
            self.watch.beat(now)
            self._report()
            return
        if now - self._touched_at.get(type(message), -TOUCH_S) >= TOUCH_S:
            self._touched_at[type(message)] = now
            (self._on_stop if isinstance(message, messages.Stop) else self._on_select)()

    async def _supervise(self) -> None:
        while True:
            await asyncio.sleep(CHECK_S)
            await self.check()

    async def check(self) -> None:
        """One look at the browser; restarts it if it is time to."""
        due = self.watch.check(self._clock.monotonic())
        self._report()
        if not due:
            return
        _log.warning("display %d: no browser shows the page, restarting it", self._options.screen)
        try:
            await self._restart()
        except DriverError as error:
            self._stuck.failed(error)
        else:
            self._stuck.worked()

    def _report(self) -> None:
        if self.watch.lost != self._lost:
            self._lost = self.watch.lost
            self._on_lost(self._lost)

    async def _restart_unit(self) -> None:
        assert self._options.unit is not None
        await systemd.restart(self._options.unit, self._options.dbus_address)
