# SPDX-License-Identifier: Apache-2.0
"""A CSMS for tests: a real WebSocket server on the loopback that does as it is told, and misbehaves by name.

    async with ScriptedCsms() as csms:
        ...                                             # a station that dials csms.url
        boot = await csms.expect("BootNotification")    # its payload; answered by itself
        answer = await csms.call("ClearCache", {})      # the payload of the answer, or CallFailed
        csms.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked"}}
        csms.fail(Fault.REFUSE_503, times=2)

What the station sends is checked against the schemas; a violation fails the test at the end of the `async with`.
In front of the server stands a pump that copies bytes, so that the line itself can be slow, dead or rude.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Self
from uuid import uuid4

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from services.ocpp.rpc.validation import check_request, check_response

__all__ = ["CallFailed", "Fault", "Handshake", "Received", "ScriptedCsms"]

PATIENCE_S = 5.0


class Fault(StrEnum):
    """What it can do wrong."""

    # while the connection is made, each occasion one connection
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
    # as answer, each occasion one CALL of the station
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


_AT_THE_DOOR = frozenset(
    {Fault.CLOSE_IN_HANDSHAKE, Fault.NONSENSE_IN_HANDSHAKE, Fault.STALL_HANDSHAKE, Fault.DRIBBLE_HEADERS}
)
_STATUS = {
    Fault.REFUSE_401: HTTPStatus.UNAUTHORIZED,
    Fault.REFUSE_404: HTTPStatus.NOT_FOUND,
    Fault.REFUSE_503: HTTPStatus.SERVICE_UNAVAILABLE,
    Fault.REDIRECT: HTTPStatus.FOUND,
}
_SUBPROTOCOL = {Fault.NO_SUBPROTOCOL: None, Fault.WRONG_SUBPROTOCOL: Subprotocol("ocpp1.6")}
_IN_ANSWERS = frozenset(Fault) - _AT_THE_DOOR - set(_STATUS) - set(_SUBPROTOCOL)


class CallFailed(Exception):
    """A CALLERROR: raised by `call` when the station sends one, and put into `answers` to have one sent."""

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


@dataclass(frozen=True)
class Received:
    """A CALL of the station."""

    action: str
    payload: dict[str, Any]
    message_id: str


Answer = dict[str, Any] | CallFailed | Callable[[dict[str, Any]], dict[str, Any]]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def default_answers() -> dict[str, Answer]:
    """What an agreeable CSMS says; an action that isn't here gets an empty object."""
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
    """See the module. Times are seconds; every wait gives up with an `AssertionError` that says what it missed."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", strict: bool = True) -> None:
        self.answers = default_answers()
        self.handshakes: list[Handshake] = []
        self.received: list[Received] = []
        self.errors: list[list[Any]] = []
        """CALLERRORs of the station that answer no call of `call`, as they came."""
        self.problems: list[str] = []
        self.attempts = 0
        """TCP connections, whatever became of them."""
        self.connections = 0
        """WebSocket connections that were accepted."""
        self._tls = tls
        self._host = host
        self._strict = strict
        self._fault: Fault | None = None
        self._times: int | None = None
        self._seen = 0
        self._errors_seen = 0
        self._connection: ServerConnection | None = None
        self._calls: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._road = asyncio.Event()
        self._road.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: Server
        self._door: asyncio.Server

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
        self._door = await asyncio.start_server(self._on_visitor, "127.0.0.1", 0)
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        self._door.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._server.close()
        await self._server.wait_closed()
        if kind is None and self._strict:
            assert not self.problems, self.problems

    @property
    def port(self) -> int:
        port: int = self._door.sockets[0].getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The endpoint, without the identity."""
        return f"{'ws' if self._tls is None else 'wss'}://{self._host}:{self.port}/ocpp"

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def resumed(self) -> bool:
        """Whether the handshake of the present connection took up a TLS session."""
        assert self._connection is not None
        return bool(self._connection.transport.get_extra_info("ssl_object").session_reused)

    def fail(self, fault: Fault | None, *, times: int | None = None) -> None:
        """From now on (so many times, or until told otherwise) goes wrong in this way; None: behaves."""
        self._fault, self._times = fault, times

    @contextlib.asynccontextmanager
    async def blackhole(self) -> AsyncIterator[None]:
        """The line swallows everything, in established and new connections: nothing closes, nothing comes through."""
        self._road.clear()
        try:
            yield
        finally:
            self._road.set()

    async def expect(
        self,
        action: str,
        *,
        timeout: float = PATIENCE_S,
        where: Callable[[dict[str, Any]], bool] = lambda _: True,
    ) -> dict[str, Any]:
        """The payload of the next such CALL after the last one expected; others on the way are passed over."""

        def found() -> bool:
            for index in range(self._seen, len(self.received)):
                if self.received[index].action == action and where(self.received[index].payload):
                    self._seen = index + 1
                    return True
            return False

        await self.until(found, f"a {action}", timeout=timeout)
        return self.received[self._seen - 1].payload

    async def expect_error(self, *, timeout: float = PATIENCE_S) -> list[Any]:
        """The next CALLERROR that answers no call of `call`: to frames of `send_raw`."""
        await self.until(lambda: len(self.errors) > self._errors_seen, "a CALLERROR", timeout=timeout)
        self._errors_seen += 1
        return self.errors[self._errors_seen - 1]

    async def call(self, action: str, payload: dict[str, Any], *, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Calls the station; raises `CallFailed` if it answers with a CALLERROR."""
        message_id = str(uuid4())
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._calls[message_id] = answer
        await self.send_raw(json.dumps([2, message_id, action, payload]))
        try:
            result = await asyncio.wait_for(answer, timeout)
        except TimeoutError:
            raise AssertionError(f"no answer to {action} within {timeout} s") from None
        finally:
            self._calls.pop(message_id, None)
        violation = check_response(action, result)
        if violation is not None:
            self.problems.append(f"{action} response: {violation.description}")
        return result

    async def send_raw(self, frame: str | bytes) -> None:
        """Sends a frame as it is."""
        await self.until(lambda: self.connected, "a connection")
        assert self._connection is not None
        await self._connection.send(frame)

    async def until_connected(self, count: int = 1, *, timeout: float = PATIENCE_S) -> None:
        """Until so many connections in all have been accepted and the last one is up."""
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
        """Until something that the CSMS sees is so."""
        try:
            async with asyncio.timeout(timeout), self._changed:
                await self._changed.wait_for(met)
        except TimeoutError:
            seen = [received.action for received in self.received[self._seen :]]
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

    # --- the door: bytes

    async def _on_visitor(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.attempts += 1
        await self._note()
        fault = self._take_fault(_AT_THE_DOOR)
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):  # cancelled at the end of the test
                await (self._let_in(reader, writer) if fault is None else _be_rude(fault, reader, writer))
        finally:
            writer.transport.abort()

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner: int = next(iter(self._server.sockets)).getsockname()[1]
        await self._road.wait()
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", inner)
        pumps = [
            asyncio.ensure_future(self._pump(reader, inner_writer)),
            asyncio.ensure_future(self._pump(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(pumps)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            inner_writer.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copies until the source ends, and ends the sink in the same way: by a close or by a reset."""
        try:
            while data := await reader.read(65536):
                await self._road.wait()
                writer.write(data)
                await writer.drain()
            await self._road.wait()
            writer.close()
        except OSError:
            await self._road.wait()
            writer.transport.abort()

    # --- the server: handshakes and frames

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

    async def _serve(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.connections += 1
        await self._note()
        try:
            async for frame in connection:
                await self._on_frame(connection, frame)
        except ConnectionClosed:
            pass
        finally:
            if self._connection is connection:
                self._connection = None
            await self._note()

    async def _on_frame(self, connection: ServerConnection, frame: str | bytes) -> None:
        message = json.loads(frame)
        if message[0] == 2:
            await self._on_call(connection, Received(message[2], message[3], message[1]))
        else:
            self._on_answer(message)
        await self._note()

    def _on_answer(self, message: list[Any]) -> None:
        answer = self._calls.get(message[1])
        if answer is None or answer.done():
            if message[0] == 4:
                self.errors.append(message)
            else:
                self.problems.append(f"an answer to nothing: {message}")
        elif message[0] == 3:
            answer.set_result(message[2])
        else:
            answer.set_exception(CallFailed(*message[2:5]))

    async def _on_call(self, connection: ServerConnection, call: Received) -> None:
        violation = check_request(call.action, call.payload)
        if violation is not None:
            self.problems.append(f"{call.action} request: {violation.description}")
        self.received.append(call)
        fault = self._take_fault(_IN_ANSWERS)
        if fault is Fault.CLOSE:
            await connection.close(1001, "leaving")
            return
        with contextlib.suppress(ConnectionClosed):  # the station may be gone; what it sent before is still read
            for frame in self._frames(call, fault):
                if fault is Fault.BAD_UTF8:
                    await connection.send(frame, text=True)
                else:
                    await connection.send(frame)

    def _frames(self, call: Received, fault: Fault | None) -> list[str | bytes]:
        answer = self.answers.get(call.action, {})
        if fault is Fault.CALLERROR:
            answer = CallFailed("InternalError", "told to fail")
        if isinstance(answer, CallFailed):
            return [json.dumps([4, call.message_id, answer.code, answer.description, answer.details])]
        good = json.dumps([3, call.message_id, answer(call.payload) if callable(answer) else answer])
        broken: dict[Fault | None, list[str | bytes]] = {
            None: [good],
            Fault.STALL: [],
            Fault.NONSENSE: ["<html>It works!</html>"],
            Fault.INVALID_ANSWER: [json.dumps([3, call.message_id, {"noSuchField": 1}])],
            Fault.WRONG_ID: [json.dumps([3, "no-such-id", {}])],
            Fault.OVERSIZED: [json.dumps([3, call.message_id, {"customData": {"vendorId": "x" * 300_000}}])],
            Fault.BINARY: [good.encode()],
            Fault.BAD_UTF8: [good.encode() + b"\xff"],
            Fault.DUPLICATE: [good, good],
        }
        return broken[fault]


async def _be_rude(fault: Fault, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Raw bytes in place of a handshake; returns when the connection is to be closed."""
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
