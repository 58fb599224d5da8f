# SPDX-License-Identifier: Apache-2.0
"""Measures the floor (`floor.py`)."""

from __future__ import annotations

import asyncio
import sys
import time

from tools.benchmark.csms import BenchCsms, listening
from tools.benchmark.machine import resident_mb
from tools.benchmark.requests import QUEUED, answer_and_message, common_figures
from tools.benchmark.table import Figures

__all__ = ["measure_floor"]


async def measure_floor() -> Figures:
    async with listening() as csms:
        boots = [await _boot(csms) for _ in range(_BOOTS)]
        process = await asyncio.create_subprocess_exec(*_FLOOR, csms.url)
        try:
            await csms.wait("BootNotification", after=_BOOTS)
            return {
                **await common_figures(csms, count=500),
                **await _sessions(csms, 30),
                **await _reports(csms, 10),
                "boot": boots,
                "drain": [await _drain(csms)],
                "memory": [resident_mb(process.pid)],
            }
        finally:
            process.terminate()
            await process.wait()


_FLOOR = (sys.executable, "-m", "tools.benchmark.floor")
_BOOTS = 5


async def _boot(csms: BenchCsms) -> float:
    """Milliseconds from the start of a process to its BootNotification."""
    seen, began = len(csms.seen), time.monotonic()
    process = await asyncio.create_subprocess_exec(*_FLOOR, csms.url)
    try:
        return 1000 * (await csms.wait("BootNotification", after=seen) - began)
    finally:
        process.terminate()
        await process.wait()


async def _sessions(csms: BenchCsms, count: int) -> Figures:
    """Starts and stops in turn, as the station's."""
    figures: Figures = {"start": [], "start answer": [], "stop": [], "stop answer": []}
    for _ in range(count):
        for name, action in (("start", "RequestStartTransaction"), ("stop", "RequestStopTransaction")):
            answer, event = await answer_and_message(csms, action, {}, "TransactionEvent")
            figures[f"{name} answer"].append(answer)
            figures[name].append(event)
    return figures


async def _reports(csms: BenchCsms, count: int) -> Figures:
    figures: Figures = {"report": [], "report answer": []}
    for _ in range(count):
        seen, began = len(csms.seen), time.monotonic()
        figures["report answer"].append(1000 * await csms.call("GetBaseReport", {}))
        await csms.count(seen + 6)
        figures["report"].append(1000 * (csms.seen[seen + 5][0] - began))
    return figures


async def _drain(csms: BenchCsms) -> float:
    seen = len(csms.seen)
    await csms.call("DataTransfer", {"data": QUEUED})
    await csms.count(seen + QUEUED)
    return (QUEUED - 1) / (csms.seen[seen + QUEUED - 1][0] - csms.seen[seen][0])
