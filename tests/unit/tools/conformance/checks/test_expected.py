# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.conformance.checks.expected import expected, expected_status, reported_status, tolerated
from tools.conformance.peer.transcript import Message


def message(action: str, *, taken: bool = False, **payload: Any) -> Message:
    return Message(action, payload, "u", 0.0, "main", 1, 0, taken)


@pytest.mark.parametrize(
    "allowed",
    [
        message("Heartbeat"),
        message("MeterValues"),
        message("NotifyEvent"),
        message("SecurityEventNotification"),
        message("StatusNotification", connectorStatus="Occupied"),
        message("TransactionEvent", eventType="Updated", triggerReason="MeterValuePeriodic"),
        message("TransactionEvent", eventType="Updated", triggerReason="ChargingStateChanged"),
    ],
)
def test_what_may_come_at_any_time(allowed: Message) -> None:
    assert tolerated(allowed)


STATUS = message("StatusNotification", connectorStatus="Occupied", evseId=1, connectorId=1)


DELTA = message(
    "NotifyEvent",
    eventData=[
        {
            "trigger": "Delta",
            "actualValue": "Occupied",
            "component": {"name": "Connector", "evse": {"id": 1, "connectorId": 1}},
            "variable": {"name": "AvailabilityState"},
        }
    ],
)


@pytest.mark.parametrize("report", [STATUS, DELTA])
def test_a_status_counts_in_either_message(report: Message) -> None:
    assert reported_status(report) == (1, 1, "Occupied", "Delta")
    assert expected_status("Occupied", evse=1).compare(report) == []
    assert expected_status("Occupied", evse=2).compare(report) is None
    assert expected_status(("Available", "Unavailable"), evse=1).compare(report) == [
        "status is Occupied, expected Available or Unavailable"
    ]


def test_a_status_event_needs_trigger_delta() -> None:
    alerting = message("NotifyEvent", eventData=[{**DELTA.payload["eventData"][0], "trigger": "Alerting"}])
    assert expected_status("Occupied", evse=1).compare(alerting) == ["trigger is Alerting, expected Delta"]
    assert reported_status(message("NotifyEvent", eventData=[])) is None


def test_where_selects_the_message_and_check_is_what_it_holds() -> None:
    wanted = expected("StatusNotification", {"connectorStatus": "Available"}, where={"evseId": 1})
    assert wanted.compare(STATUS) == ['connectorStatus is "Occupied", expected "Available"']
    assert expected("StatusNotification", where={"evseId": 2}).compare(STATUS) is None
    assert expected("Heartbeat").compare(STATUS) is None
    assert "evseId=1" in wanted.name
