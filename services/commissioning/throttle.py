# SPDX-License-Identifier: Apache-2.0
"""Guesses and floods.

Wrong passwords: after a few, an address has to wait, and after many from everywhere, an account.

The waits double with each further failure. Those of an account are short, because a stranger could otherwise lock the
installer out; together with the length of a generated password they leave no chance to guess it.

Requests: each asks the station's other processes, which have more important work. So many at once from an address are
fine, and then so many a second.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

__all__ = ["ACCOUNT", "ADDRESS", "Allowance", "Throttle", "Waits"]

MOST_KEYS = 256
_FORGET_S = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Waits:
    """`free` failures cost nothing; the next one `first_s`, each further one twice as much, up to `most_s`."""

    free: int
    first_s: float
    most_s: float

    def after(self, failures: int) -> float:
        excess = failures - self.free
        return 0.0 if excess <= 0 else min(self.most_s, self.first_s * 2.0 ** min(excess - 1, 30))


ADDRESS = Waits(free=4, first_s=30.0, most_s=3600.0)
ACCOUNT = Waits(free=19, first_s=5.0, most_s=300.0)


@dataclass(slots=True)
class _Record:
    failures: int
    until: float
    last: float


class Throttle:
    """Counts the failures of each key (an address, an account); `now` is monotonic."""

    def __init__(self, waits: Waits) -> None:
        self._waits = waits
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait_s(self, key: str, now: float) -> int:
        """How long until the next attempt of this key is looked at, in whole seconds; 0: it may come."""
        record = self._records.get(key)
        if record is None:
            return 0
        if now - record.last > _FORGET_S:
            del self._records[key]
            return 0
        return max(0, math.ceil(record.until - now))

    def failed(self, key: str, now: float) -> int:
        """Count a failure; returns how many there were."""
        record = self._records.setdefault(key, _Record(0, now, now))
        record.failures += 1
        record.until = now + self._waits.after(record.failures)
        record.last = now
        self._records.move_to_end(key)
        while len(self._records) > MOST_KEYS:
            self._records.popitem(last=False)
        return record.failures

    def succeeded(self, key: str) -> None:
        self._records.pop(key, None)

    def restore(self, failures: dict[str, int], now: float) -> None:
        """After a restart: who had to wait, has to wait again."""
        for key, count in list(failures.items())[-MOST_KEYS:]:
            self._records[key] = _Record(count, now + self._waits.after(count), now)

    def failures(self) -> dict[str, int]:
        """Of those who have to wait, for `restore`."""
        return {key: record.failures for key, record in self._records.items() if record.failures > self._waits.free}


class Allowance:
    """`burst` requests of one address at once, and `per_s` a second; `now` is monotonic."""

    def __init__(self, *, per_s: float = 20.0, burst: float = 300.0) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Of each address what is left, and since when."""

    def take(self, address: str, now: float) -> bool:
        """Whether there is one left."""
        left, since = self._left.pop(address, (self._burst, now))
        left = min(self._burst, left + (now - since) * self._per_s)
        self._left[address] = (left - 1.0 if left >= 1.0 else left, now)
        while len(self._left) > MOST_KEYS:
            self._left.popitem(last=False)
        return left >= 1.0
