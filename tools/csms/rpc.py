# SPDX-License-Identifier: Apache-2.0
"""One connection to a station, frame by frame: checks and logs what comes in, and sends requests one at a time.

An `RpcLink` is the connection of the `ocpp` package's `ChargePoint`: `recv` hands it the requests that its handlers
are to answer, `send` takes the answers. Everything else stays on this side, because the library drops broken frames
without an answer, hides CALLERRORs, and can't send what the schema forbids, and a bench has to. Requests are handled
in the order in which they arrive.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from dataclasses import dataclass
from typing import Any, Protocol

from firmware.errors import BaywattError
from tools.csms.admission import Admission
from tools.csms.back_office import BackOffice
from tools.ocppj import schemas
from tools.ocppj.frames import BadFrame, Call, Error, Result, decode, encode
from tools.ocppj.schemas import SchemaProblem

__all__ = ["Answer", "BadAnswer", "Busy", "LinkLost", "NoAnswer", "RequestError", "RpcLink", "Transport"]

_MAX_WAITING = 16
_MAX_PROBLEM = 300
_POLICY_VIOLATION = 1008


class LinkLost(BaywattError):
    """The connection has ended; the text says how."""


class RequestError(BaywattError):
    """A request to the station got no usable answer."""


class NoAnswer(RequestError):
    """No answer came in time."""


class BadAnswer(RequestError):
    """The answer is neither a CALLRESULT nor a CALLERROR."""


class Busy(RequestError):
    """Too many requests are waiting for this station."""


class Transport(Protocol):
    """A WebSocket, as RPC uses it."""

    async def recv(self) -> str:
        """The next text frame. Raises `LinkLost` if there will be none."""

    async def send(self, message: str) -> None:
        """Sends a text frame. Raises `LinkLost`."""

    async def close(self, code: int, reason: str) -> None:
        """Closes; never raises."""


@dataclass(frozen=True)
class Answer:
    """A station's answer; `problem` says how a CALLRESULT breaks its schema."""

    frame: Result | Error
    took_ms: float
    problem: str | None = None


@dataclass(frozen=True)
class _Waiting:
    call: Call
    since: float
    answer: asyncio.Future[Answer]


