# SPDX-License-Identifier: Apache-2.0
"""The HAL's settings file: its socket, and the driver of each port.

    socket = "run/hal.sock"
    max_power_w = 400000.0          # all EVSEs together; likewise site_limit_w

    [bus.world]                     # a bus: the driver's name, then its own options
    driver = "simulated"
    path = "run/world.sock"

    [shelf]                         # a device: the driver's name, then its own options; a bus is written as its name
    driver = "simulated"
    bus = "world"

    [[evse]]
    evse = 1
    connector = 1
    max_voltage_v = 1000.0
    min_voltage_v = 150.0
    max_current_a = 500.0
    max_power_w = 400000.0
    meter = { driver = "simulated", bus = "world" }
    insulation = { driver = "simulated", bus = "world" }
    contactor = { driver = "simulated", bus = "world" }
    vehicle = { driver = "simulated", bus = "world" }

    [[screen]]
    screen = 1
    evse = 1
    driver = "simulated"
    bus = "world"

and `[board]`, `[inputs]`, `[links]` and, if there is one, `[card_reader]` like `[shelf]`. The options of a bus or a
device are typed by its driver and checked by `hal/registry.py`; every other key is checked here.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, Struct, field

from hal.evse.model import Rating

__all__ = ["DeviceSpec", "EvseConfig", "HalConfig", "ScreenSpec", "Table", "device"]

Table: TypeAlias = dict[str, Any]
_Positive = Annotated[float, Meta(gt=0)]
_Number = Annotated[int, Meta(ge=1, le=99)]
_UserName = Annotated[str, Meta(min_length=1)]


class DeviceSpec(Struct, frozen=True):
    """A device or bus of the file."""

    port: str
    """The port that its driver offers, as in `hal/registry.py`; `bus` for a bus."""
    place: str
    """The table in the file."""
    driver: str
    options: Table
    """The driver's own, with the number of the EVSE or screen that the device belongs to."""


class ScreenSpec(Struct, frozen=True):
    screen: int
    evse: int
    device: DeviceSpec


class EvseConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """One EVSE: its numbers in OCPP, the rating of the weakest part of its path, its devices."""

    evse: _Number
    connector: _Number
    max_voltage_v: _Positive
    min_voltage_v: _Positive
    max_current_a: _Positive
    max_power_w: _Positive
    meter: Table
    insulation: Table
    contactor: Table
    vehicle: Table

    def __post_init__(self) -> None:
        if self.min_voltage_v >= self.max_voltage_v:
            raise ValueError("min_voltage_v is not below max_voltage_v")

    def devices(self) -> list[DeviceSpec]:
        """Raises `ValueError` for a table without a driver."""
        return [
            device(port, getattr(self, port), f"evse {self.evse}, {port}", evse=self.evse)
            for port in ("meter", "insulation", "contactor", "vehicle")
        ]

    @property
    def rating(self) -> Rating:
        return Rating(self.max_voltage_v, self.min_voltage_v, self.max_current_a, self.max_power_w)


class HalConfig(Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file; relative paths are relative to the working directory."""

    shelf: Table
    board: Table
    inputs: Table
    links: Table
    evse: Annotated[list[EvseConfig], Meta(min_length=1)]
    bus: dict[str, Table] = field(default_factory=dict)
    card_reader: Table | None = None
    screen: list[Table] = field(default_factory=list)
    socket: str = "/run/baywatt/hal.sock"
    meters: str = "/var/lib/baywatt/hal/meters.json"
    """Where the serial numbers of the meters are kept (`hal/known_meters.py`)."""
    site_limit: str = "/var/lib/baywatt/hal/site_limit.json"
    """Where an installer's limit of the site is kept (`hal/site_limit.py`)."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_file: str | None = None
    allowed_uids: list[Annotated[int, Meta(ge=0)]] = field(default_factory=list)
    """The uid of the OCPP service, if it is not ours."""
    observer_uids: list[Annotated[int, Meta(ge=0)]] = field(default_factory=list)
    """The uids of processes that may observe but not command."""
    allowed_users: list[_UserName] = field(default_factory=list)
    """As `allowed_uids`, by name."""
    observer_users: list[_UserName] = field(default_factory=list)
    """As `observer_uids`, by name."""
    maintenance_users: list[_UserName] = field(default_factory=list)
    """Users that may list devices, test them, restart the board and switch it off."""
    maintenance_group: str = "baywatt-admin"
    """Its members may, too; they also have to be in the group of the socket's folder. "": nobody else."""
    max_power_w: _Positive | None = None
    """What the station may deliver in all by its rating; None: what its modules can."""
    site_limit_w: _Positive | None = None
    """What the station may deliver in all at this site; None: no less than its rating."""

    def __post_init__(self) -> None:
        _only_once("evse", [each.evse for each in self.evse])
        _only_once("screen", [each.screen for each in self.screens()])
        for name, table in self.bus.items():
            device("bus", table, f"bus.{name}")
        self.devices()

    @property
    def limit_w(self) -> float:
        """The most that all EVSEs may be offered together."""
        return min(self.max_power_w or math.inf, self.site_limit_w or math.inf)

    @property
    def commissioned_meters(self) -> dict[int, str]:
        """The serial numbers of meters that are given, by EVSE; each driver checks its own option."""
        numbers = {each.evse: each.meter.get("serial_number") for each in self.evse}
        return {evse: number for evse, number in numbers.items() if isinstance(number, str)}

    @property
    def simulated(self) -> list[str]:
        """The places of the devices that are simulated."""
        return [each.place for each in self.devices() if each.driver == "simulated"]

    def screens(self) -> list[ScreenSpec]:
        """The displays; raises `ValueError` for one without its numbers or of an unknown EVSE."""
        found = []
        for index, table in enumerate(self.screen):
            screen, evse = (_integer(table, key, f"screen[{index}]") for key in ("screen", "evse"))
            if all(evse != each.evse for each in self.evse):
                raise ValueError(f"screen[{index}]: no EVSE {evse}")
            options = {key: value for key, value in table.items() if key not in ("screen", "evse")}
            found.append(ScreenSpec(screen, evse, device("screen", options, f"screen {screen}", screen=screen)))
        return found

    def devices(self) -> list[DeviceSpec]:
        """Every device of the file; raises `ValueError` for a table without a driver."""
        found = [device(port, getattr(self, port)) for port in ("shelf", "board", "inputs", "links")]
        if self.card_reader is not None:
            found.append(device("card_reader", self.card_reader))
        for each in self.evse:
            found += each.devices()
        return found + [each.device for each in self.screens()]


def device(port: str, table: Table, place: str = "", **numbers: int) -> DeviceSpec:
    """A table as a device of a port; raises `ValueError` without a driver's name, or for a number given twice."""
    driver, place = table.get("driver"), place or port
    if not isinstance(driver, str) or not driver:
        raise ValueError(f"{place}: driver is missing, expected the name of one")
    for key in numbers.keys() & table.keys():
        raise ValueError(f"{place}: unknown key {key}: the number is that of the table around it")
    options = {key: value for key, value in table.items() if key != "driver"}
    return DeviceSpec(port, place, driver, options | numbers)


def _integer(table: Table, key: str, where: str) -> int:
    value = table.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{where}: `{key}` is not a number from 1")
    return value


def _only_once(what: str, numbers: list[int]) -> None:
    if len(set(numbers)) != len(numbers):
        raise ValueError(f"{what}: a number is used twice")
