# SPDX-License-Identifier: Apache-2.0
"""`NetworkLinks`. Settings are kept and change nothing: the simulated cable and modem work with any.

[links]
driver = "simulated"
bus = "world"
settings_file = "network.json"      # left out: they are forgotten with the process
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
from msgspec import Struct

from drivers.simulated.bus import WorldOptions
from drivers.simulated.messages import FromWorld, Readings
from firmware import files
from firmware.contract import (
    Addressing,
    CellularSettings,
    NetworkInterface,
    NewCellularSettings,
    WiredSettings,
)
from firmware.errors import DeviceRefused
from hal.ports import Link

__all__ = ["SimulatedLinksOptions", "SimulatedNetworkLinks"]

DHCP_ADDRESS = "192.0.2.23/24"
"""What the simulated site gives."""
_log = logging.getLogger(__name__)


class SimulatedLinksOptions(WorldOptions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    settings_file: str | None = None


class _Kept(Struct, frozen=True):
    """What is set of each interface; secrets as they were given."""

    wired: dict[str, WiredSettings] = {}
    cellular: dict[str, NewCellularSettings] = {}


class SimulatedNetworkLinks:
    Options = SimulatedLinksOptions

    def __init__(self, options: SimulatedLinksOptions) -> None:
        self._bus = options.bus
        self._file = None if options.settings_file is None else Path(options.settings_file)
        self._kept = _load(self._file)
        self._in_force = self._kept
        """Others than `_kept` while they are tried."""

    def links(self) -> dict[str, Link]:
        return _links(self._bus.readings())

    def listen(self, on_change: Callable[[str, Link], None]) -> None:
        last = self.links()

        def on_message(message: FromWorld) -> None:
            nonlocal last
            if not isinstance(message, Readings):
                return
            before, last = last, _links(message)
            for interface, link in last.items():
                if before.get(interface) != link:
                    on_change(interface, link)

        self._bus.listen(on_message)

    def close(self) -> None:
        """Links have no outputs."""

    # --- settings --------------------------------------------------------------------------------------------------

    async def interfaces(self) -> list[NetworkInterface]:
        return [self._interface(name, up=link.up) for name, link in self.links().items()]

    def _interface(self, name: str, *, up: bool) -> NetworkInterface:
        if name.startswith("Wireless"):
            cellular = self._in_force.cellular.get(name)
            return NetworkInterface(name, is_cellular=True, cellular=None if cellular is None else _shown(cellular))
        wired = self._in_force.wired.get(name, WiredSettings(Addressing.DHCP))
        address = wired.address if wired.method is Addressing.FIXED else DHCP_ADDRESS
        return NetworkInterface(name, wired=wired, addresses=[address] if up else [])

    async def try_settings(
        self, interface: str, settings: WiredSettings | NewCellularSettings, *, within_s: float
    ) -> None:
        kept = self._kept
        if isinstance(settings, WiredSettings):
            self._in_force = _Kept({**kept.wired, interface: settings}, kept.cellular)
        else:
            merged = _merged(kept.cellular.get(interface), settings)
            self._in_force = _Kept(kept.wired, {**kept.cellular, interface: merged})

    async def keep_settings(self) -> None:
        if self._file is not None:
            try:
                files.replace(self._file, msgspec.json.encode(self._in_force))
            except OSError as error:
                raise DeviceRefused(f"the settings can't be kept: {error.strerror}") from error
        self._kept = self._in_force

    async def return_settings(self) -> None:
        self._in_force = self._kept


def _load(file: Path | None) -> _Kept:
    """The world is a simulation: without its file it begins anew."""
    try:
        return _Kept() if file is None else msgspec.json.decode(file.read_bytes(), type=_Kept)
    except FileNotFoundError:
        return _Kept()
    except (OSError, msgspec.DecodeError) as error:
        _log.warning("%s can't be read, and is forgotten: %s", file, type(error).__name__)
        return _Kept()


def _merged(before: NewCellularSettings | None, after: NewCellularSettings) -> NewCellularSettings:
    """With the secrets that `after` keeps."""
    password, pin = (before.password, before.pin) if before is not None else (None, None)
    return NewCellularSettings(
        apn=after.apn,
        user=after.user,
        authentication=after.authentication,
        password=(password if after.password is None else after.password) if after.user else None,
        pin=pin if after.pin is None else after.pin,
    )


def _shown(settings: NewCellularSettings) -> CellularSettings:
    return CellularSettings(
        apn=settings.apn,
        user=settings.user,
        authentication=settings.authentication,
        password_is_set=bool(settings.password),
        pin_is_set=bool(settings.pin),
    )


def _links(readings: Readings) -> dict[str, Link]:
    return {name: Link(up, readings.link_details[name]) for name, up in readings.links.items()}
