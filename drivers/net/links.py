# SPDX-License-Identifier: Apache-2.0
"""`NetworkLinks` of a board with NetworkManager and, for a modem, ModemManager.

    [links]
    driver = "network_manager"
    bus = "system"                          # a [bus.system] with driver = "dbus"
    Wired0 = "eth0"                         # OCPP's name of the interface = the board's
    Wireless0 = "modem"                     # the modem, whatever its interface is called today
    lines = "io"                            # the line that switches the modem's supply, if there is one
    modem_power = "MODEM_POWER"

NetworkManager owns the connections (a `gsm` profile with auto-connect for the modem); this driver observes, sets what
an installer asks for (`settings.py`), and helps a modem that is stuck (`recovery.py`). What NetworkManager does not
manage, and everything while it is away, is judged by the kernel's state of the interface and its default route
(`kernel.py`). While ModemManager is away, nothing is known of the signal, and the recovery waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.gpio.lines import Lines, LineSpec, Output
from drivers.net import devices as nm
from drivers.net import kernel, recovery
from drivers.net.devices import Device
from drivers.net.modem import INTERFACES as MODEM_INTERFACES
from drivers.net.modem import MODEM, MODEM_ROOT, MODEM_SERVICE, Modem, ModemState, find_modem
from drivers.net.objects import ServiceObjects
from drivers.net.recovery import Condition, Ladder, Rung
from drivers.net.settings import ProfileSettings
from drivers.net.system_bus import SystemBus
from firmware.contract import LinkDetails, NetworkInterface, NewCellularSettings, WiredSettings
from firmware.errors import DeviceRefused, DriverError
from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.trouble import Trouble
from hal.ports import DeviceInfo, Link

__all__ = ["LinksOptions", "ManagedLinks", "condition_of", "differs"]

POLL_S = 1.0
SETTLE_S = 0.05
"""One change of the network is several signals on the bus."""
SIGNAL_RETRY_S = 60.0
SIGNAL_EVERY_S = 5.0
"""The least time between two events of a link of which only the signal has changed."""
_LEAST_PERCENT = 5
_LEAST_DB = 3.0
_MODEM = "modem"
_TROUBLES = (*recovery.RULES, Condition.SIM)
_log = logging.getLogger(__name__)


class LinksOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    bus: SystemBus
    Wired0: str | None = None
    Wired1: str | None = None
    Wired2: str | None = None
    Wired3: str | None = None
    Wireless0: str | None = None
    Wireless1: str | None = None
    Wireless2: str | None = None
    Wireless3: str | None = None
    recovery: bool = True
    """Help a modem that is stuck."""
    lines: Lines | None = None
    modem_power: LineSpec | None = None
    """The line that feeds the modem while it is active."""
    power_off_s: Annotated[float, Meta(ge=0.0, le=60.0)] = 10.0
    """How long a power cycle leaves the modem without supply."""
    signal_period_s: Annotated[int, Meta(ge=5, le=3600)] = 30
    sysfs: str = "/sys/class/net"
    routes: str = "/proc/self/net/route"

    def __post_init__(self) -> None:
        if not self.interfaces:
            raise ValueError('no interface is named, expected at least one, such as Wired0 = "eth0"')
        if (self.lines is None) is not (self.modem_power is None):
            raise ValueError("lines and modem_power belong together")

    @property
    def interfaces(self) -> dict[str, str]:
        """The board's name of each interface, by OCPP's."""
        names = [f"{kind}{number}" for kind in ("Wired", "Wireless") for number in range(4)]
        return {name: getattr(self, name) for name in names if getattr(self, name)}


class ManagedLinks:
    Options = LinksOptions
    signal_every_s = SIGNAL_EVERY_S

    def __init__(self, options: LinksOptions) -> None:
        self._options = options
        self._interfaces = options.interfaces
        self._bus = options.bus
        self._on_change: Callable[[str, Link], None] = lambda _name, _link: None
        self._background = Background("links")
        self._modems = ServiceObjects(
            self._bus, MODEM_SERVICE, root=MODEM_ROOT, interfaces=MODEM_INTERFACES, changed=self._settle
        )
        self._networks = ServiceObjects(
            self._bus, nm.MANAGER, root=nm.MANAGER_ROOT, interfaces=nm.INTERFACES, changed=self._settle
        )
        self._settling: asyncio.TimerHandle | None = None
        self._modem_interface = ""
        self._power: Output | None = None
        if options.lines is not None and options.modem_power is not None:
            self._power = options.lines.output(options.modem_power, initial=True)
        self._ladder = Ladder()
        self._signal_asked = (0, ""), 0.0
        """Of which modem of which run of ModemManager, and when to ask again."""
        self._unhelped = Trouble(_log, "the modem can't be helped", device="modem")
        self._links = self._read()
        names = {name: target == _MODEM for name, target in self._interfaces.items()}
        self._settings = ProfileSettings(self._bus, names, self._device_of)
        self._signal_at: dict[str, float] = {}
        """When a change of the signal alone was last reported."""
        self._bus.watch(self._modems)
        self._bus.watch(self._networks)
        self._background.start("observation", self._observe)

    def links(self) -> dict[str, Link]:
        return dict(self._links)

    def listen(self, on_change: Callable[[str, Link], None]) -> None:
        self._on_change = on_change

    def devices(self) -> list[DeviceInfo]:
        """Each interface; a cable that is not plugged in is a state, an interface that is not there does not answer."""
        modem, found = find_modem(self._modems.objects), self._devices()
        return [
            self._describe_modem(name, modem) if target == _MODEM else self._describe(name, target, found)
            for name, target in self._interfaces.items()
        ]

    def _describe(self, name: str, interface: str, found: list[Device]) -> DeviceInfo:
        there = any(each.interface == interface for each in found) or kernel.exists(interface, self._sysfs)
        state = _words(self._links[name]) if there else "no such interface"
        return DeviceInfo(name=name, address=interface, answers=there, state=state)

    def _describe_modem(self, name: str, modem: Modem | None) -> DeviceInfo:
        if modem is None:
            missing = Condition.ABSENT.value if self._modems.present else self._bus.trouble or "no ModemManager"
            return DeviceInfo(name=name, address=_MODEM, answers=False, state=missing)
        condition = condition_of(modem, self._modem_device(modem, self._devices()))
        return DeviceInfo(
            name=f"{name} {modem.model}".rstrip(),
            address=modem.interface or _MODEM,
            serial_number=modem.imei,
            firmware=modem.firmware,
            state=f"{_words(self._links[name])}, {condition.value}",
        )

    def close(self) -> None:
        self._background.close()
        if self._settling is not None:
            self._settling.cancel()
        for service in (self._modems, self._networks):
            self._bus.unwatch(service)
            service.close()

    async def _observe(self) -> None:
        """The kernel sends us no events; the modem's recovery needs the time."""
        while True:
            self._evaluate()
            self.recover(asyncio.get_running_loop().time())
            await asyncio.sleep(POLL_S)

    # --- the links -----------------------------------------------------------------------------------------

    def _settle(self) -> None:
        if self._settling is None:
            self._settling = asyncio.get_running_loop().call_later(SETTLE_S, self._evaluate)

    def _evaluate(self) -> None:
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        now = asyncio.get_running_loop().time()
        for name, link in self._read().items():
            before = self._links[name]
            if not differs(before, link):
                continue
            if not _is_another(before, link):
                if now - self._signal_at.get(name, -inf) < self.signal_every_s:
                    continue  # the next look finds it
                self._signal_at[name] = now
            self._links[name] = link
            self._on_change(name, link)

    def _read(self) -> dict[str, Link]:
        modem, devices = find_modem(self._modems.objects), self._devices()
        default = nm.default_device(self._networks.objects, devices)
        default_name = default.ip_interface if default is not None else kernel.default_interface(self._routes)
        return {
            name: self._modem_link(modem, self._modem_device(modem, devices), default_name)
            if target == _MODEM
            else self._link(target, devices, default_name)
            for name, target in self._interfaces.items()
        }

    def _devices(self) -> list[Device]:
        """NetworkManager's devices, if its word counts: not in the seconds after its start."""
        objects = self._networks.objects
        return [] if nm.is_starting(objects) else [each for each in nm.devices(objects) if each.managed]

    def _link(self, interface: str, devices: list[Device], default: str | None) -> Link:
        device = next((each for each in devices if each.interface == interface), None)
        up = device.up if device is not None else kernel.is_up(interface, self._sysfs)
        return Link(up, LinkDetails(default=up and default == interface, device=interface))

    def _modem_link(self, modem: Modem | None, device: Device | None, default: str | None) -> Link:
        name = (device.ip_interface if device else "") or (modem.interface if modem else "") or ""
        self._modem_interface = name = name or self._modem_interface
        if device is not None:
            up = device.up
        elif self._modems.present:
            up = modem is not None and modem.state is ModemState.CONNECTED
        else:
            up = kernel.is_up(name, self._sysfs)
        details = LinkDetails(
            default=up and default == name,
            device=name or None,
            signal_percent=modem.signal_percent if modem else None,
            signal_dbm=modem.signal_dbm if modem else None,
            rsrq_db=modem.rsrq_db if modem else None,
            operator=modem.operator if modem else None,
        )
        return Link(up, details)

    def _modem_device(self, modem: Modem | None, devices: list[Device]) -> Device | None:
        """The modem's device: by ModemManager's path while there is one, else the first of its kind."""
        known = [each for each in devices if modem is not None and each.modem == modem.path]
        return next(iter(known or [each for each in devices if each.is_modem]), None)

    @property
    def _sysfs(self) -> Path:
        return Path(self._options.sysfs)

    @property
    def _routes(self) -> Path:
        return Path(self._options.routes)

    # --- the settings, by `settings.py` ---------------------------------------------------------------------

    async def interfaces(self) -> list[NetworkInterface]:
        return await self._settings.interfaces()

    async def try_settings(
        self, interface: str, settings: WiredSettings | NewCellularSettings, *, within_s: float
    ) -> None:
        await self._settings.try_settings(interface, settings, within_s=within_s)

    async def keep_settings(self) -> None:
        await self._settings.keep_settings()

    async def return_settings(self) -> None:
        await self._settings.return_settings()

    def _device_of(self, name: str) -> Device | None:
        """The device of an interface, if NetworkManager manages it."""
        devices, target = self._devices(), self._interfaces[name]
        if target == _MODEM:
            return self._modem_device(find_modem(self._modems.objects), devices)
        return next((each for each in devices if each.interface == target), None)

    # --- the modem -----------------------------------------------------------------------------------------

    @property
    def condition(self) -> Condition:
        """The modem's, at the last look."""
        return self._ladder.condition

    def recover(self, now: float) -> None:
        """Look at the modem, and help it if it has been stuck for too long at this monotonic time."""
        if _MODEM not in self._interfaces.values() or not self._modems.present:
            return
        modem = find_modem(self._modems.objects)
        device = self._modem_device(modem, self._devices())
        self._ask_for_signal(modem, now)
        if not self._options.recovery:
            return
        condition, before = condition_of(modem, device), self._ladder
        self._ladder, rung = recovery.step(before, condition, now)
        if condition is not before.condition:
            level = logging.WARNING if condition in _TROUBLES else logging.INFO
            _log.log(level, "modem: %s", condition.value, extra=fields(device="modem"))
        if rung is not None:
            extra = fields(device="modem", message_id=MessageId.MODEM_RECOVERY)
            _log.warning("modem: %s for %.0f s: %s", condition.value, now - before.since, rung.value, extra=extra)
            self._background.start("recovery", lambda: self._help(rung, modem, device))

    async def _help(self, rung: Rung, modem: Modem | None, device: Device | None) -> None:
        try:
            await self._carry_out(rung, modem, device)
        except DriverError as error:
            self._unhelped.failed(error)
        else:
            self._unhelped.worked()

    async def _carry_out(self, rung: Rung, modem: Modem | None, device: Device | None) -> None:
        if rung is Rung.RESET and modem is not None:
            await self._bus.call(MODEM_SERVICE, modem.path, f"{MODEM}.Reset")
        elif rung is Rung.ACTIVATE and device is not None and device.profile is not None:
            await self._bus.call(
                nm.MANAGER,
                nm.MANAGER_PATH,
                f"{nm.MANAGER}.ActivateConnection",
                device.profile,
                device.path,
                "/",
                signature="ooo",
            )
        elif rung is Rung.POWER_CYCLE:
            await self._cycle_power()

    async def _cycle_power(self) -> None:
        if self._power is None:
            raise DeviceRefused("no line is configured that switches its power")
        self._power.set(False)
        try:
            await asyncio.sleep(self._options.power_off_s)
        finally:
            self._power.set(True)

    def _ask_for_signal(self, modem: Modem | None, now: float) -> None:
        """ModemManager reads dBm only for a modem that somebody has asked it for."""
        if modem is None or modem.state < ModemState.ENABLED or modem.signal_dbm is not None:
            return
        asked, again_at = self._signal_asked
        asking = (self._modems.runs, modem.path)
        if asking != asked or now >= again_at:
            self._signal_asked = asking, now + SIGNAL_RETRY_S
            self._background.start("signal", lambda: self._set_up_signal(modem.path))

    async def _set_up_signal(self, path: str) -> None:
        try:
            await self._bus.call(
                MODEM_SERVICE, path, f"{MODEM}.Signal.Setup", self._options.signal_period_s, signature="u"
            )
        except DriverError as error:
            _log.debug("no signal strength in dBm: %s", error)


