# SPDX-License-Identifier: Apache-2.0
"""Tasks: one of a kind at a time, and a cancelled one does nothing more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from services.ocpp.background import Cancel, Failed, Order, Outcome, Progress, Report, Task, TaskRunner
from services.ocpp.transfer.threads import in_thread


class Open(Order, frozen=True):
    """Wait for this gate."""

    gate: str


class AtGate(Progress, frozen=True):
    gate: str


class Passed(Outcome, frozen=True):
    pass


class Gates:
    """A runner whose worker blocks in a thread until its gate is open."""

    orders = (Open,)

    def __init__(self) -> None:
        self.runner = TaskRunner([self], self.deliver)
        self.gates = {name: threading.Event() for name in ("a", "b")}
        self.happened: list[str] = []
        self.reports: list[tuple[Task, Report]] = []
        self.changed = asyncio.Event()

    def start(self, gate: str) -> Task:
        task = Task("X", Open(gate))
        self.runner.take(task)
        return task

    def deliver(self, task: Task, report: Report) -> None:
        self.reports.append((task, report))
        if isinstance(task.order, Open) and isinstance(report, Outcome):
            self.note(f"{task.order.gate} {type(report).__name__}")

    def note(self, what: str) -> None:
        self.happened.append(what)
        self.changed.set()

    async def run(self, order: Order, progress: Callable[[Progress], None]) -> Outcome:
        assert isinstance(order, Open)
        self.note(f"{order.gate} begins")
        progress(AtGate(order.gate))
        try:
            await in_thread(self.gates[order.gate].wait, 10.0)
        finally:
            self.note(f"{order.gate} is over")
        return Passed()

    async def until(self, what: str) -> None:
        async with asyncio.timeout(5.0):
            while what not in self.happened:
                self.changed.clear()
                await self.changed.wait()


async def test_a_task_waits_for_the_one_that_was_cancelled_for_it() -> None:
    gates = Gates()
    first = gates.start("a")
    await gates.until("a begins")
    gates.runner.take(Cancel(first))
    gates.start("b")
    gates.gates["b"].set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert gates.happened == ["a begins"]  # its thread still writes
    gates.gates["a"].set()
    await gates.until("b Passed")
    assert gates.happened == ["a begins", "a is over", "b begins", "b is over", "b Passed"]


async def test_a_task_that_is_cancelled_while_it_waits_never_begins() -> None:
    gates = Gates()
    gates.start("a")
    second = gates.start("b")
    await gates.until("a begins")
    gates.runner.take(Cancel(second))
    gates.gates["a"].set()
    await gates.until("a Passed")
    await gates.runner.close()
    assert gates.happened == ["a begins", "a is over", "a Passed"]


async def test_reports_come_with_their_task() -> None:
    gates = Gates()
    gates.gates["a"].set()
    task = gates.start("a")
    await gates.until("a Passed")
    assert [(about is task, type(report)) for about, report in gates.reports] == [(True, AtGate), (True, Passed)]


async def test_cancelling_a_task_that_is_over_does_nothing() -> None:
    gates = Gates()
    gates.gates["a"].set()
    task = gates.start("a")
    await gates.until("a Passed")
    gates.runner.take(Cancel(task))
    await gates.runner.close()
    assert gates.happened == ["a begins", "a is over", "a Passed"]


async def test_a_worker_that_raises_has_failed_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    gates = Gates()
    failed = gates.start("no such gate")
    gates.start("a")
    gates.gates["a"].set()
    await gates.until("a Passed")
    assert (failed, Failed("'no such gate'")) in gates.reports
    assert "Open failed" in caplog.text
