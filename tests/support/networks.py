# SPDX-License-Identifier: Apache-2.0
"""A board's links on a bus of their own: cable and modem as data, the daemons that report them, the driver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from drivers.net.links import LinksOptions, ManagedLinks
from drivers.net.system_bus import SystemBus, SystemBusOptions
from hal.ports import Link
from tests.support.sockets import eventually
from tools.rig.devices.bus_daemon import BusDaemon
from tools.rig.devices.networks import KernelFiles, SimulatedNetworks

__all__ = ["Cables", "NetworkBench", "network_bench"]


@dataclass
class Cables:
    """The part of a world that links are."""

    links: dict[str, bool] = field(default_factory=lambda: {"Wired0": True, "Wireless0": True})
    signal_percent: dict[str, int] = field(default_factory=lambda: {"Wireless0": 80})


class NetworkBench:
    """The driver `links` and what it has reported."""

    def __init__(self, directory: Path) -> None:
        self.world = Cables()
        self.daemon = BusDaemon(directory)
        self.fakes = SimulatedNetworks(self.daemon.address, self.world)
        self.bus = SystemBus(SystemBusOptions(address=self.daemon.address))
        self.kernel = KernelFiles(directory)
        self.reported: list[tuple[str, Link]] = []
        self.links: ManagedLinks

    async def start(self, **options: Any) -> None:
        """Bus, daemons, driver; returns when the driver has the daemons' word."""
        await self.daemon.start()
        await self.fakes.start()
        await self.bus.open()
        self.start_driver(**options)
        await eventually(lambda: self.link("Wireless0").up and self.link("Wireless0").details.signal_dbm is not None)
        self.reported.clear()

    def start_driver(self, **options: Any) -> None:
        """The driver alone, on a bus that is open or not."""
        chosen = {"Wired0": "eth0", "Wireless0": "modem", **self._kernel()}
        self.links = ManagedLinks(LinksOptions(bus=self.bus, **(chosen | options)))
        self.links.signal_every_s = 0.0
        self.links.listen(lambda name, link: self.reported.append((name, link)))

    def _kernel(self) -> dict[str, str]:
        return {"sysfs": str(self.kernel.sysfs), "routes": str(self.kernel.routes)}

    async def stop(self) -> None:
        self.links.close()
        self.bus.close()
        await self.fakes.close()
        await self.daemon.close()

    def link(self, name: str) -> Link:
        return self.links.links()[name]

    def up(self) -> dict[str, bool]:
        return {name: link.up for name, link in self.links.links().items()}

    def default(self) -> list[str]:
        return [name for name, link in self.links.links().items() if link.details.default]


@asynccontextmanager
async def network_bench(directory: Path, **options: Any) -> AsyncIterator[NetworkBench]:
    bench = NetworkBench(directory)
    await bench.start(**options)
    try:
        yield bench
    finally:
        await bench.stop()
