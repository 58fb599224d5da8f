# SPDX-License-Identifier: Apache-2.0
"""The only module that reads the time.

Intervals and deadlines are always monotonic seconds (`float`); UTC is for people and the CSMS. Both come from a `Clock`
that is passed in, so that a test can play a day in a second.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol

__all__ = ["CLOCK_CEILING", "CLOCK_FLOOR", "Clock", "SystemClock", "format_utc", "parse_utc"]

CLOCK_FLOOR = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
"""The day this firmware was written: a clock that reads earlier is not set."""
CLOCK_CEILING = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
"""After the last station of this kind, and far enough from the year 9999, where `datetime` ends."""


class Clock(Protocol):
    """A source of time."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary point, the same for every process of one boot; never steps."""

    def utc(self) -> float:
        """Seconds since 1970-01-01T00:00Z by the board's clock; may be wrong and may step."""


class SystemClock:
    """The board's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def utc(self) -> float:
        return time.time()


def format_utc(seconds: float) -> str:
    """RFC 3339 in UTC with milliseconds and `Z` (part 2, section 3.1: at most three decimals)."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 date-time; raises `ValueError` if it is not one, or has no time zone.

    `T` and `Z` may be lower case (section 5.6).
    """
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"no time zone in {text!r}")
    return moment.timestamp()
