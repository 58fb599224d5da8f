# SPDX-License-Identifier: Apache-2.0
"""Measures the floor (`floor.py`)."""

from __future__ import annotations

import asyncio
import sys
import time

from tools.benchmark.csms import BenchCsms, listening
from tools.benchmark.machine import resident_mb
from tools.benchmark.requests import QUEUED, common_figures
from tools.benchmark.table import Figures

__all__ = ["measure_floor"]


async def measure_floor() -> Figures:
    async with listening() as csms:
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "tools.benchmark.floor", csms.url)
        try:
            await csms.wait("BootNotification", after=0)
            return {
                **await common_figures(csms, count=500),
                "start": await _starts(csms, 50),
                "report": await _reports(csms, 10),
                "drain": [await _drain(csms)],
                "memory": [resident_mb(process.pid)],
            }
        finally:
            process.terminate()
            await process.wait()


async def _starts(csms: BenchCsms, count: int) -> list[float]:
    times = []
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        call = asyncio.create_task(csms.call("RequestStartTransaction", {}))
        times.append(1000 * (await csms.wait("TransactionEvent", after=seen) - began))
        await call
    return times


async def _reports(csms: BenchCsms, count: int) -> list[float]:
    times = []
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        await csms.call("GetBaseReport", {})
        await csms.count(seen + 6)
        times.append(1000 * (csms.seen[seen + 5][0] - began))
    return times


async def _drain(csms: BenchCsms) -> float:
    seen = len(csms.seen)
    await csms.call("DataTransfer", {"data": QUEUED})
    await csms.count(seen + QUEUED)
    return (QUEUED - 1) / (csms.seen[seen + QUEUED - 1][0] - csms.seen[seen][0])
