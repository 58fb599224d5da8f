# SPDX-License-Identifier: Apache-2.0
"""The objects of a service on the system bus, kept up to date by its ObjectManager and PropertiesChanged signals.

Only the interfaces that are asked for are kept, of at most `MAX_OBJECTS` objects. Numbers in object paths (`Modem/3`)
change with each re-enumeration: a path is good for as long as it is here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeAlias, TypeVar

from drivers.background import Background
from drivers.net.system_bus import SystemBus

__all__ = ["Objects", "Properties", "ServiceObjects", "plain", "value_of"]

KEEP_S = 5.0
MAX_OBJECTS = 64
RETRY_S = 2.0
_MANAGER = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_log = logging.getLogger(__name__)

Properties: TypeAlias = Mapping[str, object]
Objects: TypeAlias = Mapping[str, Mapping[str, Properties]]
"""Path, interface, property."""
T = TypeVar("T")


def plain(value: Any) -> Any:
    """A D-Bus value without its variants, however deep they are."""
    if hasattr(value, "signature") and hasattr(value, "value"):
        return plain(value.value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    return value


def value_of(properties: Properties, name: str, kind: type[T]) -> T | None:
    """A property if it has the type that is expected: another daemon's version may have another one."""
    value = properties.get(name)
    return value if isinstance(value, kind) and (kind is bool or not isinstance(value, bool)) else None


class ServiceObjects:
    """Follows one service; `changed` is called after each change, also when the service appears or vanishes.

    While the service is out of reach, or does not answer, `objects` are the last that it has reported, for `KEEP_S`: a
    restart of the service or of the bus changes no link.
    """

    def __init__(
        self,
        bus: SystemBus,
        service: str,
        *,
        root: str,
        interfaces: Collection[str],
        changed: Callable[[], None],
    ) -> None:
        self.service = service
        self.objects: dict[str, dict[str, dict[str, object]]] = {}
        self.present = False
        """The service runs and has reported its objects."""
        self.runs = 0
        """How often that has begun."""
        self._bus = bus
        self._root = root
        self._interfaces = frozenset(interfaces)
        self._changed = changed
        self._early: list[tuple[str, str, list[Any]]] = []
        self._loads = Background(service)
        self._forgetting: asyncio.TimerHandle | None = None

    def close(self) -> None:
        self._loads.close()
        self._keep()

    def _keep(self) -> None:
        """Do not forget the objects."""
        if self._forgetting is not None:
            self._forgetting.cancel()
            self._forgetting = None

    # --- Watcher -------------------------------------------------------------------------------------------

    def on_present(self, present: bool) -> None:
        self._loads.close()
        known, self.present = self.present, False
        self._early = []
        if self._forgetting is None:
            self._forgetting = asyncio.get_running_loop().call_later(KEEP_S, self._forget)
        if present:
            self._loads = Background(self.service)
            self._loads.start("objects", self._load, restart_s=RETRY_S)
        elif known:
            _log.warning("%s is gone", self.service)
        self._changed()

    def _forget(self) -> None:
        self._forgetting = None
        if self.objects:
            _log.warning("%s does not answer for %g s: what it reported is forgotten", self.service, KEEP_S)
        self.objects = {}
        self._changed()

    def on_signal(self, path: str, interface: str, member: str, body: list[Any]) -> None:
        if interface not in (_MANAGER, _PROPERTIES):
            return
        if not self.present:  # sent before the answer to `_load`, or after it; both are right in this order
            if len(self._early) < MAX_OBJECTS * 4:
                self._early.append((path, member, body))
            return
        if self._apply(path, member, body):
            self._changed()

    async def _load(self) -> None:
        (managed,) = await self._bus.call(self.service, self._root, f"{_MANAGER}.GetManagedObjects")
        self.objects = {}
        for path, interfaces in managed.items():
            self._add(path, interfaces)
        self._keep()
        early, self._early = self._early, []
        for each in early:
            self._apply(*each)
        self.present = True
        self.runs += 1
        _log.info("%s: %d objects", self.service, len(self.objects))
        self._changed()

    # --- changes -------------------------------------------------------------------------------------------

    def _apply(self, path: str, member: str, body: list[Any]) -> bool:
        match member, body:
            case "InterfacesAdded", [str() as added, dict() as interfaces]:
                return self._add(added, interfaces)
            case "InterfacesRemoved", [str() as removed, list() as names]:
                return self._remove(removed, names)
            case "PropertiesChanged", [str() as interface, dict() as values, list() as invalid]:
                known = self.objects.get(path, {}).get(interface)
                if known is None:
                    return False
                known.update(plain(values))
                for name in invalid:
                    known.pop(name, None)
                return True
        return False

    def _add(self, path: str, interfaces: Mapping[str, Any]) -> bool:
        kept = {name: plain(values) for name, values in interfaces.items() if name in self._interfaces}
        if not kept or (path not in self.objects and len(self.objects) >= MAX_OBJECTS):
            return False
        self.objects.setdefault(path, {}).update(kept)
        return True

    def _remove(self, path: str, interfaces: Collection[str]) -> bool:
        known = self.objects.get(path)
        if known is None:
            return False
        for name in interfaces:
            known.pop(name, None)
        if not known:
            del self.objects[path]
        return True
