# SPDX-License-Identifier: Apache-2.0
"""Connects to a Unix socket, and reconnects until it is cancelled.

The pause between attempts starts at 50 ms and doubles to 1 s. The owner calls `proven` when a connection is good: from
then on its end is the owner's to log, and if it lasted a while, the pauses start at 50 ms again. (A peer that ends each
connection at once gets the long pauses.) The reason for having no good connection is logged when it changes, not at
each attempt.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from firmware.ipc.connection import Connection, Handler
from firmware.timer import LoopTimer, Timer, sleep

__all__ = ["Backoff", "Dialer"]

_FIRST_RETRY_S = 0.05
_MAX_RETRY_S = 1.0
_STABLE_S = 5.0
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Backoff:
    """The pauses between attempts, in seconds."""

    def __init__(self, first_s: float = _FIRST_RETRY_S, max_s: float = _MAX_RETRY_S) -> None:
        self._first = first_s
        self._max = max_s
        self._next = first_s
        self._once: float | None = None

    def reset(self) -> None:
        self._next = self._first

    def once(self, pause_s: float) -> None:
        """Make the next pause this long, without effect on those after it."""
        self._once = pause_s

    def next(self) -> float:
        if self._once is not None:
            pause, self._once = self._once, None
            return pause
        pause = self._next
        self._next = min(self._max, pause * 2)
        return pause


class Dialer(Generic[_T]):
    """Keeps one connection to `path` for `handler`."""

    def __init__(
        self,
        path: Path,
        decode: Callable[[bytes], _T],
        handler: Handler[_T],
        *,
        backoff: Backoff | None = None,
        stable_s: float = _STABLE_S,
        timer: Timer | None = None,
    ) -> None:
        self._path = path
        self._decode = decode
        self._handler = handler
        self._backoff = backoff or Backoff()
        self._stable_s = stable_s
        self._timer = timer or LoopTimer()
        self._proven = False
        self._reported: str | None = None

    def proven(self) -> None:
        """The connection is good: the peer sends what it should."""
        self._proven = True

    def pause_once(self, pause_s: float) -> None:
        """Wait this long before the next attempt: the peer is running but unusable."""
        self._backoff.once(pause_s)

    async def run(self) -> None:
        """Connect, follow, reconnect; ends only when it is cancelled, and then cuts the connection."""
        loop = asyncio.get_running_loop()
        while True:
            self._proven = False
            started = loop.time()
            self._report(await self._follow())
            if self._proven and loop.time() - started >= self._stable_s:
                self._backoff.reset()
            await sleep(self._timer, self._backoff.next())

    async def _follow(self) -> str:
        """One connection from its beginning to its end; returns why there is none any more."""
        loop = asyncio.get_running_loop()
        try:
            # A relative path is resolved at each attempt: its directory may be made later.
            _, connection = await loop.create_unix_connection(
                lambda: Connection(self._decode, self._handler), str(self._path)
            )
        except OSError as error:
            return error.strerror or str(error)
        try:
            return await asyncio.shield(connection.finished)
        finally:
            connection.abort("we are stopping")

    def _report(self, reason: str) -> None:
        if self._proven:
            self._reported = None
        elif reason != self._reported:
            self._reported = reason
            _log.warning("%s: no connection: %s", self._path, reason)
