# SPDX-License-Identifier: Apache-2.0
"""Voltages and currents: what an EVSE may give, what is asked of the modules, and how fast it may rise.

The limits are merged, never chosen between: rating, plug temperature, share of the modules, the service's cap, the
vehicle's request. A rise is limited, a fall is not.
"""

from __future__ import annotations

from hal.evse.model import Limits, Rating

__all__ = [
    "PRECHARGE_A",
    "SENSORLESS_A",
    "TEST_A",
    "cable_check_voltage",
    "capped",
    "ceiling",
    "derated",
    "over_voltage_threshold",
    "ramp",
]

RISE_A_PER_S = 25.0
TEST_A = 2.0
"""Limit during the cable check: it doubles as the short-circuit test."""
PRECHARGE_A = 2.0
SENSORLESS_A = 32.0
"""Without a plug temperature: a current that no DC cable minds. A broken sensor must not mean `cold`."""
WARM_C = 60.0
HOT_C = 90.0
_THRESHOLDS = ((500.0, 550.0), (750.0, 825.0), (850.0, 935.0), (1000.0, 1100.0))


def derated(max_current_a: float, plug_temp_c: float | None) -> float:
    """The cable's current at this plug temperature: whole to 60 °C, half at 90 °C, nothing above."""
    if plug_temp_c is None:
        return min(max_current_a, SENSORLESS_A)
    if plug_temp_c <= WARM_C:
        return max_current_a
    if plug_temp_c > HOT_C:
        return 0.0
    return max_current_a * (1.0 - 0.5 * (plug_temp_c - WARM_C) / (HOT_C - WARM_C))


def ceiling(rating: Rating, plug_temp_c: float | None, share: Limits) -> Limits:
    """What the EVSE could give now: rating, derating and module share together."""
    return Limits(
        current_a=min(derated(rating.max_current_a, plug_temp_c), share.current_a),
        power_w=min(rating.max_power_w, share.power_w),
    )


def capped(most: Limits, limit_w: float | None) -> Limits:
    """The EVSE's ceiling under the service's cap."""
    return most if limit_w is None else Limits(most.current_a, min(most.power_w, limit_w))


def ramp(present_a: float, wanted_a: float, elapsed_s: float) -> float:
    """The next current to ask for: a rise of at most 25 A/s, a fall at once."""
    return min(wanted_a, present_a + RISE_A_PER_S * max(0.0, elapsed_s))


def cable_check_voltage(rating: Rating, vehicle_max_v: float) -> float:
    """Test voltage of the cable check (IEC 61851-23:2023, CC.4.1): above what the vehicle will ever ask for."""
    wanted = min(500.0, vehicle_max_v + 50.0) if vehicle_max_v <= 500.0 else 1.1 * vehicle_max_v
    return max(rating.min_voltage_v, min(rating.max_voltage_v, wanted))


def over_voltage_threshold(negotiated_v: float) -> float:
    """The voltage at which hardware shuts down, by the maximum voltage agreed with the vehicle."""
    return next((trip for upto, trip in _THRESHOLDS if negotiated_v <= upto), 1375.0)
