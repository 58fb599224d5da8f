# SPDX-License-Identifier: Apache-2.0
"""Which network profile to dial next, and when (B10 with the errata of 2025-01 and 2025-04; part 4, section 5.3).

- After a start: the first slot of NetworkConfigurationPriority, at once (`B10.FR.04`). Each slot gets
  NetworkProfileConnectionAttempts attempts, then the next slot is tried, in rotation (`B10.FR.03`, `B10.FR.08`,
  `B10.FR.09`: without end).
- After the loss of a connection its slot comes first: it is proven to work.
- Between attempts there is a back-off: RetryBackOffWaitMinimum plus a random part of at most RetryBackOffRandomRange
  seconds; after each failure it is doubled and gets a new random part, RetryBackOffRepeatTimes times; then it stays.
  A successful connection resets it (erratum of 2025-04). A change of slot does not: the slots of a station often lead
  to the same overloaded CSMS.
- An attempt begins one second after the one before, or later: back-offs of 0 s, or orders to connect again with each
  new connection, must not make a busy loop.
- Slots whose interface is down are skipped, unless all are down: a wrong report must not strand a station. When an
  interface comes up, the back-off is reset.

Pure: time and random numbers are passed in.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Final

from msgspec import Struct

__all__ = ["Attempt", "ConnectionPolicy", "RetryRules"]

_LONGEST_WAIT_S: Final = 86_400.0  # with many doublings, it must still dial once a day


class RetryRules(Struct, frozen=True):
    """The variables of OCPPCommCtrlr for attempts to connect; values out of range count as the nearest in range."""

    attempts_per_slot: int = 3
    """NetworkProfileConnectionAttempts"""
    wait_minimum_s: float = 10.0
    """RetryBackOffWaitMinimum"""
    random_range_s: float = 10.0
    """RetryBackOffRandomRange"""
    repeat_times: int = 3
    """RetryBackOffRepeatTimes"""
    least_s: float = 1.0
    """From the beginning of one attempt to the beginning of the next, whatever the variables are set to."""


class Attempt(Struct, frozen=True):
    """Dial `slot`, not before `at` (monotonic seconds)."""

    slot: int
    at: float


class ConnectionPolicy:
    """Report each outcome to it; `next` returns what to dial. `random` returns numbers of [0, 1)."""

    def __init__(self, random: Callable[[], float], rules: RetryRules | None = None) -> None:
        self._random = random
        self._rules = rules or RetryRules()
        self._order: tuple[int, ...] = ()
        self._current: int | None = None
        self._attempts = 0
        self._proven: int | None = None
        self._back_off_s: float | None = None
        self._doublings = 0
        self._since = 0.0
        self._due = float("-inf")
        self._began = float("-inf")

    def configure(self, order: tuple[int, ...], rules: RetryRules) -> None:
        """Set the slots in order of priority, and the rules that apply from the next failure on."""
        self._order = order
        self._rules = rules

    def next(self, usable: Collection[int]) -> Attempt | None:
        """The next attempt; None without any slot. `usable`: the slots whose interface is not known to be down.

        Without side effects: the result is the same until an outcome is reported.
        """
        if not self._order:
            return None
        slot = self._starting_slot()
        if slot == self._current and self._attempts >= max(1, self._rules.attempts_per_slot):
            slot = self._after(slot)
        for _ in self._order:
            if slot in usable:
                break
            slot = self._after(slot)  # all are down: this ends at the slot where it began
        return Attempt(slot, max(self._due, self._began + self._rules.least_s))

    def began(self, now: float) -> None:
        """An attempt has begun."""
        self._began = now

    def failed(self, slot: int, now: float) -> None:
        """An attempt to connect to `slot` failed."""
        if slot != self._current:
            self._current, self._attempts = slot, 0
        self._attempts += 1
        self._wait(now)

    def connected(self, slot: int) -> None:
        """The WebSocket is open."""
        self._current = self._proven = slot
        self._attempts = 0
        self._forget_back_off()

    def lost(self, now: float) -> None:
        """An open connection has ended, other than by `restart`."""
        self._attempts = 0
        self._wait(now)

    def restart(self, slot: int | None = None) -> None:
        """Make the next attempt due as soon as possible, to `slot` if it is known, else the proven, else the first."""
        self._current = slot if slot in self._order else self._proven
        self._attempts = 0
        self._forget_back_off()
        self._due = float("-inf")

    def link_up(self, now: float) -> None:
        """An interface has come up: shorten the wait, but to no less than the first back-off, as it may be flapping."""
        if self._due <= now:
            return
        due = self._due
        self._forget_back_off()
        self._wait(self._since)
        self._due = min(due, max(now, self._due))

    def _starting_slot(self) -> int:
        if self._current in self._order:
            return self._current
        return self._proven if self._proven in self._order else self._order[0]

    def _after(self, slot: int) -> int:
        return self._order[(self._order.index(slot) + 1) % len(self._order)]

    def _wait(self, now: float) -> None:
        if self._back_off_s is None:
            self._back_off_s = max(0.0, self._rules.wait_minimum_s) + self._random_part()
        elif self._doublings < self._rules.repeat_times:
            self._back_off_s = min(2.0 * self._back_off_s + self._random_part(), _LONGEST_WAIT_S)
            self._doublings += 1
        self._since = now
        self._due = now + self._back_off_s

    def _random_part(self) -> float:
        return self._random() * max(0.0, self._rules.random_range_s)

    def _forget_back_off(self) -> None:
        self._back_off_s = None
        self._doublings = 0
