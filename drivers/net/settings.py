# SPDX-License-Identifier: Apache-2.0
"""The settings of NetworkManager's interfaces: read, tried, kept, taken back.

While they are tried, a profile is changed in memory only: a restart of the board returns to what is on the disk. A
checkpoint of NetworkManager returns to it, too, when `within_s` is over and this process has not. `Save` writes the
profile: NetworkManager replaces the file, so that it is the old or the new one.

Only `interfaces` reads secrets, to say whether there are any; they stay here.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import msgspec
from msgspec.structs import replace

from drivers.net.devices import MANAGER, MANAGER_PATH, Device
from drivers.net.profiles import (
    Profile,
    cellular_of,
    new_cellular,
    new_wired,
    wired_of,
    with_cellular,
    with_secrets,
    with_wired,
)
from drivers.net.system_bus import SystemBus
from firmware.contract import NetworkInterface, NewCellularSettings, WiredSettings
from firmware.errors import DeviceLost, DeviceRefused, DriverError

__all__ = ["ProfileSettings"]

SETTINGS_PATH = f"{MANAGER_PATH}/Settings"
_SETTINGS = f"{MANAGER}.Settings"
_CONNECTION = f"{_SETTINGS}.Connection"
_TO_DISK, _IN_MEMORY = 0x1, 0x2
_DELETE_NEW_CONNECTIONS = 0x2
_SECRET_SETTINGS = frozenset({"gsm", "ppp", "802-1x"})
_MARGIN_S = 10.0
"""The checkpoint is for a HAL that has ended; one that runs is quicker."""
_NONSENSE = (TypeError, ValueError, LookupError, AttributeError, OverflowError, struct.error)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Trial:
    interface: str
    checkpoint: str
    profile: str
    before: Profile | None
    """None: there was no profile."""


class ProfileSettings:
    """`device_of` finds the device of an interface; None: there is none, or NetworkManager does not manage it."""

    def __init__(self, bus: SystemBus, names: Mapping[str, bool], device_of: Callable[[str], Device | None]) -> None:
        """`names`: OCPP's name of each interface, and whether it is a modem."""
        self._bus = bus
        self._names = names
        self._device_of = device_of
        self._trial: _Trial | None = None

    async def interfaces(self) -> list[NetworkInterface]:
        return [await self._read(name, is_cellular=modem) for name, modem in self._names.items()]

    async def _read(self, name: str, *, is_cellular: bool) -> NetworkInterface:
        device = self._device_of(name)
        if device is None:
            return NetworkInterface(name, is_cellular, problem=self._missing(is_cellular=is_cellular))
        shown = NetworkInterface(name, is_cellular, addresses=list(device.addresses))
        if device.profile is None:
            return shown
        try:
            profile = await self._profile(device.profile)
            secrets = await self._secrets(device.profile, profile) if is_cellular else {}
            found = replace(
                shown,
                wired=None if is_cellular else wired_of(profile),
                cellular=cellular_of(profile, secrets) if is_cellular else None,
            )
            return msgspec.convert(msgspec.to_builtins(found), NetworkInterface)  # another version may have other types
        except DriverError as error:
            return replace(shown, problem=str(error))
        except _NONSENSE as error:
            _log.warning("%s: its profile can't be read: %s", name, type(error).__name__)
            return replace(shown, problem="its profile in NetworkManager can't be read")

    def _missing(self, *, is_cellular: bool) -> str:
        if self._bus.trouble:
            return self._bus.trouble
        return "there is no modem" if is_cellular else "NetworkManager does not manage this interface"

    async def try_settings(
        self, interface: str, settings: WiredSettings | NewCellularSettings, *, within_s: float
    ) -> None:
        device = self._device_of(interface)
        if device is None:
            raise DeviceLost(self._missing(is_cellular=self._names[interface]))
        before = None
        if device.profile is not None:
            found = await self._profile(device.profile)
            before = with_secrets(found, await self._secrets(device.profile, found))
        if isinstance(settings, WiredSettings):
            after = with_wired(before or new_wired(device.interface), settings)
        else:
            after = with_cellular(before or new_cellular(), settings)
        (checkpoint,) = await self._manager(
            "CheckpointCreate", "aouu", [device.path], round(within_s + _MARGIN_S), _DELETE_NEW_CONNECTIONS
        )
        try:
            profile = await self._write(device.profile, after)
            self._trial = _Trial(interface, str(checkpoint), profile, before)
            await self._manager("ActivateConnection", "ooo", profile, device.path, "/")
        except DriverError:
            self._trial = None
            await self._manager("CheckpointRollback", "o", checkpoint)
            raise

    async def _write(self, profile: str | None, content: Profile) -> str:
        """Into memory; returns the profile's path."""
        if profile is None:
            path, _ = await self._bus.call(
                MANAGER,
                SETTINGS_PATH,
                f"{_SETTINGS}.AddConnection2",
                content,
                _IN_MEMORY,
                {},
                signature="a{sa{sv}}ua{sv}",
            )
            return str(path)
        await self._update(profile, content, _IN_MEMORY)
        return profile

    async def keep_settings(self) -> None:
        trial = self._trial
        if trial is None:
            raise DeviceRefused("no settings are being tried")
        await self._bus.call(MANAGER, trial.profile, f"{_CONNECTION}.Save")
        self._trial = None
        try:
            await self._manager("CheckpointDestroy", "o", trial.checkpoint)
        except DeviceRefused as error:  # a NetworkManager that was started again has none
            _log.info("%s: no checkpoint to end: %s", trial.interface, error)

    async def return_settings(self) -> None:
        trial = self._trial
        if trial is None:
            return
        try:
            await self._manager("CheckpointRollback", "o", trial.checkpoint)
        except DeviceRefused as error:
            _log.info("%s: no checkpoint to return to: %s", trial.interface, error)
            await self._restore(trial)
        self._trial = None

    async def _restore(self, trial: _Trial) -> None:
        """After a restart of NetworkManager, or of its own return: the profile as it was before the trial."""
        if trial.before is None:
            if self._device_has(trial):
                await self._bus.call(MANAGER, trial.profile, f"{_CONNECTION}.Delete")
            return
        device = self._device_of(trial.interface)
        profile = trial.profile if device is None or device.profile is None else device.profile
        await self._update(profile, trial.before, _TO_DISK)
        if device is not None:
            await self._manager("ActivateConnection", "ooo", profile, device.path, "/")

    def _device_has(self, trial: _Trial) -> bool:
        device = self._device_of(trial.interface)
        return device is not None and device.profile == trial.profile

    async def _update(self, profile: str, content: Profile, flags: int) -> None:
        await self._bus.call(
            MANAGER, profile, f"{_CONNECTION}.Update2", content, flags, {}, signature="a{sa{sv}}ua{sv}"
        )

    async def _profile(self, path: str) -> Profile:
        (settings,) = await self._bus.call(MANAGER, path, f"{_CONNECTION}.GetSettings")
        return dict(settings)

    async def _secrets(self, path: str, profile: Profile) -> Profile:
        found: Profile = {}
        for name in _SECRET_SETTINGS & profile.keys():
            (secrets,) = await self._bus.call(MANAGER, path, f"{_CONNECTION}.GetSecrets", name, signature="s")
            found |= secrets
        return found

    async def _manager(self, method: str, signature: str, *arguments: object) -> list[object]:
        return await self._bus.call(MANAGER, MANAGER_PATH, f"{MANAGER}.{method}", *arguments, signature=signature)
