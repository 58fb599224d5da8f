# SPDX-License-Identifier: Apache-2.0
"""Sends changes to the open pages. A reader that can't keep up gets `resync`: it has to load everything again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

__all__ = ["Feed", "Subscription"]

_MAX_BACKLOG = 2000


class Subscription:
    """One reader: server-sent events, already encoded. With a `station`, only its own and those of no station."""

    def __init__(self, station: str | None = None) -> None:
        self.station = station
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def put(self, event: bytes) -> None:
        if self._queue.qsize() >= _MAX_BACKLOG:
            while not self._queue.empty():
                self._queue.get_nowait()
            event = _encoded("resync", {})
        self._queue.put_nowait(event)

    def end(self) -> None:
        self._queue.put_nowait(None)

    async def get(self) -> bytes | None:
        """What has come since the last call, at least one event; None if there will be no more.

        All at once, because to send is what costs.
        """
        events = [await self._queue.get()]
        while not self._queue.empty() and events[-1] is not None:
            events.append(self._queue.get_nowait())
        if events[-1] is None and len(events) > 1:
            self.end()
        return b"".join(filter(None, events)) or None


class Feed:
    """Where the back office publishes changes."""

    def __init__(self) -> None:
        self._readers: set[Subscription] = set()

    def __len__(self) -> int:
        return len(self._readers)

    @contextmanager
    def subscribe(self, station: str | None = None) -> Iterator[Subscription]:
        reader = Subscription(station)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    def publish(self, kind: str, data: Any, *, station: str | None = None) -> None:
        """Sends an event to every reader, or to those who want this station; for nobody nothing is encoded."""
        readers = [reader for reader in self._readers if station is None or reader.station in (None, station)]
        if readers:
            event = _encoded(kind, data)
            for reader in readers:
                reader.put(event)

    def close(self) -> None:
        """Ends every subscription."""
        for reader in self._readers:
            reader.end()


def _encoded(kind: str, data: Any) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + msgspec.json.encode(data) + b"\n\n"
