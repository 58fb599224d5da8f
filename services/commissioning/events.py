# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: each client has a queue of its own, and one that does not read is dropped.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass, field

import msgspec

__all__ = ["EVENTS", "RETRY", "Event", "Hub", "TooManyError"]

EVENTS = "events"
"""The topic of what every page needs."""
MOST_CLIENTS = 12
MOST_WAITING = 512
KEEP_ALIVE_S = 15.0
RETRY = b"retry: 2000\n\n"
"""How long a browser waits before it connects again, in ms."""
_encode = msgspec.json.Encoder().encode


class TooManyError(Exception):
    """There are as many clients as there may be."""


@dataclass(frozen=True, slots=True)
class Event:
    """`name` is the type that a browser's listener is for, `data` JSON in one line."""

    name: str
    data: bytes

    @classmethod
    def of(cls, name: str, content: object) -> Event:
        return cls(name, _encode(content))

    @property
    def text(self) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (self.name.encode(), self.data)


@dataclass(slots=True, eq=False)
class _Client:
    topic: str
    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))


class Hub:
    """The clients of all topics."""

    def __init__(self) -> None:
        self._clients: set[_Client] = set()
        self._guests = 0

    def publish(self, topic: str, event: Event) -> None:
        for client in [each for each in self._clients if each.topic == topic]:
            try:
                client.queue.put_nowait(event)
            except asyncio.QueueFull:
                self._end(client)

    def has_clients(self, topic: str) -> bool:
        return any(client.topic == topic for client in self._clients)

    def close(self) -> None:
        """End every stream."""
        for client in list(self._clients):
            self._end(client)

    def _end(self, client: _Client) -> None:
        self._clients.discard(client)
        while not client.queue.empty():
            client.queue.get_nowait()
        client.queue.put_nowait(None)

    def require_room(self) -> None:
        """Raises `TooManyError`; to be asked before `stream` and `guest`."""
        if len(self._clients) + self._guests >= MOST_CLIENTS:
            raise TooManyError

    @contextlib.contextmanager
    def guest(self) -> Iterator[None]:
        """Counts a stream that has its events from elsewhere."""
        self._guests += 1
        try:
            yield
        finally:
            self._guests -= 1

    async def stream(
        self, topic: str, first: Callable[[], list[Event]], allowed: Callable[[], bool]
    ) -> AsyncGenerator[bytes]:
        """What `first` returns, then the events of the topic, for as long as `allowed()`."""
        client = _Client(topic)
        self._clients.add(client)
        try:
            yield RETRY + b"".join(event.text for event in first())
            while allowed():
                try:
                    async with asyncio.timeout(KEEP_ALIVE_S):
                        event = await client.queue.get()
                except TimeoutError:
                    yield b":\n\n"
                    continue
                if event is None:
                    return
                if allowed():
                    yield event.text
            yield Event.of("end", {}).text
        finally:
            self._clients.discard(client)
