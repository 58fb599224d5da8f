# SPDX-License-Identifier: Apache-2.0
"""The scripted CSMS: one conversation with the station over any number of endpoints (URLs).

Every message of the station is checked against its schema, written to the transcript, answered from the `Replies`
and put into the inbox. Breaches of the protocol are reported through `violation`, whichever step is running.
"""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from tools.conformance.peer import answers
from tools.conformance.peer.answers import DefaultAnswers, Replies, Reply
from tools.conformance.peer.endpoint import Attempt, Endpoint
from tools.conformance.peer.payload import value_at
from tools.conformance.peer.transcript import Inbox, Message, Transcript
from tools.ocppj.frames import BadFrame, Call, Error, Frame, Result, decode, encode
from tools.ocppj.schemas import check

__all__ = ["Answer", "Csms"]


@dataclass(frozen=True)
class Answer:
    """The station's answer to a call of the CSMS; `error` is a CALLERROR code, `NoAnswer` or `ConnectionLost`."""

    action: str
    payload: dict[str, Any]
    elapsed_s: float
    error: str | None = None
    description: str = ""

    def get(self, path: str, default: Any = None) -> Any:
        """The value at `path`."""
        return value_at(self.payload, path, default)


@dataclass(eq=False)
class _Pending:
    action: str
    sent_at: float
    connection: ServerConnection
    done: asyncio.Future[Answer]


@dataclass(eq=False)
class _OpenConnection:
    number: int
    endpoint: Endpoint
    open_call: tuple[str, str, float] | None = None
    """uid, action and time of the station's call that is not answered yet."""


