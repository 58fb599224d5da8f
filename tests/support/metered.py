# SPDX-License-Identifier: Apache-2.0
"""A meter and the modules beside it, as `Register` sees them: true energy flows, the meter says what the test sets."""

from __future__ import annotations

import math

from hal.evse.register import Register
from hal.ports import MeterSample, PowerReading

__all__ = ["MAX_POWER_W", "PERIOD_S", "VOLTS", "Metered"]

MAX_POWER_W = 400_000.0
PERIOD_S = 0.1
VOLTS = 400.0


class Metered:
    """One EVSE at 400 V; a meter is read every `every_s` and shows multiples of `resolution_wh`."""

    def __init__(self, *, resolution_wh: float = 0.1, every_s: float = PERIOD_S, start_wh: float = 1000.0) -> None:
        self.now = 100.0
        self.register = Register(resolution_wh)
        self.true_wh = start_wh
        """What the meter would show if it were true, unrounded."""
        self.flowed_wh = 0.0
        """What has flowed to the car since the beginning."""
        self.amps = 0.0
        self.shown_wh: float | None = None
        """What the meter shows instead."""
        self.lost = False
        self.module_error = 0.0
        """Error of the modules' current, as a share."""
        self.module_lag_a = 0.0
        """What the modules still report of a current that has ended."""
        self.closed = False
        self.bills: list[float] = []
        self.begin_wh = 0.0
        self._every = round(every_s / PERIOD_S)
        self._rounds = 0

    @property
    def energy_wh(self) -> float:
        assert self.register.energy_wh is not None
        return self.register.energy_wh

    def run(self, seconds: float) -> None:
        for _ in range(max(1, round(seconds / PERIOD_S))):
            self.now += PERIOD_S
            wh = VOLTS * self.amps * PERIOD_S / 3600.0
            self.true_wh += wh
            self.flowed_wh += wh
            self._round()

    def _round(self) -> None:
        power = PowerReading(self.now, VOLTS, max(self.amps * (1.0 + self.module_error), self.module_lag_a), 4)
        self.register = self.register.at(self.now, power, closed=self.closed, max_power_w=MAX_POWER_W)
        if not self.lost and self._rounds % self._every == 0:
            self.register = self.register.read(self.sample(), self.now)
        self._rounds += 1
        if not self.closed:
            self.register = self.register.rest(self.now)

    def sample(self) -> MeterSample:
        step = self.register.resolution_wh
        counted = math.floor(self.true_wh / step + 1e-6) * step
        shown = counted if self.shown_wh is None else self.shown_wh
        return MeterSample(self.now, shown, VOLTS, self.amps, VOLTS * self.amps)

    # --- deliveries --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The contactor closes and the start reading is taken."""
        self.closed = True
        self.register = self.register.begin()
        self.begin_wh = self.energy_wh

    def end(self) -> None:
        """The current stops, the contactor opens, and the stop reading is taken."""
        self.amps = 0.0
        self.run(PERIOD_S)
        self.bills.append(self.energy_wh - self.begin_wh)
        self.register = self.register.end()
        self.closed = False

    def deliver(self, seconds: float, amps: float) -> float:
        """One delivery; what it bills."""
        self.begin()
        self.amps = amps
        self.run(seconds)
        self.end()
        return self.bills[-1]
