# SPDX-License-Identifier: Apache-2.0
# The `ocpp` package has no types; what is taken from it is named here and in station.py only.
# mypy: disallow-subclassing-any=False
"""One connection to a station: frames in, answers out, one request of ours at a time.

The routing to handlers is that of `ocpp.v201.ChargePoint`. Its reader and its `call` are replaced, because they drop
broken frames without an answer, hide CALLERRORs, log passwords, and can't send what the schema forbids, which
is what a bench is for. Requests are handled in the order in which they come.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

from ocpp.exceptions import OCPPError
from ocpp.messages import Call as LibraryCall
from ocpp.v201 import ChargePoint

from firmware.errors import BaywattError
from tools.csms.back_office import BackOffice
from tools.ocppj import schemas
from tools.ocppj.frames import BadFrame, Call, Error, Result, decode, encode
from tools.ocppj.schemas import SchemaProblem

__all__ = ["Answer", "BadAnswer", "Busy", "LinkLost", "NoAnswer", "RequestError", "RpcLink", "Transport"]

_log = logging.getLogger(__name__)
_MAX_WAITING = 16
_MAX_PROBLEM = 300

# The library logs whole payloads, passwords among them; the back office's journal is the log of messages.
_silent = logging.getLogger("tools.csms.silent")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


class LinkLost(BaywattError):
    """The connection ended; the text says how."""


class RequestError(BaywattError):
    """A request of ours got no usable answer."""


class NoAnswer(RequestError):
    """Nothing came within the time."""


class BadAnswer(RequestError):
    """What came is no CALLRESULT and no CALLERROR."""


class Busy(RequestError):
    """Too many requests wait for this station."""


class Transport(Protocol):
    """A WebSocket, as far as RPC needs it."""

    async def recv(self) -> str:
        """The next text frame. Raises `LinkLost` when there will be none."""

    async def send(self, message: str) -> None:
        """Sends a text frame. Raises `LinkLost`."""

    async def close(self, code: int, reason: str) -> None:
        """Closes; never raises."""


@dataclass(frozen=True)
class Answer:
    """What a station answered; `problem` says how a CALLRESULT breaks its schema."""

    frame: Result | Error
    took_ms: float
    problem: str | None = None


@dataclass(frozen=True)
class _Waiting:
    message_id: str
    action: str
    since: float
    answer: asyncio.Future[Answer]


class RpcLink(ChargePoint):
    """The connection; handlers are added by the subclass."""

    def __init__(self, identity: str, transport: Transport, office: BackOffice) -> None:
        super().__init__(identity, transport, logger=_silent)
        self.identity = identity
        self.office = office
        self._transport = transport
        self._turn = asyncio.Lock()
        self._queued = 0
        self._waiting: _Waiting | None = None
        self._handling: Call | None = None

    async def close(self, code: int, reason: str) -> None:
        await self._transport.close(code, reason)

    # Requests of the station

    async def start(self) -> None:
        """Reads until the connection ends. Raises `LinkLost`."""
        try:
            while True:
                await self.route_message(await self._transport.recv())
        except LinkLost as lost:
            if self._waiting and not self._waiting.answer.done():
                self._waiting.answer.set_exception(LinkLost(f"the connection was lost before the answer: {lost}"))
            raise

    async def route_message(self, raw_msg: str) -> None:
        """One frame of the station."""
        try:
            frame = decode(raw_msg)
        except BadFrame as bad:
            await self._on_bad_frame(raw_msg, bad)
            return
        if isinstance(frame, Call):
            await self._on_call(raw_msg, frame)
        else:
            self._on_answer(raw_msg, frame)

    async def _on_bad_frame(self, text: str, bad: BadFrame) -> None:
        problem = f"{bad.code}: {bad.detail}"
        self.office.journal(self.identity, "in", "malformed", text=text, message_id=bad.message_id, problem=problem)
        if bad.answerable:
            await self._refuse(bad.message_id, bad.code, bad.detail)
        elif self._waiting and self._waiting.message_id == bad.message_id and not self._waiting.answer.done():
            self._waiting.answer.set_exception(BadAnswer(bad.detail))

    async def _on_call(self, text: str, call: Call) -> None:
        known = call.action in schemas.STATION_ACTIONS
        problem = schemas.check(call.action, "Request", call.payload) if known else None
        told = _text(problem) if problem else None if known else "a station does not send this action"
        self.office.journal(
            self.identity, "in", "call", text=text, action=call.action, message_id=call.message_id, problem=told
        )
        if not known:
            code = "NotSupported" if call.action in schemas.CSMS_ACTIONS else "NotImplemented"
            await self._refuse(call.message_id, code, f"{call.action[:60]}: {told}", call.action)
        elif not self.may_send(call.action):
            # B01.FR.10, B02.FR.09, B03.FR.07
            await self._refuse(call.message_id, "SecurityError", "the station is not accepted", call.action)
        elif problem:
            await self._refuse(call.message_id, problem.code, _text(problem), call.action)
        else:
            await self._handle(call)

    def may_send(self, action: str) -> bool:
        """Whether the station may send this now."""
        raise NotImplementedError

    async def _handle(self, call: Call) -> None:
        self._handling = call
        try:
            await self._handle_call(LibraryCall(call.message_id, call.action, call.payload))
        except OCPPError as error:
            await self._refuse(call.message_id, str(error.code), str(error.description), call.action)
        except RecursionError:
            await self._refuse(call.message_id, "FormatViolation", "nested too deep", call.action)
        finally:
            self._handling = None

    async def _send(self, message: str) -> None:
        # The library's way out: answers of handlers, and CALLERRORs for those that raised.
        kind = "error" if message.startswith("[4,") else "result"
        call = self._handling
        self._show_sent(kind, message, call.action if call else None, call.message_id if call else None)
        await self._transport.send(message)

    async def _refuse(self, message_id: str, code: str, detail: str, action: str | None = None) -> None:
        text = encode(Error(message_id, code, detail, {}))
        self._show_sent("error", text, action, message_id)
        await self._transport.send(text)

    def _show_sent(self, kind: str, text: str, action: str | None, message_id: str | None) -> None:
        self.office.journal(self.identity, "out", kind, text=text, action=action, message_id=message_id)

    # Requests to the station

    async def request(self, action: str, payload: dict[str, Any], *, timeout_s: float) -> Answer:
        """Sends a request when no other is open and waits for its answer; the time counts from its sending.

        Raises `NoAnswer`, `BadAnswer`, `Busy` or `LinkLost`.
        """
        if self._queued >= _MAX_WAITING:
            raise Busy(f"{_MAX_WAITING} requests wait for {self.identity} already")
        self._queued += 1
        try:
            async with self._turn, asyncio.timeout(timeout_s):
                return await self._exchange(Call(str(uuid.uuid4()), action, payload))
        except TimeoutError:
            raise NoAnswer(f"{self.identity} did not answer {action} within {timeout_s:g} s") from None
        finally:
            self._queued -= 1

    async def _exchange(self, call: Call) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting = _Waiting(call.message_id, call.action, time.monotonic(), answer)
        try:
            text = encode(call)
            self._show_sent("call", text, call.action, call.message_id)
            await self._transport.send(text)
            return await answer
        finally:
            self._waiting = None

    def _on_answer(self, text: str, frame: Result | Error) -> None:
        waiting = self._waiting
        kind = "result" if isinstance(frame, Result) else "error"
        if waiting is None or waiting.message_id != frame.message_id or waiting.answer.done():
            problem = "no request is open with this id (too late, or never asked)"
            self.office.journal(self.identity, "in", kind, text=text, message_id=frame.message_id, problem=problem)
            return
        took_ms = round((time.monotonic() - waiting.since) * 1000, 2)
        problem_found = _answer_problem(waiting.action, frame)
        self.office.journal(
            self.identity,
            "in",
            kind,
            text=text,
            action=waiting.action,
            message_id=frame.message_id,
            problem=problem_found,
            took_ms=took_ms,
        )
        waiting.answer.set_result(Answer(frame, took_ms, problem_found))


def _answer_problem(action: str, frame: Result | Error) -> str | None:
    if isinstance(frame, Error) or action not in schemas.CSMS_ACTIONS:
        return None
    problem = schemas.check(action, "Response", frame.payload)
    return _text(problem) if problem else None


def _text(problem: SchemaProblem) -> str:
    """Bounded: the text repeats a value of the station's payload."""
    return str(problem)[:_MAX_PROBLEM]
