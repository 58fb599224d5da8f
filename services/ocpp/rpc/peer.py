# SPDX-License-Identifier: Apache-2.0
"""One end of an OCPP-J connection, without I/O: frames and time in, events and frames out.

Rules (part 4, section 4):

- at most one CALL of ours is outstanding; it ends as `Answered` or `Failed`, exactly once, at the latest by its
  time-out. An answer that comes later, or to nothing, is dropped;
- an answer that breaks its schema, but whose meaning is plain, counts (`leniency.py`);
- every CALL of the other side that reaches the caller is valid by its schema; others are refused here with the error
  code of table 8. The caller answers each `CallReceived` once, with `answer` or `refuse`;
- after `receive` the caller sends the frames of `take_frames` before its own.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from msgspec import Struct

from firmware.words import name
from services.ocpp.messages import ACTIONS
from services.ocpp.rpc import codec
from services.ocpp.rpc.codec import Call, CallError, CallResult, Malformed
from services.ocpp.rpc.validation import ErrorCode, Violation, check_request, check_response

if TYPE_CHECKING:
    from services.ocpp.rpc.leniency import Rule

__all__ = ["CONNECTION_LOST", "TIMED_OUT", "Answered", "CallReceived", "Event", "Failed", "RpcPeer"]

TIMED_OUT: Final = "TimedOut"
"""`Failed.code` of a call without an answer in time; never on the wire."""
CONNECTION_LOST: Final = "ConnectionLost"
"""`Failed.code` of a call that was outstanding when the connection was lost; never on the wire."""

_MAX_OPEN_CALLS: Final = 64
_MAX_MALFORMED: Final = 200

_log = logging.getLogger(__name__)


class CallReceived(Struct, frozen=True):
    """A request of the other side; the payload is valid by its schema."""

    message_id: str
    action: str
    payload: dict[str, Any]


class Answered(Struct, frozen=True):
    """Our call was answered; the payload is valid by its schema, if necessary after it was mended."""

    message_id: str
    action: str
    payload: dict[str, Any]


class Failed(Struct, frozen=True):
    """Our call was not answered: a code of part 4, table 8 (from the other side, or from us about an answer that broke
    its schema), or `TIMED_OUT`, or `CONNECTION_LOST`."""

    message_id: str
    action: str
    code: str
    description: str
    timed_out: bool = False


Event: TypeAlias = CallReceived | Answered | Failed


class _Outstanding(Struct, frozen=True):
    message_id: str
    action: str
    deadline: float


class RpcPeer:
    """See the module. `timeout_s` (the network profile's message time-out) may be set at any time and applies to
    later calls. `supported`: the actions that the caller handles; other known ones are refused here as `NotSupported`;
    None: all known actions reach the caller."""

    def __init__(self, *, timeout_s: float = 30.0, supported: Collection[str] | None = None) -> None:
        self.timeout_s = timeout_s
        self.barred = False
        """The other side may only answer; its requests are refused as `SecurityError` (B03.FR.08)."""
        self._supported = supported
        self._outstanding: _Outstanding | None = None
        self._open_calls: set[str] = set()
        self._frames: list[str] = []
        self._malformed = 0
        self._invalid: str | None = None
        self._warned: set[Rule] = set()
        """Rules of which the log has shown a use on this connection."""

    @property
    def busy(self) -> bool:
        """Whether a call of ours is outstanding, so that `call` must wait (part 4, section 4.1.1)."""
        return self._outstanding is not None

    def call(self, message_id: str, action: str, payload: Any, now: float) -> str:
        """The frame of a CALL, which is outstanding from now on; only if not `busy`.

        The message id is the caller's: new for each message, the same again only for a retry of the same message
        after a time-out (part 4, section 4.1.4, erratum of 2024-09).
        """
        if self._outstanding is not None:
            raise AssertionError(f"{self._outstanding.action} is outstanding, {action} has to wait")
        frame = codec.encode_call(message_id, action, payload)
        self._outstanding = _Outstanding(message_id, action, now + self.timeout_s)
        return frame

    def answer(self, message_id: str, payload: Any) -> str:
        """The frame of a CALLRESULT."""
        self._open_calls.discard(message_id)
        return codec.encode_result(message_id, payload)

    def refuse(self, message_id: str, code: ErrorCode, description: str = "", details: Any = None) -> str:
        """The frame of a CALLERROR."""
        self._open_calls.discard(message_id)
        return codec.encode_error(message_id, code, description, details)

    def receive(self, frame: str | bytes, now: float) -> list[Event]:
        """The events of a frame; never raises. Call `take_frames` next."""
        message = codec.decode(frame)
        match message:
            case Malformed():
                return self._on_malformed(message)
            case Call():
                self._malformed = 0
                return self._on_call(message)
            case CallResult() | CallError():
                self._malformed = 0
                return self._on_answer(message)

    def take_frames(self) -> list[str]:
        """The CALLERRORs to send at once; each is returned once."""
        frames, self._frames = self._frames, []
        return frames

    def take_invalid(self) -> str | None:
        """Why the last frame was not a valid OCPP message (security event InvalidMessages); None if it was."""
        invalid, self._invalid = self._invalid, None
        return invalid

    def next_deadline(self) -> float | None:
        """When `on_time` is due; None if nothing is outstanding."""
        return None if self._outstanding is None else self._outstanding.deadline

    def on_time(self, now: float) -> list[Event]:
        """Fail the outstanding call if its time-out has passed."""
        if self._outstanding is None or now < self._outstanding.deadline:
            return []
        return [self._fail(self._outstanding, TIMED_OUT, "no answer in time", timed_out=True)]

    def reset(self) -> Failed | None:
        """The connection is lost: forget the calls of both sides. Returns the failure of ours, if there was one."""
        self._open_calls.clear()
        self._frames.clear()
        self._malformed = 0
        self._warned.clear()
        if self._outstanding is None:
            return None
        return self._fail(self._outstanding, CONNECTION_LOST, "the connection was lost")

    def _on_malformed(self, message: Malformed) -> list[Event]:
        _log.warning("malformed frame of the CSMS: %s", message.description)
        self._invalid = f"frame of the CSMS: {message.description}"
        if not message.answerable:
            outstanding = self._match(message.message_id)
            return [] if outstanding is None else [self._fail(outstanding, message.code, message.description)]
        self._malformed += 1
        if (
            self._malformed <= _MAX_MALFORMED
        ):  # a peer that answers each error with another one would keep us busy for ever
            self._frames.append(codec.encode_error(message.message_id, message.code, message.description))
        return []

    def _on_call(self, call: Call) -> list[Event]:
        refusal = self._refusal(call)
        if refusal is not None:
            code, description, _ = refusal
            _log.warning("%s of the CSMS refused: %s: %s", name(call.action), code, description)
            if code not in ("NotSupported", "GenericError", "SecurityError"):
                self._invalid = f"{name(call.action)} of the CSMS: {code}: {description}"
            self._frames.append(codec.encode_error(call.message_id, *refusal))
            return []
        self._open_calls.add(call.message_id)
        return [CallReceived(call.message_id, call.action, call.payload)]

    def _refusal(self, call: Call) -> tuple[ErrorCode, str, dict[str, Any]] | None:
        if self.barred:
            return "SecurityError", "a CSMS that has rejected this station may not send requests", {}
        if call.message_id in self._open_calls:
            return "RpcFrameworkError", "a call with this message id is being handled", {}
        if len(self._open_calls) >= _MAX_OPEN_CALLS:
            return "GenericError", "too many calls at once", {}
        if call.action not in ACTIONS:
            return "NotImplemented", "unknown action", {}
        if self._supported is not None and call.action not in self._supported:
            return "NotSupported", f"{call.action} is not supported", {}
        violation = check_request(call.action, call.payload)
        return None if violation is None else (violation.code, violation.description, violation.details)

    def _on_answer(self, message: CallResult | CallError) -> list[Event]:
        outstanding = self._match(message.message_id)
        if outstanding is None:
            return []
        if isinstance(message, CallError):
            return [self._fail(outstanding, message.code, message.description)]
        violation = check_response(outstanding.action, message.payload)
        if violation is not None:
            self._invalid = _invalid_answer(outstanding.action, violation)
            violation = self._mend(outstanding.action, message.payload)
        if violation is not None:
            self._invalid = _invalid_answer(outstanding.action, violation)
            _log.warning("invalid %s", self._invalid)
            return [self._fail(outstanding, violation.code, violation.description)]
        self._outstanding = None
        return [Answered(outstanding.message_id, outstanding.action, message.payload)]

    def _mend(self, action: str, payload: dict[str, Any]) -> Violation | None:
        """What is still wrong. A CSMS repeats its faults with each answer: one warning for a rule and connection."""
        from services.ocpp.rpc.leniency import mend_response  # needs the schema library: see `validation.py`

        mends, violation = mend_response(action, payload)
        for mend in mends:
            level = logging.DEBUG if mend.rule in self._warned else logging.WARNING
            self._warned.add(mend.rule)
            _log.log(
                level, "answer of the CSMS to %s accepted, though invalid: %s: %s", action, mend.field, mend.rule.value
            )
        return violation

    def _match(self, message_id: str) -> _Outstanding | None:
        if self._outstanding is not None and self._outstanding.message_id == message_id:
            return self._outstanding
        _log.debug("unexpected or late answer")
        return None

    def _fail(self, call: _Outstanding, code: str, description: str, *, timed_out: bool = False) -> Failed:
        self._outstanding = None
        return Failed(call.message_id, call.action, code, description, timed_out)


def _invalid_answer(action: str, violation: Violation) -> str:
    return f"answer of the CSMS to {action}: {violation.description}"
