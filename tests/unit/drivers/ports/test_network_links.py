# SPDX-License-Identifier: Apache-2.0
"""The duties of `NetworkLinks`, kept by the simulated driver and by that of NetworkManager and ModemManager."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.simulated.bus import WorldOptions
from drivers.simulated.links import SimulatedNetworkLinks
from hal.ports import Link, NetworkLinks
from tests.support.networks import network_bench
from tests.support.sockets import eventually
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.networks import LinkWorld


@dataclass
class Bench:
    links: NetworkLinks
    world: LinkWorld
    tick: Callable[[], None]
    """Let a change of the world reach the driver, where that does not happen by itself."""

    def __post_init__(self) -> None:
        self.reported: dict[str, Link] = {}
        self.links.listen(self.reported.__setitem__)

    async def until(self, condition: Callable[[], object]) -> None:
        def ticked() -> object:
            self.tick()
            return condition()

        await eventually(ticked)


@pytest.fixture(params=["simulated", "network_manager"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    if request.param == "simulated":
        world = new_world()
        local = LocalBus(world)
        yield Bench(SimulatedNetworkLinks(WorldOptions(bus=local)), world, lambda: local.advance(0.025))
        local.close()
        return
    async with network_bench(tmp_path) as networks:
        yield Bench(networks.links, networks.world, lambda: None)


class TestNetworkLinks:
    async def test_both_links_and_one_default_route(self, bench: Bench) -> None:
        links = bench.links.links()
        assert {name: link.up for name, link in links.items()} == {"Wired0": True, "Wireless0": True}
        assert [name for name, link in links.items() if link.details.default] == ["Wired0"]

    async def test_the_default_route_moves_when_its_link_goes_down_and_returns(self, bench: Bench) -> None:
        bench.world.links["Wired0"] = False
        await bench.until(lambda: {"Wired0", "Wireless0"} <= bench.reported.keys())
        assert not bench.reported["Wired0"].up
        assert bench.reported["Wireless0"].details.default
        bench.reported.clear()
        bench.world.links["Wired0"] = True
        await bench.until(lambda: {"Wired0", "Wireless0"} <= bench.reported.keys())
        assert bench.reported["Wired0"] == bench.links.links()["Wired0"]
        assert bench.reported["Wired0"].details.default
        assert not bench.reported["Wireless0"].details.default

    async def test_no_link_at_all(self, bench: Bench) -> None:
        for name in bench.world.links:
            bench.world.links[name] = False
        await bench.until(lambda: len(bench.reported) == 2)
        assert not any(link.up or link.details.default for link in bench.links.links().values())

    async def test_signal_and_operator_of_the_wireless_link_only(self, bench: Bench) -> None:
        links = bench.links.links()
        assert links["Wireless0"].details.signal_percent == 80
        assert links["Wireless0"].details.operator
        assert links["Wired0"].details.signal_percent is None

    async def test_a_signal_that_drops_is_reported(self, bench: Bench) -> None:
        bench.world.signal_percent["Wireless0"] = 10
        await bench.until(lambda: "Wireless0" in bench.reported)
        assert bench.reported["Wireless0"].details.signal_percent == 10
        assert bench.reported["Wireless0"].up

    async def test_what_does_not_change_is_not_reported(self, bench: Bench) -> None:
        bench.world.links["Wired0"] = False
        await bench.until(lambda: len(bench.reported) == 2)
        bench.reported.clear()
        bench.world.signal_percent["Wireless0"] = 20
        await bench.until(lambda: bench.reported)
        assert list(bench.reported) == ["Wireless0"]
