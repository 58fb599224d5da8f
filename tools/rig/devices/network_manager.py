# SPDX-License-Identifier: Apache-2.0
"""A fake NetworkManager with an Ethernet and a modem device, on a bus of its own (`bus_daemon.py`).

The attributes of `FakeNetworks` are what a test or the rig changes; `update()` makes the bus show them. The default
route is that of the activated device with the lowest metric, as NetworkManager sets them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dbus_fast import Variant

from tools.rig.devices.bus_objects import BusObjects, Interfaces, Refusal
from tools.rig.devices.network_profiles import FakeProfiles

__all__ = ["SERVICE", "FakeDevice", "FakeNetworkManager"]

SERVICE = "org.freedesktop.NetworkManager"
ROOT = "/org/freedesktop"
PATH = "/org/freedesktop/NetworkManager"
_DEVICE = f"{SERVICE}.Device"
_WIRED = f"{_DEVICE}.Wired"
_ACTIVE = f"{SERVICE}.Connection.Active"
_UNAVAILABLE, _DISCONNECTED, _ACTIVATED = 20, 30, 100
_ETHERNET, _MODEM = 1, 8
_FULL, _LIMITED = 4, 3
_KINDS = {_ETHERNET: "802-3-ethernet", _MODEM: "gsm"}
_DHCP = {"eth0": ("192.0.2.23", 24), "wwan0": ("198.51.100.7", 30)}
"""What the networks give."""


@dataclass
class FakeDevice:
    """One device; `up`: its connection is activated."""

    interface: str
    ip_interface: str
    metric: int
    kind: int = _ETHERNET
    up: bool = True
    reachable: bool = True
    modem: str | None = None
    """ModemManager's path of the modem that it is; None while that has none."""

    @property
    def there(self) -> bool:
        """A modem that ModemManager does not have is no device."""
        return self.kind == _ETHERNET or self.modem is not None


