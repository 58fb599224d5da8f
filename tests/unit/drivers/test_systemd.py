# SPDX-License-Identifier: Apache-2.0
"""Restarting a unit through a stand-in for systemd on a message bus of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from dbus_fast import Message, MessageType
from dbus_fast.aio import MessageBus

from drivers import systemd
from firmware.errors import DeviceLost, DeviceRefused
from tools.rig.devices.bus_daemon import BusDaemon

UNIT = "baywatt-display@1.service"


async def test_a_unit_is_restarted_or_the_reason_is_known(tmp_path: Path) -> None:
    daemon = BusDaemon(tmp_path)
    await daemon.start()
    restarted: list[list[object]] = []

    def on_message(message: Message) -> Message | None:
        if message.message_type is not MessageType.METHOD_CALL or message.member != "RestartUnit":
            return None
        assert message.path == "/org/freedesktop/systemd1"
        assert message.interface == "org.freedesktop.systemd1.Manager"
        restarted.append(message.body)
        if message.body[0] != UNIT:
            return Message.new_error(message, "org.freedesktop.systemd1.NoSuchUnit", "Unit not found.")
        return Message.new_method_return(message, "o", ["/org/freedesktop/systemd1/job/1"])

    with pytest.raises(DeviceRefused, match=r"systemd: .*org\.freedesktop\.systemd1"):
        await systemd.restart(UNIT, daemon.address)
    bus = await MessageBus(daemon.address).connect()
    bus.add_message_handler(on_message)
    await bus.request_name("org.freedesktop.systemd1")
    await systemd.restart(UNIT, daemon.address)
    assert restarted == [[UNIT, "replace"]]
    with pytest.raises(DeviceRefused, match=r"systemd: Unit not found\."):
        await systemd.restart("other.service", daemon.address)
    bus.disconnect()
    await daemon.close()
    with pytest.raises(DeviceLost, match="systemd"):
        await systemd.restart(UNIT, daemon.address)
