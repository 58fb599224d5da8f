# SPDX-License-Identifier: Apache-2.0
"""Sampled values as OCPP sends them -> numbers in Wh, W, V, A and percent. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

__all__ = ["Point", "Reading", "merge", "readings"]

ENERGY = "Energy.Active.Import.Register"
_FIELDS = {
    "Power.Active.Import": "power_w",
    "SoC": "soc_percent",
    "Voltage": "voltage_v",
    "Current.Import": "current_a",
    ENERGY: "energy_wh",
}
_THOUSANDS = {"kWh", "kW", "kV", "kA"}


@dataclass(frozen=True)
class Reading:
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


def readings(meter_values: Iterable[Mapping[str, Any]]) -> Iterator[Reading]:
    """The readings of a `meterValue` list that passed its schema, in the order of the message.

    Values of single phases, and of locations other than Outlet and EV, are left out: they are not the session's.
    """
    for meter_value in meter_values:
        for sample in meter_value["sampledValue"]:
            field = _FIELDS.get(sample.get("measurand", ENERGY))
            value = _scaled(sample)
            elsewhere = sample.get("location", "Outlet") not in ("Outlet", "EV")
            if field is None or value is None or elsewhere or "phase" in sample:
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
    return round(value, 6) if math.isfinite(value) else None


def merge(points: dict[str, Point], reading: Reading) -> Point:
    """Adds a reading to the point of its instant; without a power reading, power is voltage times current."""
    old = points.get(reading.timestamp, Point(reading.timestamp))
    known = {name: getattr(old, name) for name in _FIELDS.values()} | {reading.field: reading.value}
    has_power = reading.field == "power_w" or old.power_w is not None
    if not has_power and known["voltage_v"] is not None and known["current_a"] is not None:
        known["power_w"] = round(known["voltage_v"] * known["current_a"], 1)
    points[reading.timestamp] = Point(reading.timestamp, **known)
    return points[reading.timestamp]
