# SPDX-License-Identifier: Apache-2.0
"""What a family of power modules must offer to the shelf's driver: a pure codec, and the rules of its frames.

A family knows bytes and no time: it says which frame asks or commands what, and what a received frame reports. When
something is sent, and what follows from an answer, is the same for all families (`drivers/can/shelf.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import ClassVar, Protocol, TypeAlias

from msgspec import Struct

__all__ = [
    "DERATING",
    "EVERY",
    "UNUSABLE",
    "Alarm",
    "Answer",
    "Available",
    "Capability",
    "Family",
    "Frame",
    "GroupNumber",
    "Mode",
    "Output",
    "Query",
    "Refused",
    "Report",
    "Serial",
    "Status",
    "Target",
    "group_target",
    "module_target",
]


class Frame(Struct, frozen=True):
    """One CAN 2.0B frame: 29-bit identifier without flags, 8 bytes."""

    can_id: int
    data: bytes
    asks: bool = False
    """A question: it may wait for room on the bus."""


class Target(Struct, frozen=True):
    """Whom a frame is for: one module by its address, or all modules with a group number."""

    number: int
    is_group: bool = False


EVERY = Target(-1)
"""Every module on the bus."""


def module_target(address: int) -> Target:
    return Target(address)


def group_target(number: int) -> Target:
    return Target(number, is_group=True)


class Query(Enum):
    """What the driver asks a module for."""

    OUTPUT = "output"
    VOLTAGE = "voltage"
    """Where voltage and current are asked for one by one."""
    STATUS = "status"
    CAPABILITY = "capability"
    AVAILABLE = "available"
    SERIAL = "serial"
    MODE = "mode"
    GROUP = "group"
    """The group number, where it is not in the status."""


class Alarm(Enum):
    """What a module reports of itself, in an electrician's words."""

    SHORT_CIRCUIT = "output short circuit"
    DISCHARGE = "discharge circuit abnormal"
    FAULT = "fault alarm"
    PROTECTION = "protection alarm"
    OVER_TEMPERATURE = "over-temperature"
    OUTPUT_OVER_VOLTAGE = "output over-voltage"
    DUPLICATE = "two modules have this address"
    FAN = "fan fault"
    POWER_LIMITED = "power limited"
    LOAD_SHARING = "load sharing alarm"
    PHASE_LOST = "mains phase lost"
    UNBALANCED = "mains unbalanced"
    UNDER_VOLTAGE = "mains under-voltage"
    OVER_VOLTAGE = "mains over-voltage"
    PFC_OFF = "mains side (PFC) off"
    SLEEPING = "sleeping"
    INTERRUPTED = "communication interrupted"


UNUSABLE = frozenset(
    {
        Alarm.SHORT_CIRCUIT,
        Alarm.DISCHARGE,
        Alarm.FAULT,
        Alarm.PROTECTION,
        Alarm.OVER_TEMPERATURE,
        Alarm.OUTPUT_OVER_VOLTAGE,
        Alarm.DUPLICATE,
    }
)
"""A module with one of these is switched off and does not count."""
DERATING = frozenset({Alarm.FAN, Alarm.POWER_LIMITED, Alarm.LOAD_SHARING, Alarm.PHASE_LOST, Alarm.UNBALANCED})
"""A module with one of these counts by what it says is available, or half if it does not say."""


class Output(Struct, frozen=True):
    """Measured output; None: not in this frame."""

    voltage_v: float | None = None
    current_a: float | None = None


class Status(Struct, frozen=True):
    """The module's own state; None: not known to this family, or not in this frame."""

    alarms: frozenset[Alarm] = frozenset()
    off: bool | None = None
    """Whether the DC side is off."""
    temperature_c: float | None = None
    group: int | None = None
    raw: str = ""
    """Bits whose meaning is not public, for the log."""


class GroupNumber(Struct, frozen=True):
    """Where it is not in the status."""

    number: int


class Capability(Struct, frozen=True):
    """What the module's type can do; None: not in this frame."""

    max_voltage_v: float | None = None
    min_voltage_v: float | None = None
    max_current_a: float | None = None
    power_w: float | None = None


class Available(Struct, frozen=True):
    """What the module says of its surroundings: the current that it can deliver now, the voltage behind its diode."""

    current_a: float
    external_voltage_v: float | None = None


class Serial(Struct, frozen=True):
    """Bar code or serial number, as an opaque text."""

    text: str


class Mode(Struct, frozen=True):
    """The range of voltages in force, by its number in `Family.modes`."""

    mode: int


class Refused(Struct, frozen=True):
    """A command or question was answered with an error."""

    reason: str


Report: TypeAlias = Output | Status | GroupNumber | Capability | Available | Serial | Mode | Refused


class Answer(Struct, frozen=True):
    """A frame for the controller: who sent it (a module, or a group as a whole) and what it reports.

    `report` is None for an acknowledgement, and for what the driver does not use.
    """

    sender: Target
    report: Report | None


class Family(Protocol):
    """One vendor's protocol. Voltages in V, currents in A; values are in the family's range when they come here."""

    listen: tuple[int, int]
    """Identifier and mask of the frames for this controller."""
    addresses: range
    """Addresses that a module can have."""
    group_frames: bool
    """Whether a group of modules can be commanded and read as one."""
    queries: ClassVar[Sequence[Query]]
    """What is asked of each module again and again; a family without group frames has the output in it."""
    facts: ClassVar[Sequence[Query]]
    """What is asked of a module that has appeared."""
    modes: ClassVar[Sequence[tuple[int, float]]]
    """Ranges of voltages, one of which is selected while the module is off: number and highest voltage, ascending."""
    mode_pause_s: ClassVar[float]
    """Pause before and after a change of range."""

    def decode(self, can_id: int, data: bytes) -> Answer | None:
        """None: not a frame of a module for this controller, or cut, or with a value that can't be."""

    def ask(self, query: Query, address: int) -> Sequence[Frame]: ...

    def ask_group(self, group: int) -> Sequence[Frame]:
        """Total output of a group."""

    def switch(self, to: Target, on: bool) -> Frame: ...

    def set_output(self, to: Target, voltage_v: float, current_a: float) -> Sequence[Frame]:
        """The current of one module, or the total of a group."""

    def set_group(self, address: int, group: int) -> Frame: ...

    def set_mode(self, address: int, mode: int) -> Frame: ...
