# SPDX-License-Identifier: Apache-2.0
"""The daemons of the board's links, as the simulated world has them: a cable, a modem, a default route.

    bus = BusDaemon(directory)
    await bus.start()
    networks = SimulatedNetworks(bus.address, world)
    await networks.start()

`Wired0` is `eth0`, `Wireless0` the modem. A wireless link that is down is a modem out of reach of its network. Faults
beyond that are attributes of `modems.modem` and `networks`; they show within `POLL_S`. A daemon whose bus is lost
starts again, as systemd would see to, when the bus is back.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Protocol

from firmware.errors import ConfigError
from tools.rig.devices.modem_manager import FakeModemManager
from tools.rig.devices.network_manager import FakeNetworkManager

__all__ = ["KernelFiles", "LinkWorld", "SimulatedNetworks"]

POLL_S = 0.1
WIRED, WIRELESS = "Wired0", "Wireless0"


class LinkWorld(Protocol):
    """What is used of `drivers.simulated.world.world.World`."""

    links: dict[str, bool]
    signal_percent: dict[str, int]


class KernelFiles:
    """In place of /sys/class/net and /proc/net/route: what the kernel says, also while no daemon runs."""

    def __init__(self, directory: Path) -> None:
        self.sysfs = directory / "net"
        self.routes = directory / "route"

    def interface(self, name: str, operstate: str) -> None:
        (self.sysfs / name).mkdir(parents=True, exist_ok=True)
        (self.sysfs / name / "operstate").write_text(f"{operstate}\n", encoding="ascii")

    def default_route(self, name: str | None, metric: int = 0) -> None:
        columns = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        route = f"{name}\t00000000\t0100000A\t0003\t0\t0\t{metric}\t00000000\t0\t0\t0\n" if name else ""
        self.routes.write_text(columns + route, encoding="ascii")


class SimulatedNetworks:
    """ModemManager and NetworkManager; each of them can be stopped and started by itself, too.

    `kernel` shows the same links, and follows the world as long as these do.
    """

    def __init__(self, address: str, world: LinkWorld, kernel: KernelFiles | None = None) -> None:
        self.kernel = kernel
        self._shown: tuple[bool, bool] | None = None
        """What the kernel shows: whether the wired and the wireless link are up."""
        self.modems = FakeModemManager(address)
        self.networks = FakeNetworkManager(address)
        self.follows = True
        """False: they stay as they are, whatever the world does."""
        self._world = world
        self._following: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.update()
        await self._start(self.modems)
        self.update()
        await self._start(self.networks)
        self._following = asyncio.create_task(self._follow())

    async def close(self) -> None:
        following, self._following = self._following, None
        if following is not None:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
        self.modems.close()
        self.networks.close()

    def update(self) -> None:
        """Take over the world's state now."""
        modem, links = self.modems.modem, self._world.links
        modem.registered = links.get(WIRELESS, False)
        modem.signal_percent = self._world.signal_percent.get(WIRELESS, 0)
        self.modems.update()
        networks = self.networks
        networks.wired.up = links.get(WIRED, False)
        networks.modem.modem = self.modems.path
        networks.modem.up = modem.working
        networks.update()
        self._show_kernel(networks.wired.up, networks.modem.up)

    def _show_kernel(self, wired: bool, wireless: bool) -> None:
        if self.kernel is None or self._shown == (wired, wireless):
            return
        self._shown = (wired, wireless)
        networks = self.networks
        for device, up, state in ((networks.wired, wired, "up"), (networks.modem, wireless, "unknown")):
            self.kernel.interface(device.ip_interface, state if up else "down")
        default = networks.wired if wired else networks.modem if wireless else None
        self.kernel.default_route(default.ip_interface if default else None, default.metric if default else 0)

    async def _start(self, daemon: FakeModemManager | FakeNetworkManager) -> None:
        """Without a bus, later."""
        with contextlib.suppress(OSError, EOFError, ConfigError):
            await daemon.start()

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(POLL_S)
            for daemon in (self.modems, self.networks):
                if daemon.service.lost:
                    await self._start(daemon)
            if self.follows:
                self.update()
