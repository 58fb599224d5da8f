# SPDX-License-Identifier: Apache-2.0
"""The message log of a running station: what is noted of each frame, when it is written, and how much.

On the path of a frame it costs one append to the ring. The ring is written when something has gone wrong: a CALLERROR
of either side, a call without an answer, a lost connection, a session that ends abnormally; for a diagnostics upload;
and when the process stops. While MessageLogCtrlr.Enabled is true, everything is written, `WRITE_AFTER_S` later.

Lines are made one at a time between other work of the loop, and written in a thread. An allowance of bytes spares the
flash; what it does not cover is left out, and the log says how much. So it is with lines that the disk has no room for:
nothing waits in memory.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from firmware.bounded_file import BoundedFile
from firmware.message_log import FILE_NAME
from firmware.timer import LoopTimer, Scheduled, Timer
from services.ocpp.message_log.line import encode
from services.ocpp.message_log.ring import Kind, Record, Ring
from services.ocpp.rpc.peer import CONNECTION_LOST, Failed

if TYPE_CHECKING:
    from firmware.clock import Clock
    from services.ocpp.message_log.formatter import Formatter

__all__ = ["FILE_BYTES", "FILE_NAME", "WRITE_AFTER_S", "Allowance", "MessageLog", "open_file"]

FILE_BYTES: Final = 2 * 1024 * 1024
WRITE_AFTER_S: Final = 0.2
"""Long enough for what belongs to the same trouble, and for several frames a write."""
_PIECE_BYTES: Final = 64 * 1024
_BYTES_PER_S: Final = 500.0
_BURST_BYTES: Final = 16 * 1024 * 1024
"""Together at most 60 MB in a day, of the 200 MB that the flash is made for."""
_MAX_REASONS: Final = 20
_CALL_ERROR: Final = "[4"
_USUAL_ENDS: Final = frozenset(
    {
        "EVDisconnected",
        "EnergyLimitReached",
        "Local",
        "MasterPass",
        "Remote",
        "SOCLimitReached",
        "StoppedByEV",
        "TimeLimitReached",
    }
)

_log = logging.getLogger(__name__)


def open_file(folder: Path) -> BoundedFile:
    """The log's file in `folder`, for its owner alone."""
    return BoundedFile(folder / FILE_NAME, FILE_BYTES, mode=0o600)


class Allowance:
    """A number of bytes that grows with time up to a limit."""

    def __init__(self, per_s: float = _BYTES_PER_S, burst: float = _BURST_BYTES) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._since: float | None = None

    def has_some(self, now: float) -> bool:
        if self._since is not None:
            self._left = min(self._burst, self._left + (now - self._since) * self._per_s)
        self._since = now
        return self._left > 0.0

    def spend(self, size: int) -> None:
        self._left -= size


