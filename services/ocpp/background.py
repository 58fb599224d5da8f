# SPDX-License-Identifier: Apache-2.0
"""Work that takes time and I/O: requested by blocks, done outside them.

A block starts a `Task` with `Block.start_task`; after the commit the shell hands it to the `TaskRunner`. The worker's
progress and, once, its outcome are delivered through `Block.on_task` to the block that asked, and to no other. Tasks
are not durable: a block that needs one after a restart keeps a value of its own on disk and starts it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Protocol, TypeAlias

from msgspec import Struct

__all__ = ["Cancel", "Failed", "Order", "Outcome", "Progress", "Report", "Task", "TaskRunner", "Worker"]

_log = logging.getLogger(__name__)


class Order(Struct, frozen=True):
    """What a worker is to do; its class selects the worker."""


class Progress(Struct, frozen=True):
    """What a worker reports while a task runs."""


class Outcome(Struct, frozen=True):
    """How a task ended."""


class Failed(Outcome, frozen=True):
    """The work could not be done, or the worker raised an exception."""

    reason: str


Report: TypeAlias = Progress | Outcome


class Task(Struct, frozen=True, eq=False):
    """One piece of work. `asked_by` is the letter of the block that gets its reports. Equal only to itself."""

    asked_by: str
    order: Order


class Cancel(Struct, frozen=True):
    """Stop this task; it reports no outcome. Nothing happens if it is over."""

    task: Task


class Worker(Protocol):
    """Carries out orders of the classes in `orders`."""

    @property
    def orders(self) -> tuple[type[Order], ...]: ...

    async def run(self, order: Order, progress: Callable[[Progress], None]) -> Outcome: ...


class TaskRunner:
    """Runs tasks on the loop; `deliver` gets their reports. A worker that raises has `Failed`, with the error's text.

    Orders of one class use the same files, so they are carried out one at a time: a task that replaces a cancelled one
    begins when that one has cleaned up.
    """

    def __init__(self, workers: Iterable[Worker], deliver: Callable[[Task, Report], None]) -> None:
        self._workers = {kind: worker for worker in workers for kind in worker.orders}
        self._deliver = deliver
        self._running: dict[Task, asyncio.Task[None]] = {}
        self._locks = {kind: asyncio.Lock() for kind in self._workers}

    def take(self, request: Task | Cancel) -> None:
        """Start or cancel a task."""
        if isinstance(request, Cancel):
            running = self._running.get(request.task)
            if running is not None:
                running.cancel()
            return
        self._running[request] = asyncio.get_running_loop().create_task(self._run(request))
        self._running[request].add_done_callback(lambda _done: self._running.pop(request))

    async def close(self) -> None:
        running = list(self._running.values())
        for each in running:
            each.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _run(self, task: Task) -> None:
        kind = type(task.order)
        try:
            async with self._locks[kind]:
                outcome = await self._workers[kind].run(task.order, lambda report: self._deliver(task, report))
        except Exception as error:
            _log.exception("%s failed", kind.__name__)
            outcome = Failed(str(error))
        self._deliver(task, outcome)
