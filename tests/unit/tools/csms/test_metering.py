# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.csms.metering import Point, Reading, merge, readings

T = "2026-11-23T12:00:00Z"


def _one(**sample: Any) -> list[Reading]:
    return list(readings([{"timestamp": T, "sampledValue": [sample]}]))


def test_a_bare_value_is_the_import_register_in_wh() -> None:
    assert _one(value=12.5) == [Reading(T, "energy_wh", 12.5, "Sample.Periodic")]


@pytest.mark.parametrize(
    ("unit", "watts"),
    [({"unit": "W"}, 50.0), ({"unit": "kW"}, 50_000.0), ({"unit": "W", "multiplier": 3}, 50_000.0)],
)
def test_units_and_multipliers(unit: dict[str, Any], watts: float) -> None:
    (reading,) = _one(value=50, measurand="Power.Active.Import", unitOfMeasure=unit)
    assert reading.value == watts


@pytest.mark.parametrize(
    "sample",
    [
        {"value": 1.0, "location": "Inlet"},
        {"value": 1.0, "phase": "L1", "measurand": "Voltage"},
        {"value": 1.0, "measurand": "Frequency"},
        {"value": 1.0, "unitOfMeasure": {"multiplier": 400}},
        {"value": float("inf")},
        {"value": 10**400},
    ],
)
def test_values_that_are_not_the_sessions_are_left_out(sample: dict[str, Any]) -> None:
    assert _one(**sample) == []


def test_power_follows_from_voltage_and_current_until_it_is_reported() -> None:
    points: dict[str, Point] = {}
    merge(points, Reading(T, "voltage_v", 400.0, ""))
    assert merge(points, Reading(T, "current_a", 100.0, "")).power_w == 40_000.0
    assert merge(points, Reading(T, "power_w", 39_500.0, "")).power_w == 39_500.0
    assert merge(points, Reading(T, "soc_percent", 40.0, "")) == Point(T, 39_500.0, 40.0, None, 400.0, 100.0)
