# SPDX-License-Identifier: Apache-2.0
"""What drivers ask of systemd and its daemons over D-Bus, one call at a time. `dbus-fast` is imported for the call.

The HAL's user needs the polkit action of the call: nobody can be asked for a password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["power_off", "reboot", "restart"]

CALL_S = 10.0
_LOGIND = ("systemd-logind", "org.freedesktop.login1", "/org/freedesktop/login1")


async def reboot(address: str | None) -> None:
    """Restart the board through systemd-logind, with the polkit action `org.freedesktop.login1.reboot`.

    On the system bus if `address` is None; raises `DeviceLost` or `DeviceRefused`, like those below.
    """
    await _call(_LOGIND, "Reboot", "b", [False], address)


async def power_off(address: str | None) -> None:
    """Switch the board off likewise, with `org.freedesktop.login1.power-off`."""
    await _call(_LOGIND, "PowerOff", "b", [False], address)


async def restart(unit: str, address: str | None) -> None:
    """Restart a unit, or start it; with the polkit action `org.freedesktop.systemd1.manage-units` for it."""
    systemd = ("systemd", "org.freedesktop.systemd1", "/org/freedesktop/systemd1")
    await _call(systemd, "RestartUnit", "ss", [unit, "replace"], address)


async def _call(
    daemon: tuple[str, str, str], method: str, signature: str, body: Sequence[object], address: str | None
) -> None:
    """Call a method of the daemon's Manager; `daemon`: name for people, name on the bus, path."""
    from dbus_fast import BusType, Message, MessageType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, InvalidAddressError

    name, destination, path = daemon
    request = Message(
        destination=destination,
        path=path,
        interface=f"{destination}.Manager",
        member=method,
        signature=signature,
        body=list(body),
    )
    try:
        async with asyncio.timeout(CALL_S):
            bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
            try:
                reply = await bus.call(request)
            finally:
                bus.disconnect()
    except (OSError, EOFError, AuthError, InvalidAddressError) as error:
        raise DeviceLost(f"{name}: {error or 'no answer'}") from error
    if reply is not None and reply.message_type is MessageType.ERROR:
        raise DeviceRefused(f"{name}: {reply.body[0] if reply.body else reply.error_name}")
