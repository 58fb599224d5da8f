# SPDX-License-Identifier: Apache-2.0
"""A service on a message bus whose objects are data: what the fakes of ModemManager and NetworkManager have in common.

It answers `Properties.Get` and `GetAll` and `ObjectManager.GetManagedObjects`, and sends `PropertiesChanged`,
`InterfacesAdded` and `InterfacesRemoved` as the real services do: the last two from the ObjectManager's own path.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from dbus_fast import Message, MessageType, NameFlag, RequestNameReply, Variant
from dbus_fast.aio import MessageBus

from firmware.errors import ConfigError

__all__ = ["BusObjects", "Interfaces", "Method", "Refusal"]

_MANAGER = "org.freedesktop.DBus.ObjectManager"
_PROPERTIES = "org.freedesktop.DBus.Properties"
_UNKNOWN = "org.freedesktop.DBus.Error.UnknownMethod"

Interfaces: TypeAlias = dict[str, dict[str, Variant]]
Method: TypeAlias = Callable[..., tuple[str, list[Any]]]
"""Gets the object's path and the arguments; returns the signature and the values of the answer."""


class Refusal(Exception):
    """A method answers with a D-Bus error."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name


class BusObjects:
    """The service `name` with its objects; `root` is the path of its ObjectManager."""

    def __init__(self, address: str, name: str, root: str, methods: Mapping[str, Method]) -> None:
        self.objects: dict[str, Interfaces] = {}
        self.unmanaged: set[str] = set()
        """Paths of objects that the ObjectManager does not know: those who have their path can read them."""
        self.calls: list[tuple[str, str, list[Any]]] = []
        """Every call of one of `methods`: path, method, arguments."""
        self._address = address
        self._name = name
        self._root = root
        self._methods = methods
        self._bus: MessageBus | None = None
        self._runs = False
        self._connecting = asyncio.Lock()

    @property
    def lost(self) -> bool:
        """It runs, and has no bus."""
        return self._runs and (self._bus is None or not self._bus.connected)

    async def start(self) -> None:
        """Connect and own the name; raises `OSError` if the bus is not there, and is then `lost`."""
        self._runs = True
        async with self._connecting:
            if self.lost:
                await self._connect()

    async def _connect(self) -> None:
        bus = await MessageBus(self._address).connect()
        bus.add_message_handler(self._on_message)
        if await bus.request_name(self._name, NameFlag.DO_NOT_QUEUE) is not RequestNameReply.PRIMARY_OWNER:
            bus.disconnect()
            raise ConfigError(f"{self._name} is there already")
        self._bus = bus
        if not self._runs:
            self.close()

    def close(self) -> None:
        """Leave the bus, as a service that is stopped."""
        self._runs = False
        bus, self._bus = self._bus, None
        if bus is not None and bus.connected:
            bus.disconnect()

    def add(self, path: str, interfaces: Interfaces, *, managed: bool = True) -> None:
        self.objects[path] = interfaces
        if not managed:
            self.unmanaged.add(path)
            return
        self._emit(self._root, f"{_MANAGER}.InterfacesAdded", "oa{sa{sv}}", [path, interfaces])

    def remove(self, path: str) -> None:
        gone = self.objects.pop(path, None)
        if gone is not None and path not in self.unmanaged:
            self._emit(self._root, f"{_MANAGER}.InterfacesRemoved", "oas", [path, list(gone)])

    def change(self, path: str, interface: str, **values: Variant) -> None:
        """Set properties of an object that exists; those that differ are signalled."""
        known = self.objects[path][interface]
        changed = {name: value for name, value in values.items() if known.get(name) != value}
        if changed:
            known.update(changed)
            self._emit(path, f"{_PROPERTIES}.PropertiesChanged", "sa{sv}as", [interface, changed, []])

    def _emit(self, path: str, signal: str, signature: str, body: list[Any]) -> None:
        if self._bus is None or not self._bus.connected:
            return
        interface, _, member = signal.rpartition(".")
        with contextlib.suppress(OSError):  # the bus has gone this moment
            sent = self._bus.send(Message.new_signal(path, interface, member, signature, body))
            sent.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _on_message(self, message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL:
            return None
        method, path = f"{message.interface}.{message.member}", message.path or ""
        try:
            signature, body = self._answer(path, method, message.body)
        except Refusal as error:
            return Message.new_error(message, error.name, str(error))
        return Message.new_method_return(message, signature, body)

    def _answer(self, path: str, method: str, arguments: list[Any]) -> tuple[str, list[Any]]:
        if method == f"{_MANAGER}.GetManagedObjects" and path == self._root:
            return "a{oa{sa{sv}}}", [{path: it for path, it in self.objects.items() if path not in self.unmanaged}]
        if path not in self.objects:
            raise Refusal("org.freedesktop.DBus.Error.UnknownObject", f"no object {path}")
        if method == f"{_PROPERTIES}.GetAll":
            return "a{sv}", [self.objects[path].get(arguments[0], {})]
        if method == f"{_PROPERTIES}.Get":
            return "v", [self.objects[path][arguments[0]][arguments[1]]]
        if method not in self._methods:
            raise Refusal(_UNKNOWN, f"no method {method}")
        self.calls.append((path, method, arguments))
        return self._methods[method](path, *arguments)
