# SPDX-License-Identifier: Apache-2.0
"""Whether a meter's register is believed: one rule for all meters, pure, `now` is an argument.

A reading is believed if the energy since the last believed one is possible. The power modules measure voltage and
current as well, so two amounts are counted beside the register: what can have flowed since the last believed reading
and what must have flowed since the register last rose. A reading is *doubted* if the register

- is not a number, or below zero;
- fell: the meter was replaced, reset, or its register rolled over;
- rose by more than can have flowed since the last believed reading, or in this delivery altogether;
- stays where it is although energy must have flowed.

While a reading is doubted, the register is the last believed one. What follows depends on how long it lasts:

- an *outlier*: a believed reading comes within `DOUBT_S`. It is counted, and logged by the caller.
- a *contradiction*: `DOUBT_S` and `DOUBT_READINGS` later there is none. `fault` then says what is wrong with the meter.
  The delivery has to end, with the last believed reading. Once it has ended and the readings have agreed with each
  other for `PROOF_S`, the register is believed as it then is. After a register that stayed where it was this takes a
  register that has moved: at rest, a broken one agrees with itself for ever.

Nothing is carried from one delivery to the next: at rest the register follows the meter, also down by what it had
risen too far. A meter that was silent for `SILENT_S` at rest may be another one: its next reading is the first.

The bound: in each delivery, stop - start is at most the sum of voltage * (current * (1 + ERROR_SHARE) + ERROR_A) over
its time, by the modules, plus the slack: the register's resolution and what flows in `LAG_S` at the highest power of
the last few seconds.
"""

from __future__ import annotations

import math

from msgspec import Struct
from msgspec.structs import replace

from hal.ports import MeterSample, PowerReading

__all__ = ["DOUBT_READINGS", "DOUBT_S", "ERROR_A", "ERROR_SHARE", "LAG_S", "PROOF_S", "SILENT_S", "Register"]

DOUBT_S = 5.0
DOUBT_READINGS = 3
"""A meter that is read every few seconds is not broken because of one reading."""
PROOF_S = 10.0
PROOF_READINGS = 3
SILENT_S = 5.0
LAG_S = 2.0
"""How far a register may be behind the current: a second in the meter, another until it is read."""
STALL_S = 1.0
"""After a longer pause between two rounds the power in between is not known."""
ERROR_A = 5.0
ERROR_SHARE = 0.05
"""How far the current that the modules measure may be from the meter's; a current of zero is zero."""


class _Line(Struct, frozen=True):
    """Readings that agree with each other."""

    energy_wh: float
    """The register, by the newest of them."""
    since: float
    readings: int = 1
    most_wh: float = 0.0
    """What can have flowed since the newest reading."""
    least_wh: float = 0.0
    """What must have flowed since the register last rose."""
    slack_wh: float = 0.0
    """The slack when the register last rose: it may have risen too far by that."""

    def after(self, most_wh: float, least_wh: float) -> _Line:
        return replace(self, most_wh=self.most_wh + most_wh, least_wh=self.least_wh + least_wh)

    def extended(self, energy_wh: float, slack_wh: float, *, may_fall: bool) -> _Line:
        """The line with one more reading."""
        newer = replace(self, readings=self.readings + 1, most_wh=0.0)
        if energy_wh > self.energy_wh:
            return replace(newer, energy_wh=energy_wh, least_wh=0.0, slack_wh=slack_wh)
        if energy_wh < self.energy_wh and may_fall:
            return replace(newer, energy_wh=energy_wh, slack_wh=0.0)
        return newer

    def is_stuck(self, slack_wh: float) -> bool:
        return self.least_wh > slack_wh

    def is_proven(self, now: float) -> bool:
        return self.readings >= PROOF_READINGS and now - self.since >= PROOF_S


