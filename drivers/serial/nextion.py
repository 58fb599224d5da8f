# SPDX-License-Identifier: Apache-2.0
"""`Screen`: a Nextion panel on a serial port.

    [[screen]]
    screen = 1
    evse = 1
    driver = "nextion"
    port = "/dev/serial/by-id/usb-..."   # a name that survives unplugging
    languages = ["en", "de", "fr"]       # the first one is shown until the EV driver chooses another

The panel's project has the pages and components of `nextion_pages.py`; `project` has their numbers, by which touches
arrive. Only what has changed is sent, no more at once than the panel's input buffer of 1 KiB takes. The panel is asked
for its page every 5 s: without an answer, three times in a row, it is lost (fault `screen`), and the port is opened and
the panel set up anew until it answers. A panel that has started anew, or shows another page, is sent everything.
"""

from __future__ import annotations

import asyncio
import logging
import termios
from collections.abc import Callable
from typing import Annotated

import serial
from msgspec import Meta, Struct, field

from drivers.background import Background
from drivers.screen import languages
from drivers.serial.nextion_frames import (
    END,
    Code,
    Connected,
    CurrentPage,
    Encoding,
    Message,
    Ready,
    Splitter,
    Touched,
    instruction,
    quoted,
)
from drivers.serial.nextion_pages import CONFIRM, MESSAGE, SESSION, Picture, confirmation, picture
from firmware.contract import Page, PageModel
from firmware.errors import DeviceLost
from firmware.words import one_of
from hal.ports import DeviceInfo

__all__ = ["NextionOptions", "NextionScreen", "Project"]

LOST_AFTER = 3
ASK_S = 5.0
ANSWER_S = 1.0
RETRY_S = 1.0
CONFIRM_S = 10.0
"""A question that nobody answers is withdrawn."""
_BURST = 16
_PAUSE_S = 0.1
"""So many instructions, at most 700 bytes, and the pause in which a panel at 115200 carries them out."""
_MAX_READ = 512
_MAX_MESSAGES = 32
_log = logging.getLogger(__name__)

Number = Annotated[int, Meta(ge=0, le=255)]


