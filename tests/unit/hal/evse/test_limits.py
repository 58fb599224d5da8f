# SPDX-License-Identifier: Apache-2.0
"""Voltages and currents that an EVSE may give."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hal.evse.limits import cable_check_voltage, capped, ceiling, derated, over_voltage_threshold, ramp
from hal.evse.model import Limits, Rating

RATING = Rating(1000.0, 150.0, 500.0, 400_000.0)


@pytest.mark.parametrize(
    ("temp_c", "amps"), [(20.0, 500.0), (60.0, 500.0), (75.0, 375.0), (90.0, 250.0), (90.1, 0.0), (None, 32.0)]
)
def test_cable_derates_with_its_plug(temp_c: float | None, amps: float) -> None:
    assert derated(500.0, temp_c) == pytest.approx(amps)


def test_a_small_cable_without_a_sensor_keeps_its_own_limit() -> None:
    assert derated(20.0, None) == 20.0


@pytest.mark.parametrize(
    ("vehicle_max_v", "volts"),
    [(400.0, 450.0), (480.0, 500.0), (500.0, 500.0), (800.0, 880.0), (950.0, 1000.0), (0, 150)],
)
def test_cable_check_voltage(vehicle_max_v: float, volts: float) -> None:
    assert cable_check_voltage(RATING, vehicle_max_v) == pytest.approx(volts)


@pytest.mark.parametrize(
    ("agreed_v", "trip_v"), [(450, 550), (500, 550), (501, 825), (850, 935), (1000, 1100), (1250, 1375)]
)
def test_over_voltage_table(agreed_v: float, trip_v: float) -> None:
    assert over_voltage_threshold(agreed_v) == trip_v


def test_limits_merge_to_the_lowest() -> None:
    station = ceiling(RATING, 75.0, Limits(400.0, 120_000.0))
    assert station == Limits(375.0, 120_000.0)
    assert capped(station, 50_000.0) == Limits(375.0, 50_000.0)
    assert capped(station, None) == station
    assert capped(station, 50_000.0).current_at(400.0) == pytest.approx(125.0)
    assert capped(station, 0.0).current_at(0.0) == 0.0


@given(st.floats(0, 500), st.floats(0, 500), st.floats(-1, 10))
def test_a_rise_is_limited_and_a_fall_is_not(present: float, target: float, elapsed: float) -> None:
    result = ramp(present, target, elapsed)
    assert result <= target
    if target <= present:
        assert result == target
    else:
        assert result <= present + 25.0 * max(0.0, elapsed) + 1e-9
