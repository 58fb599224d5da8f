# SPDX-License-Identifier: Apache-2.0
"""OCPP-J frames (part 4, section 4): text to messages and back, without I/O and without raising.

Every frame is decoded to a `Call`, a `CallResult`, a `CallError`, or `Malformed`, which says what is wrong, and whether
it is answered: a broken request is, a broken answer is not, or two peers could send one another errors for ever. Signed
messages (section 7, optional) are not unpacked.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct, field

from firmware.words import not_json
from services.ocpp.rpc.validation import ErrorCode

__all__ = [
    "MAX_MESSAGE_ID",
    "UNREADABLE_ID",
    "Call",
    "CallError",
    "CallResult",
    "Malformed",
    "Message",
    "decode",
    "encode_call",
    "encode_error",
    "encode_result",
]

MAX_MESSAGE_ID: Final = 36
"""Characters (part 4, table 4)."""
UNREADABLE_ID: Final = "-1"
"""Message id of a CALLERROR about a message whose id cannot be read (part 4, section 4.2.3)."""

_MAX_DESCRIPTION: Final = 255
_MAX_DEPTH: Final = 64  # no OCPP message nests deeper than 10; code that recurses over a payload relies on it
_CALL: Final = 2
_CALLRESULT: Final = 3
_CALLERROR: Final = 4
# The beginning of a frame that is not valid JSON: enough to identify the message. The id must be encodable in the
# answer, and a lone surrogate is not.
_BEGINNING: Final = re.compile(r'\s*\[\s*(\d)\s*,\s*"([^"\\\x00-\x1f\ud800-\udfff]{1,36})"\s*,(\s*"[^"\\]*"\s*,)?')
_EXACT: Final = 2**53


def _number(text: str) -> int | float:
    """JSON has one kind of number, and a schema's integer may come as 1.0; all other code expects an `int`."""
    value = float(text)
    if math.isinf(value):
        raise ValueError("a number out of range")
    return int(value) if value.is_integer() and abs(value) < _EXACT else value


_encoder: Final = msgspec.json.Encoder()
_decoder: Final = msgspec.json.Decoder(float_hook=_number)


class Call(Struct, frozen=True):
    """A request; `action` may be unknown, `payload` is not checked yet."""

    message_id: str
    action: str
    payload: dict[str, Any]


class CallResult(Struct, frozen=True):
    """The answer to a request of ours."""

    message_id: str
    payload: dict[str, Any]


class CallError(Struct, frozen=True):
    """A request of ours could not be handled; `code` should be of part 4, table 8, but may be any text."""

    message_id: str
    code: str
    description: str
    details: dict[str, Any] = field(default_factory=dict)


class Malformed(Struct, frozen=True):
    """An invalid frame. If it is not `answerable`, it was meant as an answer to our call `message_id`."""

    message_id: str
    code: ErrorCode
    description: str
    answerable: bool = True


Message: TypeAlias = Call | CallResult | CallError | Malformed


def encode_call(message_id: str, action: str, payload: Any) -> str:
    """The frame of a CALL."""
    return _encoder.encode((_CALL, message_id, action, payload)).decode()


def encode_result(message_id: str, payload: Any) -> str:
    """The frame of a CALLRESULT."""
    return _encoder.encode((_CALLRESULT, message_id, payload)).decode()


def encode_error(message_id: str, code: ErrorCode, description: str = "", details: Any = None) -> str:
    """The frame of a CALLERROR; the description is cut to the 255 characters that fit."""
    text = description[:_MAX_DESCRIPTION]
    return _encoder.encode((_CALLERROR, message_id, code, text, details or {})).decode()


def decode(frame: str | bytes) -> Message:
    """The message in a frame; `bytes` for a binary frame, which OCPP-J does not use."""
    try:
        data = _decoder.decode(frame)
    except RecursionError:
        return _broken(frame, "nested too deeply")
    except (msgspec.MsgspecError, UnicodeError) as error:
        return _broken(frame, not_json(error))
    if _openings(frame) > _MAX_DEPTH and _too_deep(data):
        return _broken(frame, "nested too deeply")
    if not isinstance(data, list) or not data:
        return _unreadable("not a JSON array")
    message = _message(data)
    if isinstance(frame, bytes) and not isinstance(message, Malformed):
        return _refused(message.message_id, "binary frame", answerable=isinstance(message, Call))
    return message


