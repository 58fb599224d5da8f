# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from drivers.gpio.thermometers import Sensor, temperature_c
from tools.rig.devices.board import pt1000_ohm


def _sensor(channel: str, **options: object) -> Sensor:
    return msgspec.convert({"evse": 1, "device": "adc", "channel": channel, **options}, Sensor)


@pytest.mark.parametrize("celsius", [-39.0, -12.5, 0.0, 25.0, 60.0, 90.0, 120.0, 149.0])
def test_pt1000_is_right_within_half_a_kelvin(celsius: float) -> None:
    found = temperature_c(_sensor("resistance0"), pt1000_ohm(celsius))
    assert found == pytest.approx(celsius, abs=0.5)


def test_pt1000_has_3_851_ohm_a_kelvin() -> None:
    assert temperature_c(_sensor("resistance0"), 1000.0 + 100.0 * 3.851) == 100.0


@pytest.mark.parametrize(
    ("channel", "measured"),
    [
        ("resistance0", 0.0),  # shorted
        ("resistance0", 4000.0),  # open
        ("temp", -40_000.0),  # raw 0 of some converters
        ("temp", -242_020.0),  # shorted, by MAX31865
        ("temp", 988_790.0),  # open, by MAX31865
    ],
)
def test_broken_sensor_has_no_temperature(channel: str, measured: float) -> None:
    assert temperature_c(_sensor(channel), measured) is None


def test_temperature_channel() -> None:
    assert temperature_c(_sensor("temp2"), 61_250.0) == 61.2


def test_divider() -> None:
    sensor = _sensor("voltage1", series_ohm=1000.0, supply_v=3.3)
    assert temperature_c(sensor, 1650.0) == 0.0
    assert temperature_c(sensor, 1916.3) == pytest.approx(100.0, abs=0.1)
    assert temperature_c(sensor, 3300.0) is None
    assert temperature_c(sensor, 3400.0) is None
    assert temperature_c(sensor, 0.0) is None


def test_table_of_its_own_may_fall() -> None:
    sensor = _sensor("resistance0", table=[[0.0, 32_650.0], [25.0, 10_000.0], [100.0, 680.0]])
    assert temperature_c(sensor, 10_000.0) == 25.0
    assert temperature_c(sensor, 21_325.0) == 12.5
    assert temperature_c(sensor, 50_000.0) is None
    assert temperature_c(sensor, 10.0) is None


@pytest.mark.parametrize(
    "options",
    [
        {"channel": "resistance0", "table": [[0.0, 1000.0]]},
        {"channel": "resistance0", "table": [[0.0, 1000.0], [50.0, 1200.0], [100.0, 1100.0]]},
        {"channel": "voltage0"},
        {"channel": "voltage0", "series_ohm": 1000.0},
        {"channel": "temp", "series_ohm": 1000.0, "supply_v": 3.3},
        {"channel": "humidity0"},
    ],
)
def test_impossible_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"evse": 1, "device": "adc", **options}, Sensor)
