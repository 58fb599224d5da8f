# SPDX-License-Identifier: Apache-2.0
"""Alarm contacts: faults that a device of its own reports by a contact, such as a residual-current monitor or a latch.

    [[board.alarm]]
    fault = "ground_fault"
    evse = 1                                # without it: of the whole station
    lines = "io"
    line = 12

The contact is closed and makes its line active while all is well, so that a broken wire is an alarm. While the chip is
lost, what was last read remains.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from msgspec import Struct

from drivers.board.causes import Causes, OnFault
from drivers.gpio.lines import Line, Lines, LineSpec
from firmware.contract import Fault

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

    def listen(self, on_fault: OnFault) -> None:
        """Report every change, and what is present when the chip is first read."""
        causes = Causes(on_fault)
        for number, (alarm, contact) in enumerate(self._inputs):
            contact.listen(partial(self._on_edge, alarm, causes.of(f"contact {number}")))

    @staticmethod
    def _on_edge(alarm: Alarm, on_fault: OnFault, closed: bool, _mono_s: float) -> None:
        name = alarm.line.line if isinstance(alarm.line, Line) else alarm.line
        on_fault(alarm.fault, alarm.evse, not closed, f"alarm contact {name} is open" if not closed else "")
