# SPDX-License-Identifier: Apache-2.0
"""One WebSocket as a client: a protocol of asyncio around the core of `websockets`, which knows RFC 6455 but no I/O.

A frame's whole way. In: the transport calls `buffer_updated`, the core parses, a message is complete in `_take`, and
`_hand_over` gives it to the listener, all in one callback. Out: `send` masks a message and writes it to the transport.

What keeps it bounded:

- a message is at most `MAX_FRAME_BYTES` long, in however many fragments, else the core closes with 1009;
- the transport is not read while messages of its last read wait for the listener, which gets a few in each iteration of
  the loop, so that a burst delays nothing else;
- while the CSMS does not read, up to `_MAX_WAITING` messages wait, then `send` refuses; pongs, which the core sends by
  itself, end the connection at `_MAX_UNSENT_BYTES`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias, cast

from websockets.client import ClientProtocol
from websockets.frames import DATA_OPCODES, CloseCode, Frame, Opcode
from websockets.protocol import State
from websockets.typing import Subprotocol
from websockets.uri import WebSocketURI

__all__ = ["MAX_FRAME_BYTES", "SUBPROTOCOL", "Wire"]

MAX_FRAME_BYTES: Final = 256 * 1024
"""A larger message is answered by closing the connection with 1009 (RFC 6455, section 7.4.1)."""
SUBPROTOCOL: Final = Subprotocol("ocpp2.0.1")

_READ_BYTES: Final = 64 * 1024
"""What one read takes at most; without a buffer of ours, asyncio makes one of 256 KiB for each."""
_HIGH_WATER_BYTES: Final = 32 * 1024
_MAX_UNSENT_BYTES: Final = 4 * MAX_FRAME_BYTES
_MAX_WAITING: Final = 256
_AT_ONCE: Final = 4
_FLUSH_TIMEOUT_S: Final = 2.0
_CLOSE_TIMEOUT_S: Final = 2.0

_log = logging.getLogger(__name__)
# At DEBUG the library logs every header and frame, including passwords.
_library_log = logging.getLogger("services.ocpp.csms.link.websockets")
_library_log.setLevel(logging.ERROR)

OnFrame: TypeAlias = Callable[[str | bytes], None]
"""Gets each message: `str` from text, `bytes` from binary frames."""


class Wire(asyncio.BufferedProtocol):
    """The WebSocket, from the TCP connection to its end.

    `opened` is done after the handshake, or has the exception why it failed. `closed` is done when the connection has
    ended, after the last message was handed over; it has an exception only if the listener raised it.
    """

    transport: asyncio.Transport
    """As soon as there is a connection."""

    def __init__(self, uri: WebSocketURI, headers: Mapping[str, str]) -> None:
        self.protocol = ClientProtocol(uri, subprotocols=[SUBPROTOCOL], max_size=MAX_FRAME_BYTES, logger=_library_log)
        self._headers = headers
        self._loop = asyncio.get_running_loop()
        self.opened: asyncio.Future[None] = self._loop.create_future()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._on_frame: OnFrame | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._received: deque[str | bytes] = deque()
        """Messages for the listener."""
        self._fragments = bytearray()
        self._is_text = True
        """What the fragments are."""
        self._continues = False
        """`_hand_over` is due in the next iteration of the loop."""
        self._paused = False
        """The transport takes no more for now."""
        self._waiting: deque[str] = deque()
        self._all_written = asyncio.Event()
        self._all_written.set()
        self._ping = b""
        self._pong: asyncio.Future[None] | None = None
        self._linger: asyncio.TimerHandle | None = None

    # --- what its owner calls -----------------------------------------------------------------------

    def listen(self, on_frame: OnFrame) -> None:
        """Hand the messages over to `on_frame`, first those that have come with the end of the handshake."""
        self._on_frame = on_frame
        self._hand_over()

    def send(self, text: str) -> bool:
        """Send a text frame. False if it can't even wait, because the CSMS has read nothing for long."""
        if self._paused or self._waiting:
            if len(self._waiting) >= _MAX_WAITING:
                return False
            self._waiting.append(text)
            self._all_written.clear()
        else:
            self._write(text)
        return True

    async def answers_ping(self, timeout_s: float) -> bool:
        """Whether a pong arrives in time, or the end; one ping at a time."""
        if self.protocol.state is not State.OPEN:
            return True
        self._ping, self._pong = os.urandom(4), self._loop.create_future()
        self.protocol.send_ping(self._ping)
        self._flush()
        done, _ = await asyncio.wait({self._pong, self.closed}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        return bool(done)

    async def close(self, code: int = CloseCode.NORMAL_CLOSURE, reason: str = "") -> None:
        """Deliver the messages sent before, close, and wait for the CSMS to do the same; cut what takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH_TIMEOUT_S):
                await self._all_written.wait()
            if self.protocol.state is State.OPEN:
                self.protocol.send_close(code, reason)
                self._flush()
            await asyncio.wait({self.closed}, timeout=_CLOSE_TIMEOUT_S)
        self.abort()

    def abort(self) -> None:
        """End it now; nothing more is handed over."""
        self._on_frame = None
        self._received.clear()
        self._waiting.clear()
        self.transport.abort()

    # --- in -----------------------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.protocol.receive_data(bytes(self._buffer[:nbytes]))
        try:
            for event in self.protocol.events_received():
                self._take(event)
        except UnicodeDecodeError as error:
            self.protocol.fail(CloseCode.INVALID_DATA, f"{error.reason} at position {error.start}")
        if self.protocol.handshake_exc is not None:
            self._refused(self.protocol.handshake_exc)
        self._flush()
        if self.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            _log.warning("the CSMS does not read: connection dropped")
            self.transport.abort()
        elif not self._continues:
            self._hand_over()

    def _take(self, event: object) -> None:
        """Keep the message that a frame completes; raises `UnicodeDecodeError`."""
        if not isinstance(event, Frame):
            if self.protocol.state is State.OPEN and not self.opened.done():  # the response of the handshake
                self.opened.set_result(None)
            return
        opcode = event.opcode
        if opcode is Opcode.PONG:
            if self._pong is not None and not self._pong.done() and event.data == self._ping:
                self._pong.set_result(None)
        elif opcode is Opcode.TEXT and event.fin:
            self._received.append(str(event.data, "utf-8"))
        elif opcode in DATA_OPCODES:
            if opcode is not Opcode.CONT:
                self._is_text = opcode is Opcode.TEXT
            self._fragments += event.data
            if event.fin:
                message, self._fragments = bytes(self._fragments), bytearray()
                self._received.append(message.decode() if self._is_text else message)

    def _hand_over(self) -> None:
        """Give the listener the next messages; the transport is read again when it has all of them."""
        self._continues = False
        for _ in range(_AT_ONCE):
            if self._on_frame is None or not self._received:
                break
            try:
                self._on_frame(self._received.popleft())
            except Exception as error:  # its owner raises it
                self._end(error)
                self.abort()
        if not self.transport.is_closing():
            (self.transport.pause_reading if self._received else self.transport.resume_reading)()
        if self._received and self._on_frame is not None:
            self._continues = True
            self._loop.call_soon(self._hand_over)

    # --- out ----------------------------------------------------------------------------------------

    def _write(self, text: str) -> None:
        if self.protocol.state is State.OPEN:  # else it ends, and what is sent is lost with it
            self.protocol.send_text(text.encode())
            self._flush()

    def _flush(self) -> None:
        """Write what the core has to send; nothing means that it will not send any more."""
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                with contextlib.suppress(OSError, RuntimeError):
                    self.transport.write_eof()
            else:
                self.transport.close()
        if self._linger is None and self.protocol.close_expected():
            self._linger = self._loop.call_later(_CLOSE_TIMEOUT_S, self.transport.abort)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        while self._waiting and not self._paused:
            self._write(self._waiting.popleft())
        if not self._waiting:
            self._all_written.set()

    # --- beginning and end --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(_HIGH_WATER_BYTES)
        request = self.protocol.connect()
        request.headers.update(self._headers)
        request.headers["User-Agent"] = "baywatt"
        self.protocol.send_request(request)
        self._flush()

    def _refused(self, error: Exception) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
            self.opened.exception()  # nobody need wait for it any more

    def eof_received(self) -> None:
        self.protocol.receive_eof()
        self._flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.protocol.receive_eof()
        # Every end within the handshake is a missing answer to the core. In TLS 1.3 the alert about a client
        # certificate comes only then.
        self._refused(exc if isinstance(exc, ssl.SSLError) else self.protocol.handshake_exc or ConnectionResetError())
        if self._linger is not None:
            self._linger.cancel()
        self._waiting.clear()
        self._all_written.set()
        while self._received and self._on_frame is not None:
            self._hand_over()
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self.closed.done():
            return
        if error is None:
            self.closed.set_result(None)
        else:
            self.closed.set_exception(error)
