# SPDX-License-Identifier: Apache-2.0
"""A CSMS for tests: a real WebSocket server on the loopback with scripted answers and named faults.

    async with ScriptedCsms() as csms:
        ...                                             # a station that dials csms.url
        boot = await csms.expect("BootNotification")    # its payload; answered automatically
        answer = await csms.call("ClearCache", {})      # the payload of the answer, or CallFailed
        csms.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
        csms.fail(Fault.REFUSE_503, times=2)

Every message of the station is checked against its schema; a violation fails the test at the end of the `async with`.
A `Line` is in front of the server, so that the network can be slow, dead or faulty as well.
"""

from __future__ import annotations

import asyncio
import functools
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self
from uuid import uuid4

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from firmware.clock import format_utc
from tests.support.line import Handler, Line
from tools.ocppj.frames import BadFrame, Call, Error, Result, decode, encode
from tools.ocppj.schemas import Side, check

__all__ = ["CallFailed", "Fault", "Handshake", "ScriptedCsms"]

PATIENCE_S = 5.0


class Fault(StrEnum):
    """A fault of the CSMS or of the network."""

    # while the connection is made: each time counts for one connection
    REFUSE_401 = "refuse_401"
    REFUSE_404 = "refuse_404"
    REFUSE_503 = "refuse_503"
    REDIRECT = "redirect"
    NO_SUBPROTOCOL = "no_subprotocol"
    WRONG_SUBPROTOCOL = "wrong_subprotocol"
    CLOSE_IN_HANDSHAKE = "close_in_handshake"
    NONSENSE_IN_HANDSHAKE = "nonsense_in_handshake"
    STALL_HANDSHAKE = "stall_handshake"
    DRIBBLE_HEADERS = "dribble_headers"
    # as answer: each time counts for one CALL of the station
    CALLERROR = "callerror"
    STALL = "stall"
    CLOSE = "close"
    NONSENSE = "nonsense"
    INVALID_ANSWER = "invalid_answer"
    WRONG_ID = "wrong_id"
    OVERSIZED = "oversized"
    BINARY = "binary"
    BAD_UTF8 = "bad_utf8"
    DUPLICATE = "duplicate"


_IN_TCP = frozenset(
    {Fault.CLOSE_IN_HANDSHAKE, Fault.NONSENSE_IN_HANDSHAKE, Fault.STALL_HANDSHAKE, Fault.DRIBBLE_HEADERS}
)
_STATUS = {
    Fault.REFUSE_401: HTTPStatus.UNAUTHORIZED,
    Fault.REFUSE_404: HTTPStatus.NOT_FOUND,
    Fault.REFUSE_503: HTTPStatus.SERVICE_UNAVAILABLE,
    Fault.REDIRECT: HTTPStatus.FOUND,
}
_SUBPROTOCOL = {Fault.NO_SUBPROTOCOL: None, Fault.WRONG_SUBPROTOCOL: Subprotocol("ocpp1.6")}
_IN_ANSWERS = frozenset(Fault) - _IN_TCP - set(_STATUS) - set(_SUBPROTOCOL)


class CallFailed(Exception):
    """A CALLERROR: raised by `call` if the station sends one; put into `answers` to send one."""

    def __init__(self, code: str, description: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code}: {description}")
        self.code = code
        self.description = description
        self.details = details or {}


@dataclass(frozen=True)
class Handshake:
    """A request for a WebSocket, accepted or not."""

    path: str
    headers: dict[str, str]


Answer = dict[str, Any] | CallFailed | Callable[[dict[str, Any]], dict[str, Any]]


def _now() -> str:
    return format_utc(time.time())


def default_answers() -> dict[str, Answer]:
    """The answers of a well-behaved CSMS; the default for other actions is an empty object."""
    accepted = {"status": "Accepted"}
    return {
        "BootNotification": lambda _: {"currentTime": _now(), "interval": 300, "status": "Accepted"},
        "Heartbeat": lambda _: {"currentTime": _now()},
        "Authorize": {"idTokenInfo": {"status": "Accepted"}},
        "SignCertificate": accepted,
        "DataTransfer": accepted,
        "GetCertificateStatus": {"status": "Failed"},
        "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
        "NotifyEVChargingNeeds": {"status": "Rejected"},
        "NotifyEVChargingSchedule": accepted,
    }


