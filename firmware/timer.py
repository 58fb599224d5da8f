# SPDX-License-Identifier: Apache-2.0
"""The event loop's timer as a port, so that a test can see what is scheduled instead of sleeping."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

__all__ = ["LoopTimer", "Scheduled", "Timer", "sleep"]


class Scheduled(Protocol):
    """A call that has not been made yet."""

    def cancel(self) -> None: ...


class Timer(Protocol):
    """Makes calls later."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Scheduled: ...


class LoopTimer:
    """The timer of the running event loop."""

    def call_later(self, seconds: float, callback: Callable[[], object]) -> Scheduled:
        return asyncio.get_running_loop().call_later(seconds, callback)


async def sleep(timer: Timer, seconds: float) -> None:
    """As `asyncio.sleep`, by `timer`."""
    over = asyncio.Event()
    scheduled = timer.call_later(seconds, over.set)
    try:
        await over.wait()
    finally:
        scheduled.cancel()
