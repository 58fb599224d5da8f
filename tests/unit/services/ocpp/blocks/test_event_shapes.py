# SPDX-License-Identifier: Apache-2.0
"""E and J on the wire: what every TransactionEvent and every meter value must carry."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.station_bench import StationBench

CARD = "04A1B2C3D4E580"


def session(bench: StationBench, evse: int = 1) -> None:
    bench.card(CARD, evse)
    bench.plug(evse)
    bench.energy_on(evse)
    bench.deliver(evse, 100.0)
    bench.card(CARD, evse)
    bench.energy_off(evse)
    bench.unplug(evse)


def values(bench: StationBench) -> list[Any]:
    return [value for event in bench.events for value in event.get("meterValue", [])]


def test_each_trigger_has_an_event_with_its_reason(bench: StationBench) -> None:
    session(bench)
    assert [event["triggerReason"] for event in bench.events] == [  # E01.FR.15, E03.FR.12
        "Authorized",
        "CablePluggedIn",
        "ChargingStateChanged",
        "StopAuthorized",
    ]


def test_transaction_ids_are_never_used_twice(bench: StationBench) -> None:
    for _ in range(3):
        session(bench)
        bench.power_cut()
        bench.up()
    started = [event["transactionInfo"]["transactionId"] for event in bench.events if event["eventType"] == "Started"]
    assert len(started) == len(set(started)) == 3  # E01.FR.08


def test_an_end_not_by_the_driver_has_a_reason(bench: StationBench) -> None:
    bench.card(CARD, 1)
    transaction = bench.events[-1]["transactionInfo"]["transactionId"]
    bench.call("RequestStopTransaction", {"transactionId": transaction})
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Remote"  # E06.FR.08


def test_events_wait_for_the_link(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.link_down()
    before = len(bench.events)
    bench.plug(1)
    assert len(bench.events) == before
    bench.link_up()
    assert bench.events[-1]["triggerReason"] == "CablePluggedIn"  # E04.FR.01


def test_the_csms_sets_attempts_and_interval(bench: StationBench) -> None:
    rows = [("MessageAttempts", "2"), ("MessageAttemptInterval", "7")]
    data = [
        {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": name, "instance": "TransactionEvent"},
            "attributeValue": value,
        }
        for name, value in rows
    ]
    bench.call("SetVariables", {"setVariableData": data})
    bench.answers["TransactionEvent"] = "InternalError"
    bench.card(CARD, 1)
    bench.advance(6)
    assert len(bench.events) == 1
    bench.advance(40)
    assert len(bench.events) == 2  # E13.FR.01


def test_a_remote_start_names_its_token(bench: StationBench) -> None:
    token = {"idToken": CARD, "type": "ISO14443"}
    bench.call("RequestStartTransaction", {"idToken": token, "remoteStartId": 5, "evseId": 1})
    assert bench.events[0]["idToken"] == token  # F02.FR.05


def test_a_triggered_message_reports_the_present_state(bench: StationBench) -> None:
    bench.plug(1)
    bench.call("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}})
    assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Occupied"  # F06.FR.09


def test_a_changed_availability_is_notified(bench: StationBench) -> None:
    before = len(bench.sent("StatusNotification"))
    assert bench.call("ChangeAvailability", {"operationalStatus": "Inoperative"}) == {"status": "Accepted"}
    reported = bench.sent("StatusNotification")[before:]
    assert [(row["evseId"], row["connectorStatus"]) for row in reported] == [  # G01.FR.07, G04.FR.01
        (1, "Unavailable"),
        (2, "Unavailable"),
    ]


def test_the_shape_of_a_meter_value(bench: StationBench) -> None:
    session(bench)
    for value in values(bench):
        assert value["timestamp"].endswith("Z")  # J01.FR.05, J01.FR.17, J02.FR.18
        assert value["sampledValue"]  # J01.FR.06, J02.FR.02
        for sample in value["sampledValue"]:
            assert sample["measurand"] == "Energy.Active.Import.Register"  # J02.FR.03
            assert sample["context"].startswith("Transaction.")  # J02.FR.04
            assert sample["location"] == "Outlet"  # J02.FR.05
            assert sample["unitOfMeasure"] == {"unit": "Wh"}


def test_registers_are_those_of_the_meter(bench: StationBench) -> None:
    session(bench)
    reported = [sample["value"] for value in values(bench) for sample in value["sampledValue"]]
    assert reported[0] == 1000.0  # J02.FR.17: not re-based
    assert reported[-1] == 1100.0


@pytest.mark.parametrize("evse", [1, 2])
def test_meter_values_are_of_the_transactions_evse(bench: StationBench, evse: int) -> None:
    bench.deliver(1, 11.0)
    bench.deliver(2, 22.0)
    session(bench, evse)
    first = values(bench)[0]["sampledValue"][0]["value"]
    assert first == {1: 1011.0, 2: 2022.0}[evse]  # J02.FR.22