class ScriptedCsms:
    """Times are seconds; every wait that times out is an `AssertionError` which names what is missing."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.answers = default_answers()
        self.handshakes: list[Handshake] = []
        self.frames: list[str | bytes] = []
        """Every frame of the station, undecoded."""
        self.received: list[Call] = []
        self.errors: list[Error] = []
        """CALLERRORs of the station that answer no `call`."""
        self.results: list[Result] = []
        """CALLRESULTs of the station that answer no `call`; the test has to remove them."""
        self.problems: list[str] = []
        self.attempts = 0
        """TCP connections, also those that got no further."""
        self.connections = 0
        """Accepted WebSocket connections."""
        self._tls = tls
        self._host = host
        self._fault: Fault | None = None
        self._times: int | None = None
        self._seen = 0
        self._errors_seen = 0
        self._connection: ServerConnection | None = None
        self._calls: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._server: Server
        self._line = Line(self._on_attempt)

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            ssl=self._tls,
            process_request=self._on_request,
            select_subprotocol=self._on_subprotocols,
            compression=None,
            ping_interval=None,
            close_timeout=0.2,
            max_size=None,
        )
        await self._line.start(next(iter(self._server.sockets)).getsockname()[1])
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        await self._line.stop()
        self._server.close()
        await self._server.wait_closed()
        if kind is None:
            assert not self.problems, self.problems
            assert not self.results, f"answers to no call: {self.results}"

    @property
    def port(self) -> int:
        return self._line.port

    @property
    def url(self) -> str:
        """The endpoint, without the identity."""
        return f"{'ws' if self._tls is None else 'wss'}://{self._host}:{self.port}/ocpp"

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def resumed(self) -> bool:
        """Whether the present connection resumed a TLS session."""
        assert self._connection is not None
        return bool(self._connection.transport.get_extra_info("ssl_object").session_reused)

    def fail(self, fault: Fault | None, *, times: int | None = None) -> None:
        """Has this fault `times` times (default: until the next `fail`); None: behaves well."""
        self._fault, self._times = fault, times

    def blackhole(self) -> AbstractAsyncContextManager[None]:
        """The network swallows everything, in established and new connections: none closes, no byte arrives."""
        return self._line.blackhole()

    async def expect(
        self,
        action: str,
        *,
        timeout: float = PATIENCE_S,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """The payload of the next such CALL after the last one expected; other calls in between are skipped."""

        def found() -> bool:
            for index in range(self._seen, len(self.received)):
                if self.received[index].action == action and where(self.received[index].payload):
                    self._seen = index + 1
                    return True
            return False

        await self.until(found, f"a {action}", timeout=timeout)
        return self.received[self._seen - 1].payload

    async def expect_error(self, *, timeout: float = PATIENCE_S) -> Error:
        """The next of `errors`: the answer to a frame of `send_raw`."""
        await self.until(lambda: len(self.errors) > self._errors_seen, "a CALLERROR", timeout=timeout)
        self._errors_seen += 1
        return self.errors[self._errors_seen - 1]

    async def call(self, action: str, payload: dict[str, Any], *, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """The payload of the station's answer; raises `CallFailed` if that is a CALLERROR."""
        message_id = str(uuid4())
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls[message_id] = answer
        await self.send_raw(encode(Call(message_id, action, payload)))
        try:
            result = await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise AssertionError(f"no answer to {action} within {timeout} s") from None
        finally:
            self._calls.pop(message_id, None)
        self._check(action, "Response", result)
        return result

    async def send_raw(self, frame: str | bytes) -> None:
        """Sends a frame unchecked."""
        await self.until(lambda: self.connected, "a connection")
        assert self._connection is not None
        await self._connection.send(frame)

    async def until_connected(self, count: int = 1, *, timeout: float = PATIENCE_S) -> None:
        """Until `count` connections in total have been accepted and the last one is open."""
        await self.until(lambda: self.connections >= count and self.connected, "a connection", timeout=timeout)

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """A clean close of the connection."""
        assert self._connection is not None
        await self._connection.close(code, reason)

    def cut(self) -> None:
        """The TCP connection is reset."""
        assert self._connection is not None
        self._connection.transport.abort()

    async def until(self, met: Callable[[], bool], what: str, *, timeout: float = PATIENCE_S) -> None:
        """Until `met()`, which is evaluated at each attempt, connection and frame."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(met)
        except TimeoutError:
            seen = [call.action for call in self.received[self._seen :]]
            raise AssertionError(f"no {what.removeprefix('a ')} within {timeout} s; came: {seen}") from None

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _take_fault(self, among: frozenset[Fault] | dict[Fault, Any]) -> Fault | None:
        fault = self._fault
        if fault is None or fault not in among:
            return None
        if self._times is not None:
            self._times -= 1
            if self._times <= 0:
                self._fault = None
        return fault

    # --- connections

    async def _on_attempt(self) -> Handler | None:
        self.attempts += 1
        await self._note()
        fault = self._take_fault(_IN_TCP)
        return None if fault is None else functools.partial(_misbehave, fault)

    async def _on_request(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(Handshake(request.path, {key.lower(): value for key, value in request.headers.items()}))
        await self._note()
        fault = self._take_fault(_STATUS)
        if fault is None:
            return None
        response = connection.respond(_STATUS[fault], "no\n")
        if fault is Fault.REDIRECT:
            response.headers["Location"] = self.url + "/elsewhere"
        return response

    def _on_subprotocols(self, connection: ServerConnection, offered: list[Subprotocol] | Any) -> Subprotocol | None:
        fault = self._take_fault(_SUBPROTOCOL)
        if fault is not None:
            return _SUBPROTOCOL[fault]
        return Subprotocol("ocpp2.0.1") if "ocpp2.0.1" in offered else None

    # --- frames

    async def _serve(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.connections += 1
        await self._note()
        try:
            async for text in connection:
                await self._on_frame(connection, text)
                await self._note()
        except ConnectionClosed:
            pass
        finally:
            if self._connection is connection:
                self._connection = None
            await self._note()

    async def _on_frame(self, connection: ServerConnection, text: str | bytes) -> None:
        self.frames.append(text)
        try:
            frame = decode(text)
        except BadFrame as bad:
            self.problems.append(f"not a frame: {bad.detail}: {text!r:.200}")
            return
        answer = self._calls.get(frame.message_id)
        if isinstance(frame, Call):
            await self._on_call(connection, frame)
        elif isinstance(frame, Result):
            if answer is None or answer.done():
                self.results.append(frame)
            else:
                answer.set_result(frame.payload)
        elif answer is None or answer.done():
            self.errors.append(frame)
        else:
            answer.set_exception(CallFailed(frame.code, frame.description, frame.details))

    async def _on_call(self, connection: ServerConnection, call: Call) -> None:
        self._check(call.action, "Request", call.payload)
        self.received.append(call)
        fault = self._take_fault(_IN_ANSWERS)
        if fault is Fault.CLOSE:
            await connection.close(1001, "leaving")
            return
        with suppress(ConnectionClosed):  # the station may be gone; its earlier frames are still read
            for frame in self._frames(call, fault):
                await connection.send(frame, text=True if fault is Fault.BAD_UTF8 else None)

    def _check(self, action: str, side: Side, payload: dict[str, Any]) -> None:
        problem = check(action, side, payload)
        if problem is not None:
            self.problems.append(str(problem))

    def _frames(self, call: Call, fault: Fault | None) -> list[str | bytes]:
        answer = self.answers.get(call.action, {})
        if fault is Fault.CALLERROR:
            answer = CallFailed("InternalError", "scripted")
        if isinstance(answer, CallFailed):
            return [encode(Error(call.message_id, answer.code, answer.description, answer.details))]
        good = encode(Result(call.message_id, answer(call.payload) if callable(answer) else answer))
        large = {"customData": {"vendorId": "x" * 300_000}}
        broken: dict[Fault | None, list[str | bytes]] = {
            None: [good],
            Fault.STALL: [],
            Fault.NONSENSE: ["<html>It works!</html>"],
            Fault.INVALID_ANSWER: [encode(Result(call.message_id, {"customData": 1}))],
            Fault.WRONG_ID: [encode(Result("no-such-id", {}))],
            Fault.OVERSIZED: [encode(Result(call.message_id, large))],
            Fault.BINARY: [good.encode()],
            Fault.BAD_UTF8: [good.encode() + b"\xff"],
            Fault.DUPLICATE: [good, good],
        }
        return broken[fault]


async def _misbehave(fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends raw bytes instead of a handshake; returns when the connection is to be closed."""
    if fault is Fault.STALL_HANDSHAKE:
        await reader.read(-1)
        return
    await reader.readuntil(b"\r\n\r\n")
    if fault is Fault.NONSENSE_IN_HANDSHAKE:
        writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        await writer.drain()
    elif fault is Fault.DRIBBLE_HEADERS:
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: ")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)
