# SPDX-License-Identifier: Apache-2.0
"""The HAL's settings file: what is accepted, and the precise refusal of the rest."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from firmware.config import load
from firmware.errors import ConfigError
from hal.__main__ import main
from hal.config import DeviceSpec, HalConfig
from hal.evse.model import Rating
from hal.registry import check_devices, make_buses

DEVICE = '{ driver = "simulated", bus = "world" }'
EVSE = f"""
[[evse]]
evse = %d
connector = 1
max_voltage_v = 1000
min_voltage_v = 150.0
max_current_a = 500.0
max_power_w = 400000.0
meter = {DEVICE}
insulation = {DEVICE}
contactor = {DEVICE}
vehicle = {DEVICE}
"""
STATION = f"""
socket = "run/hal.sock"
log_level = "DEBUG"
allowed_uids = [1001]
observer_uids = [1002]
shelf = {DEVICE}
board = {DEVICE}
inputs = {DEVICE}
links = {DEVICE}
card_reader = {DEVICE}

[bus.world]
driver = "simulated"
path = "run/world.sock"
connect_s = 2.5
"""
SCREEN = '[[screen]]\nscreen = 1\nevse = 2\ndriver = "simulated"\nbus = "world"\n'
WHOLE = STATION + EVSE % 1 + EVSE % 2 + SCREEN


def read(tmp_path: Path, text: str) -> HalConfig:
    path = tmp_path / "hal.toml"
    path.write_text(text)
    return load(path, HalConfig)


def test_a_whole_file(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert config.socket == "run/hal.sock"
    assert config.allowed_uids == [1001]
    assert config.observer_uids == [1002]
    assert config.bus["world"]["path"] == "run/world.sock"
    assert [each.evse for each in config.evse] == [1, 2]
    assert config.evse[0].rating == Rating(1000.0, 150.0, 500.0, 400_000.0)
    screen = config.screens()[0]
    assert (screen.screen, screen.evse) == (1, 2)
    options = {"bus": "world", "screen": 1}
    assert screen.device == DeviceSpec("screen", "screen 1", "simulated", options)
    assert [spec.place for spec in config.devices()][-3:] == ["evse 2, contactor", "evse 2, vehicle", "screen 1"]


def test_missing_settings_have_a_default(tmp_path: Path) -> None:
    lines = [line for line in WHOLE.splitlines() if not line.startswith(("socket", "log_level", "allowed", "card_"))]
    config = read(tmp_path, "\n".join(lines).replace(SCREEN.strip(), ""))
    assert config.socket == "/run/baywatt/hal.sock"
    assert config.card_reader is None
    assert config.screen == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('socket = "run', 'sokcet = "run', "sokcet"),
        ("max_current_a = 500.0", "max_current_a = 0.0", "max_current_a"),
        ("max_power_w = 400000.0", "", "max_power_w"),
        ("min_voltage_v = 150.0", "min_voltage_v = 1000.0", "min_voltage_v"),
        ("evse = 2\nconnector", "evse = 1\nconnector", "evse"),
        ("evse = 2\ndriver", "evse = 3\ndriver", "no EVSE 3"),
        ("screen = 1\n", "", "screen"),
        ('shelf = { driver = "simulated", ', "shelf = { ", "shelf"),
        ('meter = { driver = "simulated", ', 'meter = { driver = "simulated", evse = 2, ', "meter: unknown key evse"),
        ('[bus.world]\ndriver = "simulated"', "[bus.world]", "bus.world"),
        ('log_level = "DEBUG"', 'log_level = "LOUD"', "log_level"),
        ("allowed_uids = [1001]", "allowed_uids = [-1]", "allowed_uids"),
    ],
)
def test_invalid_settings_are_refused_by_name(tmp_path: Path, old: str, new: str, named: str) -> None:
    assert old in WHOLE
    with pytest.raises(ConfigError, match=named):
        read(tmp_path, WHOLE.replace(old, new, 1) if "evse = 2\nc" not in old else WHOLE.replace(old, new))


def test_a_station_without_an_evse_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, STATION + "evse = []\n")


def test_dump_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hal.toml"
    path.write_text(WHOLE)
    assert main(["--config", str(path), "--dump-config"]) == 0
    assert '"socket": "run/hal.sock"' in capsys.readouterr().out


def test_a_mistake_in_a_device_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hal.toml"
    path.write_text(WHOLE + "brightness = 80\n")
    assert main(["--config", str(path)]) == 2
    expected = "unknown key brightness, expected one of bus, screen, server"
    assert capsys.readouterr().err == f"{path}: screen 1: {expected}\n"


def test_settings_that_can_t_be_read_are_one_line_and_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--config", str(tmp_path / "none.toml")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_simulated_devices_are_named(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert len(config.simulated) == len(config.devices())
    text = WHOLE.replace(f"board = {DEVICE}", 'board = { driver = "real" }').replace(
        f"meter = {DEVICE}", "meter = {driver = 'm'}"
    )
    assert "board" not in read(tmp_path, text).simulated
    assert "evse 1, contactor" in read(tmp_path, text).simulated


@pytest.mark.parametrize(
    ("settings", "limit_w"),
    [
        ("", math.inf),
        ("max_power_w = 400000", 400_000.0),
        ("site_limit_w = 1.5e5", 150_000.0),
        ("max_power_w = 400000\nsite_limit_w = 150000", 150_000.0),
        ("max_power_w = 400000\nsite_limit_w = 500000", 400_000.0),
    ],
)
def test_the_lower_of_rating_and_site_limit_counts(tmp_path: Path, settings: str, limit_w: float) -> None:
    assert read(tmp_path, f"{settings}\n{WHOLE}").limit_w == limit_w


def test_a_site_limit_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="site_limit_w"):
        read(tmp_path, f"site_limit_w = 0\n{WHOLE}")


def test_shipped_settings_are_a_demonstration() -> None:
    shipped = Path(__file__).parents[3] / "packaging" / "etc" / "hal.toml"
    config = load(shipped, HalConfig)
    check_devices(config, make_buses(config, shipped), shipped)
    assert len(config.simulated) == len(config.devices())
    assert config.limit_w == 400_000.0
