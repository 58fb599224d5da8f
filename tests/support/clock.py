# SPDX-License-Identifier: Apache-2.0
"""A clock that a test moves by hand."""

from __future__ import annotations

__all__ = ["ManualClock"]


class ManualClock:
    """A `firmware.clock.Clock` that moves only when `advance` or `step_utc` is called."""

    def __init__(self, start: float = 1000.0, *, utc: float = 1_800_000_000.0) -> None:
        self._monotonic = start
        self._utc = utc

    def monotonic(self) -> float:
        return self._monotonic

    def utc(self) -> float:
        return self._utc

    def advance(self, seconds: float) -> float:
        """Advance both clocks; returns the new monotonic time."""
        if seconds < 0.0:
            raise ValueError("monotonic time does not run backwards")
        self._monotonic += seconds
        self._utc += seconds
        return self._monotonic

    def step_utc(self, seconds: float) -> None:
        """Step UTC, as when the board's clock is set; monotonic time is not affected."""
        self._utc += seconds
