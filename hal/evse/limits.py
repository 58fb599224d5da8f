# SPDX-License-Identifier: Apache-2.0
"""Voltages and currents: what an EVSE may give, what is requested of the modules, and how fast it may rise.

All limits apply at once: rating, plug temperature, share of the modules, the service's cap, the vehicle's request.
A rise is limited, a fall is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from hal.evse.model import Limits, Rating

__all__ = [
    "PRECHARGE_A",
    "SENSORLESS_A",
    "TEST_A",
    "cable_check_voltage",
    "capped",
    "ceiling",
    "derated",
    "hottest",
    "over_voltage_threshold",
    "ramp",
]

RISE_A_PER_S = 25.0
TEST_A = 2.0
"""Current limit during the cable check; it doubles as the short-circuit test."""
PRECHARGE_A = 2.0
SENSORLESS_A = 32.0
"""Limit without a plug temperature: safe for any DC cable. A broken sensor must not count as `cold`."""
WARM_C = 60.0
HOT_C = 90.0
_PLAUSIBLE_C = (-35.0, 200.0)
"""Beyond these a sensor is broken: an open one reads as the end of its scale, often -40 °C."""
_THRESHOLDS = ((500.0, 550.0), (750.0, 825.0), (850.0, 935.0), (1000.0, 1100.0))


def derated(max_current_a: float, plug_temp_c: float | None) -> float:
    """The cable's current in A at this plug temperature: full up to 60 °C, half at 90 °C, zero above."""
    if plug_temp_c is None:
        return min(max_current_a, SENSORLESS_A)
    if plug_temp_c <= WARM_C:
        return max_current_a
    if plug_temp_c > HOT_C:
        return 0.0
    return max_current_a * (1.0 - 0.5 * (plug_temp_c - WARM_C) / (HOT_C - WARM_C))


def hottest(temps_c: Iterable[float | None]) -> float | None:
    """Of the sensors in a plug the highest temperature; None as soon as one is broken: the plug may be hot there."""
    lowest, highest = _PLAUSIBLE_C
    known = [each if each is not None and lowest < each < highest else None for each in temps_c]
    return None if None in known else max((each for each in known if each is not None), default=None)


def ceiling(rating: Rating, plug_temp_c: float | None, share: Limits) -> Limits:
    """What the EVSE can give now: rating, derating and module share together."""
    return Limits(
        current_a=min(derated(rating.max_current_a, plug_temp_c), share.current_a),
        power_w=min(rating.max_power_w, share.power_w),
    )


def capped(limits: Limits, limit_w: float | None) -> Limits:
    """The limits under the service's cap in W, if there is one."""
    return limits if limit_w is None else Limits(limits.current_a, min(limits.power_w, limit_w))


def ramp(present_a: float, target_a: float, elapsed_s: float) -> float:
    """The next current in A towards the target: a rise of at most 25 A/s, a fall at once."""
    return min(target_a, present_a + RISE_A_PER_S * max(0.0, elapsed_s))


def cable_check_voltage(rating: Rating, vehicle_max_v: float) -> float:
    """Test voltage of the cable check (IEC 61851-23:2023, CC.4.1): above anything the vehicle will request."""
    voltage = min(500.0, vehicle_max_v + 50.0) if vehicle_max_v <= 500.0 else 1.1 * vehicle_max_v
    return max(rating.min_voltage_v, min(rating.max_voltage_v, voltage))


def over_voltage_threshold(negotiated_v: float) -> float:
    """The voltage in V at which the hardware shuts down, by the maximum voltage agreed with the vehicle."""
    return next((trip for upto, trip in _THRESHOLDS if negotiated_v <= upto), 1375.0)
