# SPDX-License-Identifier: Apache-2.0
"""One commit of the database for all that was written in a moment: the disk is the slowest part of a bench.

The first after a pause is made at once, so that a single station waits for nothing.

A transaction event is answered when it is on disk, so its handler waits for `done`; nothing else waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from firmware.errors import StorageError

__all__ = ["Commits"]

_log = logging.getLogger(__name__)
_GROUP_S = 0.02


class Commits:
    """Calls `commit` after a `soon`, at most 50 times a second; `on_loss` if that fails."""

    def __init__(self, commit: Callable[[], None], on_loss: Callable[[], None]) -> None:
        self._commit, self._on_loss = commit, on_loss
        self._next: asyncio.Future[StorageError | None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._next_at = 0.0

    def soon(self) -> asyncio.Future[StorageError | None]:
        """The outcome of the next commit."""
        if self._next is None:
            loop = asyncio.get_running_loop()
            self._next = loop.create_future()
            self._timer = loop.call_at(max(loop.time(), self._next_at), self._on_time)
        return self._next

    async def done(self) -> None:
        """Returns when what has been written is on disk. Raises `StorageError`."""
        error = await asyncio.shield(self.soon())
        if error is not None:
            raise error

    def _on_time(self) -> None:
        self.now()
        self._next_at = asyncio.get_running_loop().time() + _GROUP_S

    def now(self) -> None:
        """Commits; never raises."""
        outcome, self._next = self._next, None
        if self._timer is not None:
            self._timer.cancel()
        error = None
        try:
            self._commit()
        except StorageError as failed:
            error = failed
            _log.error("the last messages could not be saved: %s", error)
            self._on_loss()
        if outcome is not None and not outcome.done():
            outcome.set_result(error)
