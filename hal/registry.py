# SPDX-License-Identifier: Apache-2.0
"""The table of drivers: a new driver is a new line here.

A bus is opened once with its options by `async def open(options)` and shared by the devices that name it. A device's
driver is a class made as `Class(bus, options)`; the options of an EVSE's device include its number as `evse`, those
of a display its number as `screen`. Modules are loaded by name here and nowhere else, so that a laptop needs no
hardware library and the board only those of its own devices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any, cast

from firmware.errors import ConfigError
from hal.config import DeviceSpec, EvseConfig, HalConfig, Table, device
from hal.hardware import Closable, EvseHardware, Hardware, ScreenHardware

__all__ = ["BUSES", "DRIVERS", "close_buses", "make_hardware", "open_buses"]

BUSES: dict[str, str] = {
    "simulated": "drivers.simulated.world_link:open_bus",
}

DRIVERS: dict[tuple[str, str], str] = {
    ("shelf", "simulated"): "drivers.simulated.shelf:SimulatedShelf",
    ("meter", "simulated"): "drivers.simulated.meter:SimulatedMeter",
    ("insulation", "simulated"): "drivers.simulated.insulation:SimulatedInsulationMonitor",
    ("contactor", "simulated"): "drivers.simulated.contactor:SimulatedContactor",
    ("vehicle", "simulated"): "drivers.simulated.vehicle:SimulatedVehicleLink",
    ("card_reader", "simulated"): "drivers.simulated.card_reader:SimulatedCardReader",
    ("inputs", "simulated"): "drivers.simulated.inputs:SimulatedInputs",
    ("links", "simulated"): "drivers.simulated.links:SimulatedNetworkLinks",
    ("board", "simulated"): "drivers.simulated.board:SimulatedBoard",
    ("screen", "simulated"): "drivers.simulated.screen:SimulatedScreen",
}

_log = logging.getLogger(__name__)


async def open_buses(config: HalConfig) -> dict[str, Closable]:
    """Open every bus of the settings; raises `ConfigError` or `DriverError` and then leaves none open."""
    buses: dict[str, Closable] = {}
    try:
        for name, table in config.bus.items():
            spec = device(table, f"bus.{name}")
            opener = _load(BUSES.get(spec.driver), f"bus.{name}: no bus driver {spec.driver!r}")
            buses[name] = await opener(spec.options)
    except BaseException:
        close_buses(buses)
        raise
    return buses


def close_buses(buses: dict[str, Closable]) -> None:
    """Close all buses, the last opened first."""
    while buses:
        _, bus = buses.popitem()
        bus.close()


def make_hardware(config: HalConfig, buses: dict[str, Closable]) -> Hardware:
    """Make a driver for every port of the settings; raises `ConfigError` for an unknown one, or `DriverError`."""

    def make(port: str, table: Table, **numbers: int) -> Any:
        return _make(port, device(table, port), buses, numbers)

    reader = config.card_reader
    return Hardware(
        shelf=make("shelf", config.shelf),
        board=make("board", config.board),
        inputs=make("inputs", config.inputs),
        links=make("links", config.links),
        evses=[_evse(each, make) for each in config.evse],
        card_reader=make("card_reader", reader) if reader is not None else None,
        screens=[
            ScreenHardware(each.screen, each.evse, _make("screen", each.device, buses, {})) for each in config.screens()
        ],
    )


def _evse(config: EvseConfig, make: Callable[..., Any]) -> EvseHardware:
    return EvseHardware(
        evse=config.evse,
        connector=config.connector,
        rating=config.rating,
        meter=make("meter", config.meter, evse=config.evse),
        insulation=make("insulation", config.insulation, evse=config.evse),
        contactor=make("contactor", config.contactor, evse=config.evse),
        vehicle=make("vehicle", config.vehicle, evse=config.evse),
    )


def _make(port: str, spec: DeviceSpec, buses: dict[str, Closable], numbers: dict[str, int]) -> Any:
    driver = _load(DRIVERS.get((port, spec.driver)), f"{port}: no driver {spec.driver!r}")
    bus = buses[spec.bus] if spec.bus is not None else None
    _log.debug("%s %s: %s", port, numbers, spec.driver)
    return driver(bus, {**spec.options, **numbers})


def _load(target: str | None, missing: str) -> Callable[..., Any]:
    """Import a `module:name` of the tables; raises `ConfigError` if that fails on this machine."""
    if target is None:
        raise ConfigError(missing)
    module, _, name = target.partition(":")
    try:
        return cast(Callable[..., Any], getattr(import_module(module), name))
    except ImportError as error:
        raise ConfigError(f"{target}: {error}") from error
