# SPDX-License-Identifier: Apache-2.0
"""The answers of the scripted CSMS: the defaults, and the replies with which a case replaces them.

`DefaultAnswers` has the response to each action. A case puts a `Reply` in front of it: a payload of its own, a
CALLERROR, silence, or any of these late.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from firmware.clock import format_utc
from tools.conformance.peer.transcript import Message

__all__ = ["DefaultAnswers", "Payload", "Replies", "Reply", "error", "silence"]

Payload: TypeAlias = dict[str, Any]
Maker: TypeAlias = "Callable[[Message], Payload | Reply | Awaitable[Payload | Reply]]"


@dataclass(frozen=True)
class Reply:
    """`payload` (or a function that returns it or a `Reply`), or a CALLERROR of code `error`, or neither: silence."""

    payload: Payload | Maker | None = None
    error: str | None = None
    delay_s: float = 0.0


def error(code: str) -> Reply:
    """A CALLERROR with this code."""
    return Reply(error=code)


def silence() -> Reply:
    """No answer at all."""
    return Reply()


@dataclass
class DefaultAnswers:
    """`tokens` maps an idToken (in lower case) to its idTokenInfo; any other idToken is `Unknown`."""

    heartbeat_interval_s: int = 60
    tokens: dict[str, Payload] = field(default_factory=dict)

    def __call__(self, message: Message) -> Payload:
        special = {
            "BootNotification": self._boot,
            "Heartbeat": lambda _: {"currentTime": format_utc(time.time())},
            "Authorize": lambda m: {"idTokenInfo": self.token_info(m.payload.get("idToken"))},
            "TransactionEvent": self._transaction_event,
        }.get(message.action)
        if special is not None:
            return special(message)
        return dict(_PLAIN.get(message.action, {}))

    def token_info(self, token: Mapping[str, Any] | None) -> Payload:
        """The idTokenInfo of `token`."""
        key = str((token or {}).get("idToken", "")).casefold()
        return dict(self.tokens.get(key, {"status": "Unknown"}))

    def _boot(self, _: Message) -> Payload:
        now = format_utc(time.time())
        return {"currentTime": now, "interval": self.heartbeat_interval_s, "status": "Accepted"}

    def _transaction_event(self, message: Message) -> Payload:
        token = message.payload.get("idToken")
        return {"idTokenInfo": self.token_info(token)} if token is not None else {}


_PLAIN: dict[str, Payload] = {
    "DataTransfer": {"status": "UnknownVendorId"},
    "Get15118EVCertificate": {"status": "Failed", "exiResponse": ""},
    "GetCertificateStatus": {"status": "Failed"},
    "NotifyEVChargingNeeds": {"status": "Rejected"},
    "NotifyEVChargingSchedule": {"status": "Accepted"},
    "PublishFirmwareStatusNotification": {},
    "SignCertificate": {"status": "Accepted"},
}


class Replies:
    """The replies that a case has put in front of the defaults, by action."""

    def __init__(self, default: DefaultAnswers) -> None:
        self.default = default
        self._queued: dict[str, deque[list[Any]]] = {}

    def put(self, action: str, reply: Reply, times: int | None) -> None:
        """Answers the next `times` calls of `action` with `reply`, after earlier replies; `None`: until `clear`."""
        self._queued.setdefault(action, deque()).append([reply, times])

    def clear(self, action: str) -> None:
        """Answers `action` with the default again."""
        self._queued.pop(action, None)

    def choose(self, message: Message) -> Reply:
        """The reply for `message`; counts it."""
        queue = self._queued.get(message.action)
        if not queue:
            return Reply(self.default)
        entry = queue[0]
        if entry[1] is not None:
            entry[1] -= 1
            if entry[1] <= 0:
                queue.popleft()
        reply: Reply = entry[0]
        return reply


async def payload_of(reply: Reply, message: Message) -> Payload | Reply:
    """The payload with which `reply` answers `message`, or the `Reply` that its function returned."""
    if callable(reply.payload):
        made = reply.payload(message)
        return await made if inspect.isawaitable(made) else made
    return dict(reply.payload or {})
