# SPDX-License-Identifier: Apache-2.0
"""The messages between station and CSMS as they are exchanged, for those who follow them.

A follower gets the last lines that are written, then what is in memory, then what comes. It has a formatter of its own,
which knows the calls from its beginning on. Lines are made and sent one at a time between other work of the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import replace

from firmware.contract.administration import MessageLine
from services.ocpp.message_log.line import Line, encode

if TYPE_CHECKING:
    from services.ocpp.administration.server import Client
    from services.ocpp.message_log.formatter import Formatter
    from services.ocpp.message_log.ring import Record

__all__ = ["Follower", "last_written"]

_MAX_WAITING: Final = 4096
_MAX_LINE_BYTES: Final = 60_000
_WRITTEN_BYTES: Final = 128 * 1024


class Follower:
    """Sends the lines `written`, then `records`, and then what is given to `add`, to one client."""

    def __init__(
        self, client: Client, formatter: Formatter, records: Iterable[Record], *, written: Iterable[bytes] = ()
    ) -> None:
        self._client = client
        self._formatter = formatter
        self._written = deque(written)
        self._waiting = deque(records, _MAX_WAITING)
        self._pumping: asyncio.Task[None] | None = None
        self._pump_soon()

    def add(self, record: Record) -> None:
        """On the path of each message: an append."""
        self._waiting.append(record)
        if self._pumping is None:
            self._pump_soon()

    def close(self) -> None:
        if self._pumping is not None:
            self._pumping.cancel()

    def _pump_soon(self) -> None:
        self._pumping = asyncio.get_running_loop().create_task(self._pump())

    async def _pump(self) -> None:
        try:
            while self._written:
                self._client.send(MessageLine(msgspec.Raw(self._written.popleft())))
                await asyncio.sleep(0)
            while self._waiting:
                self._client.send(MessageLine(msgspec.Raw(_encoded(self._formatter.line(self._waiting.popleft())))))
                await asyncio.sleep(0)
        finally:
            self._pumping = None


def last_written(paths: Iterable[Path]) -> list[bytes]:
    """The last lines of the log's files, of which the last is the newest, without what can't be read or sent."""
    lines: list[bytes] = []
    for path in paths:
        with contextlib.suppress(OSError), path.open("rb") as file:
            skipped = max(0, path.stat().st_size - _WRITTEN_BYTES)
            file.seek(skipped)
            found = file.read(_WRITTEN_BYTES).split(b"\n")
            lines += found[1:] if skipped else found  # the first is half a line
    fitting: deque[bytes] = deque()
    left = _WRITTEN_BYTES
    for line in reversed(lines):
        left -= len(line)
        if left < 0:
            break
        if 0 < len(line) <= _MAX_LINE_BYTES and _is_object(line):
            fitting.appendleft(line)
    return list(fitting)


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(line), dict)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False


def _encoded(line: Line) -> bytes:
    data = encode(line)
    if len(data) <= _MAX_LINE_BYTES:
        return data
    return encode(replace(line, payload=UNSET, text=f"{line.size} characters: too large to be shown here"))
