# SPDX-License-Identifier: Apache-2.0
"""Sampled values as OCPP sends them -> numbers in Wh, W, V, A, percent and degrees Celsius. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import Struct

__all__ = ["Point", "Reading", "points_of", "readings"]

ENERGY = "Energy.Active.Import.Register"
_FIELDS = {
    "Power.Active.Import": "power_w",
    "SoC": "soc_percent",
    "Voltage": "voltage_v",
    "Current.Import": "current_a",
    "Power.Offered": "offered_w",
    "Temperature": "temperature_c",
    ENERGY: "energy_wh",
}
_THOUSANDS = {"kWh", "kW", "kV", "kA"}
_TO_CELSIUS: dict[str, tuple[float, float]] = {"K": (273.15, 1.0), "Fahrenheit": (32.0, 1.8)}
"""By unit: what is subtracted, and what it is then divided by."""


class Reading(Struct, frozen=True):
    """One number. `field` is a field of `Point`; `timestamp` is the station's text."""

    timestamp: str
    field: str
    value: float
    context: str


class Point(Struct, frozen=True):
    """The values measured at one instant, as far as the station reported them."""

    t: str
    power_w: float | None = None
    soc_percent: float | None = None
    energy_wh: float | None = None
    voltage_v: float | None = None
    current_a: float | None = None
    offered_w: float | None = None
    temperature_c: float | None = None


def readings(meter_values: Iterable[Mapping[str, Any]]) -> Iterator[Reading]:
    """The readings of a `meterValue` list that passed its schema, in the order of the message.

    Values of single phases, and of locations other than Outlet and EV, are left out: they are not the session's. A
    temperature counts wherever it was measured.
    """
    for meter_value in meter_values:
        for sample in meter_value["sampledValue"]:
            field = _FIELDS.get(sample.get("measurand", ENERGY))
            if field is None or "phase" in sample:
                continue
            value = _scaled(sample)
            elsewhere = sample.get("location", "Outlet") not in ("Outlet", "EV") and field != "temperature_c"
            if value is None or elsewhere:
                continue
            yield Reading(meter_value["timestamp"], field, value, sample.get("context", "Sample.Periodic"))


def _scaled(sample: Mapping[str, Any]) -> float | None:
    unit = sample.get("unitOfMeasure", {})
    exponent = unit.get("multiplier", 0)
    if not -12 <= exponent <= 12:
        return None
    try:
        value = float(sample["value"]) * 10.0**exponent
    except OverflowError:
        return None
    if unit.get("unit") in _THOUSANDS:
        value *= 1000.0
    zero, per_degree = _TO_CELSIUS.get(unit.get("unit", ""), (0.0, 1.0))
    value = (value - zero) / per_degree
    return round(value, 6) if math.isfinite(value) else None


def points_of(meter_values: Iterable[Mapping[str, Any]]) -> list[Point]:
    """One point for each instant of a `meterValue` list.

    Without a power reading, power is voltage times current. Of several temperatures the highest counts.
    """
    found: dict[str, dict[str, float]] = {}
    for reading in readings(meter_values):
        at = found.setdefault(reading.timestamp, {})
        warmer = reading.field == "temperature_c" and at.get(reading.field, reading.value) > reading.value
        if not warmer:
            at[reading.field] = reading.value
    for at in found.values():
        if "power_w" not in at and "voltage_v" in at and "current_a" in at:
            at["power_w"] = round(at["voltage_v"] * at["current_a"], 1)
    return [Point(instant, **at) for instant, at in found.items()]
