# SPDX-License-Identifier: Apache-2.0
"""The only module that reads the time.

Intervals and deadlines are always monotonic seconds (`float`); UTC is for people and the CSMS. Both come from a `Clock`
that is passed in, so that a test can play a day in a second.
"""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

__all__ = ["CLOCK_CEILING", "CLOCK_FLOOR", "Clock", "SystemClock", "format_utc", "parse_utc"]

CLOCK_FLOOR = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
"""The day this firmware was written: a clock that reads earlier is not set."""
CLOCK_CEILING = datetime(2200, 1, 1, tzinfo=UTC).timestamp()
"""After the last station of this kind, and far enough from the year 9999, where `datetime` ends."""

_DATE_TIME: Final = re.compile(
    r"(\d{4})-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(?:\.\d+)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)
_CYCLE_YEARS: Final = 400
_CYCLE_S: Final = 146_097 * 86_400
"""After 400 years the calendar repeats."""
_FIRST_S: Final = datetime(1, 1, 1, tzinfo=UTC).timestamp()
_LAST_S: Final = datetime(9999, 12, 31, 23, 59, 59, 999_500, tzinfo=UTC).timestamp()


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
    """RFC 3339 in UTC with milliseconds and `Z` (part 2, section 3.1: at most three decimals).

    A time outside the years 1 to 9999, where an offset may lead, is written as the nearest within.
    """
    moment = datetime.fromtimestamp(min(max(seconds, _FIRST_S), _LAST_S), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> float:
    """Seconds since 1970 of any RFC 3339 date-time; raises `ValueError` for other texts. Nothing else reads one.

    `T` and `Z` may be lower case, a fraction may have any number of digits, and an offset may lead out of the years 0
    to 9999. The leap second at the end of a UTC month, `:60`, counts as the second after it, as POSIX has it. A blank
    in the place of `T` is not of the grammar (section 5.6).
    """
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("not an RFC 3339 date-time with a zone")
    text = text.upper()
    if found[1] != "0000" and found[2] != "60":
        return datetime.fromisoformat(text).timestamp()
    cycles, year = divmod(int(text[:4]), _CYCLE_YEARS)  # `datetime` has no year 0 and none after 9999
    moment = datetime.fromisoformat(f"{2000 + year}{text[4:17]}{min(text[17:19], '59')}{text[19:]}")
    if found[2] == "60":
        moment += timedelta(seconds=1)
        after = moment.astimezone(UTC)
        if (after.day, after.hour, after.minute) != (1, 0, 0):
            raise ValueError("a leap second within a month")
    return moment.timestamp() + (cycles - 2000 // _CYCLE_YEARS) * _CYCLE_S
