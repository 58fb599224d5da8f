# SPDX-License-Identifier: Apache-2.0
"""The table of drivers: a new driver is a new line here.

- A driver is a class that is made as `Driver(options)`, on the event loop, and offers a port of `hal/ports.py`. What
  may stand in its table of the settings is the msgspec struct `Driver.Options`: an unknown key, a missing one and a
  value out of bounds are errors of the settings, found before any device is touched.
- A bus is a class that is made as `Bus(options)` without any I/O, then opened by `await bus.open()` and shared by the
  devices that name it. An option of a driver whose type is a bus's class is written as the bus's name.
- The options of an EVSE's device include its number as `evse`, those of a display its number as `screen`.

Modules are loaded by name here and nowhere else, so that a laptop needs no hardware library and the board only those of
its own devices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Protocol, cast

from firmware.config import convert
from firmware.errors import ConfigError
from firmware.words import one_of
from hal.config import DeviceSpec, EvseConfig, HalConfig, device
from hal.hardware import EvseHardware, Hardware, ScreenHardware

__all__ = [
    "BUSES",
    "DRIVERS",
    "Bus",
    "check_devices",
    "close_buses",
    "make_buses",
    "make_device",
    "make_hardware",
    "open_buses",
]

BUSES: dict[str, str] = {
    "simulated": "drivers.simulated.world_link:SocketBus",
    "demonstration": "drivers.simulated.demonstration:DemonstrationBus",
    "dbus": "drivers.net.system_bus:SystemBus",
    "can": "drivers.can.bus:CanBus",
    "modbus": "drivers.modbus.bus:ModbusBus",
    "gpiod": "drivers.gpio.gpiod_lines:GpiodLines",
    "gpiozero": "drivers.gpio.gpiozero_lines:GpiozeroLines",
    "pigpio": "drivers.gpio.pigpio_lines:PigpioLines",
    "kiosk": "drivers.screen.kiosk:KioskServer",
}

DRIVERS: dict[tuple[str, str], str] = {
    ("shelf", "simulated"): "drivers.simulated.shelf:SimulatedShelf",
    ("shelf", "infypower"): "drivers.can.shelves:InfypowerShelf",
    ("shelf", "uugreen"): "drivers.can.shelves:UugreenShelf",
    ("meter", "simulated"): "drivers.simulated.meter:SimulatedMeter",
    ("meter", "lem_dcbm"): "drivers.http.lem_dcbm:LemDcbm",
    ("meter", "modbus"): "drivers.modbus.meter:ModbusMeter",
    ("insulation", "simulated"): "drivers.simulated.insulation:SimulatedInsulationMonitor",
    ("insulation", "isocha425hv"): "drivers.modbus.isocha:IsoCha425Hv",
    ("contactor", "simulated"): "drivers.simulated.contactor:SimulatedContactor",
    ("contactor", "gpio"): "drivers.gpio.contactor:GpioContactor",
    ("vehicle", "simulated"): "drivers.simulated.vehicle:SimulatedVehicleLink",
    ("vehicle", "advantics"): "drivers.can.secc:AdvanticsSecc",
    ("card_reader", "simulated"): "drivers.simulated.card_reader:SimulatedCardReader",
    ("card_reader", "pcsc"): "drivers.pcsc.card_reader:PcscCardReader",
    ("card_reader", "pn532"): "drivers.serial.pn532:Pn532CardReader",
    ("inputs", "simulated"): "drivers.simulated.inputs:SimulatedInputs",
    ("inputs", "gpio"): "drivers.gpio.inputs:GpioInputs",
    ("links", "simulated"): "drivers.simulated.links:SimulatedNetworkLinks",
    ("links", "network_manager"): "drivers.net.links:ManagedLinks",
    ("board", "simulated"): "drivers.simulated.board:SimulatedBoard",
    ("board", "linux"): "drivers.board.linux:LinuxBoard",
    ("screen", "simulated"): "drivers.simulated.screen:SimulatedScreen",
    ("screen", "web"): "drivers.screen.web:WebScreen",
    ("screen", "nextion"): "drivers.serial.nextion:NextionScreen",
}

_log = logging.getLogger(__name__)


class Bus(Protocol):
    """What every bus offers the registry; a driver uses the rest of its class."""

    async def open(self) -> None:
        """Open the bus; a wire that is not there yet is tried again in the background. Raises `DriverError`."""

    def close(self) -> None: ...


def make_buses(config: HalConfig, where: object) -> dict[str, Bus]:
    """Make every bus of the settings in the file `where`, without any I/O; raises `ConfigError`."""
    buses: dict[str, Bus] = {}
    for name, table in config.bus.items():
        spec = device("bus", table, f"bus.{name}")
        kind = _load(BUSES, spec.driver, spec.driver, f"{where}: {spec.place}")
        buses[name] = kind(convert(spec.options, kind.Options, f"{where}: {spec.place}"))
    return buses


async def open_buses(buses: Mapping[str, Bus]) -> None:
    """Open all buses; raises `DriverError` and then leaves none open."""
    opened: dict[str, Bus] = {}
    try:
        for name, bus in buses.items():
            opened[name] = bus
            await bus.open()
    except BaseException:
        close_buses(opened)
        raise


def close_buses(buses: Mapping[str, Bus]) -> None:
    """Close all buses, the last opened first."""
    for bus in reversed(list(buses.values())):
        bus.close()


def check_devices(config: HalConfig, buses: Mapping[str, Bus], where: object) -> None:
    """Find every mistake in the tables of devices; raises `ConfigError`. Touches no device."""
    for spec in config.devices():
        _prepare(spec, buses, where)


def make_device(spec: DeviceSpec, buses: Mapping[str, Bus], where: object) -> Any:
    """Make the driver of one table, on open buses; raises `ConfigError` or `DriverError`."""
    driver, options = _prepare(spec, buses, where)
    _log.debug("%s: %s", spec.place, spec.driver)
    try:
        return driver(options)
    except ConfigError as error:  # what can be seen only with all devices, such as a line that is used twice
        raise ConfigError(f"{where}: {spec.place}: {error}") from error


def make_hardware(config: HalConfig, buses: Mapping[str, Bus], where: object) -> Hardware:
    """Make a driver for every port of the settings, on open buses; raises `ConfigError` or `DriverError`."""

    def make(spec: DeviceSpec) -> Any:
        return make_device(spec, buses, where)

    reader = config.card_reader
    return Hardware(
        shelf=make(device("shelf", config.shelf)),
        board=make(device("board", config.board)),
        inputs=make(device("inputs", config.inputs)),
        links=make(device("links", config.links)),
        evses=[_evse(each, make) for each in config.evse],
        card_reader=make(device("card_reader", reader)) if reader is not None else None,
        screens=[ScreenHardware(each.screen, each.evse, make(each.device)) for each in config.screens()],
    )


def _evse(config: EvseConfig, make: Callable[[DeviceSpec], Any]) -> EvseHardware:
    ports = {spec.port: make(spec) for spec in config.devices()}
    return EvseHardware(evse=config.evse, connector=config.connector, rating=config.rating, **ports)


def _prepare(spec: DeviceSpec, buses: Mapping[str, Bus], where: object) -> tuple[Callable[[Any], Any], Any]:
    """The driver's class and its options; a bus in them is the bus itself."""
    place = f"{where}: {spec.place}"
    driver = _load(DRIVERS, (spec.port, spec.driver), spec.driver, place)

    def bus_named(kind: type, name: object) -> object:
        if not isinstance(name, str) or name not in buses:
            raise ValueError(f"expected the name of a bus, {one_of(buses)}" if buses else "no bus is in the settings")
        if not isinstance(buses[name], kind):
            raise ValueError(f"bus {name} is of another kind: {spec.driver} needs a {kind.__name__}")
        return buses[name]

    return driver, convert(spec.options, driver.Options, place, look_up=bus_named)


def _load(table: Mapping[Any, str], key: object, name: str, place: str) -> Any:
    """Import a `module:name` of a table; raises `ConfigError` if there is none, or it fails on this machine."""
    target = table.get(key)
    if target is None:
        port = key[0] if isinstance(key, tuple) else None
        known = [each[1] if isinstance(each, tuple) else each for each in table if port is None or each[0] == port]
        raise ConfigError(f"{place}: driver: no driver {name!r}, expected {one_of(known)}")
    module, _, attribute = target.partition(":")
    try:
        return cast(Any, getattr(import_module(module), attribute))
    except ImportError as error:
        raise ConfigError(f"{place}: driver {name} can't be loaded on this machine: {error}") from error
