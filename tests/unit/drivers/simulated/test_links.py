# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from drivers.simulated.links import SimulatedLinksOptions, SimulatedNetworkLinks
from hal.ports import Link
from tests.support.world_bench import WiredWorld


async def test_changes_are_reported(wired: WiredWorld) -> None:
    links = SimulatedNetworkLinks(SimulatedLinksOptions(bus=wired.bus))
    reported: dict[str, Link] = {}
    links.listen(reported.__setitem__)
    assert {name: link.up for name, link in links.links().items()} == {"Wired0": True, "Wireless0": True}
    assert links.links()["Wired0"].details.default
    wired.world.links["Wired0"] = False
    await wired.until(lambda: len(reported) == 2)
    assert not reported["Wired0"].up
    assert reported["Wireless0"].details.default


async def test_a_weak_signal_is_reported(wired: WiredWorld) -> None:
    links = SimulatedNetworkLinks(SimulatedLinksOptions(bus=wired.bus))
    reported: dict[str, Link] = {}
    links.listen(reported.__setitem__)
    wired.world.signal_percent["Wireless0"] = 7
    await wired.until(lambda: bool(reported))
    assert reported["Wireless0"].details.signal_percent == 7