def condition_of(modem: Modem | None, device: Device | None) -> Condition:
    """What is wrong with the modem that ModemManager and NetworkManager report; `modem` None: there is none."""
    if modem is None:
        return Condition.ABSENT
    if modem.sim_trouble is not None or modem.state is ModemState.LOCKED:
        return Condition.SIM
    if modem.state is ModemState.FAILED:
        return Condition.FAILED
    if modem.state is ModemState.CONNECTED:
        return Condition.UNREACHABLE if device is not None and device.reachable is False else Condition.GOOD
    return Condition.UNCONNECTED if modem.state >= ModemState.REGISTERED else Condition.WAITING


def _words(link: Link) -> str:
    """Such as `up, default route, Testnet, 80 %, -90 dBm`."""
    details = link.details
    percent, dbm = details.signal_percent, details.signal_dbm
    parts = [
        "up" if link.up else "down",
        "default route" if details.default else "",
        details.operator or "",
        "" if percent is None else f"{percent} %",
        "" if dbm is None else f"{dbm:.0f} dBm",
    ]
    return ", ".join(filter(None, parts))


def differs(before: Link, after: Link) -> bool:
    """Whether the change is worth an event: a signal that moves a little is not."""
    old, new = before.details, after.details
    return (
        _is_another(before, after)
        or _moved(old.signal_percent, new.signal_percent, _LEAST_PERCENT)
        or _moved(old.signal_dbm, new.signal_dbm, _LEAST_DB)
        or _moved(old.rsrq_db, new.rsrq_db, _LEAST_DB)
    )


def _is_another(before: Link, after: Link) -> bool:
    """Whether more than the signal has changed."""
    old, new = before.details, after.details
    return (before.up, old.default, old.device, old.operator) != (after.up, new.default, new.device, new.operator)


def _moved(before: float | None, after: float | None, least: float) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= least
