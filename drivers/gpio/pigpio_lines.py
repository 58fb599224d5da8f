# SPDX-License-Identifier: Apache-2.0
"""Lines of a Raspberry Pi through its daemon pigpiod, over TCP.

    [bus.io]
    driver = "pigpio"
    host = "127.0.0.1"
    port = 8888

Lines are GPIO numbers 0 to 31, as 17 or "GPIO17". gpiozero has a back-end for pigpiod too; it is not used because its
sockets block the event loop without a time limit, it does not reconnect, needs a thread, and costs 7 MB.

One connection carries commands. Their answers come in order, so the answer to the reading of all levels, which is
asked for ten times a second, is also the proof that every command before it was carried out. The other connection
carries the reports of edges. A daemon that does not answer, answers out of order or refuses a line is lost, as a whole.

pigpiod leaves its outputs as they are when its client is gone. Coils therefore need the watchdog relay (`Board`).
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from drivers.gpio.lines import Input, LineName, Lines, Output
from drivers.gpio.pigpio_frames import ALIVE, FRAME_BYTES, REPORT_BYTES, Answer, Code, Mode, Pull, Report, command
from firmware.errors import ConfigError, DeviceLost, DriverError

__all__ = ["PigpioLines"]

_NAME = re.compile(r"(?:GPIO)?(\d{1,2})", re.ASCII)
_PULLS = {"pull_up": Pull.UP, "pull_down": Pull.DOWN, "none": Pull.NONE}
ANSWER_S = 0.5
_OnAnswer: TypeAlias = Callable[[Answer], object]


class PigpioOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """`answer_s`: a daemon that does not answer for longer is lost."""

    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535)] = 8888
    answer_s: Annotated[float, Meta(gt=0.1, le=5.0)] = ANSWER_S


class PigpioLines(Lines):
    Options = PigpioOptions

    def __init__(self, options: PigpioOptions) -> None:
        super().__init__(f"pigpiod at {options.host}:{options.port}")
        self._options = options
        self._commands: _Stream | None = None
        self._reports: _Stream | None = None
        self._expected: deque[tuple[bytes, _OnAnswer]] = deque()
        self._waiting: asyncio.Future[Answer] | None = None
        self._handle = 0
        self._levels = 0
        self._read_at = 0.0
        self._asked_at: float | None = None
        self._changed = 0
        """The lines that have changed since the levels were last asked for: the answer is older than these."""
        self._reported = 0
        self._number: int | None = None

    @property
    def read_at(self) -> float:
        self.require()
        return self._read_at

    # --- life -------------------------------------------------------------------------------------------------

    async def attach(self) -> None:
        self._commands = await self._connect(self._on_answer)
        await self._ask(Code.VERSION)
        self._reports = await self._connect(self._on_handle)
        self._waiting = asyncio.get_running_loop().create_future()
        self._reports.write(command(Code.NOTIFY_HERE))
        self._handle = (await self._waiting).require()
        self._number = None
        for output in self.outputs.values():
            self.configure_output(output)
        for found in self.inputs.values():
            self.configure_input(found)
        self._read_at = asyncio.get_running_loop().time()
        self._levels = self._reported = (await self._ask(Code.READ_BANK)).levels

    def detach(self) -> None:
        for stream in (self._commands, self._reports):
            if stream is not None:
                stream.close()
        self._commands = self._reports = self._asked_at = None
        self._expected.clear()

    async def _connect(self, on_frame: Callable[[bytes], None]) -> _Stream:
        loop = asyncio.get_running_loop()
        make = partial(_Stream, on_frame, self._on_lost)
        try:
            return (await loop.create_connection(make, self._options.host, self._options.port))[1]
        except OSError as error:
            refused = isinstance(error, ConnectionRefusedError)
            raise DeviceLost("pigpiod does not run there" if refused else error.strerror or str(error)) from error

    def _on_lost(self, stream: _Stream, reason: str) -> None:
        if stream in (self._commands, self._reports):
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_exception(DeviceLost(reason))
            self.lose(reason)

    # --- commands ---------------------------------------------------------------------------------------------

    def _send(self, code: Code, first: int = 0, second: int = 0, on_answer: _OnAnswer = Answer.require) -> None:
        if self._commands is None:
            raise DeviceLost(f"{self.chip} is lost")
        frame = command(code, first, second)
        self._expected.append((frame[:12], on_answer))
        self._commands.write(frame)

    async def _ask(self, code: Code) -> Answer:
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        self._send(code, on_answer=waiting.set_result)
        return await waiting

    def _on_answer(self, frame: bytes) -> None:
        if not self._expected or self._expected[0][0] != frame[:12]:
            raise DeviceLost("it answers what was not asked: is this pigpiod?")
        self._expected.popleft()[1](Answer.decode(frame))

    def key(self, name: LineName) -> LineName:
        return _number(name)

    def configure_output(self, output: Output) -> None:
        self.write(output, output.initial_level)
        self._send(Code.SET_MODE, _number(output.line.line), Mode.OUTPUT)

    def configure_input(self, found: Input) -> None:
        number = _number(found.line.line)
        self._send(Code.SET_MODE, number, Mode.INPUT)
        self._send(Code.SET_PULL, number, _PULLS[found.bias])
        self._send(Code.GLITCH_FILTER, number, round(found.line.debounce_s * 1e6))
        self._send(Code.NOTIFY, self._handle, sum(1 << _number(name) for name in self.inputs))

    def write(self, output: Output, level: bool) -> None:
        self._send(Code.WRITE, _number(output.line.line), level)

    # --- levels -----------------------------------------------------------------------------------------------

    def level(self, found: Input) -> bool:
        return bool(self._levels >> _number(found.line.line) & 1)

    def reread(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._asked_at is None:
            self._asked_at, self._changed = now, 0
            self._send(Code.READ_BANK, on_answer=self._on_levels)
        elif now - self._asked_at > self._options.answer_s:
            raise DeviceLost(f"no answer for {self._options.answer_s:g} s")

    def _on_levels(self, answer: Answer) -> None:
        if self._asked_at is not None:
            self._read_at, self._asked_at = self._asked_at, None
        self._change((answer.levels ^ self._levels) & ~self._changed)

    def _on_handle(self, frame: bytes) -> None:
        """The first frame of the connection for reports, which only then become their own size."""
        if self._reports is None or self._waiting is None or self._waiting.done():
            raise DeviceLost("it answers what was not asked: is this pigpiod?")
        self._reports.become(REPORT_BYTES, self._on_report)
        self._waiting.set_result(Answer.decode(frame))

    def _on_report(self, data: bytes) -> None:
        report = Report.decode(data)
        if report.flags not in (0, ALIVE):  # nothing else was ordered
            raise DeviceLost("it sends reports out of step")
        missed = self._number is not None and report.number != (self._number + 1) & 0xFFFF
        self._number = report.number
        if report.flags == 0:
            changed, self._reported = report.levels ^ self._reported, report.levels
            self._changed |= changed
            self._change((report.levels ^ self._levels) & changed)
        if missed:
            self.reread()

    def _change(self, changed: int) -> None:
        self._levels ^= changed
        now = asyncio.get_running_loop().time()
        for found in self.inputs.values():
            if found.watched:
                found.note(self.level(found), now)


class _Stream(asyncio.Protocol):
    """One connection, cut into frames of a fixed size: answers, or reports."""

    def __init__(self, on_frame: Callable[[bytes], None], on_lost: Callable[[_Stream, str], None]) -> None:
        self._size = FRAME_BYTES
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.WriteTransport | None = None

    def become(self, size: int, on_frame: Callable[[bytes], None]) -> None:
        self._size, self._on_frame = size, on_frame

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while len(self._buffer) >= self._size:
            frame = bytes(self._buffer[: self._size])
            del self._buffer[: self._size]
            try:
                self._on_frame(frame)
            except DriverError as error:
                self._on_lost(self, str(error))
                return

    def connection_lost(self, error: Exception | None) -> None:
        self._on_lost(self, str(error) if error is not None else "it has closed the connection")


def _number(name: LineName) -> int:
    found = _NAME.fullmatch(str(name))
    number = int(found[1]) if found is not None else -1
    if not 0 <= number <= 31:
        raise ConfigError(f'line {name!r}: expected a GPIO number from 0 to 31, as 17 or "GPIO17"')
    return number
