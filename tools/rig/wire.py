# SPDX-License-Identifier: Apache-2.0
"""`rig.wire = true`: every device of the cabinet as a simulator on a real transport, and the HAL's settings for them.

The physics remain those of the simulated world; each simulator speaks its device's protocol in front of it:

| device                            | transport                        | driver          |
|-----------------------------------|----------------------------------|-----------------|
| power modules, one a group        | CAN, slcan over TCP              | infypower       |
| vehicle communication             | CAN, slcan over TCP              | advantics       |
| meters of odd EVSEs               | HTTP                             | lem_dcbm        |
| meters of even EVSEs              | Modbus RTU, a pseudo terminal    | modbus          |
| insulation monitors               | the same line                    | isocha425hv     |
| contacts, coils, watchdog relay   | pigpiod's TCP protocol           | gpio            |
| alarm contacts                    | pigpiod's TCP protocol           | linux           |
| card reader                       | serial, a pseudo terminal        | pn532           |
| board: clock, sensors, boot cause | files below `run/board`          | linux           |
| links, restart of the board       | a D-Bus of its own               | network_manager |
| displays of odd EVSEs             | serial, a pseudo terminal        | nextion         |
| displays of even EVSEs            | WebSocket, D-Bus to their unit   | web             |

A device can be unplugged and plugged in again by its name (`plug`). What the rig's faults break shows on the wire.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Collection
from pathlib import Path
from typing import Any, Protocol

from drivers.screen import languages
from drivers.simulated.world.world import PowerOffRequested, RebootRequested, World
from firmware.clock import Clock
from tools.rig.devices.alarms import AlarmContacts
from tools.rig.devices.board import BoardTree, Login1
from tools.rig.devices.bus_daemon import BusDaemon
from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.gpio import PATIENCE_S, CabinetLines
from tools.rig.devices.isocha import EvseWires, IsoCha
from tools.rig.devices.kiosk import KioskBrowser, units
from tools.rig.devices.lem_dcbm import LemDcbm
from tools.rig.devices.modbus_meter import AcrelMeter
from tools.rig.devices.modbus_slave import Slave, SlaveLine
from tools.rig.devices.networks import KernelFiles, SimulatedNetworks
from tools.rig.devices.nextion import Nextion
from tools.rig.devices.pn532 import Card, Pn532
from tools.rig.devices.secc import SeccBoard
from tools.rig.devices.shelf import RectifierShelf, SimModule, new_modules
from tools.rig.devices.shelf_infypower import InfypowerModules
from tools.rig.station_dir import web_displays
from tools.rig.wire_faults import switches_of

__all__ = ["Wire"]

BAUD = 19200
MODULE_BITRATE, VEHICLE_BITRATE = 125_000, 500_000
SECC_BOOT_S = 1.0
SETTLE_S = 0.5
SELF_TEST_S = 1.0
PANEL_ENCODING = "utf-8"
"""For Chinese and Japanese."""
BROWSER_START_S = 2.0
"""Not the minute of a real one, until which a test would have to wait for the fault of one that never comes up."""
OUTLETS_A_LINE = 4
"""A monitor's reading takes a tenth of a second of its line."""
FIRST_MONITOR = 3
"""Addresses on the Modbus line: monitors from here on, the factory setting of the first; meters behind them."""
_log = logging.getLogger(__name__)


class _Device(Protocol):
    """A simulator that can be plugged in and unplugged."""

    async def start(self) -> None: ...

    def close(self) -> Awaitable[None] | None: ...


class _OnLine:
    """A device on a line with others: unplugged, it is silent."""

    def __init__(self, slave: Slave) -> None:
        self.simulator = slave

    async def start(self) -> None:
        self.simulator.silent = False

    def close(self) -> None:
        self.simulator.silent = True


class _InShelf:
    """A power module in its slot."""

    def __init__(self, module: SimModule) -> None:
        self.simulator = module

    async def start(self) -> None:
        self.simulator.plugged = True

    def close(self) -> None:
        self.simulator.plugged = False


def _simulator(device: _Device) -> object:
    return device.simulator if isinstance(device, _OnLine | _InShelf) else device


