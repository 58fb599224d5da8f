# SPDX-License-Identifier: Apache-2.0
"""Restarting the board through systemd-logind (org.freedesktop.login1, method Reboot of Manager).

The HAL's user needs the polkit action `org.freedesktop.login1.reboot`. `dbus-fast` is imported for the call.
"""

from __future__ import annotations

import asyncio

from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["reboot"]

CALL_S = 10.0


async def reboot(address: str | None) -> None:
    """Ask for a restart, on the system bus if `address` is None; raises `DeviceLost` or `DeviceRefused`."""
    from dbus_fast import BusType, Message, MessageType
    from dbus_fast.aio import MessageBus
    from dbus_fast.errors import AuthError, InvalidAddressError

    request = Message(
        destination="org.freedesktop.login1",
        path="/org/freedesktop/login1",
        interface="org.freedesktop.login1.Manager",
        member="Reboot",
        signature="b",
        body=[False],  # nobody can be asked for a password
    )
    try:
        async with asyncio.timeout(CALL_S):
            bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
            try:
                reply = await bus.call(request)
            finally:
                bus.disconnect()
    except (OSError, EOFError, AuthError, InvalidAddressError) as error:
        raise DeviceLost(f"systemd-logind: {error or 'no answer'}") from error
    if reply is not None and reply.message_type is MessageType.ERROR:
        raise DeviceRefused(f"systemd-logind: {reply.body[0] if reply.body else reply.error_name}")
