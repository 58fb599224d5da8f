# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.bus import WorldOptions
from drivers.simulated.links import SimulatedNetworkLinks
from tests.support.world_bench import WiredWorld


async def test_changes_are_reported(wired: WiredWorld) -> None:
    links = SimulatedNetworkLinks(WorldOptions(bus=wired.bus))
    reported: list[tuple[str, bool]] = []
    links.listen(lambda name, up: reported.append((name, up)))
    assert links.links() == {"Wired0": True, "Wireless0": True}
    wired.world.links["Wired0"] = False
    await wired.until(lambda: reported == [("Wired0", False)])
