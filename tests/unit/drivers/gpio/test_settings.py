# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the settings of lines and what is on them: one sentence with file, place and what is expected."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.config import convert, read_toml
from firmware.errors import ConfigError
from hal.config import HalConfig
from hal.registry import check_devices, make_buses, make_device
from tests.support.world_bench import new_world
from tools.rig.devices.gpio import CabinetLines
from tools.rig.station_dir import StationDir


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    """A station whose inputs and contactors are on lines, and whose board has a watchdog relay."""
    StationDir.open(tmp_path / "station", None, "WARNING").release()
    found = read_toml(tmp_path / "station/etc/hal.toml")
    cabinet = CabinetLines(new_world())
    found["bus"].update(cabinet.buses())
    found["bus"]["lines0"]["port"] = 8888
    found["inputs"] = cabinet.inputs()
    found["board"] = {"driver": "linux", "serial_number": "BW1", **cabinet.watchdog()}
    for each in found["evse"]:
        each["contactor"] = cabinet.contactor(each["evse"])
    return found


def _problem(settings: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        _make(settings)
    return str(caught.value)


def _make(settings: dict[str, Any]) -> None:
    config = convert(settings, HalConfig, "hal.toml")
    buses = make_buses(config, "hal.toml")
    check_devices(config, buses, "hal.toml")
    for spec in config.devices():
        if spec.driver != "simulated":
            make_device(spec, buses, "hal.toml")


async def test_settings_without_a_mistake(settings: dict[str, Any]) -> None:
    _make(settings)


STOP = "hal.toml: inputs: emergency_stop"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"emergency_stop": 1.5}, f"{STOP}: expected a whole number or a text or a table, got a number with decimals"),
        (
            {"emergency_stop": {"line": 17, "active_hi": True}},
            f"{STOP}: unknown key active_hi, expected one of line, active_low, bias, debounce_s",
        ),
        ({"emergency_stop": {"active_low": True}}, f"{STOP}.line is missing, expected a whole number or a text"),
        (
            {"emergency_stop": {"line": 4, "debounce_s": 2}},
            f"{STOP}.debounce_s: expected a number from 0 to 0.1, got 2",
        ),
        ({"lines": "world"}, "hal.toml: inputs: lines: bus world is of another kind: gpio needs a Lines"),
        (
            {"emergency_stop": "ESTOP"},
            "hal.toml: inputs: line 'ESTOP': expected a GPIO number from 0 to 31, as 17 or \"GPIO17\"",
        ),
        ({"emergency_stop": 8}, "hal.toml: evse 1, contactor: pigpiod at 127.0.0.1:8888: line 8 is used twice"),
        (
            {"temperature": [{"evse": 1, "device": "adc", "channel": "humidity"}]},
            'hal.toml: inputs: temperature 1, channel: expected "temp0", "resistance0" or "voltage0", '
            "got a text of 8 characters",
        ),
    ],
)
async def test_mistakes_of_inputs(settings: dict[str, Any], changes: dict[str, Any], problem: str) -> None:
    settings["inputs"].update(changes)
    assert _problem(settings) == problem


async def test_name_and_number_of_one_line_are_one_line(settings: dict[str, Any]) -> None:
    settings["inputs"]["door"] = "GPIO4"
    assert _problem(settings) == "hal.toml: inputs: pigpiod at 127.0.0.1:8888: line GPIO4 is used twice"