@dataclass
class Csms:
    """`message_timeout_s` is how long the station waits for an answer before it may send its next call."""

    transcript: Transcript
    violation: Callable[[str, str, Message | None], None]
    now: Callable[[], float]
    identity: str
    message_timeout_s: float = 30.0
    inbox: Inbox = field(default_factory=Inbox)
    replies: Replies = field(default_factory=lambda: Replies(DefaultAnswers()))
    endpoints: list[Endpoint] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    """Every attempt of the station to connect, also refused ones, in order."""
    on_refused: Callable[[str], None] | None = None
    """Called with the reason of each attempt that the station is to blame for."""

    def __post_init__(self) -> None:
        self._pending: dict[str, _Pending] = {}
        self._open: dict[ServerConnection, _OpenConnection] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._numbers = 0
        self._seen: set[str] = set()

    async def open_endpoint(
        self,
        name: str,
        *,
        password: str | None,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> Endpoint:
        """Opens a further URL to which the station may connect; `password` `None`: no Basic authentication."""
        endpoint = Endpoint(
            name, self.identity, password, tls=tls, host=host, attempted=self._attempted, serve=self._converse
        )
        await endpoint.open(port)
        self.endpoints.append(endpoint)
        return endpoint

    @property
    def connection(self) -> ServerConnection | None:
        """The station's newest open connection."""
        return next(reversed(self._open), None)

    @property
    def endpoint(self) -> Endpoint | None:
        """The endpoint to which the station is connected."""
        connection = self.connection
        return self._open[connection].endpoint if connection else None

    @property
    def connections(self) -> int:
        """The number of connections so far, closed ones included."""
        return self._numbers

    async def close(self) -> None:
        """Closes all endpoints with their connections."""
        for task in list(self._tasks):
            task.cancel()
        for endpoint in self.endpoints:
            await endpoint.close()

    async def hang_up(self, code: int = 1000) -> None:
        """Closes every connection of the station with a close frame."""
        self.transcript.add("tool", "close", "WebSocket")
        for connection in list(self._open):
            await connection.close(code)

    async def call(self, action: str, payload: dict[str, Any], within_s: float, *, unchecked: bool = False) -> Answer:
        """Sends a CALL on the newest connection and waits for the answer; a missing one is an `Answer` with `error`."""
        if not unchecked and (wrong := check(action, "Request", payload)):
            raise ValueError(f"the case's own request is wrong: {wrong}")
        connection = self.connection
        if connection is None:
            return Answer(action, {}, 0.0, "ConnectionLost", "the station is not connected")
        uid = str(uuid.uuid4())
        pending = _Pending(action, self.now(), connection, asyncio.get_running_loop().create_future())
        self._pending[uid] = pending
        self.transcript.add("csms", "call", action, payload, uid=uid)
        try:
            await connection.send(encode(Call(uid, action, payload)))
            return await asyncio.wait_for(pending.done, within_s)
        except ConnectionClosed:
            return Answer(action, {}, self.now() - pending.sent_at, "ConnectionLost", "the connection closed")
        except TimeoutError:
            return Answer(action, {}, self.now() - pending.sent_at, "NoAnswer", f"none within {within_s:g} s")
        finally:
            del self._pending[uid]

    async def send_raw(self, text: str) -> None:
        """Sends `text` as a frame, unchecked."""
        if self.connection is None:
            raise ConnectionError("the station is not connected")
        self.transcript.add("csms", "raw", "", text)
        await self.connection.send(text)

    def _attempted(self, attempt: Attempt) -> None:
        attempt.at = self.transcript.elapsed()
        self.attempts.append(attempt)
        self.transcript.add("station", "connect", attempt.endpoint, attempt.outcome)
        if attempt.problem:
            self.violation(attempt.requirement, attempt.problem, None)
        if self.on_refused is not None and (reason := attempt.problem or attempt.tls_failure):
            self.on_refused(f"TLS: {reason}" if attempt.outcome == "tls" else reason)
        self.inbox.wake()

    async def _converse(self, endpoint: Endpoint, connection: ServerConnection) -> None:
        self._numbers += 1
        self._open[connection] = _OpenConnection(self._numbers, endpoint)
        self.transcript.add("station", "open", endpoint.name, {"connection": self._numbers})
        self.inbox.wake()
        try:
            async for frame in connection:
                self._on_frame(connection, frame)
        except ConnectionClosed:
            pass
        finally:
            self.transcript.add("station", "closed", endpoint.name, {"connection": self._open[connection].number})
            del self._open[connection]
            self._lose_calls(connection)
            self.inbox.wake()

    def _lose_calls(self, connection: ServerConnection) -> None:
        for pending in self._pending.values():
            if pending.connection is connection and not pending.done.done():
                elapsed = self.now() - pending.sent_at
                pending.done.set_result(Answer(pending.action, {}, elapsed, "ConnectionLost", "the connection closed"))

    def _on_frame(self, connection: ServerConnection, text: str | bytes) -> None:
        try:
            frame = decode(text)
        except BadFrame as bad:
            self.transcript.add("station", "raw", "", str(text))
            self.violation("OCPP-J 4.2", f"not an OCPP-J frame: {bad.detail}: {text!r:.200}", None)
            return
        match frame:
            case Call():
                self._on_call(connection, frame)
            case Result():
                self._on_result(frame)
            case Error():
                self._on_error(frame)

    def _on_call(self, connection: ServerConnection, call: Call) -> None:
        opened = self._open[connection]
        entry = self.transcript.add("station", "call", call.action, call.payload, uid=call.message_id)
        message = Message(
            call.action,
            call.payload,
            call.message_id,
            entry.at,
            opened.endpoint.name,
            opened.number,
            len(self.inbox.messages),
            sent_before=call.message_id in self._seen,
        )
        self._seen.add(call.message_id)
        self._check_one_at_a_time(opened, message)
        wrong = check(call.action, "Request", call.payload)
        if wrong:
            message.taken = True
            self.violation("part 6, 1.2", str(wrong), message)
        self.inbox.put(message)
        reply = Reply(error=wrong.code) if wrong else self.replies.choose(message)
        task = asyncio.create_task(self._answer(connection, message, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _check_one_at_a_time(self, opened: _OpenConnection, message: Message) -> None:
        """Part 4, 4.1.1: no CALL before the preceding one was answered or timed out (tolerance: half a second)."""
        before, now = opened.open_call, self.now()
        opened.open_call = (message.uid, message.action, now)
        if before is not None and now - before[2] < self.message_timeout_s - 0.5:
            self.violation("OCPP-J 4.1.1", f"sent while its {before[1]} was not answered yet", message)

    async def _answer(self, connection: ServerConnection, message: Message, reply: Reply) -> None:
        if reply.delay_s:
            await asyncio.sleep(reply.delay_s)
        if reply.error is None and reply.payload is None:
            self.transcript.add("csms", "silence", message.action, uid=message.uid)
            return
        if reply.error is not None:
            frame: Frame = Error(message.uid, reply.error, "as the test case requires", {})
            self.transcript.add("csms", "error", message.action, reply.error, uid=message.uid)
        else:
            payload = await answers.payload_of(reply, message)
            if isinstance(payload, Reply):
                await self._answer(connection, message, payload)
                return
            if wrong := check(message.action, "Response", payload):
                self.violation("tool", f"the case's own response is wrong: {wrong}", message)
            frame = Result(message.uid, payload)
            self.transcript.add("csms", "result", message.action, payload, uid=message.uid)
        opened = self._open.get(connection)
        if opened is not None and opened.open_call is not None and opened.open_call[0] == message.uid:
            opened.open_call = None
        try:
            await connection.send(encode(frame))
        except ConnectionClosed:
            self.transcript.add("csms", "lost", message.action, uid=message.uid)

    def _on_result(self, result: Result) -> None:
        uid, payload = result.message_id, result.payload
        pending = self._pending.get(uid)
        self.transcript.add("station", "result", pending.action if pending else "?", payload, uid=uid)
        if pending is None or pending.done.done():
            self.violation("OCPP-J 4.2.2", f"CALLRESULT to a call that is not open: {uid}", None)
            return
        if wrong := check(pending.action, "Response", payload):
            self.violation("part 6, 1.2", str(wrong), None)
        pending.done.set_result(Answer(pending.action, payload, self.now() - pending.sent_at))

    def _on_error(self, error: Error) -> None:
        uid, code, description = error.message_id, error.code, error.description
        pending = self._pending.get(uid)
        body = {"code": code, "description": description, "details": error.details}
        self.transcript.add("station", "error", pending.action if pending else "?", body, uid=uid)
        if pending is None or pending.done.done():
            self.violation("OCPP-J 4.2.3", f"CALLERROR {code} ({description}) to a call that is not open", None)
            return
        elapsed = self.now() - pending.sent_at
        pending.done.set_result(Answer(pending.action, {}, elapsed, code, description))
