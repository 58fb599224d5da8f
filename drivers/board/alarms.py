# SPDX-License-Identifier: Apache-2.0
"""Alarm contacts: faults that a device of its own reports by a contact, such as a residual-current monitor or a latch.

    [[board.alarm]]
    fault = "ground_fault"
    evse = 1                                # without it: of the whole station
    lines = "io"
    line = 12

The contact is closed and makes its line active while all is well, so that a broken wire is an alarm. So is a chip that
is lost: until it is back, a contact that opens would not be seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from drivers.board.causes import Causes, OnFault
from drivers.gpio.lines import Line, LineName, Lines, LineSpec
from firmware.contract import Fault
from firmware.errors import DeviceLost

__all__ = ["Alarm", "Alarms"]


class Alarm(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    fault: Fault
    lines: Lines
    line: LineSpec
    evse: int | None = None


class Alarms:
    """All alarm contacts of the board."""

    def __init__(self, alarms: Sequence[Alarm]) -> None:
        self._inputs = [(alarm, alarm.lines.input(alarm.line)) for alarm in alarms]
        self._lost: set[int] = set()
        """The contacts that can't be read."""
        self._causes = Causes(lambda _fault, _evse, _present, _detail: None)

    def listen(self, on_fault: OnFault) -> None:
        """Report every change, and what is present when the chip is first read."""
        self._causes = Causes(on_fault)
        for number, (alarm, contact) in enumerate(self._inputs):
            contact.listen(partial(self._on_edge, alarm, self._causes.of(f"contact {number}")))

    def check(self) -> None:
        """Report contacts that can't be read, or can be again; called once a second."""
        for number, (alarm, contact) in enumerate(self._inputs):
            try:
                contact.read()
            except DeviceLost as error:
                self._note_lost(number, alarm, f"alarm contact {_name(alarm)} can't be read: {error}")
            else:
                self._note_lost(number, alarm, "")

    def _note_lost(self, number: int, alarm: Alarm, detail: str) -> None:
        if bool(detail) is not (number in self._lost):
            self._lost ^= {number}
            self._causes.of(f"chip of contact {number}")(alarm.fault, alarm.evse, bool(detail), detail)

    @staticmethod
    def _on_edge(alarm: Alarm, on_fault: OnFault, closed: bool, _mono_s: float) -> None:
        on_fault(alarm.fault, alarm.evse, not closed, f"alarm contact {_name(alarm)} is open" if not closed else "")


def _name(alarm: Alarm) -> LineName:
    return alarm.line.line if isinstance(alarm.line, Line) else alarm.line
