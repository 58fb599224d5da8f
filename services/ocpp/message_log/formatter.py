# SPDX-License-Identifier: Apache-2.0
"""From records to lines: which action an answer belongs to, how long it took, and how the call ended."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal, TypedDict

from firmware.clock import format_utc
from services.ocpp.message_log.line import Line
from services.ocpp.message_log.redaction import Redaction
from services.ocpp.message_log.ring import LARGE, Kind, Record
from services.ocpp.messages import ACTIONS
from services.ocpp.rpc.codec import Call, CallError, CallResult, Malformed, decode
from services.ocpp.rpc.validation import Violation, check_request, check_response

__all__ = ["Formatter"]

_MAX_OPEN: Final = 128
_MAX_ACTION: Final = 50
_BEGINNING: Final = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\\x00-\x1f]{1,36})"\s*,(?:\s*"([A-Za-z0-9]{1,50})"\s*,)?')
_NO_FRAME: Final[dict[Kind, Literal["CONNECTED", "DISCONNECTED", "NO CONNECTION", "RECORDING"]]] = {
    Kind.CONNECTED: "CONNECTED",
    Kind.DISCONNECTED: "DISCONNECTED",
    Kind.NOT_CONNECTED: "NO CONNECTION",
    Kind.RECORDING: "RECORDING",
}
_NO_ANSWER: Final = {Kind.TIMED_OUT: "time-out", Kind.LOST: "connection lost"}
_OTHER_SIDE: Final = {Kind.SENT: Kind.RECEIVED, Kind.RECEIVED: Kind.SENT}


class _Frame(TypedDict):
    """What every line of a frame says."""

    time: str
    direction: Literal["out", "in"]
    size: int


class Formatter:
    """Takes the records in their order; remembers the calls of both sides that are not answered yet.

    `utc` is the station's time at a monotonic time.
    """

    def __init__(self, redaction: Redaction, utc: Callable[[float], float]) -> None:
        self._redaction = redaction
        self._utc = utc
        self._open: OrderedDict[tuple[Kind, str], tuple[float, str]] = OrderedDict()

    def line(self, record: Record) -> Line:
        now, kind, text, size, _ = record
        if kind in _NO_FRAME:
            if kind is Kind.CONNECTED:
                self._open.clear()
            return Line(time=self._time(now), type=_NO_FRAME[kind], text=self._redaction.text(str(text)))
        if kind in _NO_ANSWER:
            action, ms = self._close(Kind.SENT, str(text), now)
            outcome = _NO_ANSWER[kind]
            return Line(time=self._time(now), type="NO ANSWER", action=action, id=str(text), outcome=outcome, ms=ms)
        if size > LARGE:
            return self._unreadable(record, f"{size} characters: too large to be shown")
        message = decode(text)
        match message:
            case Call():
                return self._call(record, message)
            case CallResult():
                return self._result(record, message)
            case CallError():
                return self._error(record, message)
            case Malformed():
                return self._unreadable(record, message.description)

    def left_out(self, now: float, count: int) -> Line:
        """`count` frames before `now` are not in the log."""
        return Line(time=self._time(now), type="LEFT OUT", count=count)

    def _call(self, record: Record, call: Call) -> Line:
        self._remember(record[1], call.message_id, record[0], call.action)
        if call.action not in ACTIONS:
            action, problem = self._redaction.text(call.action[:_MAX_ACTION]), None
            shown = self._redaction.payload(None, call.payload, valid=False)
        else:
            action, problem = call.action, check_request(call.action, call.payload)
            shown = self._redaction.payload(f"{action}Request", call.payload, valid=problem is None)
        return Line(
            **self._frame(record), type="CALL", action=action, id=call.message_id, payload=shown, text=_text(problem)
        )

    def _result(self, record: Record, result: CallResult) -> Line:
        action, ms = self._close(_OTHER_SIDE[record[1]], result.message_id, record[0])
        if action not in ACTIONS:
            problem, shown = None, self._redaction.payload(None, result.payload, valid=False)
        else:
            problem = check_response(action, result.payload)
            shown = self._redaction.payload(f"{action}Response", result.payload, valid=problem is None)
        return Line(
            **self._frame(record),
            type="CALLRESULT",
            action=action,
            id=result.message_id,
            outcome="result" if problem is None else problem.code,
            ms=ms,
            payload=shown,
            text=_text(problem),
        )

    def _error(self, record: Record, error: CallError) -> Line:
        action, ms = self._close(_OTHER_SIDE[record[1]], error.message_id, record[0])
        return Line(
            **self._frame(record),
            type="CALLERROR",
            action=action,
            id=error.message_id,
            outcome=self._redaction.text(error.code),
            ms=ms,
            payload=self._redaction.error(action, error.description, error.details, own=record[1] is Kind.SENT),
        )

    def _unreadable(self, record: Record, why: str) -> Line:
        """Its beginning may still identify the message; nothing else of it is shown."""
        now, kind, frame = record[:3]
        beginning = frame[:512]
        found = _BEGINNING.match(beginning if isinstance(beginning, str) else beginning.decode(errors="replace"))
        if found is None:
            return Line(**self._frame(record), type="UNREADABLE", text=why)
        message_id, action, ms = found[2], "", None
        if found[1] == "2":
            action = self._redaction.text(found[3] or "")
            self._remember(kind, message_id, now, action)
        else:
            action, ms = self._close(_OTHER_SIDE[kind], message_id, now)
        return Line(**self._frame(record), type="UNREADABLE", action=action, id=message_id, ms=ms, text=why)

    def _frame(self, record: Record) -> _Frame:
        direction: Literal["out", "in"] = "out" if record[1] is Kind.SENT else "in"
        return {"time": self._time(record[0]), "direction": direction, "size": record[3]}

    def _remember(self, asker: Kind, message_id: str, now: float, action: str) -> None:
        self._open[asker, message_id] = now, action
        if len(self._open) > _MAX_OPEN:
            self._open.popitem(last=False)

    def _close(self, asker: Kind, message_id: str, now: float) -> tuple[str, float | None]:
        """Action and duration of a call that has ended."""
        since, action = self._open.pop((asker, message_id), (None, ""))
        return action, None if since is None else round((now - since) * 1000, 1)

    def _time(self, now: float) -> str:
        return format_utc(self._utc(now))


def _text(problem: Violation | None) -> str:
    return "" if problem is None else f"breaks its schema: {problem.description}"
