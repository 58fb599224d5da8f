# SPDX-License-Identifier: Apache-2.0
"""Jobs: one of a kind at a time, and nothing of a cancelled one goes on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from services.ocpp.background import Job, JobNews, JobRunner
from services.ocpp.transfer.threads import in_thread


class Yard:
    """A runner whose worker blocks in a thread until it may go on."""

    def __init__(self) -> None:
        self.runner = JobRunner({"work": self.work}, self.tell)
        self.gates = {name: threading.Event() for name in ("a", "b")}
        self.happened: list[str] = []
        self.changed = asyncio.Event()

    def tell(self, news: JobNews) -> None:
        self.note(f"{news.id} {news.state}")

    def note(self, what: str) -> None:
        self.happened.append(what)
        self.changed.set()

    async def work(self, order: str, _news: Callable[[str, Any], None]) -> tuple[str, Any]:
        self.note(f"{order} begins")
        try:
            await in_thread(self.gates[order].wait, 10.0)
        finally:
            self.note(f"{order} is over")
        return "done", None

    async def until(self, what: str) -> None:
        async with asyncio.timeout(5.0):
            while what not in self.happened:
                self.changed.clear()
                await self.changed.wait()


async def test_a_job_waits_for_the_one_that_was_cancelled_for_it() -> None:
    yard = Yard()
    yard.runner.start(Job("work", "1", "a"))
    await yard.until("a begins")
    yard.runner.start(Job("work", "1", None))
    yard.runner.start(Job("work", "2", "b"))
    yard.gates["b"].set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert yard.happened == ["a begins"]  # its thread still writes
    yard.gates["a"].set()
    await yard.until("2 done")
    assert yard.happened == ["a begins", "a is over", "b begins", "b is over", "2 done"]


async def test_a_job_that_is_cancelled_before_its_turn_never_begins() -> None:
    yard = Yard()
    yard.runner.start(Job("work", "1", "a"))
    yard.runner.start(Job("work", "2", "b"))
    await yard.until("a begins")
    yard.runner.start(Job("work", "2", None))
    yard.gates["a"].set()
    await yard.until("1 done")
    await yard.runner.close()
    assert yard.happened == ["a begins", "a is over", "1 done"]


async def test_a_worker_that_raises_has_failed_and_the_next_one_runs() -> None:
    yard = Yard()
    yard.runner.start(Job("work", "1", "no such gate"))
    yard.runner.start(Job("work", "2", "a"))
    yard.gates["a"].set()
    await yard.until("2 done")
    assert "1 failed" in yard.happened