def _message(data: list[Any]) -> Message:
    kind, message_id = data[0], _message_id(data)
    if type(kind) is not int:
        return _refused(message_id or UNREADABLE_ID, "the message type is not an integer")
    if kind in (_CALLRESULT, _CALLERROR):
        if message_id is None:
            return _refused(UNREADABLE_ID, "an answer without a message id", answerable=False)
        return _result(message_id, data) if kind == _CALLRESULT else _error(message_id, data)
    if kind != _CALL:  # section 4.4
        return Malformed(message_id or UNREADABLE_ID, "MessageTypeNotSupported", f"message type {str(kind)[:20]}")
    if message_id is None:
        return _unreadable("the message id is not a string of 1 to 36 characters")
    return _call(message_id, data)


def _message_id(data: list[Any]) -> str | None:
    """The message id if it is valid: a longer one could not be repeated in the answer (table 7)."""
    message_id = data[1] if len(data) > 1 else None
    return message_id if isinstance(message_id, str) and 0 < len(message_id) <= MAX_MESSAGE_ID else None


def _call(message_id: str, data: list[Any]) -> Message:
    if len(data) != 4:
        return _refused(message_id, f"a CALL has 4 elements, not {len(data)}")
    action, payload = data[2], data[3]
    if not isinstance(action, str):
        return _refused(message_id, "the action is not a string")
    if payload is None:  # section 4.1.5: bad practice, but JSON allows null for "no payload"
        payload = {}
    if not isinstance(payload, dict):
        return Malformed(message_id, "FormatViolation", "the payload is not a JSON object")
    return Call(message_id, action, payload)


def _result(message_id: str, data: list[Any]) -> Message:
    payload = data[2] if len(data) == 3 else ...
    if payload is None:
        payload = {}
    if not isinstance(payload, dict):
        return Malformed(message_id, "FormatViolation", "a CALLRESULT without a usable payload", answerable=False)
    return CallResult(message_id, payload)


def _error(message_id: str, data: list[Any]) -> CallError:
    """Lenient: an ill-formed error is still an error."""
    code, description, details = (*data[2:5], None, None, None)[:3]
    return CallError(
        message_id,
        code[:50] if isinstance(code, str) else "GenericError",
        description[:_MAX_DESCRIPTION] if isinstance(description, str) else "",
        details if isinstance(details, dict) else {},
    )


def _broken(frame: str | bytes, why: str) -> Malformed:
    """Not JSON, but its beginning may still identify the message."""
    start = frame[:512]
    found = _BEGINNING.match(start if isinstance(start, str) else start.decode("utf-8", "replace"))
    if found is None:
        return _unreadable(why)
    kind, message_id, action = int(found[1]), found[2], found[3]
    if kind in (_CALLRESULT, _CALLERROR):
        return Malformed(message_id, "FormatViolation", why[:_MAX_DESCRIPTION], answerable=False)
    if kind == _CALL and action is not None:
        return Malformed(message_id, "FormatViolation", why[:_MAX_DESCRIPTION])
    return _refused(message_id, why)


def _refused(message_id: str, why: str, *, answerable: bool = True) -> Malformed:
    return Malformed(message_id, "RpcFrameworkError", why[:_MAX_DESCRIPTION], answerable=answerable)


def _unreadable(why: str) -> Malformed:
    return _refused(UNREADABLE_ID, why)


def _openings(frame: str | bytes) -> int:
    """The number of brackets: most frames have few and need no closer check."""
    if isinstance(frame, bytes):
        return frame.count(b"[") + frame.count(b"{")
    return frame.count("[") + frame.count("{")


def _too_deep(payload: object) -> bool:
    level: list[object] = [payload]
    for _ in range(_MAX_DEPTH):
        level = [child for node in level for child in _children(node)]
        if not level:
            return False
    return True


def _children(node: object) -> list[Any]:
    values = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return [value for value in values if isinstance(value, dict | list)]
