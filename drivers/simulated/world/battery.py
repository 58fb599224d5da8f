# SPDX-License-Identifier: Apache-2.0
"""A traction battery: state of charge, open-circuit voltage, internal resistance, and the current it accepts.

The stored energy is `ocv * current * time`; the rest of the power at the terminals is heat in the resistance.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

__all__ = ["Battery"]

# Open-circuit voltage of a cell as a share of its charging voltage (4.2 V), by state of charge in per cent.
_SOC_POINTS = (0.0, 5.0, 10.0, 20.0, 50.0, 80.0, 100.0)
_OCV_POINTS = (0.714, 0.809, 0.833, 0.857, 0.881, 0.940, 0.990)

# The share of the maximum power that a warm, new pack accepts, by state of charge.
_TAPER_SOC = (0.0, 10.0, 50.0, 80.0, 90.0, 100.0)
_TAPER_SHARE = (0.7, 1.0, 1.0, 0.45, 0.25, 0.05)

_OHM_WH_PER_VOLT_SQUARED = 0.03 * 75_000 / 400.0**2
"""A 400 V, 75 kWh pack has 30 mΩ; cells in series and in parallel scale it."""


@dataclass(slots=True)
class Battery:
    """One pack. `max_voltage_v` is its charging voltage, which no terminal voltage exceeds."""

    capacity_wh: float
    max_voltage_v: float
    soc_percent: float

    @property
    def resistance_ohm(self) -> float:
        return _OHM_WH_PER_VOLT_SQUARED * self.max_voltage_v**2 / self.capacity_wh

    @property
    def ocv_v(self) -> float:
        """Open-circuit voltage."""
        return self.max_voltage_v * _interpolate(_SOC_POINTS, _OCV_POINTS, self.soc_percent)

    def taper(self) -> float:
        """The share of the car's maximum power that the pack accepts at this state of charge."""
        return _interpolate(_TAPER_SOC, _TAPER_SHARE, self.soc_percent)

    def acceptable_a(self) -> float:
        """The current that would bring the terminals to the charging voltage."""
        return max(0.0, (self.max_voltage_v - self.ocv_v) / self.resistance_ohm)

    def current_for(self, power_w: float) -> float:
        """The current at which the pack takes `power_w` at its terminals."""
        ocv, resistance = self.ocv_v, self.resistance_ohm
        return 2.0 * power_w / (ocv + math.sqrt(ocv * ocv + 4.0 * resistance * power_w))

    def terminal_v(self, current_a: float) -> float:
        return self.ocv_v + current_a * self.resistance_ohm

    def charge(self, current_a: float, hours: float) -> None:
        """Store `current_a` for `hours`, up to 100 per cent."""
        stored_wh = self.ocv_v * current_a * hours
        self.soc_percent = min(100.0, self.soc_percent + 100.0 * stored_wh / self.capacity_wh)


def _interpolate(xs: tuple[float, ...], ys: tuple[float, ...], x: float) -> float:
    """Linear between the points, constant outside them."""
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_right(xs, x)
    left = right - 1
    share = (x - xs[left]) / (xs[right] - xs[left])
    return ys[left] + share * (ys[right] - ys[left])
