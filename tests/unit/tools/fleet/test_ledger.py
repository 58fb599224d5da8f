# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import msgspec
import pytest

from services.ocpp.message_log.ring import Kind
from tools.fleet.ledger import Ledger, Sample


class _Wire:
    """A ledger, and what goes past it."""

    def __init__(self) -> None:
        self.samples: list[Sample] = []
        self.ledger = Ledger(self.samples.append)
        self._now = 0.0

    def _record(self, kind: Kind, text: str) -> None:
        self._now += 0.25
        self.ledger.on_record((self._now, kind, text, len(text), 0))

    def event(self, number: int, kind: str = "Updated", transaction: str = "T1") -> None:
        payload = {"eventType": kind, "seqNo": number, "transactionInfo": {"transactionId": transaction}}
        self._record(Kind.SENT, msgspec.json.encode([2, "id", "TransactionEvent", payload]).decode())

    def call(self, action: str) -> None:
        self._record(Kind.SENT, msgspec.json.encode([2, "id", action, {}]).decode())

    def answer(self, message_id: str = "id") -> None:
        self._record(Kind.RECEIVED, f'[3,"{message_id}",{{}}]')

    def error(self) -> None:
        self._record(Kind.RECEIVED, '[4,"id","InternalError","",{}]')

    def happens(self, kind: Kind) -> None:
        self._record(kind, "id")


@pytest.fixture
def wire() -> _Wire:
    return _Wire()


def test_an_answered_transaction_has_lost_nothing(wire: _Wire) -> None:
    for number, kind in enumerate(("Started", "Updated", "Ended")):
        wire.event(number, kind)
        assert wire.ledger.busy
        wire.answer()
    transaction = wire.ledger.transactions["T1"]
    assert (transaction.sent, transaction.answered, transaction.ended) == (3, 3, True)
    assert (wire.ledger.lost, wire.ledger.repeated, wire.ledger.busy) == (0, 0, False)
    assert [(each.action, each.ms, each.error) for each in wire.samples] == [("TransactionEvent", 250.0, None)] * 3


@pytest.mark.parametrize("lost", [Kind.LOST, Kind.DISCONNECTED, Kind.TIMED_OUT])
def test_an_event_without_an_answer_is_lost_until_it_is_repeated(wire: _Wire, lost: Kind) -> None:
    wire.event(0)
    wire.happens(lost)
    assert wire.samples[0].error is not None
    assert wire.ledger.lost == 1
    wire.event(0)
    wire.answer()
    assert (wire.ledger.lost, wire.ledger.repeated) == (0, 1)


def test_a_number_that_is_left_out_is_lost(wire: _Wire) -> None:
    wire.event(0)
    wire.answer()
    wire.event(2, "Ended")
    wire.answer()
    assert wire.ledger.transactions["T1"].gaps == 1
    assert wire.ledger.lost == 1


def test_a_refused_event_is_not_answered(wire: _Wire) -> None:
    wire.event(0)
    wire.error()
    assert wire.samples[0].error == "CALLERROR InternalError"
    assert wire.ledger.lost == 1
    wire.answer()  # too late: nothing waits for it any more
    assert wire.ledger.lost == 1


def test_the_answer_to_another_call_counts_for_none(wire: _Wire) -> None:
    wire.call("Heartbeat")
    wire.answer("other")
    assert wire.samples == []
    wire.answer()
    assert [each.action for each in wire.samples] == ["Heartbeat"]