@dataclass
class FakeNetworkManager:
    """`start` and `close` are those of the daemon; the devices' state outlives it."""

    address: str
    wired: FakeDevice = field(default_factory=lambda: FakeDevice("eth0", "eth0", 100))
    modem: FakeDevice = field(default_factory=lambda: FakeDevice("cdc-wdm0", "wwan0", 700, _MODEM))
    starting: bool = False
    """It has just been started: devices are not activated yet."""

    def __post_init__(self) -> None:
        self.activations: list[str] = []
        """The interfaces whose connection somebody has activated."""
        self._numbers = iter(range(1, 10_000))
        self._paths: dict[str, str] = {}
        self.profiles = FakeProfiles()
        methods = {f"{SERVICE}.ActivateConnection": self._activate_connection, **self.profiles.methods()}
        self.service = BusObjects(self.address, SERVICE, ROOT, methods)
        self.profiles.changed = self._show_profiles

    async def start(self) -> None:
        self._paths.clear()
        self.service.objects.clear()
        self.update()
        await self.service.start()

    def close(self) -> None:
        self.service.close()

    def update(self) -> None:
        """Show the devices' present state on the bus."""
        for device in (self.wired, self.modem):
            path = self._paths.get(device.interface)
            if device.there and path is None:
                number = next(self._numbers)
                self._paths[device.interface] = path = f"{PATH}/Devices/{number}"
                self.service.add(path, self._device(device))
            elif path is not None and not device.there:
                self.service.remove(path)
                del self._paths[device.interface]
            elif path is not None:
                for name, values in self._device(device).items():
                    self.service.change(path, name, **values)
            self._show_active(device)
        self._show_profiles()
        if PATH in self.service.objects:
            self.service.change(PATH, SERVICE, **self._manager())
        else:
            self.service.add(PATH, {SERVICE: self._manager()})

    def _show_profiles(self) -> None:
        known = {path for path in self.service.objects if path.startswith(f"{PATH}/Settings")}
        wanted = {f"{PATH}/Settings", *self.profiles.running}
        for path in known - wanted:
            self.service.remove(path)
        for path in wanted - known:
            self.service.add(path, {f"{SERVICE}.Settings.Connection": {}})

    def _show_active(self, device: FakeDevice) -> None:
        path, active = self._paths.get(device.interface), self._active_path(device)
        shown = active in self.service.objects
        if not self._is_active(device):
            self.service.remove(active)
            self.service.remove(self._config_path(device))
            return
        self._show_config(device)
        values = {
            "Connection": Variant("o", self._profile(device) or "/"),
            "Devices": Variant("ao", [path]),
            "State": Variant("u", 2),
            "Default": Variant("b", device is self._default()),
            "Type": Variant("s", _KINDS[device.kind]),
        }
        if shown:
            self.service.change(active, _ACTIVE, **values)
        else:
            self.service.add(active, {_ACTIVE: values})

    def _is_active(self, device: FakeDevice) -> bool:
        return device.there and device.up and not self.starting

    def _default(self) -> FakeDevice | None:
        active = [each for each in (self.wired, self.modem) if self._is_active(each)]
        return min(active, key=lambda device: device.metric, default=None)

    def _active_path(self, device: FakeDevice) -> str:
        return f"{PATH}/ActiveConnection/{1 if device is self.wired else 2}"

    def _show_config(self, device: FakeDevice) -> None:
        profile = self.profiles.running.get(self._profile(device) or "", {})
        fixed = profile.get("ipv4", {}).get("address-data")
        address, prefix = _DHCP[device.ip_interface]
        given = [{"address": Variant("s", address), "prefix": Variant("u", prefix)}]
        values = {"AddressData": Variant("aa{sv}", fixed.value if fixed is not None else given)}
        path, name = self._config_path(device), f"{SERVICE}.IP4Config"
        if path in self.service.objects:
            self.service.change(path, name, **values)
        else:
            self.service.add(path, {name: values})

    def _config_path(self, device: FakeDevice) -> str:
        return f"{PATH}/IP4Config/{1 if device is self.wired else 2}"

    def _profile(self, device: FakeDevice) -> str | None:
        return self.profiles.of(_KINDS[device.kind])

    def _manager(self) -> dict[str, Variant]:
        default = self._default()
        active = [self._active_path(each) for each in (self.wired, self.modem) if self._is_active(each)]
        return {
            "Startup": Variant("b", self.starting),
            "State": Variant("u", 70 if default is not None else 20),
            "Connectivity": Variant("u", _FULL if default is not None and default.reachable else _LIMITED),
            "Devices": Variant("ao", list(self._paths.values())),
            "ActiveConnections": Variant("ao", active),
            "PrimaryConnection": Variant("o", "/" if default is None else self._active_path(default)),
        }

    def _device(self, device: FakeDevice) -> Interfaces:
        active = self._is_active(device)
        without = _UNAVAILABLE if device.kind == _ETHERNET else _DISCONNECTED
        found = {
            _DEVICE: {
                "Interface": Variant("s", device.interface),
                "IpInterface": Variant("s", device.ip_interface if active else ""),
                "DeviceType": Variant("u", device.kind),
                "Udi": Variant("s", device.modem or f"/sys/devices/fake/net/{device.interface}"),
                "State": Variant("u", _ACTIVATED if active else without),
                "ActiveConnection": Variant("o", self._active_path(device) if active else "/"),
                "AvailableConnections": Variant("ao", list(filter(None, [self._profile(device)]))),
                "Ip4Config": Variant("o", self._config_path(device) if active else "/"),
                "Ip4Connectivity": Variant("u", (_FULL if device.reachable else _LIMITED) if active else 1),
            }
        }
        if device.kind == _ETHERNET:
            found[_WIRED] = {"Carrier": Variant("b", device.up)}
        return found

    def _activate_connection(self, path: str, profile: str, device_path: str, _specific: str) -> tuple[str, list[Any]]:
        for device in (self.wired, self.modem):
            if self._paths.get(device.interface) == device_path and self._profile(device) == profile:
                self.activations.append(device.interface)
                return "o", [self._active_path(device)]
        raise Refusal(f"{SERVICE}.UnknownConnection", f"no connection {profile} of {device_path}")
