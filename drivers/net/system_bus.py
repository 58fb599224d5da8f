# SPDX-License-Identifier: Apache-2.0
"""The D-Bus system bus as a bus of the HAL: one connection for all drivers that speak to system daemons.

    [bus.system]
    driver = "dbus"
    # address = "unix:path=/run/dbus/system_bus_socket"     # the default: as the environment says, else this

The connection is made in the background and made again when it is lost. A service (`org.freedesktop.ModemManager1`) may
start, stop and be replaced at any time: whoever watches it is called with each change of its owner and with each of its
signals. Calls never start a service that does not run.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from dbus_fast import BusType, Message, MessageFlag, MessageType
from dbus_fast.aio import MessageBus
from dbus_fast.errors import AuthError, DBusError, InvalidAddressError
from msgspec import Struct

from drivers.background import Background
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["SystemBus", "SystemBusOptions", "Watcher"]

CALL_S = 10.0
RECONNECT_S = 1.0
_DAEMON = "org.freedesktop.DBus"
_DAEMON_PATH = "/org/freedesktop/DBus"
_ERRORS = (OSError, EOFError, AuthError, DBusError, InvalidAddressError)
_log = logging.getLogger(__name__)


class SystemBusOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    address: str | None = None


class Watcher(Protocol):
    """Whoever follows one service; called on the event loop, returns quickly."""

    service: str

    def on_present(self, present: bool) -> None:
        """The service now runs (True, also after it was replaced by another process), or is out of reach."""

    def on_signal(self, path: str, interface: str, member: str, body: list[Any]) -> None: ...


class SystemBus:
    """See the module; `call` works from the first connection on."""

    Options = SystemBusOptions

    def __init__(self, options: SystemBusOptions) -> None:
        self._address = options.address
        self._bus: MessageBus | None = None
        self._watchers: list[Watcher] = []
        self._owners: dict[str, str] = {}
        self._reason = ""
        self._background = Background("system bus")

    @property
    def trouble(self) -> str:
        """Why there is no connection; empty while there is one."""
        return "" if self._bus is not None else f"no system bus: {self._reason or 'not connected yet'}"

    async def open(self) -> None:
        self._background.start("connection", self._stay_connected)

    def close(self) -> None:
        self._background.close()
        if self._bus is not None:
            self._bus.disconnect()

    def watch(self, watcher: Watcher) -> None:
        """Follow `watcher.service` from now on."""
        self._watchers.append(watcher)
        if self._bus is not None:
            bus = self._bus
            self._background.start(f"watch {watcher.service}", lambda: self._subscribe(bus, watcher))

    def unwatch(self, watcher: Watcher) -> None:
        self._watchers.remove(watcher)

    async def call(
        self,
        service: str,
        path: str,
        method: str,
        *arguments: Any,
        signature: str = "",
        timeout_s: float = CALL_S,
    ) -> list[Any]:
        """Call `method` (with its interface) of a service; returns what it returns.

        Raises:
            DeviceLost: the bus or the service is out of reach, or does not answer in time.
            DeviceRefused: the service answered with an error.
        """
        if self._bus is None:
            raise DeviceLost(self.trouble)
        return await _call(self._bus, (service, path, method), signature, arguments, timeout_s)

    async def _stay_connected(self) -> None:
        while True:
            try:
                bus = await MessageBus(self._address, BusType.SYSTEM, auth_timeout=CALL_S).connect()
                bus.add_message_handler(self._on_message)
                await self._serve(bus)
            except (*_ERRORS, DeviceLost, DeviceRefused) as error:
                self._lose(f"{error}" or type(error).__name__)
            await asyncio.sleep(RECONNECT_S)

    async def _serve(self, bus: MessageBus) -> None:
        """Hold a connection until it ends."""
        until_lost: Callable[[], Awaitable[object]] = bus.wait_for_disconnect
        self._bus, self._reason = bus, ""
        try:
            for watcher in tuple(self._watchers):
                await self._subscribe(bus, watcher)
            await until_lost()
        finally:
            self._bus = None
            self._owners.clear()
            bus.disconnect()
            for watcher in tuple(self._watchers):
                watcher.on_present(False)

    def _lose(self, reason: str) -> None:
        if reason != self._reason:
            self._reason = reason
            _log.warning("no system bus: %s", reason)

    async def _subscribe(self, bus: MessageBus, watcher: Watcher) -> None:
        name = watcher.service
        for rule in (
            f"type='signal',sender='{_DAEMON}',member='NameOwnerChanged',arg0='{name}'",
            f"type='signal',sender='{name}'",
        ):
            await _ask_daemon(bus, "AddMatch", rule)
        try:
            (owner,) = await _ask_daemon(bus, "GetNameOwner", name)
        except DeviceRefused:
            owner = ""
        self._owners[name] = owner
        watcher.on_present(bool(owner))

    def _on_message(self, message: Message) -> None:
        if message.message_type is not MessageType.SIGNAL:
            return
        owner_changed = message.sender == _DAEMON and message.member == "NameOwnerChanged"
        for watcher in tuple(self._watchers):
            if owner_changed and message.body[0] == watcher.service:
                self._owners[watcher.service] = message.body[2]
                watcher.on_present(bool(message.body[2]))
            elif self._owners.get(watcher.service) == message.sender:
                watcher.on_signal(message.path or "", message.interface or "", message.member or "", message.body)


async def _ask_daemon(bus: MessageBus, member: str, argument: str) -> list[Any]:
    return await _call(bus, (_DAEMON, _DAEMON_PATH, f"{_DAEMON}.{member}"), "s", [argument], CALL_S)


async def _call(
    bus: MessageBus, target: tuple[str, str, str], signature: str, arguments: Sequence[Any], timeout_s: float
) -> list[Any]:
    service, path, method = target
    interface, _, member = method.rpartition(".")
    message = Message(
        destination=service,
        path=path,
        interface=interface,
        member=member,
        signature=signature,
        body=list(arguments),
        flags=MessageFlag.NO_AUTOSTART,
    )
    try:
        async with asyncio.timeout(timeout_s):
            reply = await bus.call(message)
    except TimeoutError as error:
        raise DeviceLost(f"{service}: no answer to {member} for {timeout_s:g} s") from error
    except _ERRORS as error:
        raise DeviceLost(f"{service}: the system bus is lost: {error}") from error
    if reply is None:
        raise DeviceLost(f"{service}: the system bus is lost")
    if reply.message_type is MessageType.ERROR:
        refused = f"{service}: {member}: {reply.error_name}: {' '.join(map(str, reply.body))[:200]}"
        if reply.error_name in _GONE:
            raise DeviceLost(refused)
        raise DeviceRefused(refused)
    return list(reply.body)


_GONE = frozenset(f"{_DAEMON}.Error.{name}" for name in ("ServiceUnknown", "NoReply", "Disconnected", "UnknownObject"))
