# SPDX-License-Identifier: Apache-2.0
"""The table of drivers: every name in it loads, and hardware is made from the settings."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any

import pytest

from firmware.config import convert
from firmware.errors import ConfigError, DeviceLost
from hal import registry
from hal.config import HalConfig

PORTS = {
    "shelf",
    "meter",
    "insulation",
    "contactor",
    "vehicle",
    "card_reader",
    "inputs",
    "links",
    "board",
    "screen",
}


def config(**changes: Any) -> HalConfig:
    device = {"driver": "recording", "bus": "one"}
    evse: dict[str, Any] = {"evse": 7, "connector": 1, "max_voltage_v": 1000.0, "min_voltage_v": 150.0}
    evse |= {"max_current_a": 500.0, "max_power_w": 400_000.0}
    evse |= dict.fromkeys(("meter", "insulation", "contactor", "vehicle"), device)
    tables = {
        "bus": {"one": {"driver": "recording", "speed": 9600}},
        "shelf": {**device, "baud": 125},
        "board": {"driver": "recording"},
        "inputs": device,
        "links": device,
        "evse": [evse],
        "screen": [{**device, "screen": 3, "evse": 7}],
    }
    return convert(tables | changes, HalConfig, "here")


class RecordingBus:
    opened: list[RecordingBus]

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Recording:
    """A driver that records its bus and options."""

    def __init__(self, bus: object, options: dict[str, Any]) -> None:
        self.bus = bus
        self.options = options


async def open_recording(options: dict[str, Any]) -> RecordingBus:
    if options.get("broken"):
        raise DeviceLost("no such bus")
    bus = RecordingBus(options)
    RecordingBus.opened.append(bus)
    return bus


@pytest.fixture
def _recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a driver of this test into the tables, like a line of theirs."""
    RecordingBus.opened = []
    monkeypatch.setitem(registry.BUSES, "recording", f"{__name__}:open_recording")
    for port in PORTS:
        monkeypatch.setitem(registry.DRIVERS, (port, "recording"), f"{__name__}:Recording")


@pytest.mark.parametrize("target", [*registry.BUSES.values(), *registry.DRIVERS.values()])
def test_every_name_in_the_tables_loads(target: str) -> None:
    assert callable(resolve_name(target))


def test_there_is_a_simulated_driver_for_every_port() -> None:
    assert {port for port, driver in registry.DRIVERS if driver == "simulated"} == PORTS
    assert "simulated" in registry.BUSES


@pytest.mark.usefixtures("_recording")
async def test_devices_get_their_bus_and_options() -> None:
    buses = await registry.open_buses(config())
    hardware: Any = registry.make_hardware(config(), buses)
    assert RecordingBus.opened[0].options == {"speed": 9600}
    assert hardware.shelf.bus is buses["one"]
    assert hardware.shelf.options == {"baud": 125}
    assert hardware.board.bus is None
    assert hardware.evses[0].meter.options == {"evse": 7}
    assert hardware.screens[0].port.options == {"screen": 3, "evse": 7}
    assert hardware.card_reader is None
    registry.close_buses(buses)
    assert RecordingBus.opened[0].closed


@pytest.mark.usefixtures("_recording")
async def test_a_bus_that_can_t_be_opened_leaves_none_open() -> None:
    two = {"one": {"driver": "recording"}, "two": {"driver": "recording", "broken": True}}
    with pytest.raises(DeviceLost):
        await registry.open_buses(config(bus=two))
    assert [bus.closed for bus in RecordingBus.opened] == [True]


@pytest.mark.usefixtures("_recording")
async def test_a_driver_that_does_not_exist_is_named() -> None:
    with pytest.raises(ConfigError, match="no bus driver 'magic'"):
        await registry.open_buses(config(bus={"one": {"driver": "magic"}}))
    buses = await registry.open_buses(config())
    with pytest.raises(ConfigError, match="shelf: no driver 'magic'"):
        registry.make_hardware(config(shelf={"driver": "magic", "bus": "one"}), buses)


@pytest.mark.usefixtures("_recording")
async def test_a_library_that_is_not_installed_is_a_mistake_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.DRIVERS, ("shelf", "recording"), "no_such_library.device:Thing")
    buses = await registry.open_buses(config())
    with pytest.raises(ConfigError, match="no_such_library"):
        registry.make_hardware(config(), buses)
