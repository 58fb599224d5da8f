# SPDX-License-Identifier: Apache-2.0
"""RPC frames of OCPP-J (part 4, section 4), without I/O.

`decode` returns a `Call`, `Result` or `Error`, or raises `BadFrame` with the error code and message id of the answer.
A broken CALL is always answered; a broken answer never is, or two peers could complain to each other for ever.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

from firmware.errors import BaywattError
from firmware.words import not_json

__all__ = ["UNREADABLE_ID", "BadFrame", "Call", "Error", "Frame", "Result", "decode", "encode"]

UNREADABLE_ID = "-1"
"""The message id of an answer to a frame whose own could not be read (part 4, 4.2.3)."""

_MAX_ID = 36
_MAX_DESCRIPTION = 255  # part 4, table 7
_CALL, _RESULT, _ERROR = 2, 3, 4
_BROKEN_CALL = re.compile(r'\s*\[\s*2\s*,\s*"([^"\\]{1,36})"')


class BadFrame(BaywattError):
    """The text is not a frame. `code` is an error code of part 4; `answerable`: a CALLERROR has to answer it."""

    def __init__(self, code: str, detail: str, message_id: str = UNREADABLE_ID, *, answerable: bool = True) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.message_id = message_id
        self.answerable = answerable


@dataclass(frozen=True)
class Call:
    message_id: str
    action: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Result:
    message_id: str
    payload: dict[str, Any]


@dataclass(frozen=True)
class Error:
    message_id: str
    code: str
    description: str
    details: dict[str, Any]


Frame = Call | Result | Error


def encode(frame: Frame) -> str:
    """The text of a frame, without white space; a description is cut to the 255 characters that part 4 allows."""
    match frame:
        case Call():
            parts: list[Any] = [_CALL, frame.message_id, frame.action, frame.payload]
        case Result():
            parts = [_RESULT, frame.message_id, frame.payload]
        case Error():
            parts = [_ERROR, frame.message_id, frame.code, frame.description[:_MAX_DESCRIPTION], frame.details]
    return msgspec.json.encode(parts).decode()


def decode(text: str | bytes) -> Frame:
    """The frame in the payload of a WebSocket message, which has to be a text one. Raises `BadFrame`."""
    if isinstance(text, bytes):
        raise BadFrame("RpcFrameworkError", "a frame is a text message, not a binary one")
    parts = _parts(text)
    kind, message_id = parts[0], _message_id(parts)
    if kind not in (_CALL, _RESULT, _ERROR) or isinstance(kind, bool):
        raise BadFrame("MessageTypeNotSupported", f"message type {str(kind)[:40]!r}", message_id or UNREADABLE_ID)
    if message_id is None:
        detail = "the message id is not a text of 1 to 36 characters"
        raise BadFrame("RpcFrameworkError", detail, answerable=kind == _CALL)
    if kind == _CALL:
        return _call(message_id, parts)
    return _result(message_id, parts) if kind == _RESULT else _error(message_id, parts)


def _parts(text: str) -> list[Any]:
    try:
        parts = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        found = _BROKEN_CALL.match(text)
        if found:
            raise BadFrame("FormatViolation", not_json(error), found.group(1)) from None
        raise BadFrame("RpcFrameworkError", not_json(error)) from None
    if not isinstance(parts, list) or not parts:
        raise BadFrame("RpcFrameworkError", "a frame is a JSON array that starts with a message type")
    return parts


def _message_id(parts: list[Any]) -> str | None:
    found = parts[1] if len(parts) > 1 else None
    return found if isinstance(found, str) and 1 <= len(found) <= _MAX_ID else None


def _call(message_id: str, parts: list[Any]) -> Call:
    if len(parts) != 4:
        raise BadFrame("RpcFrameworkError", f"a CALL has 4 elements, not {len(parts)}", message_id)
    action, payload = parts[2], parts[3]
    if not isinstance(action, str):
        raise BadFrame("RpcFrameworkError", "the action is not a text", message_id)
    if not isinstance(payload, dict):
        raise BadFrame("FormatViolation", "the payload is not a JSON object", message_id)
    return Call(message_id, action, payload)


def _result(message_id: str, parts: list[Any]) -> Result:
    if len(parts) != 3 or not isinstance(parts[2], dict):
        raise BadFrame("RpcFrameworkError", "a CALLRESULT is [3, id, {payload}]", message_id, answerable=False)
    return Result(message_id, parts[2])


def _error(message_id: str, parts: list[Any]) -> Error:
    texts = parts[2:4]
    if len(parts) != 5 or not all(isinstance(text, str) for text in texts) or not isinstance(parts[4], dict):
        detail = "a CALLERROR is [4, id, code, description, {}]"
        raise BadFrame("RpcFrameworkError", detail, message_id, answerable=False)
    return Error(message_id, texts[0], texts[1], parts[4])
