# SPDX-License-Identifier: Apache-2.0
"""The contactor pair of one EVSE: it follows its coil after a moment, unless it is welded or broken."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["ContactorPair"]

FASTEST_S = 0.10
SLOWEST_S = 0.20
DROP_OUT_S = 0.03
"""How fast it opens when the safety chain cuts the coil's supply."""


@dataclass(slots=True)
class ContactorPair:
    """`closed` is the contact, and the mirror contact with it."""

    rng: Random
    closed: bool = False
    welded: bool = False
    failed: bool = False
    openings_under_load: int = 0
    _commanded: bool = False
    _moves_in_s: float | None = None

    @property
    def moving(self) -> bool:
        """Whether the last command has not taken effect yet."""
        return self._moves_in_s is not None

    def command(self, closed: bool) -> None:
        """Drive the coil."""
        if closed != self._commanded:
            self._commanded = closed
            self._moves_in_s = self.rng.uniform(FASTEST_S, SLOWEST_S)

    def drop(self) -> None:
        """The coil loses its supply; only a new command closes the contactor again."""
        if self._commanded:
            self._commanded = False
            self._moves_in_s = DROP_OUT_S

    def step(self, dt: float, current_a: float) -> None:
        """Advance by `dt` seconds while `current_a` flows through the contacts."""
        if self._moves_in_s is not None:
            self._moves_in_s -= dt
            if self._moves_in_s > 0.0:
                return
            self._moves_in_s = None
        self._settle(current_a)

    def _settle(self, current_a: float) -> None:
        closed = self.welded or (self._commanded and not self.failed)
        if self.closed and not closed and current_a > 5.0:
            self.openings_under_load += 1
        self.closed = closed
