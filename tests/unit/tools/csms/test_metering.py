# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.csms.metering import Point, Reading, points_of, readings

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


def _points(*samples: dict[str, Any]) -> list[Point]:
    return points_of([{"timestamp": T, "sampledValue": list(samples)}])


def test_power_follows_from_voltage_and_current_unless_it_is_reported() -> None:
    volts, amperes = {"value": 400, "measurand": "Voltage"}, {"value": 100, "measurand": "Current.Import"}
    assert _points(volts, amperes) == [Point(T, 40_000.0, voltage_v=400.0, current_a=100.0)]
    power = {"value": 39_500, "measurand": "Power.Active.Import"}
    assert _points(volts, power, amperes) == [Point(T, 39_500.0, voltage_v=400.0, current_a=100.0)]
    assert _points(volts) == [Point(T, voltage_v=400.0)]


@pytest.mark.parametrize(
    ("unit", "value", "celsius"), [("Celsius", 31.5, 31.5), ("K", 300.15, 27.0), ("Fahrenheit", 86.0, 30.0)]
)
def test_the_highest_temperature_counts_wherever_it_is(unit: str, value: float, celsius: float) -> None:
    def at(location: str, degrees: float) -> dict[str, Any]:
        where = {"measurand": "Temperature", "location": location, "unitOfMeasure": {"unit": unit}}
        return {**where, "value": degrees}

    assert _points(at("Cable", value), at("Body", value - 5)) == [Point(T, temperature_c=celsius)]


def test_the_offered_power() -> None:
    offered = {"value": 150, "measurand": "Power.Offered", "unitOfMeasure": {"unit": "kW"}}
    assert _points(offered) == [Point(T, offered_w=150_000.0)]
