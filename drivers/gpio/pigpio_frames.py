# SPDX-License-Identifier: Apache-2.0
"""The socket protocol of pigpiod, as far as digital lines need it (source: the pigpio library's socket interface).

A command is four 32-bit numbers in the daemon's byte order, which is little-endian: command, two parameters, and the
length of an extension (always 0 here). The answer repeats command and parameters; its fourth number is the result,
negative for an error. Answers come in the order of the commands.

A connection on which NOIB was answered carries reports from then on: 16-bit sequence number, 16-bit flags, 32-bit tick
in microseconds, 32-bit levels of lines 0 to 31. A report comes for each change of a line chosen by NB (flags 0), and
one with flag ALIVE each minute without a change.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from firmware.errors import DeviceRefused

__all__ = ["ALIVE", "FRAME_BYTES", "REPORT_BYTES", "Answer", "Code", "Mode", "Pull", "Report", "command"]

_FRAME = struct.Struct("<IIIi")
_REPORT = struct.Struct("<HHII")
FRAME_BYTES = _FRAME.size
REPORT_BYTES = _REPORT.size
ALIVE = 1 << 6


class Code(IntEnum):
    """The commands used here."""

    SET_MODE = 0
    SET_PULL = 2
    WRITE = 4
    READ_BANK = 10
    NOTIFY = 19
    HARDWARE = 17
    VERSION = 26
    GLITCH_FILTER = 97
    NOTIFY_HERE = 99


class Mode(IntEnum):
    INPUT = 0
    OUTPUT = 1


class Pull(IntEnum):
    NONE = 0
    DOWN = 1
    UP = 2


_ERRORS = {
    -2: "a line above 31",
    -3: "a line above 53",
    -24: "no more notifications are free",
    -25: "an unknown notification",
    -41: "no permission for this line",
    -88: "an unknown command",
    -125: "a debounce time that is too long",
}


class Answer(NamedTuple):
    """One answer; `result` is the signed fourth number."""

    code: int
    first: int
    second: int
    result: int

    @classmethod
    def decode(cls, frame: bytes) -> Answer:
        return cls(*_FRAME.unpack(frame))

    @property
    def levels(self) -> int:
        """The result as a bank of 32 levels, of which the highest is not a sign."""
        return self.result & 0xFFFF_FFFF

    def require(self) -> int:
        """The result; raises `DeviceRefused` for an error."""
        if self.result < 0:
            described = _ERRORS.get(self.result, f"error {self.result}")
            raise DeviceRefused(f"command {self.code} for {self.first} refused: {described}")
        return self.result


class Report(NamedTuple):
    """One notification."""

    number: int
    flags: int
    tick_us: int
    levels: int

    @classmethod
    def decode(cls, data: bytes) -> Report:
        return cls(*_REPORT.unpack(data))


def command(code: Code, first: int = 0, second: int = 0) -> bytes:
    """One command without an extension."""
    return _FRAME.pack(code, first, second, 0)