class RpcLink:
    """The connection; `admission` decides which requests reach the handlers."""

    def __init__(self, identity: str, transport: Transport, office: BackOffice, admission: Admission) -> None:
        self.identity = identity
        self.office = office
        self.admission = admission
        self.handling: Call | None = None
        """The request that the handlers are answering, as it was on the wire."""
        self._transport = transport
        self._turn = asyncio.Lock()
        self._queued = 0
        self._waiting: _Waiting | None = None

    async def close(self, code: int, reason: str) -> None:
        await self._transport.close(code, reason)

    # Requests of the station

    async def recv(self) -> str:
        """The next request for the handlers; all other frames are dealt with here. Raises `LinkLost`."""
        self.handling = None
        try:
            while self.handling is None:
                await self._take(await self._transport.recv())
        except LinkLost as lost:
            if self._waiting and not self._waiting.answer.done():
                self._waiting.answer.set_exception(LinkLost(f"the connection was lost before the answer: {lost}"))
            raise
        # Without its payload: handlers read `handling`, and the library's conversion of names fails on deep payloads.
        return encode(Call(self.handling.message_id, self.handling.action, {}))

    async def send(self, message: str) -> None:
        """The answer of a handler, or the CALLERROR for one that raised. Raises `LinkLost`."""
        kind = "error" if message.startswith("[4,") else "result"
        call = self.handling
        self._log_sent(kind, message, call.action if call else None, call.message_id if call else None)
        await self._transport.send(message)

    async def _take(self, text: str) -> None:
        """One frame of the station; `handling` is set if it is a request for the handlers."""
        try:
            frame = decode(text)
        except BadFrame as bad:
            await self._on_bad_frame(text, bad)
            return
        if isinstance(frame, Call):
            await self._on_call(text, frame)
        else:
            self._on_answer(text, frame)

    async def _on_bad_frame(self, text: str, bad: BadFrame) -> None:
        problem = f"{bad.code}: {bad.detail}"
        self.office.journal(self.identity, "in", "malformed", text=text, message_id=bad.message_id, problem=problem)
        if bad.answerable:
            await self._refuse(bad.message_id, bad.code, bad.detail)
        elif self._waiting and self._waiting.call.message_id == bad.message_id and not self._waiting.answer.done():
            self._waiting.answer.set_exception(BadAnswer(bad.detail))

    async def _on_call(self, text: str, call: Call) -> None:
        known = call.action in schemas.STATION_ACTIONS
        problem = schemas.check(call.action, "Request", call.payload) if known else None
        trouble = _text(problem) if problem else None if known else "a station does not send this action"
        self.office.journal(
            self.identity,
            "in",
            "call",
            text=text,
            action=call.action,
            message_id=call.message_id,
            problem=trouble,
        )
        if not known:
            code = "NotSupported" if call.action in schemas.CSMS_ACTIONS else "NotImplemented"
            await self._refuse(call.message_id, code, f"{call.action[:60]}: {trouble}", call.action)
        elif not self.admission.may_send(call.action):
            # B01.FR.10, B02.FR.09, B03.FR.07
            await self._refuse(call.message_id, "SecurityError", "the station is not accepted", call.action)
        elif problem:
            await self._refuse(call.message_id, problem.code, _text(problem), call.action)
        elif wrong := self.admission.wrong_certificate(call):
            self.office.note(self.identity, f"InvalidChargingStationCertificate: {wrong}")
            await self.close(_POLICY_VIOLATION, "another station's certificate")
        else:
            self.handling = call

    async def _refuse(self, message_id: str, code: str, detail: str, action: str | None = None) -> None:
        text = encode(Error(message_id, code, detail, {}))
        self._log_sent("error", text, action, message_id)
        await self._transport.send(text)

    def _log_sent(self, kind: str, text: str, action: str | None, message_id: str | None) -> None:
        self.office.journal(self.identity, "out", kind, text=text, action=action, message_id=message_id)

    # Requests to the station

    async def request(self, action: str, payload: dict[str, Any], *, timeout_s: float) -> Answer:
        """Sends a request as soon as no other is open, and waits for its answer; the time limit starts when it is sent.

        Raises `NoAnswer`, `BadAnswer`, `Busy` or `LinkLost`.
        """
        if self._queued >= _MAX_WAITING:
            raise Busy(f"{_MAX_WAITING} requests are already waiting for {self.identity}")
        self._queued += 1
        # Before it is sent: a quick station's report may arrive before its answer has been handled.
        self.admission.requested(action, payload)
        self.office.on_request(self.identity, action, payload)
        try:
            async with self._turn, asyncio.timeout(timeout_s):
                return await self._exchange(Call(str(uuid.uuid4()), action, payload))
        except TimeoutError:
            raise NoAnswer(f"{self.identity} did not answer {action} within {timeout_s:g} s") from None
        finally:
            self._queued -= 1

    async def _exchange(self, call: Call) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting = _Waiting(call, time.monotonic(), answer)
        try:
            text = encode(call)
            self._log_sent("call", text, call.action, call.message_id)
            await self._transport.send(text)
            return await answer
        finally:
            self._waiting = None

    def _on_answer(self, text: str, frame: Result | Error) -> None:
        waiting = self._waiting
        kind = "result" if isinstance(frame, Result) else "error"
        if waiting is None or waiting.call.message_id != frame.message_id or waiting.answer.done():
            problem = "no request with this id is open (the answer is too late, or was not requested)"
            self.office.journal(self.identity, "in", kind, text=text, message_id=frame.message_id, problem=problem)
            return
        took_ms = round((time.monotonic() - waiting.since) * 1000, 2)
        problem_found = _answer_problem(waiting.call.action, frame)
        self.office.journal(
            self.identity,
            "in",
            kind,
            text=text,
            action=waiting.call.action,
            message_id=frame.message_id,
            problem=problem_found,
            took_ms=took_ms,
        )
        if isinstance(frame, Result) and problem_found is None and _is_sound(waiting.call):
            self.office.on_answer(self.identity, waiting.call.action, waiting.call.payload, frame.payload)
        waiting.answer.set_result(Answer(frame, took_ms, problem_found))


def _is_sound(call: Call) -> bool:
    """A raw request may be of any shape."""
    return call.action in schemas.CSMS_ACTIONS and schemas.check(call.action, "Request", call.payload) is None


def _answer_problem(action: str, frame: Result | Error) -> str | None:
    if isinstance(frame, Error) or action not in schemas.CSMS_ACTIONS:
        return None
    problem = schemas.check(action, "Response", frame.payload)
    return _text(problem) if problem else None


def _text(problem: SchemaProblem) -> str:
    """Bounded, because it repeats a value of the station's payload."""
    return str(problem)[:_MAX_PROBLEM]
