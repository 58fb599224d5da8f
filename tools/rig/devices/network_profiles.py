# SPDX-License-Identifier: Apache-2.0
"""The profiles of the fake NetworkManager: in memory and on its disk, with secrets, and its checkpoints."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from itertools import count
from typing import Any, TypeAlias

from dbus_fast import Variant

from tools.rig.devices.bus_objects import Method, Refusal

__all__ = ["FakeProfiles", "Profile"]

SERVICE = "org.freedesktop.NetworkManager"
PATH = "/org/freedesktop/NetworkManager"
_CONNECTION = f"{SERVICE}.Settings.Connection"
_TO_DISK, _IN_MEMORY = 0x1, 0x2
_SECRETS = {"gsm": ("password", "pin"), "ppp": ("password",), "802-1x": ("password", "private-key-password")}

Profile: TypeAlias = dict[str, dict[str, Variant]]


def _profile(name: str, kind: str, metric: int, **settings: dict[str, Variant]) -> Profile:
    ways = {"method": Variant("s", "auto"), "route-metric": Variant("x", metric)}
    return {
        "connection": {"id": Variant("s", name), "type": Variant("s", kind), "uuid": Variant("s", f"uuid of {name}")},
        kind: {},
        "ipv4": dict(ways),
        "ipv6": dict(ways),
        **settings,
    }


class FakeProfiles:
    """Profile 1 is the cable's, profile 2 the modem's; `running` is what counts now, `disk` what is after a restart."""

    def __init__(self) -> None:
        gsm = {"apn": Variant("s", "internet.example"), "pin": Variant("s", "1234")}
        self.disk: dict[str, Profile] = {
            self.path(1): _profile("cable", "802-3-ethernet", 100),
            self.path(2): _profile("modem", "gsm", 700, gsm=gsm),
        }
        self.running = deepcopy(self.disk)
        self.checkpoints: dict[str, tuple[int, dict[str, Profile]]] = {}
        """The time and the profiles of each."""
        self.full = False
        """Nothing can be written to the disk."""
        self.changed: Callable[[], None] = lambda: None
        """Called when a profile has come or gone."""
        self._numbers = count(1)

    @staticmethod
    def path(number: int) -> str:
        return f"{PATH}/Settings/{number}"

    def of(self, kind: str) -> str | None:
        """The path of the first profile of a type of connection."""
        kinds = {path: each["connection"]["type"].value for path, each in self.running.items()}
        return next((path for path, each in kinds.items() if each == kind), None)

    def restart(self, *, board: bool) -> None:
        """NetworkManager starts again; with the `board`, what is in memory only is lost, too."""
        self.checkpoints.clear()
        if board:
            self.running = deepcopy(self.disk)

    def expire(self) -> None:
        """The time of every checkpoint is over."""
        for checkpoint in tuple(self.checkpoints):
            self._rollback(PATH, checkpoint)

    def methods(self) -> dict[str, Method]:
        return {
            f"{SERVICE}.CheckpointCreate": self._checkpoint,
            f"{SERVICE}.CheckpointDestroy": self._destroy,
            f"{SERVICE}.CheckpointRollback": self._rollback,
            f"{SERVICE}.Settings.AddConnection2": self._add,
            f"{_CONNECTION}.GetSettings": self._get,
            f"{_CONNECTION}.GetSecrets": self._get_secrets,
            f"{_CONNECTION}.Update2": self._update,
            f"{_CONNECTION}.Save": self._save,
            f"{_CONNECTION}.Delete": self._delete,
        }

    # --- methods of the daemon -------------------------------------------------------------------------------------

    def _checkpoint(self, _path: str, _devices: list[str], timeout_s: int, _flags: int) -> tuple[str, list[Any]]:
        path = f"{PATH}/Checkpoint/{next(self._numbers)}"
        self.checkpoints[path] = timeout_s, deepcopy(self.running)
        return "o", [path]

    def _destroy(self, _path: str, checkpoint: str) -> tuple[str, list[Any]]:
        self._known(checkpoint)
        del self.checkpoints[checkpoint]
        return "", []

    def _rollback(self, _path: str, checkpoint: str) -> tuple[str, list[Any]]:
        self._known(checkpoint)
        _, self.running = self.checkpoints.pop(checkpoint)
        return "a{su}", [{}]

    def _known(self, checkpoint: str) -> None:
        if checkpoint not in self.checkpoints:
            raise Refusal(f"{SERVICE}.InvalidArguments", f"{checkpoint} does not exist")

    def _add(self, _path: str, settings: Profile, flags: int, _more: Any) -> tuple[str, list[Any]]:
        path = self.path(100 + next(self._numbers))
        self._write(path, settings, flags)
        self.changed()
        return "oa{sv}", [path, {}]

    def _update(self, path: str, settings: Profile, flags: int, _more: Any) -> tuple[str, list[Any]]:
        self._write(path, settings, flags)
        return "a{sv}", [{}]

    def _write(self, path: str, settings: Profile, flags: int) -> None:
        ipv4 = settings["ipv4"]
        if ipv4["method"].value == "manual" and "address-data" not in ipv4:
            raise Refusal(f"{SERVICE}.Settings.Connection.InvalidProperty", "ipv4.addresses: this property is missing")
        if flags & _TO_DISK:
            self._to_disk(path, settings)
        self.running[path] = deepcopy(settings)

    def _save(self, path: str) -> tuple[str, list[Any]]:
        self._to_disk(path, self.running[path])
        return "", []

    def _to_disk(self, path: str, settings: Profile) -> None:
        if self.full:
            raise Refusal(f"{SERVICE}.Settings.Failed", "No space left on device")
        self.disk[path] = deepcopy(settings)

    def _delete(self, path: str) -> tuple[str, list[Any]]:
        self.running.pop(path)
        self.disk.pop(path, None)
        self.changed()
        return "", []

    def _get(self, path: str) -> tuple[str, list[Any]]:
        open_part = {
            setting: {name: value for name, value in values.items() if name not in _SECRETS.get(setting, ())}
            for setting, values in self.running[path].items()
        }
        return "a{sa{sv}}", [open_part]

    def _get_secrets(self, path: str, setting: str) -> tuple[str, list[Any]]:
        values = self.running[path].get(setting, {})
        secrets = {name: value for name, value in values.items() if name in _SECRETS.get(setting, ())}
        return "a{sa{sv}}", [{setting: secrets} if secrets else {}]
