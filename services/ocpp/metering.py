# SPDX-License-Identifier: Apache-2.0
"""Meter readings as the specification's MeterValueType (J).

One table defines how each supported measurand is taken from a reading. A measurand that the reading lacks (SoC before
the vehicle has sent it) is left out. Registers are reported as the meter has them (J02.FR.17), as far as the HAL
believes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, cast

from firmware.contract import MeterReading

if TYPE_CHECKING:
    from services.ocpp.messages import (
        MeasurandEnumType,
        MeterValueType,
        ReadingContextEnumType,
        SampledValueType,
    )

__all__ = ["CURRENT_S", "MEASURANDS", "meter_value", "until_aligned", "value_time"]

_TAKE: dict[str, tuple[Callable[[MeterReading], float | None], str, int]] = {
    "Energy.Active.Import.Register": (lambda reading: reading.energy_wh, "Wh", 1),
    "Current.Import": (lambda reading: reading.current_a, "A", 2),
    "Power.Active.Import": (lambda reading: reading.power_w, "W", 0),
    "Power.Offered": (lambda reading: reading.offered_w, "W", 0),
    "SoC": (lambda reading: reading.soc_percent, "Percent", 0),
    "Voltage": (lambda reading: reading.voltage_v, "V", 1),
    "Current.Offered": (lambda reading: reading.offered_a, "A", 1),
}
"""By measurand: how to take it from a reading, its unit, and the decimals that the hardware justifies."""

MEASURANDS = frozenset(_TAKE)

_DAY_S = 86400
CURRENT_S = 2.0
"""The HAL reads each meter once a second: so long, the newest reading is what the meter shows."""


def value_time(read_at: float, now: float) -> float:
    """When a value is true: now, or, if the reading is not of now, when it was taken (MeterValueType.timestamp)."""
    return now if abs(now - read_at) <= CURRENT_S else read_at


def until_aligned(utc: float, interval_s: int) -> float:
    """Seconds to the next multiple of the interval since midnight UTC (part 2, J 2.2)."""
    since_midnight = (utc + 0.001) % _DAY_S  # a timer that fires a little early must not fire twice
    return min(interval_s - since_midnight % interval_s, _DAY_S - since_midnight) + 0.001


def meter_value(
    reading: MeterReading,
    measurands: Iterable[str],
    *,
    context: ReadingContextEnumType,
    timestamp: str,
) -> MeterValueType | None:
    """A MeterValue with a SampledValue for each measurand that the reading has; None if it has none of them.

    All are of one time, the timestamp's (J01.FR.05, J01.FR.06, J01.FR.17).
    """
    sampled = [
        value
        for measurand in measurands
        if (value := _sampled_value(reading, cast("MeasurandEnumType", measurand), context)) is not None
    ]
    return {"timestamp": timestamp, "sampledValue": sampled} if sampled else None


def _sampled_value(
    reading: MeterReading, measurand: MeasurandEnumType, context: ReadingContextEnumType
) -> SampledValueType | None:
    take, unit, decimals = _TAKE.get(measurand, (None, "", 0))
    value = take(reading) if take is not None else None
    if value is None:
        return None
    return {
        "value": round(value, decimals),
        "context": context,  # J01.FR.08
        "measurand": measurand,  # J01.FR.07
        "location": "Outlet",  # J01.FR.09
        "unitOfMeasure": {"unit": unit},
    }
