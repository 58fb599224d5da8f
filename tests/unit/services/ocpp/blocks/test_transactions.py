# SPDX-License-Identifier: Apache-2.0
"""Block E through the whole station: a session, its queue, and what the CSMS asks about it."""

from __future__ import annotations

from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench, charge
from tests.support.transactions import CARD


def test_whole_session_from_card_to_unplug(bench: StationBench) -> None:
    charge(bench)
    bench.deliver(2, 500.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.unplug(2)
    assert bench.summary() == [
        ("Started", "Authorized", "Idle"),  # E01.FR.03
        ("Updated", "CablePluggedIn", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
        ("Ended", "StopAuthorized", "EVConnected"),  # E07.FR.02
    ]
    assert [event["seqNo"] for event in bench.events] == [0, 1, 2, 3]  # E03.FR.06
    assert len({event["transactionInfo"]["transactionId"] for event in bench.events}) == 1
    ended = bench.events[-1]
    assert ended["transactionInfo"]["stoppedReason"] == "Local"  # E07.FR.05
    assert ended["idToken"]["idToken"] == CARD


def test_cable_first_then_card(bench: StationBench) -> None:
    bench.plug(1)
    assert bench.events == []
    bench.card(CARD)  # plugging in chose the EVSE
    bench.energy_on(1)
    assert bench.summary() == [
        ("Started", "Authorized", "EVConnected"),
        ("Updated", "ChargingStateChanged", "Charging"),
    ]
    assert bench.events[0]["evse"] == {"id": 1, "connectorId": 1}


def test_status_of_transactions(bench: StationBench) -> None:
    transaction_id = charge(bench)
    bench.answers["TransactionEvent"] = None
    assert bench.call("GetTransactionStatus", {"transactionId": transaction_id}) == {
        "messagesInQueue": False,
        "ongoingIndicator": True,
    }
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert bench.call("GetTransactionStatus", {"transactionId": transaction_id}) == {
        "messagesInQueue": True,
        "ongoingIndicator": False,
    }
    assert bench.call("GetTransactionStatus", {}) == {"messagesInQueue": True}  # E14.FR.06, FR.07
    assert bench.call("GetTransactionStatus", {"transactionId": "unknown"}) == {
        "messagesInQueue": False,
        "ongoingIndicator": False,
    }  # E14.FR.01


def test_an_event_made_offline_is_marked(bench: StationBench) -> None:
    charge(bench)
    bench.link_down()
    bench.deliver(2, 100.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert bench.events[-1]["eventType"] == "Updated"
    bench.link_up()
    ended = bench.events[-1]
    assert ended["eventType"] == "Ended"
    assert ended["offline"] is True  # E12.FR.02


def test_attempts_are_limited(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = "InternalError"
    bench.card(CARD, 1)
    attempts = bench.context.model.get(keys.MESSAGE_ATTEMPTS)
    interval = bench.context.model.get(keys.MESSAGE_ATTEMPT_INTERVAL)
    bench.advance(interval * attempts * attempts + 1)
    assert len([event for event in bench.events if event["seqNo"] == 0]) == attempts  # E13.FR.02, E13.FR.04


def test_a_shorter_interval_between_attempts_holds_at_once(bench: StationBench) -> None:
    """Otherwise an interval of a day, set by mistake, would delay every later transaction."""
    place = {"component": {"name": "OCPPCommCtrlr"}}
    place["variable"] = {"name": "MessageAttemptInterval", "instance": "TransactionEvent"}
    bench.call("SetVariables", {"setVariableData": [{"attributeValue": "86400", **place}]})
    bench.answers["TransactionEvent"] = "InternalError"
    bench.card(CARD, 2)
    assert len(bench.events) == 1
    del bench.answers["TransactionEvent"]
    bench.call("SetVariables", {"setVariableData": [{"attributeValue": "10", **place}]})
    bench.advance(9)
    assert len(bench.events) == 1  # E13.FR.03
    bench.advance(2)
    assert [event["seqNo"] for event in bench.events] == [0, 0]
