# SPDX-License-Identifier: Apache-2.0
"""The kiosk browser of a display, without a screen, and the systemd that restarts it by its unit.

It speaks as the page of `drivers/screen/page` does, and takes the page's answers for what the charger has understood.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Origin

from tools.rig.devices.bus_objects import BusObjects, Refusal

__all__ = ["KioskBrowser", "units"]

BEAT_S = 2.0
RETRY_S = 1.0
ANSWER_S = 2.0
LIT_WITHIN_S = 10.0
"""From the start of the HAL, or of the browser, to the first page."""
_SYSTEMD, _MANAGER = "org.freedesktop.systemd1", "/org/freedesktop/systemd1"


class KioskBrowser:
    """The browser that has the page of one display open.

    Args:
        address: the file with the address of the displays' server.

    Attributes:
        silent: it hangs: its connection stays, and nothing paints.
        garbage: it sends what no page does.
        starts: how often it was started.
    """

    def __init__(self, address: Path, screen: int) -> None:
        self.silent = self.garbage = False
        self.starts = 0
        self._address, self._screen = address, screen
        self._plugged = False
        self._socket: ClientConnection | None = None
        self._lit = asyncio.Event()
        """The page shows something."""
        self._unanswered: deque[asyncio.Future[None]] = deque()
        self._running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Put the program where its unit finds it, and start it."""
        self._plugged = True
        self.restart()

    def close(self) -> None:
        """Take the program away: no restart brings it up."""
        self._plugged = False
        self.crash()

    def crash(self) -> None:
        """It dies; only its unit starts it again."""
        if self._running is not None:
            self._running.cancel()
            self._running = None

    def restart(self) -> None:
        """What the unit does."""
        self.crash()
        if self._plugged:
            self.starts += 1
            self._running = asyncio.get_running_loop().create_task(self._run())

    async def press(self, *, stop: bool) -> None:
        """A finger on the page's button, when there is one; for a stop also yes to its question.

        Returns when the charger has understood it.
        """
        with suppress(OSError, TimeoutError, WebSocketException):
            if self._plugged and not self.silent:
                await asyncio.wait_for(self._lit.wait(), LIT_WITHIN_S)
            for kind in ("select", "stop") if stop else ("select",):
                if self._socket is None or self.silent:
                    return
                answer = asyncio.get_running_loop().create_future()
                self._unanswered.append(answer)
                await self._socket.send(json.dumps({"kind": kind}))
                await asyncio.wait_for(answer, ANSWER_S)

    async def _run(self) -> None:
        while True:
            with suppress(OSError, WebSocketException):
                await self._show_page()
            await asyncio.sleep(RETRY_S)

    async def _show_page(self) -> None:
        origin = Origin(self._address.read_text(encoding="ascii"))
        url = f"{origin.replace('http', 'ws', 1)}/display/{self._screen}/events"
        async with connect(url, origin=origin, compression=None, ping_interval=None, proxy=None) as socket:
            beats = asyncio.create_task(self._beat(socket))
            self._socket = socket
            try:
                async for message in socket:
                    self._take(json.loads(message)["kind"])
            finally:
                self._socket = None
                self._lit.clear()
                self._unanswered.clear()
                beats.cancel()

    def _take(self, kind: str) -> None:
        if kind == "page":
            self._lit.set()
        elif kind == "beat" and self._unanswered:
            answered = self._unanswered.popleft()
            if not answered.done():
                answered.set_result(None)

    async def _beat(self, socket: ClientConnection) -> None:
        count = 0
        with suppress(WebSocketException):
            while True:
                if not self.silent:
                    self._unanswered.append(asyncio.get_running_loop().create_future())
                    await socket.send("\x00<!doctype html>" if self.garbage else f'{{"kind":"beat","count":{count}}}')
                    count += 1
                await asyncio.sleep(BEAT_S)


def units(address: str, restarts: Mapping[str, Callable[[], None]]) -> BusObjects:
    """systemd on the bus at `address`: it restarts these units, and knows no others."""

    def restart(_path: str, unit: str, _mode: str) -> tuple[str, list[Any]]:
        if unit not in restarts:
            raise Refusal(f"{_SYSTEMD}.NoSuchUnit", f"Unit {unit} not found.")
        restarts[unit]()
        return "o", [f"{_MANAGER}/job/1"]

    systemd = BusObjects(address, _SYSTEMD, _MANAGER, {f"{_SYSTEMD}.Manager.RestartUnit": restart})
    systemd.add(_MANAGER, {})
    return systemd