class Register(Struct, frozen=True):
    """The register of one EVSE's meter, as far as it is believed."""

    resolution_wh: float = 0.1
    """The smallest step of the register."""
    speed: float = 1.0
    """How much faster than in life the register counts; other than 1 only in a simulation."""
    outliers: int = 0
    """How often a reading was doubted since the HAL's start; a lasting doubt counts once."""
    doubt: str = ""
    """Why the newest reading is doubted."""
    fault: str | None = None
    """What is wrong with the meter, since a doubt has lasted."""
    _line: _Line | None = None
    """The readings that are believed."""
    _rival: _Line | None = None
    """The doubted ones, as far as they agree with each other."""
    _doubted_since: float = 0.0
    _doubted: int = 0
    """Doubted readings in a row."""
    _begin_wh: float | None = None
    """The register at the start of the delivery."""
    _delivered_wh: float = 0.0
    """What can have flowed in it."""
    _recent_w: float = 0.0
    """The highest power of the last few seconds."""
    _at: float | None = None
    _heard_at: float | None = None
    """When the newest reading came."""
    _stamp: float | None = None
    """When the newest reading was true."""
    _believed_stamp: float = 0.0

    # --- what is believed ------------------------------------------------------------------------------------------

    @property
    def energy_wh(self) -> float | None:
        """The register in Wh; None before the first reading."""
        return self._line.energy_wh if self._line is not None else None

    @property
    def read_at(self) -> float:
        """When this was the register, in monotonic seconds."""
        return self._believed_stamp

    def trusts(self, sample: MeterSample) -> bool:
        """Whether this is the newest reading and a believed one."""
        return self._line is not None and sample.mono_s == self._believed_stamp == self._stamp

    # --- what happens ----------------------------------------------------------------------------------------------

    def at(self, now: float, power: PowerReading | None, *, closed: bool, max_power_w: float) -> Register:
        """The register at `now`, before a reading: count what the modules deliver.

        Args:
            now: monotonic seconds.
            power: what the modules report; None while they are silent.
            closed: the contactor is; only then can energy flow that the modules do not report.
            max_power_w: the EVSE's rating.
        """
        elapsed = now - self._at if self._at is not None else 0.0
        most_w, least_w = _bounds(power, max_power_w, closed=closed)
        if elapsed > STALL_S:
            most_w, least_w = max_power_w, 0.0
        most_wh, least_wh = self._energy(most_w, elapsed), self._energy(least_w, elapsed)
        return replace(
            self,
            _at=now,
            _recent_w=max(most_w, self._recent_w * math.exp(-elapsed / LAG_S)),
            _delivered_wh=self._delivered_wh + most_wh,
            _line=self._line.after(most_wh, least_wh) if self._line is not None else None,
            _rival=self._rival.after(most_wh, least_wh) if self._rival is not None else None,
        )

    def read(self, sample: MeterSample, now: float) -> Register:
        """Judge a reading; the same reading again changes nothing."""
        if sample.mono_s == self._stamp:
            return self
        known = replace(self, _stamp=sample.mono_s, _heard_at=now)
        if not _is_sound(sample):
            return known._doubts(f"the meter reads {_wh(sample.energy_wh)}, {sample.current_a:g} A", None, now)
        line = self._line
        if line is None:
            return replace(known, _line=_Line(sample.energy_wh, now), _believed_stamp=sample.mono_s)
        why = self._objection(line, sample.energy_wh) or self._objection_of_delivery(sample.energy_wh)
        if why is None and self.fault is None:
            return known._believes(line, sample)
        rival = self._rival
        if rival is not None and self._objection(rival, sample.energy_wh) is None:
            rival = rival.extended(sample.energy_wh, self._slack_wh, may_fall=True)
        else:
            rival = _Line(sample.energy_wh, now)
        return known._doubts(why or self.doubt, rival, now)

    def begin(self) -> Register:
        """A delivery begins."""
        return replace(self, _begin_wh=self.energy_wh, _delivered_wh=0.0)

    def end(self) -> Register:
        """The delivery is over: its stop reading is published."""
        return replace(self, _begin_wh=None)

    def rest(self, now: float) -> Register:
        """No delivery is going on: take the register as it is now, once that is proven."""
        if self._heard_at is not None and now - self._heard_at > SILENT_S:
            fresh = Register(self.resolution_wh, self.speed, self.outliers)
            return replace(fresh, _at=self._at, _recent_w=self._recent_w)
        line, rival = self._line, self._rival
        if self.fault is None and line is not None and line.least_wh:
            # Modules may have reported a current for a moment after it had ended: nothing more must flow now.
            return replace(self, _line=replace(line, least_wh=0.0))
        if self.fault is None or rival is None or not rival.is_proven(now):
            return self
        if line is not None and rival.energy_wh == line.energy_wh and line.is_stuck(self._slack_wh):
            return self
        return replace(
            self, fault=None, doubt="", _line=rival, _rival=None, _doubted=0, _believed_stamp=self._stamp or 0.0
        )

    # --- how it is judged ------------------------------------------------------------------------------------------

    @property
    def _slack_wh(self) -> float:
        return self.resolution_wh + self._energy(self._recent_w, LAG_S)

    def _energy(self, power_w: float, seconds: float) -> float:
        return power_w * seconds * self.speed / 3600.0

    def _objection(self, line: _Line, energy_wh: float) -> str | None:
        """Why this reading does not agree with the line; None if it does."""
        rise, slack = energy_wh - line.energy_wh, self._slack_wh
        if -rise > max(slack, line.slack_wh):
            return f"the register fell from {_wh(line.energy_wh)} to {_wh(energy_wh)}"
        if rise > line.most_wh + slack:
            return f"the register rose by {_wh(rise)}, but at most {_wh(line.most_wh + slack)} can have flowed"
        if rise <= 0.0 and line.is_stuck(slack):
            return f"the register stays at {_wh(energy_wh)} although at least {_wh(line.least_wh)} have flowed"
        return None

    def _objection_of_delivery(self, energy_wh: float) -> str | None:
        """The same for all of this delivery: many small errors must not add up."""
        if self._begin_wh is None:
            return None
        rise, most = energy_wh - self._begin_wh, self._delivered_wh + self._slack_wh
        if rise <= most:
            return None
        return f"the register rose by {_wh(rise)} in this session, but at most {_wh(most)} can have flowed"

    def _believes(self, line: _Line, sample: MeterSample) -> Register:
        may_fall = self._begin_wh is None
        return replace(
            self,
            doubt="",
            _line=line.extended(sample.energy_wh, self._slack_wh, may_fall=may_fall),
            _rival=None,
            _doubted=0,
            _believed_stamp=sample.mono_s,
        )

    def _doubts(self, why: str, rival: _Line | None, now: float) -> Register:
        first = self._doubted == 0
        since = now if first else self._doubted_since
        lasts = self._doubted + 1 >= DOUBT_READINGS and now - since >= DOUBT_S
        return replace(
            self,
            outliers=self.outliers + first,
            doubt=why,
            fault=self.fault or (why if lasts else None),
            _rival=rival,
            _doubted_since=since,
            _doubted=self._doubted + 1,
        )


def _bounds(power: PowerReading | None, max_power_w: float, *, closed: bool) -> tuple[float, float]:
    """The highest and the lowest power in W that the output may have now."""
    highest = max_power_w * (1.0 + ERROR_SHARE)
    if power is None or not math.isfinite(power.voltage_v * power.current_a):
        return (highest if closed else 0.0), 0.0
    volts, amps = abs(power.voltage_v), max(0.0, power.current_a)
    error = ERROR_SHARE * amps + (ERROR_A if closed else 0.0)
    least_a = max(0.0, amps - power.unsure_a - error) if closed else 0.0
    return min(highest, volts * (amps + error)), volts * least_a


def _is_sound(sample: MeterSample) -> bool:
    values = (sample.energy_wh, sample.voltage_v, sample.current_a, sample.power_w)
    return all(math.isfinite(value) for value in values) and sample.energy_wh >= 0.0


def _wh(energy_wh: float) -> str:
    return f"{energy_wh:.1f} Wh"
