# SPDX-License-Identifier: Apache-2.0
"""What a station has sent and what the CSMS has answered: the times, and whether each TransactionEvent has its answer.

A station has one call under way at most (part 4, 4.1.1), and its TransactionEvents leave in order, each until it is
answered. So one number a transaction is enough: how many sequence numbers from 0 on are answered.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Raw, Struct

from services.ocpp.message_log.ring import Kind, Record

__all__ = ["Ledger", "Sample", "Transaction"]

_CALL, _RESULT = "[2,", "[3,"


class Sample(Struct, frozen=True, array_like=True):
    """One call of a station: how many ms until the answer, its size, and why it has failed, if so."""

    action: str
    ms: float
    size: int
    error: str | None = None


class _Event(Struct, frozen=True):
    """What is read of a TransactionEvent."""

    class _Info(Struct, frozen=True):
        transactionId: str

    eventType: str
    seqNo: int
    transactionInfo: _Info


_call = msgspec.json.Decoder(tuple[int, str, str, Raw])
_answer = msgspec.json.Decoder(list[Any])
_event = msgspec.json.Decoder(_Event)


@dataclass(slots=True)
class Transaction:
    """`sent` and `answered`: how many events, from seqNo 0 on; `gaps`: numbers that were left out."""

    sent: int = 0
    answered: int = 0
    gaps: int = 0
    ended: bool = False
    """The Ended event is answered."""


@dataclass(slots=True)
class _UnderWay:
    message_id: str
    action: str
    since: float
    event: _Event | None


@dataclass(slots=True)
class Ledger:
    """`sample` gets each call when it is over; `on_record` is for `MessageLog.follow`."""

    sample: Callable[[Sample], None]
    transactions: dict[str, Transaction] = field(default_factory=dict)
    repeated: int = 0
    """Events that were sent again because their answer was missing."""
    received: int = 0
    """Requests of the CSMS."""
    _open: _UnderWay | None = None

    def on_record(self, record: Record) -> None:
        now, kind, text, size, _held = record
        match kind:
            case Kind.SENT if isinstance(text, str) and text.startswith(_CALL):
                self._sent(text, now)
            case Kind.RECEIVED if isinstance(text, str) and text.startswith(_CALL):
                self.received += 1
            case Kind.RECEIVED if isinstance(text, str):
                self._received(text, now, size)
            case Kind.TIMED_OUT:
                self._fail("no answer in time", now)
            case Kind.LOST | Kind.DISCONNECTED:
                self._fail("the connection was lost before the answer", now)
            case _:
                pass

    def _sent(self, text: str, now: float) -> None:
        _, message_id, action, payload = _call.decode(text)
        event = _event.decode(payload) if action == "TransactionEvent" else None
        self._open = _UnderWay(message_id, action, now, event)
        if event is not None:
            found = self.transactions.setdefault(event.transactionInfo.transactionId, Transaction())
            found.gaps += max(0, event.seqNo - found.sent)
            self.repeated += event.seqNo < found.sent
            found.sent = max(found.sent, event.seqNo + 1)

    def _received(self, text: str, now: float, size: int) -> None:
        open_ = self._open
        if open_ is None or _answer.decode(text)[1] != open_.message_id:
            return
        if not text.startswith(_RESULT):
            self._fail(f"CALLERROR {_answer.decode(text)[2]}", now)
            return
        self._open = None
        self.sample(Sample(open_.action, 1000.0 * (now - open_.since), size))
        if open_.event is not None:
            found = self.transactions[open_.event.transactionInfo.transactionId]
            found.answered = max(found.answered, open_.event.seqNo + 1)
            found.ended |= open_.event.eventType == "Ended"

    def _fail(self, error: str, now: float) -> None:
        open_, self._open = self._open, None
        if open_ is not None:
            self.sample(Sample(open_.action, 1000.0 * (now - open_.since), 0, error))

    @property
    def busy(self) -> bool:
        """A call is under way, or a transaction is."""
        return self._open is not None or not all(each.ended for each in self.transactions.values())

    @property
    def lost(self) -> int:
        """Events without an answer, and numbers left out; final once the station has nothing more to send."""
        return sum(each.sent - each.answered + each.gaps for each in self.transactions.values())
