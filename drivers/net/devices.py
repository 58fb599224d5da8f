# SPDX-License-Identifier: Apache-2.0
"""What NetworkManager's objects say about the network devices. Pure.

Source: NetworkManager's D-Bus interface, version 1.42: interfaces `NetworkManager`, `Device`, `Connection.Active`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from drivers.net.objects import Objects, Properties, value_of

__all__ = [
    "INTERFACES",
    "IP4_CONFIG",
    "MANAGER",
    "MANAGER_PATH",
    "MANAGER_ROOT",
    "Connectivity",
    "Device",
    "DeviceState",
    "default_device",
    "devices",
    "is_starting",
]

MANAGER = "org.freedesktop.NetworkManager"
MANAGER_ROOT = "/org/freedesktop"
MANAGER_PATH = "/org/freedesktop/NetworkManager"
_DEVICE = f"{MANAGER}.Device"
_ACTIVE = f"{MANAGER}.Connection.Active"
IP4_CONFIG = f"{MANAGER}.IP4Config"
INTERFACES = (MANAGER, _DEVICE, _ACTIVE, IP4_CONFIG)
_NO_PATH = "/"
_TYPE_MODEM = 8


class DeviceState(IntEnum):
    """NMDeviceState, as far as it matters."""

    UNKNOWN = 0
    UNMANAGED = 10
    UNAVAILABLE = 20
    DISCONNECTED = 30
    ACTIVATED = 100


class Connectivity(IntEnum):
    """NMConnectivityState; UNKNOWN where the connectivity check is off."""

    UNKNOWN = 0
    NONE = 1
    PORTAL = 2
    LIMITED = 3
    FULL = 4


@dataclass(frozen=True, slots=True)
class Device:
    path: str
    interface: str
    """The device's name: `eth0`; of a modem its control port, such as `cdc-wdm0`."""
    ip_interface: str
    """The name of the network interface: `eth0`, `wwan0`; empty while there is none."""
    kind: int
    """NMDeviceType."""
    modem: str
    """ModemManager's path of the modem, or empty."""
    state: int
    reachable: bool | None
    """The connectivity check over this device; None if it is off."""
    profile: str | None
    """The settings of the connection that is, or can be, activated on it."""
    addresses: tuple[str, ...] = ()
    """Of IPv4, in use, with their prefix."""

    @property
    def is_modem(self) -> bool:
        return self.kind == _TYPE_MODEM

    @property
    def managed(self) -> bool:
        return self.state > DeviceState.UNMANAGED

    @property
    def up(self) -> bool:
        return self.state == DeviceState.ACTIVATED


def is_starting(objects: Objects) -> bool:
    """NetworkManager has just been started: devices that are in use do not look so yet."""
    return bool(value_of(_manager(objects), "Startup", bool))


def devices(objects: Objects) -> list[Device]:
    return [_device(path, objects) for path in sorted(objects) if _DEVICE in objects[path]]


def default_device(objects: Objects, found: list[Device]) -> Device | None:
    """The device that has the default route."""
    primary = value_of(_manager(objects), "PrimaryConnection", str)
    paths = value_of(_properties(objects, primary, _ACTIVE), "Devices", list) or []
    return next((device for device in found if device.path in paths), None)


def _device(path: str, objects: Objects) -> Device:
    device = objects[path][_DEVICE]
    return Device(
        path=path,
        interface=value_of(device, "Interface", str) or "",
        ip_interface=value_of(device, "IpInterface", str) or "",
        kind=value_of(device, "DeviceType", int) or 0,
        modem=value_of(device, "Udi", str) or "",
        state=value_of(device, "State", int) or 0,
        reachable=_reachable(device),
        profile=_profile(device, objects),
        addresses=_addresses(_properties(objects, value_of(device, "Ip4Config", str), IP4_CONFIG)),
    )


def _addresses(config: Properties) -> tuple[str, ...]:
    known = [each for each in value_of(config, "AddressData", list) or [] if isinstance(each, dict)]
    return tuple(f"{each['address']}/{each['prefix']}" for each in known if {"address", "prefix"} <= each.keys())


def _reachable(device: Properties) -> bool | None:
    known = [value_of(device, name, int) or Connectivity.UNKNOWN for name in ("Ip4Connectivity", "Ip6Connectivity")]
    best = max(known)
    return None if best == Connectivity.UNKNOWN else best == Connectivity.FULL


def _profile(device: Properties, objects: Objects) -> str | None:
    active = _properties(objects, value_of(device, "ActiveConnection", str), _ACTIVE)
    available = value_of(device, "AvailableConnections", list) or []
    for path in (value_of(active, "Connection", str), *available):
        if isinstance(path, str) and path != _NO_PATH:
            return path
    return None


def _manager(objects: Objects) -> Properties:
    return _properties(objects, MANAGER_PATH, MANAGER)


def _properties(objects: Objects, path: str | None, interface: str) -> Properties:
    return objects.get(path or _NO_PATH, {}).get(interface, {})
