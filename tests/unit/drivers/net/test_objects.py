# SPDX-License-Identifier: Apache-2.0
"""The objects of a service that runs and does not answer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from drivers.net import objects
from drivers.net.objects import ServiceObjects
from drivers.net.system_bus import SystemBus, SystemBusOptions
from tests.support.sockets import eventually

SERVICE = "org.example.Service"
PATH, INTERFACE = "/org/example/1", "org.example.Thing"


class Bus(SystemBus):
    """A bus whose service answers while it is not `hung`."""

    def __init__(self) -> None:
        super().__init__(SystemBusOptions())
        self.hung = False

    async def call(self, *_arguments: Any, **_options: Any) -> list[Any]:
        if self.hung:
            await asyncio.Event().wait()
        return [{PATH: {INTERFACE: {"State": 1}}}]


async def test_a_service_that_is_back_and_hangs_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "KEEP_S", 0.05)
    bus = Bus()
    service = ServiceObjects(bus, SERVICE, root="/", interfaces=[INTERFACE], changed=lambda: None)
    service.on_present(True)
    await eventually(lambda: service.present)
    service.on_present(False)
    bus.hung = True
    service.on_present(True)
    assert service.objects, "a restart changes nothing at first"
    await eventually(lambda: not service.objects)
    bus.hung = False
    service.on_present(True)
    await eventually(lambda: service.present and service.objects)
    service.close()
