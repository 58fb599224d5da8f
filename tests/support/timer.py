# SPDX-License-Identifier: Apache-2.0
"""A timer that a test moves by hand, together with the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.clock import ManualClock

__all__ = ["ManualTimer"]


@dataclass(eq=False)
class _Scheduled:
    timer: ManualTimer
    due: float
    callback: Callable[[], object]

    def cancel(self) -> None:
        if self in self.timer.scheduled:
            self.timer.scheduled.remove(self)


class ManualTimer:
    """`firmware.timer.Timer`: what is scheduled stays so until the test advances the time."""

    def __init__(self, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.scheduled: list[_Scheduled] = []

    def call_later(self, seconds: float, callback: Callable[[], object]) -> _Scheduled:
        scheduled = _Scheduled(self, self.clock.monotonic() + seconds, callback)
        self.scheduled.append(scheduled)
        return scheduled

    @property
    def pending(self) -> list[float]:
        """In how many seconds each scheduled call is due."""
        return sorted(round(each.due - self.clock.monotonic(), 6) for each in self.scheduled)

    def advance(self, seconds: float) -> None:
        """Let time pass and make the calls that become due; coroutines that they wake run when the test next waits."""
        self.clock.advance(seconds)
        for each in sorted(self.scheduled, key=lambda each: each.due):
            if each.due <= self.clock.monotonic():
                each.cancel()
                each.callback()
