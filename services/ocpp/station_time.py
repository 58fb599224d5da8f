# SPDX-License-Identifier: Apache-2.0
"""The station's UTC: an offset to the monotonic clock, set by the time source in force.

ClockCtrlr.TimeSource lists sources in order of use (part 2, referenced variables). The first one that has given
time is used: `Heartbeat` is the currentTime of BootNotification and Heartbeat responses, `NTP` the board's clock
while a time server disciplines it, `RealTimeClock` the board's clock when it is set. A step of the board's
clock moves no deadline, and a heartbeat corrects the time without root.

A time of the CSMS at which its own certificate is not valid is ignored: with it, the station would refuse every later
connection to that CSMS, and no message could correct it.
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
"""How far two times of one source may differ by the network's delay and the resolution of their text."""


class StationTime:
    """UTC from a monotonic reading. `csms_period`: the validity of the CSMS's certificates, if it has shown any."""

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
        """The same; None while no source has given time and nothing may be decided by dates."""
        return self.utc(now) if self.is_known else None

    def text(self, now: float) -> str:
        """`utc` as RFC 3339 text (part 2, section 3.1)."""
        return format_utc(self.utc(now))

    def use(self, order: tuple[str, ...]) -> None:
        """Take a new ClockCtrlr.TimeSource."""
        self._order = tuple(source for source in _ORDER_OF_TRUST if source in order) if order else ()
        self._order = tuple(sorted(self._order, key=order.index))
        self._choose()

    def hear(self, source: Source, utc: float, now: float) -> None:
        """Take a source's time, `utc` at monotonic `now`; ignored when it is before the floor or after the ceiling."""
        if not self._floor <= utc < CLOCK_CEILING:
            _log.warning("%s gave a time before this firmware was made, or far in the future: ignored", source)
            return
        if source == "Heartbeat" and self._contradicts_certificate(utc, now):
            _log.warning("the CSMS gave a time at which its own certificate is not valid: ignored")
            return
        known = self._offsets.get(source)
        if known is not None and abs(utc - now - known) < _JITTER_S:
            return  # the network's jitter must not move the time backwards
        # A CSMS may send whole seconds: an offset that agrees with it is more precise.
        agrees = source == "Heartbeat" and abs(utc - now - self._offset) < _JITTER_S
        self._offsets[source] = self._offset if agrees else utc - now
        self._choose()

    def _contradicts_certificate(self, utc: float, now: float) -> bool:
        """Whether the certificate is valid at the station's own time, but not at `utc`."""
        period, known = self._csms_period(), self.known_utc(now)
        if period is None or known is None:
            return False
        return period[0] <= known <= period[1] and not period[0] <= utc <= period[1]

    def doubt_board(self, now: float) -> None:
        """Drop the board's clock if it shows a time before the floor or after the ceiling: it has not been set."""
        offset = self._offsets.get("RealTimeClock")
        if offset is not None and not self._floor <= now + offset < CLOCK_CEILING:
            self.forget("RealTimeClock")

    def provisional_offset(self, now: float) -> float | None:
        """UTC minus monotonic as used in messages while the time is unknown; None when it is known."""
        return None if self.is_known else self.utc(now) - now

    def take_step(self) -> float:
        """Seconds by which the clock has been set since the last call."""
        step, self._step = self._step, 0.0
        return step

    def forget(self, source: Source) -> None:
        """A source is lost: the RTC lost its power, or the board its time server."""
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
