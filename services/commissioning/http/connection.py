# SPDX-License-Identifier: Apache-2.0
"""One connection: its requests, one after the other, each within its time."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from http import HTTPStatus

import h11

from services.commissioning.http.messages import Answer, BadRequest, Handler, Headers, Request, problem

__all__ = ["Connection", "Limits"]

MAX_HEAD_BYTES = 16 * 1024
MAX_REQUESTS = 1000
_READ_BYTES = 16 * 1024
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client may take, in seconds."""

    head_s: float = 10.0
    """For the head of a request; also from the connection to the end of the first one."""
    idle_s: float = 30.0
    """Between two requests."""
    body_s: float = 60.0
    write_s: float = 30.0
    """To take what was written."""
    linger_s: float = 1.0
    """To read the answer before a connection is closed on which more was sent: a reset would destroy the answer."""


class _GoneError(Exception):
    """The client has left, or has taken too long."""


class Connection:
    """Serves one client until it leaves; `headers` are added to every answer."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        handler: Handler,
        *,
        address: str,
        headers: Headers,
        limits: Limits,
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._handler = handler
        self._address = address
        self._headers = headers
        self._limits = limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._begun = False
        """Whether a byte of the present request has come."""
        self._method = ""
        self._last = False
        """Whether the connection ends with the present answer: where a request ends is not sure."""

    async def serve(self) -> None:
        """Returns when the connection is over; raises nothing but cancellation."""
        try:
            wait_s = self._limits.head_s
            for _ in range(MAX_REQUESTS):
                await self._serve_one(wait_s)
                if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                    break
                self._http.start_next_cycle()
                wait_s = self._limits.idle_s
            await self._linger()
        except (_GoneError, OSError):
            _log.debug("%s has left", self._address)
        finally:
            self._writer.close()

    async def _serve_one(self, wait_s: float) -> None:
        try:
            answer = await self._answer(await self._head(wait_s))
        except h11.RemoteProtocolError as error:
            self._last = True
            answer = problem(error.error_status_hint or 400, "not a request of HTTP/1.1")
        except BadRequest as error:
            self._last = True
            answer = problem(error.status, error.detail)
        await self._send(answer)

    # --- the request --------------------------------------------------------------------------------------------

    async def _head(self, wait_s: float) -> Request:
        self._begun = bool(self._http.trailing_data[0])
        self._method = ""
        if not self._begun:
            await self._receive(wait_s)
        deadline = asyncio.get_running_loop().time() + self._limits.head_s
        while (event := self._http.next_event()) is h11.NEED_DATA:
            await self._receive(deadline - asyncio.get_running_loop().time())
        if not isinstance(event, h11.Request):
            raise _GoneError
        self._method = event.method.decode("ascii")
        headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
        if {"content-length", "transfer-encoding"} <= {name for name, _ in headers}:
            raise BadRequest(400, "both Content-Length and Transfer-Encoding")
        return Request(self._method, event.target.decode("ascii"), headers, self._address, self._read)

    async def _read(self, limit: int) -> bytes:
        """The body of the request."""
        body = bytearray()
        deadline = asyncio.get_running_loop().time() + self._limits.body_s
        if self._http.they_are_waiting_for_100_continue:
            await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Data):
                body += event.data
                if len(body) > limit:
                    raise BadRequest(413, f"a body of more than {limit} bytes")
            elif event is h11.NEED_DATA:
                await self._receive(deadline - asyncio.get_running_loop().time())
            else:
                raise _GoneError
        return bytes(body)

    async def _receive(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                data = await self._reader.read(_READ_BYTES)
        except TimeoutError:
            if not self._begun:
                raise _GoneError from None
            raise BadRequest(408, "the request did not come in time") from None
        if not data:
            raise _GoneError
        self._begun = True
        self._http.receive_data(data)

    def _has_ended(self) -> bool:
        """Whether the whole request is here; what the handler has not read of it is thrown away."""
        with contextlib.suppress(h11.RemoteProtocolError):
            while self._http.their_state is h11.SEND_BODY:
                if self._http.next_event() is h11.NEED_DATA:
                    return False
        return self._http.their_state is h11.DONE

    # --- the answer ---------------------------------------------------------------------------------------------

    async def _answer(self, request: Request) -> Answer:
        try:
            return await self._handler(request)
        except (BadRequest, _GoneError, OSError, h11.RemoteProtocolError):
            raise
        except Exception:
            _log.exception("%s %.100s failed", request.method, request.target)
            return problem(500, "an error of the station: see its log")

    async def _send(self, answer: Answer) -> None:
        given = {name for name, _ in answer.headers}
        headers = [*(each for each in self._headers if each[0] not in given), *answer.headers]
        if self._last or not self._has_ended() or answer.stream is not None:
            headers.append(("Connection", "close"))
        if answer.status != HTTPStatus.NOT_MODIFIED:  # its type and length would be those of the file
            headers.append(("Content-Type", answer.content_type))
        if answer.stream is not None:
            await self._send_stream(answer.status, headers, answer.stream)
            return
        if answer.status != HTTPStatus.NOT_MODIFIED:
            headers.append(("Content-Length", str(len(answer.body))))
        head = self._http.send(h11.Response(status_code=answer.status, headers=headers))
        body = answer.body if self._method != "HEAD" else b""
        await self._write(head, self._http.send(h11.Data(data=body)), self._http.send(h11.EndOfMessage()))

    async def _send_stream(self, status: int, headers: list[tuple[str, str]], stream: AsyncGenerator[bytes]) -> None:
        """Until the stream or the client ends; whatever the client sends meanwhile ends it, too."""
        left = asyncio.create_task(self._reader.read(1))
        try:
            piece = await self._next(stream, left)  # first: a generator that was not begun would not be closed
            await self._write(self._http.send(h11.Response(status_code=status, headers=headers)))
            while piece is not None:
                await self._write(self._http.send(h11.Data(data=piece)))
                piece = await self._next(stream, left)
            await self._write(self._http.send(h11.EndOfMessage()))
        finally:
            left.cancel()
            await asyncio.wait({left})
            await stream.aclose()

    async def _next(self, stream: AsyncGenerator[bytes], left: asyncio.Task[bytes]) -> bytes | None:
        piece = asyncio.ensure_future(anext(stream, None))
        try:
            await asyncio.wait({piece, left}, return_when=asyncio.FIRST_COMPLETED)
            if left.done():
                raise _GoneError
            return piece.result()
        finally:
            if not piece.done():
                piece.cancel()
                await asyncio.wait({piece})

    async def _write(self, *pieces: bytes | None) -> None:
        self._writer.write(b"".join(piece or b"" for piece in pieces))
        try:
            async with asyncio.timeout(self._limits.write_s):
                await self._writer.drain()
        except TimeoutError:
            self._writer.transport.abort()
            raise _GoneError from None

    async def _linger(self) -> None:
        if self._http.their_state is h11.DONE:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._limits.linger_s):
                while await self._reader.read(_READ_BYTES):
                    pass
