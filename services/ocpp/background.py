# SPDX-License-Identifier: Apache-2.0
"""Work that takes time and I/O, asked for by blocks and done outside them.

A block appends a `Job` to `context.jobs`; after the commit the shell hands it to the `JobRunner`. What becomes of it
comes back through `Block.on_job`, as often as there is something to tell. Jobs are not durable: a block that needs
one finished after a restart keeps a fact of its own and asks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Job", "JobNews", "JobRunner", "Worker"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Job:
    """What is to be done. `kind` names the worker, `id` is the asking block's, `order` the worker's own type.

    An `order` of None cancels the running job with this id.
    """

    kind: str
    id: str
    order: Any


@dataclass(frozen=True, slots=True)
class JobNews:
    """How a job goes: `state` is the worker's word (`progress`, `done`, `failed`, or its own), `detail` its value."""

    kind: str
    id: str
    state: str
    detail: Any = None


Worker: TypeAlias = Callable[[Any, Callable[[str, Any], None]], Awaitable[tuple[str, Any]]]
"""Called with the order and a function for news under way; returns the last news."""


class JobRunner:
    """Runs jobs as tasks of the loop; `tell` gets their news. A worker that raises has `failed`, with the error.

    Jobs of one kind use the same files, so they run one at a time: one that takes the place of a cancelled one begins
    when that has put away its things.
    """

    def __init__(self, workers: dict[str, Worker], tell: Callable[[JobNews], None]) -> None:
        self._workers = workers
        self._tell = tell
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._turns = {kind: asyncio.Lock() for kind in workers}

    def start(self, job: Job) -> None:
        key = (job.kind, job.id)
        running = self._tasks.get(key)
        if running is not None:
            running.cancel()
        if job.order is not None:
            task = self._tasks[key] = asyncio.get_running_loop().create_task(self._run(job))
            task.add_done_callback(lambda done: self._forget(key, done))

    def _forget(self, key: tuple[str, str], task: asyncio.Task[None]) -> None:
        if self._tasks.get(key) is task:
            del self._tasks[key]

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _run(self, job: Job) -> None:
        def under_way(state: str, detail: Any) -> None:
            self._tell(JobNews(job.kind, job.id, state, detail))

        try:
            async with self._turns[job.kind]:
                state, detail = await self._workers[job.kind](job.order, under_way)
        except Exception as error:
            _log.exception("%s job failed", job.kind)
            state, detail = "failed", str(error)
        self._tell(JobNews(job.kind, job.id, state, detail))
