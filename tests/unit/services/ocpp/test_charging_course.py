# SPDX-License-Identifier: Apache-2.0
"""Power curve and time to 80 % of one session."""

from __future__ import annotations

import pytest

from firmware.contract import MAX_HISTORY, MeterContext, MeterReading
from services.ocpp.charging_course import FIRST_STEP_S, ChargingCourse


def reading(power_w: float, energy_wh: float = 0.0, soc_percent: float | None = None) -> MeterReading:
    return MeterReading(1, MeterContext.PERIODIC, energy_wh, 400.0, power_w / 400, power_w, 500.0, 2e5, soc_percent)


def test_the_curve_always_shows_the_whole_session() -> None:
    course = ChargingCourse("id", 0.0)
    for second in range(6 * 3600):
        course.take(reading(100_000.0 if second < 3 * 3600 else 50_000.0), float(second))
    assert len(course.history_kw) < MAX_HISTORY
    assert len(course.history_kw) * course.history_step_s == pytest.approx(6 * 3600, rel=0.05)
    assert (course.history_kw[0], course.history_kw[-1]) == (100.0, 50.0)


def test_the_curve_begins_with_the_energy_and_counts_each_reading_once() -> None:
    course = ChargingCourse("id", 0.0)
    for second in range(60):
        course.take(reading(0.0), float(second))
    assert not course.history_kw
    last = reading(10_000.0)
    course.take(last, 60.0)
    for second in range(60, 60 + FIRST_STEP_S):
        course.take(last, float(second))
    assert not course.history_kw
    course.take(reading(20_000.0), 60.0 + FIRST_STEP_S)
    assert course.history_kw == (15.0,)


@pytest.mark.parametrize(
    ("percent", "power_w", "minutes"),
    [
        (22.0, 100_000.0, None),  # a rise that says nothing
        (30.0, 100_000.0, 24),  # 50 % of 80 kWh at 100 kW
        (30.0, 50_000.0, 48),
        (30.0, 0.0, None),
        (79.9, 100_000.0, 1),
        (80.0, 100_000.0, None),
        (None, 100_000.0, None),
    ],
)
def test_minutes_to_80(percent: float | None, power_w: float, minutes: int | None) -> None:
    course = ChargingCourse("id", 0.0)
    course.take(reading(0.0, 1_000_000.0, 19.0), 0.0)
    course.take(reading(100_000.0, 1_000_000.0, 20.0), 1.0)
    course.take(reading(power_w, 1_000_000.0 + ((percent or 0.0) - 20.0) * 800.0, percent), 2.0)
    assert course.minutes_to_80() == minutes


def test_the_last_state_of_charge_is_kept() -> None:
    course = ChargingCourse("id", 0.0)
    course.take(reading(0.0, 0.0, 55.4), 0.0)
    course.take(reading(0.0), 1.0)
    assert course.soc_percent == 55


def test_a_clock_that_was_set_back_has_no_duration() -> None:
    course = ChargingCourse("id", 1000.0)
    course.lasts_until(900.0)
    assert course.duration_s is None
    course.lasts_until(1060.5)
    assert course.duration_s == 60
