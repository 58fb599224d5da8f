# SPDX-License-Identifier: Apache-2.0
"""One end of one Unix-socket connection: bounded in both directions, closed once, with a reason.

No method waits for the peer. Data that it has not read is buffered up to `MAX_UNSENT_BYTES`; beyond that the connection
is cut. A long backlog (`send_backlog`) is sent as fast as the peer reads, a few lines in each iteration of the loop so
that nothing else is delayed; lines sent meanwhile follow it and count against the bound.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Generic, Protocol, TypeVar

from msgspec import Struct

from firmware.errors import ContractError
from firmware.ipc.framing import LineSplitter

__all__ = ["MAX_UNSENT_BYTES", "Connection", "Credentials", "Handler", "peer_credentials"]

MAX_UNSENT_BYTES = 1024 * 1024
_HIGH_WATER_BYTES = 64 * 1024
_BACKLOG_LINES_AT_ONCE = 64
_LINGER_S = 1.0
_UCRED = struct.Struct("iII")
_SO_PEERGROUPS = 59
"""Linux; Python has no name for it. Not on every architecture, but on those that this firmware runs on."""
_received = memoryview(bytearray(64 * 1024))
"""Of all connections, as each is done with it in the callback that fills it. Without it, asyncio would get 256 KiB from
the kernel for each read, and give them back."""
_MAX_GROUPS = 256
"""As many as Python's `getsockopt` can return."""

_T = TypeVar("_T")


class Credentials(Struct, frozen=True):
    """The process at the other end, as the kernel reports it."""

    pid: int
    uid: int
    gid: int
    groups: frozenset[int] = frozenset()
    """Its supplementary groups."""

    def is_member(self, gid: int) -> bool:
        return gid == self.gid or gid in self.groups


def peer_credentials(transport: asyncio.BaseTransport) -> Credentials:
    """The peer at the time when it connected (SO_PEERCRED, SO_PEERGROUPS)."""
    peer = transport.get_extra_info("socket")
    pid, uid, gid = _UCRED.unpack(peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    try:
        raw = peer.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, 4 * _MAX_GROUPS)
    except OSError:  # more groups than that: none of them counts
        raw = b""
    return Credentials(pid, uid, gid, frozenset(group for (group,) in struct.iter_unpack("=I", raw)))


class Handler(Protocol[_T]):
    """The owner of a connection; called in this order: open, messages, closed."""

    def on_open(self, connection: Connection[_T]) -> None: ...

    def on_message(self, connection: Connection[_T], message: _T) -> None:
        """May raise `ContractError`: the connection is then closed for that reason."""

    def on_closed(self, connection: Connection[_T], reason: str) -> None:
        """Once, whichever side closed it."""


class Connection(asyncio.BufferedProtocol, Generic[_T]):
    """A connection that receives messages of `_T` and sends lines."""

    def __init__(
        self, decode: Callable[[bytes], _T], handler: Handler[_T], *, max_unsent_bytes: int = MAX_UNSENT_BYTES
    ) -> None:
        self._decode = decode
        self._handler = handler
        self._max_unsent = max_unsent_bytes
        self._loop = asyncio.get_running_loop()
        self._splitter = LineSplitter()
        self._transport: asyncio.Transport | None = None
        self._reason: str | None = None
        self._linger: asyncio.TimerHandle | None = None
        self._paused = False
        self._backlog: Iterator[bytes] | None = None
        self._behind: list[bytes] = []
        self._behind_bytes = 0
        self.finished: asyncio.Future[str] = self._loop.create_future()

    @property
    def transport(self) -> asyncio.Transport:
        """The transport; only after `on_open`."""
        assert self._transport is not None
        return self._transport

    @property
    def closing(self) -> bool:
        return self._reason is not None

    def send(self, line: bytes) -> None:
        """Queue a line; no effect once closing. Cuts the connection when too much is unread."""
        if self.closing:
            return
        if self._backlog is None:
            self.transport.write(line)
        else:
            self._behind.append(line)
            self._behind_bytes += len(line)
        unsent = self.transport.get_write_buffer_size() + self._behind_bytes
        if unsent > self._max_unsent:
            self.abort(f"the peer left {unsent} bytes unread")

    def send_backlog(self, lines: Iterator[bytes]) -> None:
        """Send `lines` at the peer's pace, before any line that is sent later; once per connection."""
        self._backlog = lines
        self._pump()

    def _pump(self) -> None:
        if self._backlog is None or self._paused or self.closing:
            return
        lines = b"".join(islice(self._backlog, _BACKLOG_LINES_AT_ONCE))
        if lines:
            self.transport.write(lines)
            self._loop.call_soon(self._pump)
            return
        self._backlog = None
        self.transport.write(b"".join(self._behind))
        self._behind.clear()
        self._behind_bytes = 0

    def close(self, reason: str) -> None:
        """Send the queued lines, then close; cuts after a second if the peer does not read."""
        if self.closing or self._transport is None:
            return
        self._reason = reason
        self._transport.close()
        self._linger = self._loop.call_later(_LINGER_S, self._transport.abort)

    def abort(self, reason: str) -> None:
        """Close now; queued lines are lost."""
        if self._reason is None:
            self._reason = reason
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.BufferedProtocol ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=_HIGH_WATER_BYTES)
        self._handler.on_open(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _received

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(_received[:nbytes]))

    def data_received(self, data: bytes) -> None:
        try:
            for line in self._splitter.feed(data):
                if self.closing:
                    return
                self._handler.on_message(self, self._decode(line))
        except ContractError as error:
            self.close(str(error))

    def eof_received(self) -> None:
        if self._reason is None and self._splitter.pending:
            self._reason = "the peer closed in the middle of a line"

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._linger is not None:
            self._linger.cancel()
        if self._reason is None:
            self._reason = f"connection lost: {exc}" if exc else "the peer closed"
        self._backlog = None
        self._behind.clear()
        if not self.finished.done():
            self.finished.set_result(self._reason)
        self._handler.on_closed(self, self._reason)
