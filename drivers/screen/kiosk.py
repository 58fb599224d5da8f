# SPDX-License-Identifier: Apache-2.0
"""The bus `kiosk`: the web pages of the displays, on the loopback.

    [bus.displays]
    driver = "kiosk"
    port = 8081                             # 0: any free port, that of the last time if it is still free
    address_file = "run/displays"           # where to write the address, if somebody wants to know it

A port that is taken is logged, and tried again: the station works without its displays.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.screen.shown import Shown

if TYPE_CHECKING:
    from drivers.screen.site import Site

__all__ = ["KioskServer"]

RETRY_S = 5.0
_log = logging.getLogger(__name__)


class KioskOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    port: Annotated[int, Meta(ge=0, le=65535)] = 8081
    address_file: str | None = None


class KioskServer:
    """See the module."""

    Options = KioskOptions

    def __init__(self, options: KioskOptions) -> None:
        self._options = options
        self._shown: dict[int, Shown] = {}
        self._site: Site | None = None
        self._background = Background("displays")

    def add(self, screen: int, shown: Shown) -> None:
        """Serve the page of this display."""
        self._shown[screen] = shown

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; empty until the pages are served."""
        return "" if self._site is None else self._site.origin

    async def open(self) -> None:
        try:
            await self._start()
        except OSError as error:
            _log.error("port %d can't be used: %s: no displays", self._options.port, error.strerror)
            self._background.start("server", self._keep_trying)

    def close(self) -> None:
        self._background.close()
        if self._site is not None:
            self._site.close()

    async def _keep_trying(self) -> None:
        while self._site is None:
            await asyncio.sleep(RETRY_S)
            try:
                await self._start()
            except OSError as error:
                _log.debug("port %d can't be used: %s", self._options.port, error.strerror)

    async def _start(self) -> None:
        from drivers.screen.site import Site  # 3 MB that a station without web displays need not have

        site = Site(self._shown)
        try:
            await site.start(self._options.port or self._last_port())
        except OSError:
            if self._options.port:
                raise
            await site.start(0)
        self._site = site
        _log.info("displays at %s/display/", site.origin)
        if self._options.address_file is not None:
            Path(self._options.address_file).write_text(site.origin, encoding="ascii")

    def _last_port(self) -> int:
        """Pages that are still open find a HAL that was restarted. 0: none is known."""
        file = self._options.address_file
        try:
            port = Path(file).read_text(encoding="ascii").rpartition(":")[2] if file is not None else ""
        except (OSError, UnicodeDecodeError):
            return 0
        return int(port) if port.isdecimal() and int(port) < 65536 else 0