class Project(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The numbers of the panel's project. Components are those that send their touches (`Send Component ID`)."""

    message: Number = 0
    session: Number = 1
    confirm: Number = 2
    action: Number = 1
    """The button of the pages message and session."""
    lang: Number = 2
    yes: Number = 1
    no: Number = 2

    def page(self, name: str) -> int:
        return {MESSAGE: self.message, SESSION: self.session, CONFIRM: self.confirm}[name]


class NextionOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    screen: int
    port: str
    baud: Annotated[int, Meta(ge=2400, le=921_600, description="bits per second")] = 115_200
    languages: Annotated[list[str], Meta(min_length=1)] = field(default_factory=lambda: ["en"])
    encoding: Encoding = "iso-8859-1"
    """What the panel's project was compiled with; Chinese and Japanese need utf-8."""
    brightness_percent: Annotated[int, Meta(ge=0, le=100)] = 100
    project: Project = field(default_factory=Project)

    def __post_init__(self) -> None:
        for code in self.languages:
            if code not in languages.codes():
                raise ValueError(f"languages: expected {one_of(languages.codes())}, got {code}")
            if self.encoding != "utf-8" and code in ("zh", "ja"):
                raise ValueError(f'languages: {code} needs encoding = "utf-8", and a panel project compiled with it')


class NextionScreen:
    Options = NextionOptions

    def __init__(self, options: NextionOptions) -> None:
        self._options = options
        self._model = PageModel(page=Page.STARTING)
        self._language = options.languages[0]
        self._words = languages.words(self._language)
        self._asking_since: float | None = None
        """Since when the EV driver is asked whether to stop."""
        self._sent: dict[str, str | int] = {}
        """What the panel shows, by component; empty after its start."""
        self._sent_page: str | None = None
        self._changed = asyncio.Event()
        self._panel: _Panel | None = None
        self._trouble = "no answer yet"
        self._found: Connected | None = None
        self._lost = False
        self._on_select: Callable[[], None] = lambda: None
        self._on_stop: Callable[[], None] = lambda: None
        self._on_lost: Callable[[str | None], None] = lambda _detail: None
        self._background = Background(f"display {options.screen} at {options.port}")
        self._background.start("panel", self._run)

    # --- the port --------------------------------------------------------------------------------------------------

    def show(self, model: PageModel) -> None:
        """Raises `DeviceLost` while the panel is; it is sent the page when it is back."""
        if model.page is Page.IDLE and self._model.page is not Page.IDLE:
            self._speak(self._options.languages[0])  # the EV driver has left
        if model.page is not self._model.page:
            self._asking_since = None
        self._model = model
        self._changed.set()
        if self._lost:
            raise DeviceLost(self._trouble)

    def listen(
        self, on_select: Callable[[], None], on_stop: Callable[[], None], on_lost: Callable[[str | None], None]
    ) -> None:
        self._on_select, self._on_stop, self._on_lost = on_select, on_stop, on_lost

    def devices(self) -> list[DeviceInfo]:
        """For `hal.ports.Described`."""
        found = self._found or Connected("", "", "")
        return [
            DeviceInfo(
                address=self._options.port,
                serial_number=found.serial_number,
                firmware=found.firmware,
                answers=not self._trouble,
                state=self._trouble or f"Nextion {found.model}".strip(),
            )
        ]

    def close(self) -> None:
        self._background.close()
        self._drop()

    # --- the panel -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._serve()
            except DeviceLost as error:
                self._drop()
                failures += 1
                self._trouble = str(error)
                # An answer that stays out has been waited for several times already.
                if not self._lost and (failures >= LOST_AFTER or self._found is not None):
                    self._lost = True
                    self._on_lost(f"display {self._options.screen} at {self._options.port}: {error}")
                self._found = None
            await asyncio.sleep(RETRY_S)

    async def _serve(self) -> None:
        """Open the port, set the panel up, and keep it current until it is lost: raises `DeviceLost`."""
        panel = self._panel = _Panel(self._options.port, self._options.baud, self._touched)
        self._found = None
        self._forget()
        found = await panel.connect()
        panel.write(instruction("bkcmd=2"), instruction("sleep=0"), instruction("thsp=0"))
        panel.write(instruction(f"dim={self._options.brightness_percent}"))
        self._found, self._trouble = found, ""
        if self._lost:
            self._lost = False
            self._on_lost(None)
        loop = asyncio.get_running_loop()
        missed, asked_at, answered = 0, loop.time(), True
        while True:
            await self._send_changes(panel)
            timeout = ANSWER_S if not answered else max(0.0, asked_at + ASK_S - loop.time())
            for message in await panel.receive(min(timeout, 1.0), self._changed):
                answered = answered or isinstance(message, CurrentPage)
                self._take(message)
            now = loop.time()
            if self._asking_since is not None and now - self._asking_since > CONFIRM_S:
                self._asking_since = None
            if answered:
                missed = 0
            elif now - asked_at >= ANSWER_S:
                missed += 1
                if missed >= LOST_AFTER:
                    raise DeviceLost("the panel has stopped answering")
            if (answered and now - asked_at >= ASK_S) or (not answered and now - asked_at >= ANSWER_S):
                panel.write(instruction("sendme"))
                asked_at, answered = now, False

    async def _send_changes(self, panel: _Panel) -> None:
        """What differs from what the panel shows, in bursts; what changes meanwhile is in the next one."""
        self._changed.clear()
        while instructions := self._differences()[:_BURST]:
            panel.write(*(instruction(text, self._options.encoding) for text in instructions))
            if len(instructions) == _BURST:
                await asyncio.sleep(_PAUSE_S)

    def _differences(self) -> list[str]:
        """Instructions; they count as carried out once they are in the list's first `_BURST`."""
        wanted = self._picture()
        found: list[str] = []
        if wanted.page != self._sent_page:
            self._sent_page, self._sent = wanted.page, {}
            found.append(f"page {self._options.project.page(wanted.page)}")
        for name, text in wanted.texts.items():
            if self._sent.get(name) != text and len(found) < _BURST:
                self._sent[name] = text
                found.append(f"{name}.txt={quoted(text)}")
        for name, number in wanted.numbers.items():
            if self._sent.get(name) != number and len(found) < _BURST:
                self._sent[name] = number
                found.append(f"{name}.val={number}")
        return found

    def _picture(self) -> Picture:
        if self._asking_since is not None:
            return confirmation(self._words)
        return picture(self._model, self._words)

    def _take(self, message: Message) -> None:
        match message:
            case CurrentPage(page):
                expected = None if self._sent_page is None else self._options.project.page(self._sent_page)
                if page != expected:
                    self._forget()
            case Ready():
                _log.warning("display %d: the panel has started anew", self._options.screen)
                self._forget()
            case Code(code) if code > 1:
                problem = _FAILURES.get(code, f"code {code:02X}")
                if self._trouble != problem:
                    self._trouble = problem
                    _log.warning("display %d: the panel's project does not fit: %s", self._options.screen, problem)

    def _touched(self, touch: Touched) -> None:
        """At once: a card that is held to the reader after it is for this outlet."""
        if touch.pressed:
            return
        project, page, component = self._options.project, touch.page, touch.component
        if page == project.confirm:
            if component == project.yes and self._asking_since is not None:
                self._on_stop()
            self._asking_since = None
        elif component == project.lang:
            known = self._options.languages
            self._speak(known[(known.index(self._language) + 1) % len(known)])
        elif component == project.action:
            self._on_select()  # whatever follows, this is the outlet that the EV driver means
            if self._model.page not in (Page.IDLE, Page.FINISHED) and self._picture().texts.get("action"):
                self._asking_since = asyncio.get_running_loop().time()
        self._changed.set()

    def _speak(self, code: str) -> None:
        if code != self._language:
            self._language, self._words = code, languages.words(code)

    def _forget(self) -> None:
        self._sent_page, self._sent = None, {}
        self._changed.set()

    def _drop(self) -> None:
        if self._panel is not None:
            self._panel.close()
            self._panel = None


_FAILURES = {
    0x00: "it does not know an instruction",
    0x02: "it has no such component",
    0x03: "it has no such page",
    0x1A: "it has no such variable",
    0x1B: "an operation is not possible",
    0x24: "its input buffer is full",
}


class _Panel:
    """The panel at an open port; raises `DeviceLost` if that can't be opened, or is gone."""

    def __init__(self, port: str, baud: int, on_touch: Callable[[Touched], None]) -> None:
        self._on_touch = on_touch
        try:
            self._serial = serial.Serial(port, baud, timeout=0, write_timeout=0, exclusive=True)
        except (OSError, ValueError, termios.error) as error:
            raise DeviceLost(f"the serial port can't be opened: {error}") from error
        self._splitter = Splitter()
        self._messages: list[Message] = []
        self._gone = ""
        self._arrived = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._serial.fileno(), self._on_readable)

    def close(self) -> None:
        if self._serial.is_open:
            asyncio.get_running_loop().remove_reader(self._serial.fileno())
            self._serial.close()

    async def connect(self) -> Connected:
        """End whatever half an instruction the panel has, and ask who it is."""
        self.write(END, instruction("bkcmd=0"))
        for _ in range(LOST_AFTER):
            self.write(instruction("connect"))
            deadline = asyncio.get_running_loop().time() + ANSWER_S
            while (left := deadline - asyncio.get_running_loop().time()) > 0:
                for message in await self.receive(left, None):
                    if isinstance(message, Connected):
                        return message
        raise DeviceLost("no panel answers: wrong port or baud rate, or the panel has no power")

    def write(self, *data: bytes) -> None:
        try:
            self._serial.write(b"".join(data))
        except OSError as error:
            raise DeviceLost(f"the serial port is gone: {error}") from error

    async def receive(self, within: float, also: asyncio.Event | None) -> list[Message]:
        """What has arrived; waits for a message or for `also` if there is nothing."""
        waits = [asyncio.ensure_future(event.wait()) for event in (self._arrived, also) if event is not None]
        try:
            await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self._arrived.clear()
        if self._gone:
            raise DeviceLost(self._gone)
        found, self._messages = self._messages, []
        return found

    def _on_readable(self) -> None:
        try:
            data = self._serial.read(_MAX_READ)
        except OSError as error:
            self.close()
            self._gone = f"the serial port is gone: {error}"
            self._arrived.set()
            return
        for message in self._splitter.feed(data):
            if isinstance(message, Touched):
                self._on_touch(message)
            else:
                self._messages.append(message)
        self._messages = self._messages[-_MAX_MESSAGES:]
        if self._messages:
            self._arrived.set()
