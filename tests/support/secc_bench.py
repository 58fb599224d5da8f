# SPDX-License-Identifier: Apache-2.0
"""Simulated cars behind simulated SECC boards, on a CAN bus: what tests of the driver start from. In real time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drivers.can.bus import CanBus
from drivers.can.secc import AdvanticsSecc, SeccOptions
from drivers.simulated.messages import FeedWatchdog
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.can_hub import CanHub
from tools.rig.devices.secc import SeccBoard

__all__ = ["SeccBench", "secc_bench"]

STEP_S = 0.02
SILENT_AFTER_S = 0.6
"""More than in life: the machine that runs the tests has other things to do."""


class SeccBench:
    """Two outlets of one world, a board each, and one bus to both of them."""

    def __init__(self) -> None:
        self.world = new_world()
        self.local = LocalBus(self.world, mono_s=time.monotonic())
        self.hub = CanHub()
        self.boards = {number: SeccBoard(self.hub, number, self.world.evses[number], boot_s=0.0) for number in (1, 2)}
        self.bus: CanBus

    async def start(self) -> None:
        await self.hub.start()
        for board in self.boards.values():
            await board.start()
        self.bus = CanBus(CanBus.Options(interface="slcan", channel=self.hub.channel, bitrate=500_000))
        await self.bus.open()

    def driver(self, number: int = 1, *, index: int | None = None, wake_s: float = 0.5) -> AdvanticsSecc:
        index = number if index is None else index
        return AdvanticsSecc(
            SeccOptions(bus=self.bus, evse=number, index=index, silent_after_s=SILENT_AFTER_S, wake_s=wake_s)
        )

    async def run(self) -> None:
        """Let time pass in the world."""
        while True:
            self.local.send(FeedWatchdog())
            self.local.advance(time.monotonic() - self.local.mono_s)
            await asyncio.sleep(STEP_S)

    def close(self) -> None:
        self.bus.close()
        for board in self.boards.values():
            board.close()
        self.hub.close()
        self.local.close()

    @property
    def violations(self) -> list[str]:
        return [text for board in self.boards.values() for text in board.violations]


@asynccontextmanager
async def secc_bench() -> AsyncIterator[SeccBench]:
    bench = SeccBench()
    await bench.start()
    running = asyncio.create_task(bench.run())
    yield bench
    running.cancel()
    bench.close()
