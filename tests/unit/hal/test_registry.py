# SPDX-License-Identifier: Apache-2.0
"""The table of drivers: every name in it loads, and hardware is made from the settings."""

from __future__ import annotations

import re
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

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


EVSE_PORTS = ("meter", "insulation", "contactor", "vehicle")


def config(*, meter: dict[str, Any] | None = None, **changes: Any) -> HalConfig:
    device = {"driver": "recording", "bus": "one"}
    evse: dict[str, Any] = {"evse": 7, "connector": 1, "max_voltage_v": 1000.0, "min_voltage_v": 150.0}
    evse |= {"max_current_a": 500.0, "max_power_w": 400_000.0}
    evse |= dict.fromkeys(EVSE_PORTS, device)
    if meter is not None:
        evse["meter"] = meter
    tables = {
        "bus": {"one": {"driver": "recording", "speed": 9600}},
        "shelf": {**device, "address": 5},
        "board": device,
        "inputs": device,
        "links": device,
        "evse": [evse],
        "screen": [{**device, "screen": 3, "evse": 7}],
    }
    return convert(tables | changes, HalConfig, "here")


class BusOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    speed: int = 125
    broken: bool = False


class RecordingBus:
    Options = BusOptions

    def __init__(self, options: BusOptions) -> None:
        self.options = options
        self.is_open = False
        self.closed = False

    async def open(self) -> None:
        if self.options.broken:
            raise DeviceLost("no such bus")
        self.is_open = True

    def close(self) -> None:
        self.closed = True


class DeviceOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bus: RecordingBus
    address: Annotated[int, Meta(ge=0, le=60)] = 1


class EvseOptions(DeviceOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    evse: int


class ScreenOptions(DeviceOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    screen: int


class Recording:
    """A driver that records its options."""

    Options: type[DeviceOptions] = DeviceOptions

    def __init__(self, options: DeviceOptions) -> None:
        self.options = options


class EvseRecording(Recording):
    Options = EvseOptions


class ScreenRecording(Recording):
    Options = ScreenOptions


@pytest.fixture(autouse=True)
def _recording(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the drivers of this test into the tables, like lines of theirs."""
    monkeypatch.setitem(registry.BUSES, "recording", f"{__name__}:RecordingBus")
    monkeypatch.setitem(registry.BUSES, "plain", f"{__name__}:PlainBus")
    for port in PORTS:
        kind = "EvseRecording" if port in EVSE_PORTS else "ScreenRecording" if port == "screen" else "Recording"
        monkeypatch.setitem(registry.DRIVERS, (port, "recording"), f"{__name__}:{kind}")


class PlainBus:
    """Not a bus that `Recording` can use."""

    Options = BusOptions

    def __init__(self, options: BusOptions) -> None: ...

    async def open(self) -> None: ...

    def close(self) -> None: ...


@pytest.mark.parametrize("target", [*registry.BUSES.values(), *registry.DRIVERS.values()])
def test_every_name_in_the_tables_loads(target: str) -> None:
    assert callable(resolve_name(target))


def test_there_is_a_simulated_driver_for_every_port() -> None:
    assert {port for port, driver in registry.DRIVERS if driver == "simulated"} == PORTS
    assert "simulated" in registry.BUSES


def buses_of(config: HalConfig) -> dict[str, registry.Bus]:
    return registry.make_buses(config, "hal.toml")


async def test_devices_get_their_bus_and_options() -> None:
    buses = buses_of(config())
    registry.check_devices(config(), buses, "hal.toml")
    bus: Any = buses["one"]
    assert bus.options.speed == 9600
    assert not bus.is_open
    await registry.open_buses(buses)
    assert bus.is_open
    hardware: Any = registry.make_hardware(config(), buses, "hal.toml")
    assert hardware.shelf.options == DeviceOptions(bus=bus, address=5)
    assert hardware.evses[0].meter.options == EvseOptions(bus=bus, evse=7)
    assert hardware.screens[0].port.options == ScreenOptions(bus=bus, screen=3)
    assert hardware.card_reader is None
    registry.close_buses(buses)
    assert bus.closed


async def test_a_bus_that_can_t_be_opened_leaves_none_open() -> None:
    two = {"one": {"driver": "recording"}, "two": {"driver": "recording", "broken": True}}
    buses: Any = buses_of(config(bus=two))
    with pytest.raises(DeviceLost):
        await registry.open_buses(buses)
    assert buses["one"].closed


DEVICE = {"driver": "recording", "bus": "one"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"bus": {"one": {"driver": "magic"}}},
            "bus.one: driver: no driver 'magic', expected one of ",
        ),
        ({"bus": {"one": {"driver": "recording", "speed": "fast"}}}, "bus.one: speed: expected a whole number"),
        (
            {"bus": {"one": {"driver": "recording", "sped": 1}}},
            "bus.one: unknown key sped, expected one of speed",
        ),
        ({"shelf": DEVICE | {"driver": "magic"}}, "shelf: driver: no driver 'magic', expected one of "),
        ({"shelf": {"driver": "recording"}}, "shelf: bus is missing, expected a name"),
        ({"shelf": DEVICE | {"bus": "two"}}, "shelf: bus: expected the name of a bus, one"),
        ({"shelf": DEVICE | {"bus": 2}}, "shelf: bus: expected the name of a bus, one"),
        (
            {"bus": {"one": {"driver": "plain"}}},
            "shelf: bus: bus one is of another kind: recording needs",
        ),
        ({"shelf": DEVICE | {"address": 61}}, "shelf: address: expected a whole number from 0 to 60, got 61"),
        ({"shelf": DEVICE | {"adress": 6}}, "shelf: unknown key adress, expected one of bus, address"),
        ({"meter": DEVICE | {"address": -1}}, "evse 7, meter: address: expected a whole number from 0 to 60, got -1"),
        ({"bus": {}}, "shelf: bus: no bus is in the settings"),
    ],
)
def test_a_mistake_in_a_table_is_named_before_any_device_is_touched(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        registry.check_devices(config(**changes), buses_of(config(**changes)), "hal.toml")
    assert str(error.value).startswith(f"hal.toml: {problem}")


def test_a_library_that_is_not_installed_is_a_mistake_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.DRIVERS, ("shelf", "recording"), "no_such_library.device:Thing")
    with pytest.raises(ConfigError, match="shelf: driver recording can't be loaded on this machine"):
        registry.check_devices(config(), buses_of(config()), "hal.toml")


def test_the_hardware_page_names_every_driver_and_no_other() -> None:
    page = (Path(__file__).parents[3] / "docs" / "hardware.md").read_text(encoding="utf-8")
    drivers = {(port, driver) for port, driver in re.findall(r"^\| `(\w+)` \| `(\w+)` \|", page, re.MULTILINE)}
    buses = set(re.findall(r"^\| [A-Z a-z-]+ \| `(\w+)` \|", page, re.MULTILINE))
    real = {each for each in registry.DRIVERS if each[1] not in ("simulated", "recording")}
    assert drivers == real
    assert buses == set(registry.BUSES) - {"simulated", "demonstration", "recording", "plain"}