class Wire:
    """The simulators of one cabinet; `run` is the station's folder for sockets and links."""

    def __init__(
        self, world: World, clock: Clock, run: Path, on_request: Callable[[RebootRequested | PowerOffRequested], None]
    ) -> None:
        self._world = world
        self._clock = clock
        self._run = run
        self._stepped: float | None = None
        self._plugging = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._unseen: set[str] = set()
        self.modules_bus, self.vehicles_bus = CanHub(), CanHub()
        self.shelf = RectifierShelf(
            new_modules(world.shelf.rating.groups), world.shelf.banks, enabled=lambda: world.chain_closed
        )
        self._broken: dict[SimModule, int] = {}
        modules = InfypowerModules(self.shelf)
        modules.send = self.modules_bus.attach(modules.on_frame)
        self.boards = {
            number: SeccBoard(self.vehicles_bus, number, evse, boot_s=SECC_BOOT_S, monotonic=clock.monotonic)
            for number, evse in world.evses.items()
        }
        lines = dict.fromkeys(map(self._line_of, world.evses))
        self.modbus = {name: SlaveLine(link=run / name, baud=BAUD) for name in lines}
        self.lines = CabinetLines(world)
        self.alarms = AlarmContacts(world)
        self.reader = Pn532(run / "card-reader", self._cards)
        self.tree = BoardTree(run / "board", serial_number=world.board.serial_number)
        self.daemon = BusDaemon(run)
        self.kernel = KernelFiles(run / "kernel")
        self.networks = SimulatedNetworks(self.daemon.address, world, self.kernel)
        self.login = Login1(self.daemon.address, on_request)
        self.lem = {number: LemDcbm(evse) for number, evse in world.evses.items() if number % 2}
        self._displays: dict[int, Nextion | KioskBrowser] = {
            number: Nextion(run / f"display-{number}", PANEL_ENCODING)
            if number % 2
            else KioskBrowser(run / "displays", number)
            for number in world.displays
        }
        self.browsers = {key: each for key, each in self._displays.items() if isinstance(each, KioskBrowser)}
        self.systemd = units(self.daemon.address, {_unit(key): each.restart for key, each in self.browsers.items()})
        self._touching: set[asyncio.Task[None]] = set()
        self._monitors, self._meters = self._on_line()
        self._devices = self._by_name()
        self.unplugged: set[str] = set()
        self.switches = {name: switches_of(_simulator(device)) for name, device in self._devices.items()}
        """The faults of each device besides that."""

    def _on_line(self) -> tuple[dict[int, Slave], dict[int, Slave]]:
        monitors, meters = {}, {}
        for number, evse in self._world.evses.items():
            monitor = IsoCha(
                EvseWires(evse),
                settle_s=SETTLE_S,
                test_latency_s=SETTLE_S,
                test_s=SELF_TEST_S,
                clock=self._clock.monotonic,
            )
            monitors[number] = self.modbus[self._line_of(number)].add(self._monitor_address(number), monitor)
            if number not in self.lem:
                meters[number] = self.modbus[self._line_of(number)].add(self._meter_address(number), AcrelMeter(evse))
        return monitors, meters

    def _line_of(self, evse: int) -> str:
        number = list(self._world.evses).index(evse) // OUTLETS_A_LINE + 1
        return "rs485" if number == 1 else f"rs485-{number}"

    def _monitor_address(self, evse: int) -> int:
        return FIRST_MONITOR - 1 + evse

    def _meter_address(self, evse: int) -> int:
        return FIRST_MONITOR - 1 + len(self._world.evses) + evse

    def _by_name(self) -> dict[str, _Device]:
        devices: dict[str, _Device] = {
            "system bus": self.daemon,
            "links": self.networks,
            "logind": self.login,
            "systemd": self.systemd,
            "module bus": self.modules_bus,
            "vehicle bus": self.vehicles_bus,
            **{f"modbus line{name.removeprefix('rs485')}": line for name, line in self.modbus.items()},
            "lines": self.lines,
            "alarms": self.alarms,
            "card reader": self.reader,
            **{f"display {number}": display for number, display in self._displays.items()},
        }
        devices |= {f"module {module.address}": _InShelf(module) for module in self.shelf.modules}
        for number in self._world.evses:
            devices[f"vehicle {number}"] = self.boards[number]
            devices[f"insulation {number}"] = _OnLine(self._monitors[number])
            devices[f"meter {number}"] = self.lem.get(number) or _OnLine(self._meters[number])
        return devices

    @property
    def names(self) -> list[str]:
        """What can be unplugged."""
        return list(self._devices)

    # --- life ------------------------------------------------------------------------------------------------

    async def start(self, names: Collection[str] | None = None) -> None:
        """Plug everything in, or these only; their settings are valid from then on.

        Raises `ConfigError` or `OSError`.
        """
        self.unplugged = set() if names is None else set(self._devices) - set(names)
        for name, device in self._devices.items():
            if name not in self.unplugged:
                await device.start()

    async def close(self) -> None:
        self.tree.close()
        await asyncio.gather(*self._tasks, *self._touching)
        for name, device in reversed(self._devices.items()):
            if name not in self.unplugged:
                await _closed(device)

    def boot(self) -> None:
        """The board has power again: its safety chain no longer depends on a connection, but on the watchdog relay."""
        board = self._world.board
        self._world.hal_present = True
        self.tree.boot(board.boot_id, board.boot_cause)
        for secc in self.boards.values():
            secc.boot()
        for display in self._displays.values():
            display.restart()

    def plug(self, name: str, plugged: bool) -> None:
        """Unplug a device, or plug it in again, one after the other; raises `KeyError` for an unknown name."""
        task = asyncio.get_running_loop().create_task(self._plug(name, self._devices[name], plugged))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _plug(self, name: str, device: _Device, plugged: bool) -> None:
        async with self._plugging:
            if plugged and name in self.unplugged:
                self.unplugged.discard(name)
                await device.start()
            elif not plugged and name not in self.unplugged:
                self.unplugged.add(name)
                await _closed(device)

    @property
    def plugged(self) -> dict[str, bool]:
        """Every device by its name."""
        return {name: name not in self.unplugged for name in self._devices}

    # --- time ------------------------------------------------------------------------------------------------

    def before_step(self, now: float) -> None:
        """Before the world's step: what the modules feed, and what the rig's faults break."""
        elapsed = 0.0 if self._stepped is None else max(0.0, now - self._stepped)
        self._stepped = now
        world = self._world
        self.reader.silent = world.faults.card_reader
        for number, evse in world.evses.items():
            if number in self.lem:
                self.lem[number].fails_with = 503 if evse.meter_failed else None
            elif f"meter {number}" not in self.unplugged:
                self._meters[number].silent = evse.meter_failed
            self._break_modules(number, broken=evse.bank.failed_modules > 0)
        self.shelf.step(elapsed)

    def _break_modules(self, evse: int, *, broken: bool) -> None:
        """While it is broken, whatever feeds the EVSE shows the alarm `fault`; one of many would only derate it."""
        for module in self.shelf.modules:
            if broken and module.outlet == evse:
                self._broken[module] = evse
                module.alarms.add("fault")
                module.switch(False)
            elif self._broken.get(module) == evse:
                del self._broken[module]
                module.alarms.discard("fault")

    def after_step(self, now: float) -> None:
        """After the world's step: contacts, coils, and the files of the board."""
        self.lines.step()
        self.alarms.step()
        self.tree.step(self._world.board.clock(now, self._clock.utc()), {})

    def present_card(self, uid: str) -> None:
        """A card that has come to the field: the reader sees it once at least, however short it is held."""
        self._unseen.add(uid)

    def touch(self, screen: int, *, stop: bool) -> None:
        """A finger on the display's button; for a stop also the answer to its question.

        The EV driver's hand comes to the reader when it has left the display.
        """
        if screen not in self._displays:
            return
        task = asyncio.get_running_loop().create_task(self._displays[screen].press(stop=stop))
        self._touching.add(task)
        task.add_done_callback(self._touching.discard)

    def _cards(self, type_b: bool) -> list[Card]:
        """Those of one kind that the reader finds; all are of type A, and a look for others has not seen them."""
        if self._touching or type_b:
            return []
        seen = {*self._world.cards(self._clock.monotonic()), *self._unseen}
        self._unseen.clear()
        return [Card(bytes.fromhex(uid)) for uid in sorted(seen)]

    # --- settings --------------------------------------------------------------------------------------------

    def buses(self) -> dict[str, dict[str, object]]:
        """The tables `[bus.NAME]`, but for that of the world."""
        return {
            "modules": _slcan(self.modules_bus, MODULE_BITRATE),
            "vehicles": _slcan(self.vehicles_bus, VEHICLE_BITRATE),
            **{
                name: {"driver": "modbus", "port": line.port, "baud": BAUD, "parity": "E"}
                for name, line in self.modbus.items()
            },
            "system": {"driver": "dbus", "address": self.daemon.address},
            **({"displays": web_displays(self._run / "displays")} if self.browsers else {}),
            **self.lines.buses(),
            **self.alarms.buses(),
        }

    def station(self) -> dict[str, dict[str, object]]:
        """The tables of the station's own devices."""
        rating = self._world.shelf.rating
        return {
            "shelf": {
                "driver": "infypower",
                "buses": ["modules"],
                "groups": [{"modules": [module.address]} for module in self.shelf.modules],
                "module_power_w": rating.group_power_w,
                "module_current_a": rating.group_current_a,
                "max_voltage_v": rating.max_voltage_v,
                "min_voltage_v": rating.min_voltage_v,
            },
            "card_reader": {"driver": "pn532", "port": str(self._run / "card-reader"), "ignore_s": 1.0},
            "inputs": self.lines.inputs(),
            "links": {
                "driver": "network_manager",
                "bus": "system",
                "Wired0": "eth0",
                "Wireless0": "modem",
                "sysfs": str(self.kernel.sysfs),
                "routes": str(self.kernel.routes),
            },
            "board": {
                "driver": "linux",
                "root": str(self._run / "board"),
                "boot_record": str(self._run / "boot.json"),
                "disk": str(self._run),
                "time_source": "rtc",
                "dbus_address": self.daemon.address,
                **self.lines.watchdog(),
                **self.alarms.settings(),
            },
        }

    def evse(self, number: int) -> dict[str, dict[str, object]]:
        """The tables of one EVSE's devices."""
        speed, bus = self._world.speed, self._line_of(number)
        lem = self.lem.get(number)
        if lem is not None:
            meter = {"driver": "lem_dcbm", "host": "127.0.0.1", "port": lem.port, "speed": speed}
        else:
            address = self._meter_address(number)
            meter = {"driver": "modbus", "bus": bus, "map": "acrel-djsf1352-rn", "address": address, "speed": speed}
        return {
            "meter": meter,
            "insulation": {
                "driver": "isocha425hv",
                "bus": bus,
                "address": self._monitor_address(number),
                "settle_s": 2 * SETTLE_S,
            },
            "contactor": self.lines.contactor(number),
            "vehicle": {"driver": "advantics", "bus": "vehicles", "index": number, "silent_after_s": PATIENCE_S},
        }

    def screen(self, number: int) -> dict[str, object]:
        """The table of one display."""
        if number not in self.browsers:
            panel = {"encoding": PANEL_ENCODING, "languages": languages.codes()}
            return {"driver": "nextion", "port": str(self._run / f"display-{number}"), **panel}
        unit = {"unit": _unit(number), "dbus_address": self.daemon.address, "start_s": BROWSER_START_S}
        return {"driver": "web", "server": "displays", "theme": "auto", **unit}


async def _closed(device: _Device) -> None:
    closing: Any = device.close()
    if inspect.isawaitable(closing):
        await closing


def _unit(screen: int) -> str:
    return f"baywatt-display@{screen}.service"


def _slcan(hub: CanHub, bitrate: int) -> dict[str, object]:
    return {"driver": "can", "interface": "slcan", "channel": hub.channel, "bitrate": bitrate}
