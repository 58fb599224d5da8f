# SPDX-License-Identifier: Apache-2.0
"""What one power module has said of itself, and when. No I/O; `now` is an argument (monotonic seconds)."""

from __future__ import annotations

import math

from msgspec.structs import replace

from drivers.can.family import (
    Alarm,
    Available,
    Capability,
    GroupNumber,
    Mode,
    Output,
    Refused,
    Report,
    Serial,
    Status,
)

__all__ = ["OFF_A", "QUIET_AFTER_S", "Reports"]

OFF_A = 0.5
"""An output that is off delivers less."""
QUIET_AFTER_S = 2.5
"""A module without an answer for this long is asked and commanded less often."""
_WINDOW = 6
"""Requests after which the answers are counted."""
_TWICE = 1.6


class Reports:
    """The latest of each kind; nothing is judged here."""

    def __init__(self) -> None:
        self.voltage_v = 0.0
        self.voltage_at = -math.inf
        self.current_a = 0.0
        self.current_at = -math.inf
        self.heard_at = -math.inf
        self.status = Status()
        self.status_at = -math.inf
        self.serial: str | None = None
        self.capability = Capability()
        self.mode_found: int | None = None
        self.refused: str | None = None
        self.refused_at = -math.inf
        self.talks_twice = False
        """Whether it has answered questions more than once."""
        self._external = (0.0, -math.inf)
        self._asked = self._answered = 0

    def take(self, report: Report | None, now: float) -> None:
        """Take an answer; None is one without a report."""
        self.heard_at = max(now, self.heard_at)
        match report:
            case Output(voltage_v, current_a):
                if voltage_v is not None:
                    self.voltage_v, self.voltage_at = voltage_v, now
                if current_a is not None:
                    self.current_a, self.current_at = current_a, now
            case Status():
                self._answered += 1
                self.status_at = now
                self.status = replace(report, group=self.status.group) if report.group is None else report
            case GroupNumber(number):
                self.status = replace(self.status, group=number)
            case Capability():
                self.capability = report
            case Available(_, external_v) if external_v is not None:
                self._external = (external_v, now)
            case Serial(text):
                self.serial = text
            case Mode(mode):
                self.mode_found = mode
            case Refused(reason):
                self.refused, self.refused_at = reason, now

    def note_asked(self) -> None:
        """A status has been asked for. Two modules with one address, or one that babbles, answer too often."""
        self._asked += 1
        if self._asked >= _WINDOW:
            self.talks_twice = self._answered >= _TWICE * self._asked
            self._asked = self._answered = 0

    def quiet(self, now: float) -> bool:
        return now - self.heard_at > QUIET_AFTER_S

    def outlet_voltage(self, now: float) -> float:
        """The voltage of its outlet, as far as it knows: an output that is off is cut off from it by a diode."""
        external_v, at = self._external
        return max(self.voltage_v, external_v if now - at <= QUIET_AFTER_S else 0.0)

    def forget_voltages(self) -> None:
        """It has been joined to an outlet: what it measured before was not there."""
        self.voltage_v = 0.0
        self._external = (0.0, -math.inf)

    def describe(self) -> str:
        """In words, for an installer."""
        alarms = [alarm.value for alarm in Alarm if alarm in self.status.alarms]
        celsius = self.status.temperature_c
        parts = [
            "on" if self.status.off is False or self.current_a >= OFF_A else "off",
            f"{self.voltage_v:.0f} V",
            f"{self.current_a:.1f} A",
            *([] if celsius is None else [f"{celsius:.0f} °C"]),
            *alarms,
        ]
        return ", ".join(parts)
