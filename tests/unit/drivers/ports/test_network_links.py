# SPDX-License-Identifier: Apache-2.0
"""The duties of `NetworkLinks`, kept by the simulated driver and by that of NetworkManager and ModemManager."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drivers.simulated.links import SimulatedLinksOptions, SimulatedNetworkLinks
from firmware.contract import (
    Addressing,
    ApnAuthentication,
    CellularSettings,
    NewCellularSettings,
    WiredSettings,
)
from hal.ports import Link, NetworkLinks
from tests.support.networks import network_bench
from tests.support.sockets import eventually
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.networks import LinkWorld

DHCP = WiredSettings(Addressing.DHCP)
FIXED = WiredSettings(Addressing.FIXED, "203.0.113.10/24", "203.0.113.1", ["203.0.113.53"])


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
        yield Bench(SimulatedNetworkLinks(SimulatedLinksOptions(bus=local)), world, lambda: local.advance(0.025))
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

    async def test_settings_are_tried_kept_and_returned(self, bench: Bench) -> None:
        links = bench.links
        assert {each.name: each.is_cellular for each in await links.interfaces()} == {
            "Wired0": False,
            "Wireless0": True,
        }
        assert await wired(links) == DHCP
        await links.try_settings("Wired0", FIXED, within_s=180.0)
        assert await wired(links) == FIXED
        await links.return_settings()
        assert await wired(links) == DHCP
        await links.try_settings("Wired0", FIXED, within_s=180.0)
        await links.keep_settings()
        await links.return_settings()  # there is nothing to return to
        assert await wired(links) == FIXED

    async def test_secrets_are_kept_and_never_shown(self, bench: Bench) -> None:
        links = bench.links
        for settings in (
            NewCellularSettings("m2m.example", "user", ApnAuthentication.CHAP, password="sesame", pin="4711"),
            NewCellularSettings("m2m.example", "user", ApnAuthentication.PAP),
        ):
            await links.try_settings("Wireless0", settings, within_s=180.0)
            await links.keep_settings()
            shown = (await links.interfaces())[1]
            assert shown.cellular == CellularSettings(
                "m2m.example", "user", settings.authentication, password_is_set=True, pin_is_set=True
            )
        await links.try_settings("Wireless0", NewCellularSettings("m2m.example", password="", pin=""), within_s=180.0)
        assert (await links.interfaces())[1].cellular == CellularSettings("m2m.example")


async def wired(links: NetworkLinks) -> WiredSettings | None:
    return (await links.interfaces())[0].wired
