# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.screen import ScreenOptions, SimulatedScreen
from firmware.contract import Page, PageModel
from tests.support.world_bench import WiredWorld


async def test_screen_shows_and_is_touched(wired: WiredWorld) -> None:
    screen = SimulatedScreen(ScreenOptions(bus=wired.bus, screen=2))
    touches: list[str] = []
    screen.listen(lambda: touches.append("select"), lambda: touches.append("stop"), lambda _detail: None)
    model = PageModel(page=Page.CHARGING, soc_percent=42)
    screen.show(model)
    await wired.until(lambda: wired.world.displays[2].page == "charging")
    assert wired.world.displays[2].model == model
    wired.world.touch(1, stop=False)
    wired.world.touch(2, stop=False)
    wired.world.touch(2, stop=True)
    await wired.until(lambda: touches == ["select", "stop"])
