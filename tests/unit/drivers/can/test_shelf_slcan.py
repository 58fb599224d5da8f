# SPDX-License-Identifier: Apache-2.0
"""Power modules over slcan on TCP: the real bus, the real clock, and an adapter that is unplugged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from drivers.can.bus import CanBus
from drivers.can.shelf import CanShelf
from drivers.can.shelf_options import GroupOptions
from drivers.can.shelves import InfypowerOptions, InfypowerShelf, UugreenOptions, UugreenShelf
from drivers.simulated.world.battery import Battery
from drivers.simulated.world.shelf import ModuleBank, ShelfRating
from firmware.errors import DriverError
from tests.support.sockets import eventually
from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.shelf import RectifierShelf, new_modules
from tools.rig.devices.shelf_infypower import InfypowerModules
from tools.rig.devices.shelf_uugreen import UugreenModules

STEP_S = 0.025


class Cabinet:
    """Ten modules on a hub, with a battery on outlet 1, and the HAL's control cycle."""

    def __init__(self, family: str) -> None:
        self.hub = CanHub()
        self.family = family
        self.bank = ModuleBank(ShelfRating())
        self.sim = RectifierShelf(new_modules(10, first=1), {1: self.bank})
        self.wire = UugreenModules(self.sim) if family == "uugreen" else InfypowerModules(self.sim)
        for module in self.sim.modules:
            module.range = 2  # no change of range first
        self.wire.send = self.hub.attach(self.wire.on_frame)
        self.shelf: CanShelf | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        await self.hub.start()
        self.bus = CanBus(CanBus.Options(interface="slcan", channel=self.hub.channel, bitrate=125_000))
        await self.bus.open()
        groups = [GroupOptions(modules=[1 + number]) for number in range(10)]
        if self.family == "uugreen":
            self.shelf = UugreenShelf(UugreenOptions(buses=[self.bus], groups=groups))
        else:
            self.shelf = InfypowerShelf(InfypowerOptions(buses=[self.bus], groups=groups))
        self._tasks = [asyncio.create_task(self._physics()), asyncio.create_task(self._control(self.shelf))]
        self.shelf.assign({1: 5})

    async def _physics(self) -> None:
        battery = Battery(75_000.0, 420.0, 30.0)
        while True:
            await asyncio.sleep(STEP_S)
            self.sim.step(STEP_S)
            if isinstance(self.wire, UugreenModules):
                self.wire.step(STEP_S)
            self.bank.step(STEP_S, battery)

    async def _control(self, shelf: CanShelf) -> None:
        while True:
            with suppress(DriverError):
                shelf.set_output(1, 420.0, 200.0)
            await asyncio.sleep(0.1)

    @property
    def charges(self) -> bool:
        assert self.shelf is not None
        try:
            return self.shelf.reading(1).current_a == pytest.approx(200.0, rel=0.03)
        except DriverError:
            return False

    def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self.shelf is not None:
            self.shelf.close()
        self.bus.close()
        self.hub.close()


@pytest.fixture(params=["infypower", "uugreen"])
async def cabinet(request: pytest.FixtureRequest) -> AsyncIterator[Cabinet]:
    made = Cabinet(request.param)
    await made.start()
    yield made
    made.close()


async def test_a_battery_is_charged(cabinet: Cabinet) -> None:
    await eventually(lambda: cabinet.charges)
    assert not cabinet.sim.violations


async def test_an_adapter_is_unplugged_and_comes_back(cabinet: Cabinet) -> None:
    await eventually(lambda: cabinet.charges)
    cabinet.hub.close()
    await eventually(lambda: not cabinet.charges)
    await cabinet.hub.start()
    await eventually(lambda: cabinet.charges)
    assert not cabinet.sim.violations


async def test_a_bus_off_ends_by_itself(cabinet: Cabinet) -> None:
    await eventually(lambda: cabinet.charges)
    cabinet.hub.bus_off = True
    await eventually(lambda: not cabinet.charges)
    cabinet.hub.bus_off = False
    await eventually(lambda: cabinet.charges)
    assert not cabinet.sim.violations
