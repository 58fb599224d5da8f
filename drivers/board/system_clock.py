# SPDX-License-Identifier: Apache-2.0
"""The board's clock: UTC, whether it was ever set, whether it is kept by a time server.

The kernel takes UTC from the real-time clock (RTC) at boot. Without one, or after its battery was empty, systemd
starts at the time of its own build instead: UTC alone then looks possible, and is wrong. So the clock is set if the RTC
holds a possible time, or as soon as the kernel is synchronised (adjtimex(2) without TIME_ERROR, which every time daemon
brings about). An RTC that has lost its power refuses to be read, or reads a time before this firmware was made.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, Clock
from firmware.contract import BoardClock

__all__ = ["SystemTime"]

_TIME_ERROR = 5
_TIMEX_LONGS = 64
"""More than `struct timex` has. With `modes` 0 nothing is changed."""
_RTC_STEP_S = 1.0


class SystemTime:
    """`source`: "system", or "rtc" for UTC by the RTC, to the second, where the system's clock does not follow it."""

    def __init__(self, root: Path, clock: Clock, source: Literal["system", "rtc"]) -> None:
        self._root = root
        self._clock = clock
        self._source = source
        self._rtc: Path | None = None
        self._offset_s = 0.0
        self._was_set = False
        self.update()

    def read(self) -> BoardClock:
        utc_s = self._clock.utc() + self._offset_s
        return BoardClock(
            mono_s=self._clock.monotonic(),
            utc_s=utc_s,
            is_set=self._was_set and _is_possible(utc_s),
            synchronised=self._synchronised,
        )

    def update(self) -> None:
        """Ask RTC and kernel."""
        rtc_s = self._read_rtc()
        self._synchronised = self._is_synchronised()
        self._was_set = self._was_set or self._synchronised or (rtc_s is not None and _is_possible(rtc_s))
        if self._source == "rtc" and rtc_s is not None:
            ahead_s = rtc_s + 0.5 - self._clock.utc()
            if abs(ahead_s - self._offset_s) > _RTC_STEP_S:
                self._offset_s = float(round(ahead_s))

    def _read_rtc(self) -> float | None:
        """Seconds since 1970 by the RTC from which the kernel sets its clock; None: it has no time."""
        try:
            if self._rtc is None:
                clocks = sorted(self._root.glob("sys/class/rtc/rtc*"))
                setting = [each for each in clocks if (each / "hctosys").read_text().strip() == "1"]
                self._rtc = (setting or clocks)[0]
            return float((self._rtc / "since_epoch").read_text())
        except (OSError, ValueError, IndexError):
            return None

    def _is_synchronised(self) -> bool:
        if self._root != Path("/"):
            return (self._root / "run/systemd/timesync/synchronized").exists()
        import ctypes  # for the only call that Python's library does not have

        state: int = ctypes.CDLL(None).adjtimex((ctypes.c_long * _TIMEX_LONGS)())
        return 0 <= state < _TIME_ERROR


def _is_possible(utc_s: float) -> bool:
    return CLOCK_FLOOR <= utc_s <= CLOCK_CEILING
