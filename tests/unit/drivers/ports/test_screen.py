# SPDX-License-Identifier: Apache-2.0
"""The duties of `hal.ports.Screen`, over each driver that has a display of its own: what it shows, what is touched.

The web page has no display: what its browser does is in tests/unit/drivers/screen and tests/browser.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from drivers.serial import nextion
from drivers.serial.nextion import NextionOptions, NextionScreen
from drivers.simulated.screen import ScreenOptions, SimulatedScreen
from firmware.contract import Fault, Page, PageModel
from firmware.errors import DriverError
from hal.ports import Screen
from tests.support.sockets import eventually
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.nextion import Nextion


class Bench(ABC):
    screen: Screen

    def __init__(self) -> None:
        self.touches: list[str] = []
        self.lost: list[str | None] = []

    def listen(self) -> None:
        self.screen.listen(lambda: self.touches.append("select"), lambda: self.touches.append("stop"), self.lost.append)

    @property
    @abstractmethod
    def page(self) -> str:
        """What stands on the glass, or the page's name."""

    @abstractmethod
    async def touch(self, *, stop: bool) -> None: ...

    @abstractmethod
    async def unplug(self) -> None: ...

    @abstractmethod
    async def plug_in(self) -> None: ...

    def close(self) -> None:
        self.screen.close()


class SimulatedBench(Bench):
    def __init__(self) -> None:
        super().__init__()
        self.world = new_world()
        self.bus = LocalBus(self.world)
        self.screen = SimulatedScreen(ScreenOptions(bus=self.bus, screen=1))

    @property
    def page(self) -> str:
        return self.world.displays[1].page

    async def touch(self, *, stop: bool) -> None:
        self.world.touch(1, stop=stop)
        self.bus.advance(0.1)

    async def unplug(self) -> None:
        self.bus.close()

    async def plug_in(self) -> None:
        self.bus.reopen()


_PAGES = {"Free": "idle", "Charging": "charging", "Paused": "suspended"}


class NextionBench(Bench):
    def __init__(self, tmp_path: Path) -> None:
        super().__init__()
        self.panel = Nextion(tmp_path / "panel")
        self.screen = NextionScreen(NextionOptions(screen=1, port=str(tmp_path / "panel")))

    @property
    def page(self) -> str:
        return _PAGES.get(self.panel.texts.get("title", ""), "")

    async def touch(self, *, stop: bool) -> None:
        self.panel.touch(1)
        if stop:
            await eventually(lambda: self.panel.page == 2)
            self.panel.touch(1)

    async def unplug(self) -> None:
        self.panel.close()
        await eventually(lambda: len(self.lost) % 2 == 1)

    async def plug_in(self) -> None:
        await self.panel.start()
        await eventually(lambda: self.lost[-1:] == [None])

    def close(self) -> None:
        super().close()
        self.panel.close()
        assert self.panel.violations == []


@pytest.fixture(params=["simulated", "nextion"])
async def bench(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bench]:
    for name, value in (("ASK_S", 0.2), ("ANSWER_S", 0.1), ("RETRY_S", 0.05)):
        monkeypatch.setattr(nextion, name, value)
    made = SimulatedBench() if request.param == "simulated" else NextionBench(tmp_path)
    if isinstance(made, NextionBench):
        await made.panel.start()
    made.listen()
    yield made
    made.close()


async def test_the_newest_page_is_shown(bench: Bench) -> None:
    for page in (Page.IDLE, Page.SUSPENDED, Page.CHARGING):
        bench.screen.show(PageModel(page=page))
    await eventually(lambda: bench.page == "charging")


async def test_touches_are_reported_once(bench: Bench) -> None:
    bench.screen.show(PageModel(page=Page.IDLE))
    await eventually(lambda: bench.page == "idle")
    await bench.touch(stop=False)
    await eventually(lambda: bench.touches == ["select"])
    bench.screen.show(PageModel(page=Page.CHARGING, faults=(Fault.METER,)))
    await eventually(lambda: bench.page == "charging")
    await bench.touch(stop=True)
    await eventually(lambda: bench.touches[-1] == "stop")
    assert bench.touches.count("stop") == 1


async def test_a_lost_display_refuses_and_shows_again_when_it_is_back(bench: Bench) -> None:
    bench.screen.show(PageModel(page=Page.IDLE))
    await eventually(lambda: bench.page == "idle")
    await bench.unplug()
    with pytest.raises(DriverError):
        bench.screen.show(PageModel(page=Page.SUSPENDED))
    await bench.plug_in()
    bench.screen.show(PageModel(page=Page.CHARGING))
    await eventually(lambda: bench.page == "charging")
