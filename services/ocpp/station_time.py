# SPDX-License-Identifier: Apache-2.0
"""The station's UTC: an offset to the monotonic clock, set by the time source in force.

ClockCtrlr.TimeSource lists sources in order of use (part 2, referenced variables). The first one that has given
time wins: `Heartbeat` is the currentTime of BootNotification and Heartbeat responses, `NTP` the board's clock
while a time server disciplines it, `RealTimeClock` the board's clock when it is set. A step of the board's
clock moves no deadline, and a heartbeat corrects time without root.

A CSMS is not believed a time at which its own certificate is not valid: with that, the station would refuse it from
the next connection on, and nobody could tell it better.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal

from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, format_utc

__all__ = ["Source", "StationTime"]

_log = logging.getLogger(__name__)

Source = Literal["Heartbeat", "NTP", "RealTimeClock"]
_ORDER_OF_TRUST: tuple[Source, ...] = ("Heartbeat", "NTP")


_JITTER_S = 1.0
"""What one source's word may differ from its last by the network's delay and the text's resolution."""


class StationTime:
    """UTC from a monotonic reading. `csms_period` is that of the CSMS's certificates, if it has shown any."""

    def __init__(
        self,
        *,
        board_offset: float,
        floor: float = CLOCK_FLOOR,
        csms_period: Callable[[], tuple[float, float] | None] = lambda: None,
    ) -> None:
        self._offsets: dict[Source, float] = {"RealTimeClock": board_offset}
        self._order: tuple[Source, ...] = _ORDER_OF_TRUST
        self._floor = floor
        self._csms_period = csms_period
        self._offset = board_offset
        self._step = 0.0

    @property
    def is_known(self) -> bool:
        """False until a source gave time; a set board clock counts as one."""
        return any(source in self._offsets for source in (*self._order, "RealTimeClock"))

    def utc(self, now: float) -> float:
        """Seconds since 1970 at monotonic `now`; never before the clock floor, nor after the ceiling."""
        return min(max(now + self._offset, self._floor), CLOCK_CEILING)

    def known_utc(self, now: float) -> float | None:
        """The same; None while nobody has told us the time, when nothing may be decided by dates."""
        return self.utc(now) if self.is_known else None

    def text(self, now: float) -> str:
        """The same as RFC 3339 (part 2, section 3.1)."""
        return format_utc(self.utc(now))

    def use(self, order: tuple[str, ...]) -> None:
        """Take a new ClockCtrlr.TimeSource."""
        self._order = tuple(source for source in _ORDER_OF_TRUST if source in order) if order else ()
        self._order = tuple(sorted(self._order, key=order.index))
        self._choose()

    def hear(self, source: Source, utc: float, now: float) -> None:
        """A source says that it is `utc` at monotonic `now`. Times that no station lives to see are ignored."""
        if not self._floor <= utc < CLOCK_CEILING:
            _log.warning("%s gave a time before this firmware was made, or ages after: ignored", source)
            return
        if source == "Heartbeat" and self._contradicts_certificate(utc, now):
            _log.warning("the CSMS gave a time at which its own certificate is not valid: ignored")
            return
        known = self._offsets.get(source)
        if known is not None and abs(utc - now - known) < _JITTER_S:
            return  # time does not run backwards by the network's jitter
        # A CSMS may tell whole seconds: what it does not contradict is finer.
        agrees = source == "Heartbeat" and abs(utc - now - self._offset) < _JITTER_S
        self._offsets[source] = self._offset if agrees else utc - now
        self._choose()

    def _contradicts_certificate(self, utc: float, now: float) -> bool:
        """When the certificate is not valid by our own time, either, there is nothing to hold against the CSMS's."""
        period, known = self._csms_period(), self.known_utc(now)
        if period is None or known is None:
            return False
        return period[0] <= known <= period[1] and not period[0] <= utc <= period[1]

    def doubt_board(self, now: float) -> None:
        """Forget the board's clock if it shows a time before the floor, or ages after: nobody has set it."""
        offset = self._offsets.get("RealTimeClock")
        if offset is not None and not self._floor <= now + offset < CLOCK_CEILING:
            self.forget("RealTimeClock")

    def provisional_offset(self, now: float) -> float | None:
        """UTC minus monotonic as it is given out while the time is unknown; None when it is known."""
        return None if self.is_known else self.utc(now) - now

    def take_step(self) -> float:
        """Seconds that the clock was moved since the last call."""
        step, self._step = self._step, 0.0
        return step

    def forget(self, source: Source) -> None:
        """A source is gone: the RTC lost its power, the time server its discipline."""
        self._offsets.pop(source, None)
        self._choose()

    def _choose(self) -> None:
        for source in (*self._order, "RealTimeClock"):
            offset = self._offsets.get(source)
            if offset is not None:
                if abs(offset - self._offset) > _JITTER_S:
                    _log.info("clock set by %s, step %+.1f s", source, offset - self._offset)
                self._step += offset - self._offset
                self._offset = offset
                return