class MessageLog:
    """See the module. All methods belong to the loop; none raises."""

    def __init__(
        self,
        file: BoundedFile,
        formatter: Formatter,
        *,
        clock: Clock,
        timer: Timer | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        self._file = file
        self._formatter = formatter
        self._monotonic = clock.monotonic
        self._timer = timer or LoopTimer()
        self._allowance = allowance or Allowance()
        self._ring = Ring()
        self._on_the_way: list[Record] = []
        """Taken from the ring, and not yet in the file."""
        self._recording = False
        self._followers: tuple[Callable[[Record], None], ...] = ()
        self._scheduled: Scheduled | None = None
        self._writing: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._left_out = 0
        self._full = False
        self._reported: set[str] = set()
        """Why no connection was made, since the last one."""

    @property
    def paths(self) -> tuple[Path, Path]:
        """Its files, the older one first; they need not exist."""
        return self._file.paths

    def in_memory(self) -> tuple[Record, ...]:
        """What is not written, the oldest first."""
        return (*self._on_the_way, *self._ring.records())

    def follow(self, on_record: Callable[[Record], None]) -> None:
        """Call `on_record` with each record from now on, until `unfollow`."""
        self._followers = (*self._followers, on_record)

    def unfollow(self, on_record: Callable[[Record], None]) -> None:
        self._followers = tuple(each for each in self._followers if each != on_record)

    # --- on the path of each frame --------------------------------------------------------------------------

    def sent(self, frame: str) -> None:
        self._add(Kind.SENT, frame)
        if self._recording or frame.startswith(_CALL_ERROR):
            self._write_soon()

    def received(self, frame: str | bytes) -> None:
        self._add(Kind.RECEIVED, frame)
        if self._recording or (isinstance(frame, str) and frame.startswith(_CALL_ERROR)):
            self._write_soon()

    # --- what else happens ------------------------------------------------------------------------------------

    def switch(self, *, recording: bool) -> None:
        """Write everything from now on, or only on trouble."""
        if recording != self._recording:
            self._recording = recording
            self._note(Kind.RECORDING, "on" if recording else "off")

    def connected(self, text: str) -> None:
        self._reported.clear()
        self._add(Kind.CONNECTED, text)
        if self._recording:
            self._write_soon()

    def disconnected(self, reason: str) -> None:
        self._note(Kind.DISCONNECTED, reason)

    def not_connected(self, reason: str) -> None:
        """An attempt to connect has failed; each reason is noted once until there is a connection."""
        if reason not in self._reported and len(self._reported) < _MAX_REASONS:
            self._reported.add(reason)
            self._note(Kind.NOT_CONNECTED, reason)

    def failed(self, call: Failed) -> None:
        """A call of ours has no valid answer; if it has an invalid one, the line of that says why."""
        if call.timed_out:
            self._note(Kind.TIMED_OUT, call.message_id)
        elif call.code == CONNECTION_LOST:
            self._note(Kind.LOST, call.message_id)
        else:
            self._write_soon()

    def session_ended(self, reason: str | None) -> None:
        """`reason`: stoppedReason; None for Local, or if it has not ended."""
        if reason is not None and reason not in _USUAL_ENDS:
            self._write_soon()

    # --- writing ----------------------------------------------------------------------------------------------

    async def flush(self) -> None:
        """Write what the ring holds now."""
        async with self._turn:
            left = len(self._ring)
            self._on_the_way.clear()
            while left > 0 and len(self._ring):
                piece = bytearray()
                records = 0
                while left > 0 and len(self._ring) and len(piece) < _PIECE_BYTES:
                    missing = self._ring.dropped + self._left_out
                    line = self._next_line(missing)
                    self._left_out = 0 if line else missing + 1
                    records += missing + 1 if line else 0
                    piece += line
                    left -= 1
                    await asyncio.sleep(0)
                await self._append(bytes(piece), records)
                self._on_the_way.clear()

    async def close(self) -> None:
        """Write the rest and end."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        await self.flush()
        self._file.close()

    def _note(self, kind: Kind, text: str) -> None:
        self._add(kind, text)
        self._write_soon()

    def _add(self, kind: Kind, text: str | bytes) -> None:
        record = self._ring.add(self._monotonic(), kind, text)
        for on_record in self._followers:
            on_record(record)

    def _write_soon(self) -> None:
        if self._scheduled is None and self._writing is None:
            self._scheduled = self._timer.call_later(WRITE_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._scheduled = None
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            await self.flush()
        finally:
            self._writing = None
        if self._recording and len(self._ring):
            self._write_soon()

    def _next_line(self, missing: int) -> bytes:
        """The oldest record's line, after one that says how many are missing before it; empty if it is left out."""
        record = self._ring.take()
        self._on_the_way.append(record)
        if not self._allowance.has_some(self._monotonic()):
            return b""
        try:
            lines = [self._formatter.left_out(record[0], missing)] if missing else []
            data = b"".join(encode(line) + b"\n" for line in (*lines, self._formatter.line(record)))
        except Exception:
            # A bug here must not cost more than a line of a log.
            _log.exception("a record of the message log can't be shown")
            return b""
        self._allowance.spend(len(data))
        return data

    async def _append(self, data: bytes, records: int) -> None:
        """Write lines about this number of records."""
        if not data:
            return
        try:
            await asyncio.to_thread(self._file.append, data)
        except OSError as error:
            self._left_out += records
            if not self._full:
                _log.warning("the message log can't be written: %s", error)
            self._full = True
        else:
            self._full = False
