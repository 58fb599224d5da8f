# SPDX-License-Identifier: Apache-2.0
"""How a charging session has gone so far, for the EV driver: power curve, duration, time to 80 %.

Nothing of it is billed or kept on disk: after a restart of this service the curve begins anew.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from firmware.contract import MAX_HISTORY

if TYPE_CHECKING:
    from firmware.contract import MeterReading

__all__ = ["ChargingCourse"]

FIRST_STEP_S = 5
"""Of the power curve; doubled whenever the curve is full, so that it always shows the whole session."""
TARGET_PERCENT = 80.0
_LEAST_RISE_PERCENT = 3.0
"""Vehicles report whole percents: of a lower rise nothing can be said."""
_LEAST_POWER_W = 1000.0


class ChargingCourse:
    """`started_utc`: when the transaction began."""

    def __init__(self, transaction_id: str, started_utc: float) -> None:
        self.transaction_id = transaction_id
        self.started_utc = started_utc
        self.ended_utc: float | None = None
        """When the authorisation was last seen to hold."""
        self.soc_percent: int | None = None
        """The last that the vehicle has reported."""
        self.history_step_s = FIRST_STEP_S
        self._points: list[float] = []
        self._step: list[float] = []
        """Power readings since the last point, in kW."""
        self._step_began: float | None = None
        self._first: MeterReading | None = None
        self._last: MeterReading | None = None

    @property
    def history_kw(self) -> tuple[float, ...]:
        return tuple(self._points)

    @property
    def duration_s(self) -> int | None:
        """Of the authorised session; None if the clock has been set back meanwhile."""
        if self.ended_utc is None or self.ended_utc < self.started_utc:
            return None
        return int(self.ended_utc - self.started_utc)

    def lasts_until(self, utc: float) -> None:
        self.ended_utc = utc

    def take(self, reading: MeterReading, mono_s: float) -> None:
        """The EVSE's newest reading, read at `mono_s`; the same one may be taken again."""
        if reading is self._last:
            return
        self._last = reading
        if reading.soc_percent is not None:
            self.soc_percent = round(reading.soc_percent)
            if self._first is None and reading.power_w >= _LEAST_POWER_W:
                self._first = reading
        if self._step_began is None:
            if reading.power_w < _LEAST_POWER_W:
                return
            self._step_began = mono_s
        self._step.append(reading.power_w / 1000)
        if mono_s - self._step_began >= self.history_step_s:
            self._add_point(mono_s)

    def _add_point(self, mono_s: float) -> None:
        self._points.append(round(sum(self._step) / len(self._step), 1))
        self._step, self._step_began = [], mono_s
        if len(self._points) == MAX_HISTORY:
            pairs = zip(self._points[::2], self._points[1::2], strict=True)
            self._points = [round((one + other) / 2, 1) for one, other in pairs]
            self.history_step_s *= 2

    def minutes_to_80(self) -> int | None:
        """By the energy that a percent has taken so far, at the present power; None if that says nothing."""
        first, last = self._first, self._last
        if first is None or last is None or first.soc_percent is None or last.soc_percent is None:
            return None
        rise = last.soc_percent - first.soc_percent
        if rise < _LEAST_RISE_PERCENT or last.power_w < _LEAST_POWER_W or last.soc_percent >= TARGET_PERCENT:
            return None
        wh_per_percent = (last.energy_wh - first.energy_wh) / rise
        return math.ceil((TARGET_PERCENT - last.soc_percent) * wh_per_percent / last.power_w * 60) or None
