# SPDX-License-Identifier: Apache-2.0
"""The last frames, in memory: bounded in bytes, and as cheap as an append: it is on the path of each message."""

from __future__ import annotations

from collections import deque
from enum import Enum, auto
from sys import getsizeof
from typing import Final, TypeAlias

__all__ = ["LARGE", "RING_BYTES", "Kind", "Record", "Ring"]

RING_BYTES: Final = 256 * 1024
LARGE: Final = 32 * 1024
"""A frame of more characters is kept by its beginning; no message of this station has as many."""
_BEGINNING: Final = 256
_OVERHEAD: Final = 160
"""Of a record besides its text: the tuple, its number and its place in the queue."""


class Kind(Enum):
    """What a record is about; the text of all but the first two is for people."""

    SENT = auto()
    RECEIVED = auto()
    TIMED_OUT = auto()
    LOST = auto()
    CONNECTED = auto()
    DISCONNECTED = auto()
    NOT_CONNECTED = auto()
    RECORDING = auto()


Record: TypeAlias = tuple[float, Kind, str | bytes, int, int]
"""Monotonic time, kind, text (a frame, or of a large one the beginning), the frame's size, and the bytes in memory. No
class: creating one takes several times as long."""


class Ring:
    """The newest records of at most `limit` bytes; the oldest are dropped, and counted."""

    def __init__(self, limit: int = RING_BYTES) -> None:
        self._limit = limit
        self._records: deque[Record] = deque()
        self._held = 0
        self.dropped = 0
        """Since the last `take`."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def held(self) -> int:
        """Bytes in memory."""
        return self._held

    def records(self) -> tuple[Record, ...]:
        """All of them, the oldest first."""
        return tuple(self._records)

    def add(self, now: float, kind: Kind, text: str | bytes) -> Record:
        size = len(text)
        if size > LARGE:
            text = text[:_BEGINNING]
        held = getsizeof(text) + _OVERHEAD
        record = (now, kind, text, size, held)
        self._records.append(record)
        self._held += held
        while self._held > self._limit:
            self._pop()
            self.dropped += 1
        return record

    def take(self) -> Record:
        """Remove and return the oldest record; raises `IndexError` when there is none."""
        self.dropped = 0
        return self._pop()

    def _pop(self) -> Record:
        record = self._records.popleft()
        self._held -= record[4]
        return record
