# SPDX-License-Identifier: Apache-2.0
"""From what is measured at a plug's sensor to degrees Celsius; no I/O.

A platinum sensor of IEC 60751 with 1000 ohm at 0 °C is the default (PT1000, 3.851 ohm a kelvin between 0 and 100 °C). A
sensor that is open or shorted, or reads what no plug can have, is broken: None. It must never pass for a cold one.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, TypeAlias

from msgspec import Meta

from drivers.gpio.iio import ChannelOptions

__all__ = ["PT1000", "Sensor", "Table", "temperature_c"]

Table: TypeAlias = tuple[tuple[float, float], ...]
"""Points of temperature in °C and resistance in ohm, with a straight line between two."""

PT1000: Table = (
    (-50.0, 803.06),
    (0.0, 1000.0),
    (50.0, 1193.97),
    (100.0, 1385.06),
    (150.0, 1573.25),
    (200.0, 1758.56),
)
LOWEST_C = -40.0
HIGHEST_C = 150.0
_Positive = Annotated[float, Meta(gt=0.0)]


class Sensor(ChannelOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A temperature sensor of an EVSE's plug on an IIO channel.

    A channel `temp…` measures the temperature itself, `resistance…` the sensor, and `voltage…` the voltage at the
    sensor, which is in series with `series_ohm` at `supply_v`. A `table` replaces that of a PT1000.
    """

    evse: int
    table: Table = PT1000
    series_ohm: _Positive | None = None
    supply_v: _Positive | None = None

    def __post_init__(self) -> None:
        ohms = [ohm for _, ohm in self.table]
        if len(ohms) < 2 or ohms not in (sorted(set(ohms)), sorted(set(ohms), reverse=True)):
            raise ValueError("table: expected two points or more, with resistances that rise or fall")
        if (self.kind == "voltage") is not (self.series_ohm is not None and self.supply_v is not None):
            raise ValueError("a channel voltage… needs series_ohm and supply_v, another must not have them")


def temperature_c(sensor: Sensor, measured: float) -> float | None:
    """The temperature by what the channel measures: m°C, ohm or mV; None for a sensor that is broken."""
    if sensor.kind == "temp":
        celsius: float | None = measured / 1000.0
    elif sensor.kind == "resistance":
        celsius = _by_resistance(sensor.table, measured)
    else:
        celsius = _by_voltage(sensor, measured / 1000.0)
    return round(celsius, 1) if celsius is not None and LOWEST_C < celsius < HIGHEST_C else None


def _by_voltage(sensor: Sensor, volts: float) -> float | None:
    assert sensor.supply_v is not None
    assert sensor.series_ohm is not None
    if not 0.0 < volts < sensor.supply_v:
        return None
    return _by_resistance(sensor.table, sensor.series_ohm * volts / (sensor.supply_v - volts))


def _by_resistance(table: Table, ohm: float) -> float | None:
    points = sorted((point_ohm, celsius) for celsius, point_ohm in table)
    index = bisect_left(points, (ohm,))
    if index == 0 or index == len(points):
        return None
    (low_ohm, low_c), (high_ohm, high_c) = points[index - 1], points[index]
    return low_c + (high_c - low_c) * (ohm - low_ohm) / (high_ohm - low_ohm)
