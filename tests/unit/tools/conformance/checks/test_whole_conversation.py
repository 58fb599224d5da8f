# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.conformance.checks.whole_conversation import failures
from tools.conformance.peer.transcript import Message


def message(action: str, *, taken: bool = False, **payload: Any) -> Message:
    return Message(action, payload, "u", 0.0, "main", 1, 0, taken)


def event(number: int, kind: str, trigger: str = "Authorized", transaction: str = "t1") -> Message:
    info = {"transactionId": transaction}
    fields = {"eventType": kind, "triggerReason": trigger, "seqNo": number, "transactionInfo": info}
    return message("TransactionEvent", taken=True, **fields)


@pytest.mark.parametrize(
    "strange",
    [
        message("BootNotification", reason="PowerUp"),
        message("Authorize"),
        message("NotifyReport"),
        message("StatusNotification", connectorStatus="Faulted"),
        message("TransactionEvent", eventType="Ended", triggerReason="MeterValuePeriodic", seqNo=0),
        message("TransactionEvent", eventType="Updated", triggerReason="RemoteStop", seqNo=0),
    ],
)
def test_an_unexpected_message_is_a_failure_unless_a_step_took_it(strange: Message) -> None:
    assert "unexpected" in failures([strange])[0].text
    strange.taken = True
    assert not any("unexpected" in failure.text for failure in failures([strange]))


def test_sequence_numbers_may_come_out_of_order_but_not_with_gaps() -> None:
    assert failures([event(0, "Started"), event(2, "Ended"), event(1, "Updated")]) == []
    assert "gaps" in failures([event(0, "Started"), event(2, "Ended")])[0].text


def test_a_counter_that_continues_over_transactions_is_allowed() -> None:
    assert failures([event(7, "Started"), event(8, "Ended")]) == []


def test_a_repeated_event_is_no_second_one() -> None:
    assert failures([event(0, "Started"), event(0, "Started")]) == []
    assert "two different" in failures([event(0, "Started"), event(0, "Started", "RemoteStart")])[0].text


def test_only_the_first_event_is_started() -> None:
    assert "not Started" in failures([event(0, "Updated")])[0].text
    assert "later event" in failures([event(0, "Started"), event(1, "Started", "RemoteStart")])[0].text


def metered(number: int, kind: str, *readings: tuple[int, float], **sample: Any) -> Message:
    """An event with readings of the register: (second, Wh)."""
    values = [
        {"timestamp": f"2026-01-01T00:00:{second:02}Z", "sampledValue": [{"value": value, **sample}]}
        for second, value in readings
    ]
    plain = event(number, kind)
    return message(plain.action, taken=True, **plain.payload, meterValue=values)


def test_the_register_of_a_transaction_never_falls() -> None:
    rising = [
        metered(0, "Started", (0, 5.0)),
        metered(1, "Updated", (9, 7.0)),
        metered(2, "Ended", (0, 5.0), (10, 7.0)),
    ]
    assert failures(rising) == []
    assert "fell from 7 to 6.5" in failures([*rising[:2], metered(2, "Ended", (10, 6.5))])[0].text  # J02.FR.16
    other = {"measurand": "SoC"}, {"location": "Inlet"}, {"phase": "L1"}
    assert all(failures([metered(0, "Started", (0, 9.0), (1, 1.0), **sample)]) == [] for sample in other)


def test_transactions_are_checked_separately() -> None:
    assert failures([event(0, "Started"), event(0, "Started", "RemoteStart", "t2")]) == []
