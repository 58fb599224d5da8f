# SPDX-License-Identifier: Apache-2.0
"""The transcript of a case, with every frame and every act of the tool; and the inbox, with the station's calls.

The log of a case shows the transcript and the measurements are taken from it; `Bench.expect` searches the inbox.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tools.conformance.peer.payload import shorten, value_at

__all__ = ["Entry", "Inbox", "Message", "Transcript"]


@dataclass(frozen=True)
class Entry:
    """One line of the transcript; `at` is monotonic seconds since the case began."""

    at: float
    who: str
    what: str
    action: str
    body: Any
    uid: str = ""
    step: str = ""

    def line(self) -> str:
        body = json.dumps(self.body, ensure_ascii=False, default=str) if self.body is not None else ""
        return f"{self.at:9.3f}  step {self.step or '-':<5} {self.who:<8} {self.what:<7} {self.action:<28} {body}"


class Transcript:
    """All entries, in order."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._start = now()
        self.entries: list[Entry] = []
        self.step = "0"

    def elapsed(self) -> float:
        """Seconds since the case began."""
        return self._now() - self._start

    def add(self, who: str, what: str, action: str, body: Any = None, *, uid: str = "") -> Entry:
        """Records that `who` (`station`, `csms`, `tool`) did `what`, now."""
        entry = Entry(self.elapsed(), who, what, action, body, uid, self.step)
        self.entries.append(entry)
        return entry

    def text(self) -> str:
        return "\n".join(entry.line() for entry in self.entries) + "\n"


@dataclass(eq=False)
class Message:
    """A CALL of the station; `taken`: a step has accounted for it."""

    action: str
    payload: dict[str, Any]
    uid: str
    at: float
    """Seconds since the case began."""
    endpoint: str
    connection: int
    """Counts the connections of the case, from 1."""
    index: int
    taken: bool = False
    sent_before: bool = field(default=False)
    """A retransmission: an earlier call had the same message id."""

    def get(self, path: str, default: Any = None) -> Any:
        """The value at `path` (`transactionInfo.chargingState`, `eventData.0.actualValue`)."""
        return value_at(self.payload, path, default)

    def __str__(self) -> str:
        return shorten(f"{self.action} {json.dumps(self.payload, ensure_ascii=False)}")


class Inbox:
    """The station's calls in order of arrival; each wakes the waiting steps."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._waiters: set[asyncio.Future[None]] = set()

    def put(self, message: Message) -> None:
        self.messages.append(message)
        self.wake()

    def wake(self) -> None:
        """Makes every `changed` return."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)
        self._waiters.clear()

    async def changed(self, timeout_s: float) -> bool:
        """Waits for the next `put` or `wake`, at most `timeout_s`; returns whether one came."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        done, _ = await asyncio.wait({waiter}, timeout=max(0.0, timeout_s))
        self._waiters.discard(waiter)
        return bool(done)
