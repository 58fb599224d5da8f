# SPDX-License-Identifier: Apache-2.0
"""One power module: whether it can be counted on, and which frames bring it to what is wanted.

No I/O; `now` is an argument (monotonic seconds). Rules
- Nothing is believed because it was sent: a module is off or on when its status and its current say so after the
  command, and a command is repeated until they do.
- A module that is silent may still deliver for 10 s: it counts until it has been silent for longer than that.
- A module that comes back is switched off first, whatever it did before.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator

from msgspec import Struct

from drivers.can.family import (
    DERATING,
    UNUSABLE,
    Alarm,
    Available,
    Capability,
    Family,
    Frame,
    GroupNumber,
    Query,
    Report,
    Status,
    module_target,
)
from drivers.can.reports import OFF_A, QUIET_AFTER_S, Reports

__all__ = ["LEAST_A", "Module", "Rating", "Setting"]

LEAST_A = 1.0
"""The lowest set-point of a module; for zero it is switched off."""
_OFF_V = 60.0
_LEFT = 0.95
_RETRY_S = 0.2
_QUIET_RETRY_S = 1.0
_REPEAT_S = 1.0
"""How often an unchanged set-point is sent again."""
_SPACING_S = 0.25
"""The least time between two set-points, unless the voltage falls, or the current by more than a few per cent."""
_FALL = 0.95
_START_S = 0.09
"""The time between the first two set-points."""
_OBEY_S = 5.0
"""How long a module may take to do what it is commanded."""
_LATE_S = 1.0
"""The longest that a frame may wait in a full queue."""
_TRIES = 3
"""How often a module is given its group number before it is used without."""
_CLEAR_S = 5.0
_FORGIVE_S = 60.0
"""A trouble is over when it has been absent for this long; a module that did not obey gets another chance later."""
_UNABLE = "says that it can deliver nothing"
_OWN_OFFS = 3
"""A module that has switched itself off so many times within FORGIVE_S does not obey."""


class Rating(Struct, frozen=True):
    """What is expected of each module, and how it is derated."""

    max_voltage_v: float
    min_voltage_v: float
    current_a: float
    power_w: float
    silent_after_s: float = 15.0
    warm_c: float = 70.0
    hot_c: float = 85.0
    believe_available: bool = True


class Setting(Struct, frozen=True):
    """An output that is wanted of a module, or of all modules of an outlet together."""

    voltage_v: float
    current_a: float


class Module(Reports):
    """State of one module; `address` is None while a module that is known by its bar code has not been found."""

    def __init__(
        self, name: str, rating: Rating, *, bus: int, address: int | None, bar_code: str | None = None
    ) -> None:
        super().__init__()
        self.name = name
        self.bus = bus
        self.address = address
        self.bar_code = bar_code
        self.setting: Setting | None = None
        """What the module is to deliver; None: it is to be off."""
        self.number: int | None = None
        self.placed_by_number = False
        """Whether its output is where its group number says."""
        self.mode: int | None = None
        self.trouble: str | None = None
        """Why the module can't be counted on; updated by `judge`."""
        self._rating = rating
        self._on_sent_at = self._trouble_seen = -math.inf
        self._started = math.inf
        self._disobeyed = False
        self._own_offs: deque[float] = deque(maxlen=_OWN_OFFS)
        self._able_a: float | None = None
        """The available current that it has reported while it is on."""
        self._unable_since = math.inf
        """Since when that is less than the least that it can be set to."""
        self.restart(-math.inf)

    def restart(self, now: float) -> None:
        """Forget what the module did: it is to be off, and has to prove it."""
        self.setting = None
        self.commanded_on = False
        """Whether the last command to switch was `on`."""
        self._proven = False
        """Whether it has been off since; only then may it be switched on."""
        self._off_seen = 0
        self._commanded_off_at = now
        self._tried_at = self._number_sent_at = self._mode_sent_at = -math.inf
        self._numbers_sent = self._modes_sent = self._misplaced = 0
        self._sent: Setting | None = None
        self._sent_at = -math.inf
        self.set_points = 0
        """How many have been sent since it was off; it is switched on after the second, as one may be lost."""
        self._wanted = (False, math.inf)
        """Whether it is to be on, and since when it is not so."""
        self._off_at = math.inf
        """Since when it is known to be off."""

    # --- what it reports -------------------------------------------------------------------------------------

    def hear(self, report: Report | None, now: float) -> None:
        """Take an answer of this module."""
        before, serial = self.status, self.serial
        if self.lost(now):
            self.restart(now)
        self.take(report, now)
        if serial not in (None, self.serial):
            self.restart(now)
            self.capability = Capability()
        if isinstance(report, Available):
            self._note_able(report.current_a if self.is_on and self._rating.believe_available else None, now)
        if isinstance(report, Status):
            if before.off is False and report.off and self.commanded_on:
                self._own_offs.append(now)
                self.restart(now)  # it has gone off by itself, or is another one
            self._off_seen = self._off_seen + 1 if report.off is not False and now > self._commanded_off_at else 0
        if isinstance(report, GroupNumber) or (isinstance(report, Status) and report.group is not None):
            self._misplaced = 0 if self.number in (None, self.status.group) else self._misplaced + 1

    def _note_able(self, amps: float | None, now: float) -> None:
        self._able_a = amps
        unable = amps is not None and amps < LEAST_A
        self._unable_since = min(self._unable_since, now) if unable else math.inf

    # --- what follows ----------------------------------------------------------------------------------------

    @property
    def is_off(self) -> bool:
        """Whether status and output have said twice, since the command, that the module is off.

        Without a status only the voltage shows that an idle output is off: it has left the set-point.
        """
        since = self._commanded_off_at
        if self._off_seen < 2 or self.current_at <= since or abs(self.current_a) >= OFF_A:
            return False
        if self.status.off is not None:
            return True
        return self.voltage_at > since and self.voltage_v < (_LEFT * self._sent.voltage_v if self._sent else _OFF_V)

    def rests(self, now: float) -> bool:
        """Whether it is off and stays so: no command to switch it on can still be on its way."""
        return self.is_off and now - self._on_sent_at >= _LATE_S

    @property
    def is_on(self) -> bool:
        """Whether the module delivers what is wanted, by its status or, if that does not say, by its output."""
        if self.setting is None:
            return False
        if self.status.off is not None:
            return not self.status.off
        return self.current_a >= OFF_A or self.voltage_v >= 0.5 * self.setting.voltage_v

    @property
    def numbered(self) -> bool:
        """Whether the module has the group number that it is to have, as far as its family reports one."""
        if self.number is None:
            return True
        return self._numbers_sent >= 2 if self.status.group is None else self.status.group == self.number

    def current(self, now: float) -> float:
        """The last current; 0 when that is so long ago that the module has switched itself off."""
        return self.current_a if now - self.current_at <= self._rating.silent_after_s else 0.0

    def state(self, now: float) -> str:
        """In words, for an installer."""
        return self.trouble or ("no answer" if self.quiet(now) else self.describe())

    def lost(self, now: float) -> bool:
        """Whether it has been silent for so long that it has switched itself off."""
        return now - max(self.heard_at, self._started) > self._rating.silent_after_s

    def usable(self, now: float) -> bool:
        return self.trouble is None and self.heard_at > -math.inf and not self.lost(now)

    def available(self) -> tuple[float, float]:
        """Current in A and power in W that the module can deliver now."""
        rating, capability, alarms = self._rating, self.capability, self.status.alarms
        amps = min(rating.current_a, capability.max_current_a or math.inf)
        watts = min(rating.power_w, capability.power_w or math.inf)
        share = self._temperature_share()
        if self._able_a is not None and self.is_on:  # not below LEAST_A: it would be off, and say no more of itself
            return min(amps * share, max(self._able_a, LEAST_A)), watts * share
        if alarms & DERATING:
            share *= 0.5
        return amps * share, watts * share

    def _temperature_share(self) -> float:
        """1 up to `warm_c`, then linear to 0 at `hot_c`."""
        celsius, rating = self.status.temperature_c, self._rating
        if celsius is None:
            return 1.0
        return min(1.0, max(0.0, (rating.hot_c - celsius) / (rating.hot_c - rating.warm_c)))

    def judge(self, now: float) -> bool:
        """Update `trouble`; True if it has changed."""
        self._started = min(self._started, now)
        before, found = self.trouble, self._find_trouble(now)
        if found is not None:
            self._disobeyed = found == _UNABLE or found.endswith(("switch on", "switch off"))
            self.trouble, self._trouble_seen = found, now
        elif now - self._trouble_seen >= (_FORGIVE_S if self._disobeyed else _CLEAR_S):
            self.trouble = None
        return self.trouble != before

    def _find_trouble(self, now: float) -> str | None:
        limit_s = self._rating.silent_after_s
        if self.lost(now):
            if self.bar_code is not None:
                self.address = None  # it may come back with another one
                return f"no module with bar code {self.bar_code} found"
            return f"no answer for {limit_s:.0f} s"
        bad = self.status.alarms & UNUSABLE
        if bad:
            return ", ".join(alarm.value for alarm in Alarm if alarm in bad)
        if self._temperature_share() == 0.0:
            return f"hotter than {self._rating.hot_c:.0f} °C"
        if self.talks_twice:
            return "answers twice: two modules with this address?"
        if self.quiet(now):
            return None
        if self.heard_at > -math.inf and now - max(self.status_at, self._started) > _OBEY_S:
            return f"answers without its state: {self.refused}" if self.refused else "answers without its state"
        return self._wrong_type() or self._disobedience(now)

    def _wrong_type(self) -> str | None:
        rating, found = self._rating, self.capability
        if found.max_voltage_v is None or found.min_voltage_v is None:
            return None
        if found.max_voltage_v < rating.max_voltage_v or found.min_voltage_v > rating.min_voltage_v:
            return (
                f"a type for {found.min_voltage_v:.0f} to {found.max_voltage_v:.0f} V, not for"
                f" {rating.min_voltage_v:.0f} to {rating.max_voltage_v:.0f} V"
            )
        return None

    def _disobedience(self, now: float) -> str | None:
        if self.is_on and now - self._unable_since >= _OBEY_S:
            return _UNABLE
        if len(self._own_offs) == _OWN_OFFS and now - self._own_offs[0] < _FORGIVE_S:
            return "switches itself off again and again"
        to_be_on, since = self._wanted
        if now - since < _OBEY_S:
            return None
        why = f"does not switch {'on' if to_be_on else 'off'}"
        # One that says why, such as one that starts up, is tried again as soon as it no longer does.
        return f"{why}: {self.refused}" if now - self.refused_at <= QUIET_AFTER_S else why

    # --- what is sent ----------------------------------------------------------------------------------------

    def regroup(self, number: int | None) -> None:
        """The group number that the module is to have; None: any."""
        if number != self.number:
            self.number, self._numbers_sent, self._misplaced = number, 0, 0

    def select(self, mode: int | None) -> None:
        """The range of voltages that the module is to have; None: any."""
        if mode != self.mode:
            self.mode, self._modes_sent = mode, 0

    def sent_by_group(self, now: float) -> None:
        """A frame to the module's group has set its output."""
        self._sent, self._sent_at = self.setting, now
        self.set_points += 1

    def sent_off_by_group(self, now: float) -> None:
        """A frame to the module's group has switched it off; its own comes if that does not help."""
        self._turn_off(now)
        self._tried_at = now

    def _turn_off(self, now: float) -> None:
        self.set_points = 0
        if self.commanded_on:
            self.commanded_on = False
            self._commanded_off_at, self._tried_at, self._off_seen = now, -math.inf, 0

    def steer(self, family: Family, now: float, *, by_group: bool = False) -> Iterator[Frame]:
        """Frames that are due; with `by_group` frames to the group set the output."""
        if self.address is None:
            return
        retry_s = _QUIET_RETRY_S if self.quiet(now) else _RETRY_S
        prepared = self._is_placed() if self.commanded_on else self._is_prepared(now)
        if self.setting is not None and self._in_mode() and prepared:
            self._note_wanted(True, self.is_on, now)
            if now - self._mode_sent_at >= family.mode_pause_s:
                yield from self._steer_on(family, self.address, now, by_group=by_group, retry_s=retry_s)
            return
        self._turn_off(now)
        self._note_wanted(False, self.is_off, now)
        if not self.is_off:
            self._off_at = math.inf
            if self._retry(retry_s, now):
                self._tried_at = now
                yield family.switch(module_target(self.address), False)
                yield from self._verify(family, self.address)
            return
        self._proven, self._off_at = True, min(self._off_at, now)
        yield from self._prepare(family, self.address, now, retry_s)

    def _is_prepared(self, now: float) -> bool:
        """Whether it has been off and has had its group number for a moment, or does not take one."""
        settled = now - self._number_sent_at >= _RETRY_S
        return self._proven and settled and (self.numbered or self._numbers_sent >= _TRIES)

    def _is_placed(self) -> bool:
        """Whether it delivers where it should; one answer to the contrary may be a damaged frame."""
        return not self.placed_by_number or self._misplaced < 2

    def _retry(self, retry_s: float, now: float) -> bool:
        return now - self._tried_at >= retry_s

    def _note_wanted(self, to_be_on: bool, done: bool, now: float) -> None:
        before, since = self._wanted
        if done:
            self._wanted = (to_be_on, math.inf)
        elif before is not to_be_on or since == math.inf:
            self._wanted = (to_be_on, now)

    def _prepare(self, family: Family, address: int, now: float, retry_s: float) -> Iterator[Frame]:
        """Give a module that is off its group number and its range of voltages."""
        if self.number is not None and not self.numbered and now - self._number_sent_at >= retry_s:
            self._number_sent_at, self._numbers_sent = now, self._numbers_sent + 1
            yield family.set_group(address, self.number)
            yield from self._verify(family, address)
        if self.mode is None or self._in_mode() or now - self._off_at < family.mode_pause_s:
            return
        if now - self._mode_sent_at >= max(retry_s, family.mode_pause_s):
            self._mode_sent_at, self._modes_sent = now, self._modes_sent + 1
            yield family.set_mode(address, self.mode)
            yield from family.ask(Query.MODE, address)

    def _steer_on(self, family: Family, address: int, now: float, *, by_group: bool, retry_s: float) -> Iterator[Frame]:
        wanted = self.setting
        if wanted is not None and not by_group and self._set_point_due(wanted, now):
            self._sent, self._sent_at = wanted, now
            self.set_points += 1
            yield from family.set_output(module_target(address), wanted.voltage_v, wanted.current_a)
        if (self.commanded_on and self.is_on) or self.set_points < 2:
            return
        if self._retry(retry_s, now) or not self.commanded_on:
            self.commanded_on, self._off_seen = True, 0
            self._tried_at = self._on_sent_at = now
            yield family.switch(module_target(address), True)
            yield from self._verify(family, address)

    def _set_point_due(self, wanted: Setting, now: float) -> bool:
        age_s, sent = now - self._sent_at, self._sent
        if self.set_points < 2:
            return sent is None or age_s >= _START_S
        if sent is None or wanted.voltage_v < sent.voltage_v or wanted.current_a < _FALL * sent.current_a:
            return True
        return age_s >= (_SPACING_S if wanted != sent else _REPEAT_S)

    def _in_mode(self) -> bool:
        """A module that does not report its range is believed to have it after two commands."""
        if self.mode is None or self.mode_found == self.mode:
            return True
        return self.mode_found is None and self._modes_sent >= 2

    def _verify(self, family: Family, address: int) -> Iterator[Frame]:
        for query in (Query.STATUS, Query.OUTPUT, Query.VOLTAGE, Query.GROUP):
            yield from family.ask(query, address)
        self.note_asked()
