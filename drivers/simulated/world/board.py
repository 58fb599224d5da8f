# SPDX-License-Identifier: Apache-2.0
"""The simulated single-board computer: power, boots, real-time clock, and the watchdog in the contactors' supply."""

from __future__ import annotations

from dataclasses import dataclass

from firmware.contract import BoardClock, BootCause

__all__ = ["BoardState"]

RTC_EPOCH_S = 946_684_800.0
"""2000-01-01: where the clock chip starts after its battery was empty."""
WATCHDOG_S = 1.0
STALL_S = 0.15
"""One step counts at most this much for the watchdog: a stalled simulation is not a stalled HAL."""


@dataclass(slots=True)
class BoardState:
    """The board's own state; `serial_number`, `boots` and the clock's error outlive the rig."""

    serial_number: str
    powered: bool = False
    boots: int = 0
    boot_id: str = ""
    boot_cause: BootCause = BootCause.UNKNOWN
    clock_offset_s: float = 0.0
    clock_lost: bool = False
    synchronised: bool = False
    has_watchdog: bool = True
    """False: a real board feeds a relay of its own, of which the world knows nothing."""
    _unfed_s: float = 0.0

    def boot(self, boot_id: str, cause: BootCause) -> None:
        self.powered = True
        self.boots += 1
        self.boot_id = boot_id
        self.boot_cause = cause
        self._unfed_s = 0.0

    def set_clock(self, offset_s: float) -> None:
        """Set the clock, wrong by `offset_s`."""
        self.clock_offset_s = offset_s
        self.clock_lost = False

    def lose_clock(self, utc_s: float) -> None:
        """The clock chip starts again in the year 2000."""
        self.clock_offset_s = RTC_EPOCH_S - utc_s
        self.clock_lost = True

    def clock(self, mono_s: float, utc_s: float) -> BoardClock:
        """The board's clock when the true time is `utc_s`."""
        return BoardClock(
            mono_s=mono_s,
            utc_s=utc_s + self.clock_offset_s,
            is_set=not self.clock_lost,
            synchronised=self.synchronised,
        )

    def feed_watchdog(self) -> None:
        self._unfed_s = 0.0

    def step(self, dt: float) -> None:
        """Call once for each step of the simulation."""
        self._unfed_s += min(dt, STALL_S)

    @property
    def watchdog_expired(self) -> bool:
        return self.has_watchdog and self._unfed_s > WATCHDOG_S
