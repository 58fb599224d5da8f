# SPDX-License-Identifier: Apache-2.0
"""A Nextion panel on a pseudo terminal, after its instruction set and not after the driver.

Its project has the pages of docs/hardware/nextion.md. What a host does wrong is logged and kept in `violations`.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tools.rig.devices.pty_device import PtyDevice

__all__ = ["PROJECT", "Nextion"]

END = b"\xff\xff\xff"
STARTED = b"\x00\x00\x00" + END
READY = b"\x88" + END
BUFFER = 1024
_COMMON = {"title", "line1", "notice", "action", "lang"}
PROJECT: Mapping[int, set[str]] = {
    0: _COMMON | {"line2", "line3", "others"},
    1: _COMMON | {"soc", "power", "energy", "time", "to80", "shared", "bar"},
    2: {"title", "yes", "no"},
}
"""The components of each page, by the page's number."""
ACTION, YES, CONFIRM_PAGE = 1, 1, 2
LIT_WITHIN_S, ASKS_WITHIN_S = 10.0, 2.0
"""From the start of the HAL, or of the panel, to its first page; from a touch to the question of a stop."""
_SET_TEXT = re.compile(r'(\w+)\.txt="((?:[^"\\]|\\.)*)"', re.DOTALL)
_SET_NUMBER = re.compile(r"(\w+)\.val=(-?\d+)")
_SYSTEM = re.compile(r"(bkcmd|sleep|thsp|thup|dim|wup)=(\d+)")
_log = logging.getLogger(__name__)


class Nextion(PtyDevice):
    """The panel.

    Args:
        port: the link to be made.
        encoding: what its project was compiled with.

    Attributes:
        page: the page that it shows.
        texts, numbers: of that page's components.
        project: the components of each page; take some away for a wrong project.
        instructions: how many were carried out.
    """

    def __init__(self, port: Path, encoding: str = "iso-8859-1") -> None:
        super().__init__(port)
        self.project: dict[int, set[str]] = {page: set(names) for page, names in PROJECT.items()}
        self.instructions = 0
        self._encoding = encoding
        self.cut_power()

    async def start(self) -> None:
        """Plug it in; it reports that it has started."""
        await super().start()
        self._send(STARTED + READY)

    def cut_power(self) -> None:
        """It begins anew, while the port stays."""
        self.page = 0
        self.texts: dict[str, str] = {}
        self.numbers: dict[str, int] = {}
        self.brightness = 100
        self._bkcmd = 2
        self._input = b""

    def restart(self) -> None:
        """A short loss of power: it reports its start."""
        self.cut_power()
        self._send(STARTED + READY)

    def touch(self, component: int, page: int | None = None) -> None:
        """A finger on a component of the page, which is then lifted."""
        for event in (1, 0):
            self._send(bytes([0x65, self.page if page is None else page, component, event]) + END)

    async def press(self, *, stop: bool) -> None:
        """A finger on the page's button, when there is one; for a stop also yes to the question."""
        await self._until(lambda: bool(self.texts), LIT_WITHIN_S)
        self.touch(ACTION)
        if stop:
            await self._until(lambda: self.page == CONFIRM_PAGE, ASKS_WITHIN_S)
            self.touch(YES, CONFIRM_PAGE)

    async def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not condition() and self._works:  # noqa: ASYNC110 - the panel has no event for it
                    await asyncio.sleep(0.05)

    # --- the line --------------------------------------------------------------------------------------------------

    def _received(self, data: bytes) -> None:
        self._input += data
        if len(self._input) > BUFFER and END not in self._input[:BUFFER]:
            self._violated("more bytes without an end than the input buffer takes")
            self._input = b""
            self._send(b"\x24" + END)
        while END in self._input:
            text, _, self._input = self._input.partition(END)
            if text:
                self._carry_out(text.decode(self._encoding, "replace"))

    def _carry_out(self, text: str) -> None:
        self.instructions += 1
        code = self._done(text)
        if code is None or self._bkcmd == 0:
            return
        if self._bkcmd == 3 or (self._bkcmd == 2) == (code != 1):
            self._send(bytes([code]) + END)

    def _done(self, text: str) -> int | None:
        """Carry out one instruction: the code to answer with, None if it has an answer of its own."""
        if text == "connect":
            self._send(b"comok 1,30601-0,NX4832T035_011R,52,61488,D264B8204F0E1828,16777216" + END)
            return None
        if text == "sendme":
            self._send(bytes([0x66, self.page]) + END)
            return None
        if text.startswith("page "):
            return self._turn_to(text.removeprefix("page "))
        if found := _SYSTEM.fullmatch(text):
            name, value = found[1], int(found[2])
            if name == "bkcmd":
                self._bkcmd = value
            elif name == "dim":
                self.brightness = value
            return 1
        if found := _SET_TEXT.fullmatch(text):
            return self._set(self.texts, found[1], re.sub(r"\\(.)", r"\1", found[2]))
        if found := _SET_NUMBER.fullmatch(text):
            return self._set(self.numbers, found[1], int(found[2]))
        self._violated(f"an instruction that there is not: {text!r:.80}")
        return 0

    def _turn_to(self, number: str) -> int:
        if not number.isdecimal() or int(number) not in self.project:
            self._violated(f"no page {number}")
            return 3
        self.page = int(number)
        self.texts, self.numbers = {}, {}
        return 1

    def _set(self, values: dict[str, object] | dict[str, str] | dict[str, int], name: str, value: object) -> int:
        if name not in self.project[self.page]:
            self._violated(f"page {self.page} has no {name}")
            return 0x1A
        values[name] = value  # type: ignore[assignment]
        return 1

    @property
    def _works(self) -> bool:
        return bool(self._fds) and not self.silent and not self.babbling

    def _send(self, message: bytes) -> None:
        if self._works:
            self._write(message)

    def _violated(self, what: str) -> None:
        _log.warning("Nextion at %s: %s", self._port, what)
        super()._violated(what)
