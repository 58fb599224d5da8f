# SPDX-License-Identifier: Apache-2.0
"""The registers of a Bender isoCHA425HV: what its blocks mean, and its settings. Pure.

A measured value is a block of four registers: an IEEE float (high word first), a word of alarm and test (high byte) and
of range and unit (low byte), and the description of the channel. Sources: Bender's manuals of isoCHA425 and of its
sister devices isoHV525 (D00297) and isoBAT425 (D00308); EVerest's driver of the isoCHA425HV. Not confirmed on a
device: the numbering of the bits of registers 3027 and 3028.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from enum import Enum, IntEnum

from msgspec import Struct

__all__ = [
    "DEFAULTS",
    "FAST_ABOVE",
    "SELF_TEST",
    "Alarm",
    "Measurement",
    "Range",
    "Register",
    "RunningTest",
    "Unit",
    "decode",
    "insulation_kohm",
    "runs_of",
    "text",
    "volts",
]


class Register(IntEnum):
    """First registers of the blocks, and the single ones that the driver uses by name."""

    INSULATION = 1000
    VOLTAGE = 1008
    VOLTAGE_TO_EARTH = 1016
    """Two blocks: L+ to earth, L- to earth."""
    PRE_ALARM_KOHM = 3005
    ALARM_KOHM = 3007
    SELF_TEST_MODE = 3021
    MEASURING = 3026
    COMMAND = 8005
    NAME = 9800
    IDENTITY = 9820
    """Ident number, firmware version, day, month, year, version of the Modbus driver."""


class Alarm(IntEnum):
    """Bits 0 to 2 of the alarm byte."""

    NONE = 0
    PRE_WARNING = 1
    DEVICE_ERROR = 2
    WARNING = 4
    ALARM = 5


class RunningTest(IntEnum):
    """Bits 6 and 7 of the alarm byte."""

    NONE = 0
    INTERNAL = 1
    EXTERNAL = 2


class Range(Enum):
    """Bits 6 and 7 of the range byte: how the true value is related to the shown one."""

    TRUE = 0
    SMALLER = 1
    BIGGER = 2
    INVALID = 3


class Unit(IntEnum):
    """Bits 0 to 4 of the range byte; the units that the driver reads."""

    INVALID = 0
    OHM = 2
    VOLT = 4


SELF_TEST = 0x5445
"""`TE`, written to the command register."""
FAST_ABOVE = 500
"""Firmware above 5.00 knows the fast cable-check mode."""
FAST_MODE = 3
RELAY_ALARMS = 0b0011_0010
"""Device error, R2 at L+, R2 at L-: bits 1, 4 and 5."""

DEFAULTS: Mapping[int, int] = {
    3000: 0,  # alarm of the voltage to earth
    Register.PRE_ALARM_KOHM: 250,
    Register.ALARM_KOHM: 100,
    3008: 0,  # alarm of under-voltage
    3009: 30,
    3010: 0,  # alarm of over-voltage
    3011: 1050,
    3012: 0,  # fault memory
    3013: 0,  # relay 1 normally open
    3014: 0,  # relay 2 normally open
    3018: 5,  # start-up delay, s
    3019: 5,  # relays on after, s
    3020: 5,  # relays off after, s
    Register.SELF_TEST_MODE: 0,  # no automatic self test; 3: fast cable check
    3023: 0,  # CCS
    3024: 0,  # no test of the grid connection in the self test
    3025: 1,  # self test at start
    3027: RELAY_ALARMS,
    3028: RELAY_ALARMS,
}
"""The settings but for `MEASURING`."""


class Measurement(Struct, frozen=True):
    """One block of four registers."""

    value: float
    unit: int
    range: Range
    alarm: int
    test: int

    @property
    def device_error(self) -> bool:
        """While a test runs, this alarm says nothing about the device."""
        return self.alarm == Alarm.DEVICE_ERROR and self.test == RunningTest.NONE


def decode(registers: tuple[int, ...]) -> Measurement:
    """A block of four registers."""
    high, low, status, _description = registers
    alarm, range_ = status >> 8, status & 0xFF
    return Measurement(
        value=struct.unpack(">f", struct.pack(">HH", high, low))[0],
        unit=range_ & 0x1F,
        range=Range(range_ >> 6),
        alarm=alarm & 0x07,
        test=alarm >> 6,
    )


def insulation_kohm(block: Measurement) -> float | None:
    """The resistance that is there at least, in kΩ; None if the block holds none."""
    if not _is_valid(block, Unit.OHM) or block.value < 0.0:
        return None
    return 0.0 if block.range is Range.SMALLER else block.value / 1000.0


def volts(block: Measurement) -> float | None:
    """The voltage in V; None if the block holds none."""
    return block.value if _is_valid(block, Unit.VOLT) else None


def _is_valid(block: Measurement, unit: Unit) -> bool:
    return block.unit == unit and block.range is not Range.INVALID and math.isfinite(block.value)


def text(registers: tuple[int, ...]) -> str:
    """ASCII, two characters a register."""
    raw = b"".join(each.to_bytes(2, "big") for each in registers)
    return "".join(chr(each) for each in raw if 0x20 <= each <= 0x7E).strip()


def runs_of(numbers: Iterator[int] | Mapping[int, int]) -> list[range]:
    """The numbers as runs without gaps, which one request can read."""
    runs: list[range] = []
    for number in sorted(numbers):
        if runs and runs[-1].stop == number:
            runs[-1] = range(runs[-1].start, number + 1)
        else:
            runs.append(range(number, number + 1))
    return runs
