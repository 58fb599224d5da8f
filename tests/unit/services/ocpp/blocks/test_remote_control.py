# SPDX-License-Identifier: Apache-2.0
"""Block F, driven through the whole station."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.contract import Fault, Withdraw
from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench

TOKEN = {"idToken": "APP-1", "type": "ISO14443"}


def start(bench: StationBench, evse: int | None = 1, remote_start_id: int = 7, **more: Any) -> Any:
    request: dict[str, Any] = {"idToken": TOKEN, "remoteStartId": remote_start_id, **more}
    if evse is not None:
        request["evseId"] = evse
    return bench.call("RequestStartTransaction", request)


def rejected(answer: Any) -> str:
    """The reason code of a rejected request."""
    assert answer["status"] == "Rejected"
    return str(answer["statusInfo"]["reasonCode"])


def kinds(bench: StationBench) -> list[tuple[str, str]]:
    return [(event["eventType"], event["triggerReason"]) for event in bench.events]


@pytest.fixture
def trusting(tmp_path: Path) -> StationBench:
    """AuthorizeRemoteStart is false."""
    bench = StationBench(tmp_path, variables={("AuthCtrlr", "AuthorizeRemoteStart"): "false"})
    bench.up()
    return bench


# --- F01, F02 --------------------------------------------------------------------------------------------------------


def test_remote_start_before_the_cable(bench: StationBench) -> None:
    assert start(bench) == {"status": "Accepted"}
    assert bench.sent("Authorize") == [{"idToken": TOKEN}]  # F02.FR.09
    started = bench.events[0]
    assert (started["eventType"], started["triggerReason"]) == ("Started", "RemoteStart")  # F02.FR.21
    assert started["transactionInfo"]["remoteStartId"] == 7  # F02.FR.01, C05.FR.03
    assert started["idToken"] == TOKEN  # F02.FR.12, C05.FR.05
    bench.plug(1)
    assert kinds(bench)[-1] == ("Updated", "CablePluggedIn")
    assert "remoteStartId" not in bench.events[-1]["transactionInfo"]
    assert bench.permitted(1)


def test_a_remote_start_that_timed_out_is_not_reported_for_the_next_vehicle(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    start(bench)
    bench.advance(61)  # EVConnectionTimeOut
    bench.plug(1)
    assert kinds(bench) == [("Started", "CablePluggedIn")]
    assert "remoteStartId" not in bench.events[0]["transactionInfo"]
    assert start(bench, remote_start_id=8)["status"] == "Accepted"  # F01.FR.24: no other token is authorised here
    assert bench.events[-1]["transactionInfo"]["remoteStartId"] == 8  # F01.FR.25


def test_the_response_is_sent_before_the_messages_that_follow(trusting: StationBench) -> None:
    trusting.frames.clear()
    start(trusting)
    assert [frame[0] for frame in trusting.frames] == [3, 2]


def test_remote_start_with_the_cable_in(bench: StationBench) -> None:
    bench.plug(2)
    assert start(bench, 2)["status"] == "Accepted"
    assert bench.summary() == [("Started", "RemoteStart", "EVConnected")]  # F01.FR.19


def test_remote_start_without_checking(trusting: StationBench) -> None:
    start(trusting)
    assert trusting.sent("Authorize") == []  # F01.FR.02, F02.FR.10
    assert kinds(trusting) == [("Started", "RemoteStart")]


@pytest.mark.parametrize("kind", ["Central", "NoAuthorization"])
def test_a_central_token_is_not_checked(tmp_path: Path, kind: str) -> None:
    bench = StationBench(tmp_path, product_name="full")
    bench.up()
    start(bench, idToken={"idToken": "ticket", "type": kind})
    assert bench.sent("Authorize") == []  # C05.FR.01
    assert bench.events[0]["idToken"]["type"] == kind


@pytest.mark.parametrize("kind", ["ISO15693", "Central", "NoAuthorization", "KeyCode", "eMAID", "Local", "MacAddress"])
def test_tokens_that_this_product_does_not_take(bench: StationBench, kind: str) -> None:
    answer = start(bench, idToken={"idToken": "ticket", "type": kind})
    assert rejected(answer) == "InvalidIdToken"  # C-37 to C-39
    assert answer["statusInfo"]["additionalInfo"] == "a remote start takes an idToken of type ISO14443"
    assert bench.sent("Authorize") == bench.events == []
    assert start(bench) == {"status": "Accepted"}  # C-36


def test_remote_start_of_a_refused_token(bench: StationBench) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Invalid"}}
    assert start(bench)["status"] == "Accepted"
    assert bench.events == []
    assert not bench.permitted(1)
    del bench.answers["Authorize"]
    start(bench)
    assert len(bench.events) == 1


def test_remote_start_without_a_cable_lapses(bench: StationBench) -> None:
    start(bench)
    bench.advance(61)
    assert kinds(bench)[-1] == ("Ended", "EVConnectTimeout")  # F02.FR.07
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Timeout"
    assert not bench.permitted(1)


def test_remote_start_without_an_evse_goes_to_the_waiting_vehicle(bench: StationBench) -> None:
    bench.plug(2)
    start(bench, None)
    assert bench.events[0]["evse"]["id"] == 2  # F01.FR.20


def test_remote_start_without_an_evse_goes_to_a_free_one(bench: StationBench) -> None:
    start(bench, 1)
    assert start(bench, None, 8)["status"] == "Accepted"
    assert bench.events[-1]["evse"]["id"] == 2
    assert rejected(start(bench, None, 9)) == "Unspecified"


@pytest.mark.parametrize("evse", [0, 3, -1])
def test_remote_start_at_an_unknown_evse(bench: StationBench, evse: int) -> None:
    assert rejected(start(bench, evse)) == "UnknownEvse"


def test_remote_start_at_a_faulted_evse(bench: StationBench) -> None:
    bench.fault(Fault.ISOLATION, 1)
    assert rejected(start(bench)) == "Unspecified"  # F01.FR.23
    bench.clear_fault(Fault.ISOLATION, 1)
    assert start(bench)["status"] == "Accepted"


def test_remote_start_at_an_unavailable_evse(bench: StationBench) -> None:
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    assert start(bench)["status"] == "Rejected"  # F01.FR.23, F02.FR.25


def test_remote_start_while_a_reset_is_pending(bench: StationBench) -> None:
    start(bench, 2)
    bench.plug(2)
    bench.energy_on(2)
    bench.call("Reset", {"type": "Immediate"})
    assert start(bench)["statusInfo"] == {"reasonCode": "Unspecified", "additionalInfo": "a reset is pending"}


def test_remote_start_without_the_hal(bench: StationBench) -> None:
    bench.hal_down()
    assert start(bench)["status"] == "Rejected"


def test_remote_start_at_a_busy_evse(bench: StationBench) -> None:
    bench.card("04A1B2C3D4E580", 1)
    assert rejected(start(bench)) == "TxInProgress"  # F01.FR.24
    assert len(bench.events) == 1


def test_remote_start_while_the_last_session_ramps_down(bench: StationBench) -> None:
    start(bench)
    bench.plug(1)
    bench.energy_on(1)
    bench.call("RequestStopTransaction", {"transactionId": bench.events[0]["transactionInfo"]["transactionId"]})
    assert start(bench)["status"] == "Rejected"


def test_a_remote_start_repeated_while_the_token_is_checked(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    assert start(bench)["status"] == "Accepted"
    authorize = bench.frames[-1]
    assert start(bench, 1, 8)["status"] == "Rejected"
    group = {"idToken": "fleet", "type": "Central"}
    bench.frame(json.dumps([3, authorize[1], {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}]))
    assert kinds(bench) == [("Started", "RemoteStart")]


def test_a_remote_start_never_stops_what_a_card_of_its_group_began(bench: StationBench) -> None:
    """The card is accepted first, while the remote start's token is still being checked."""
    group = {"idToken": "fleet", "type": "Central"}
    bench.answers["Authorize"] = None
    bench.card("04A1B2C3D4E580", 1)
    card = bench.frames[-1]
    assert start(bench)["status"] == "Rejected"
    bench.frame(json.dumps([3, card[1], {"idTokenInfo": {"status": "Accepted", "groupIdToken": group}}]))
    assert kinds(bench) == [("Started", "Authorized")]


def test_a_charging_profile_is_ignored(bench: StationBench) -> None:
    profile = {
        "id": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "W", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 1.0}]}
        ],
    }
    assert start(bench, chargingProfile=profile)["status"] == "Accepted"  # F01.FR.12


def test_remote_start_of_a_transaction_without_a_token(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    bench.plug(1)
    transaction_id = bench.events[0]["transactionInfo"]["transactionId"]
    assert start(bench) == {"status": "Accepted", "transactionId": transaction_id}  # F01.FR.13
    assert kinds(bench)[-1] == ("Updated", "RemoteStart")
    assert bench.events[-1]["transactionInfo"]["remoteStartId"] == 7  # F01.FR.25
    assert bench.events[-1]["idToken"] == TOKEN


def test_remote_start_with_the_transaction_at_plug_in(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    start(bench)
    assert bench.events == []
    bench.plug(1)
    assert kinds(bench) == [("Started", "RemoteStart")]  # F02.FR.21
    assert bench.events[0]["transactionInfo"]["remoteStartId"] == 7


# --- F03 ------------------------------------------------------------------------------------------------------------


def test_remote_stop(bench: StationBench) -> None:
    start(bench)
    bench.plug(1)
    bench.energy_on(1)
    transaction_id = bench.events[0]["transactionInfo"]["transactionId"]
    assert bench.call("RequestStopTransaction", {"transactionId": transaction_id}) == {
        "status": "Accepted"
    }  # F03.FR.07
    assert Withdraw(1) in bench.commands
    bench.energy_off(1)
    assert kinds(bench)[-1] == ("Ended", "RemoteStop")  # F03.FR.03
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Remote"
    assert "idToken" not in bench.events[-1]


@pytest.mark.parametrize("transaction_id", ["", "unknown"])
def test_remote_stop_of_an_unknown_transaction(bench: StationBench, transaction_id: str) -> None:
    start(bench)
    answer = bench.call("RequestStopTransaction", {"transactionId": transaction_id})
    assert rejected(answer) == "UnknownTxId"  # F03.FR.08


def test_remote_stop_of_an_ended_transaction(bench: StationBench) -> None:
    start(bench)
    bench.advance(61)
    transaction_id = bench.events[0]["transactionInfo"]["transactionId"]
    assert rejected(bench.call("RequestStopTransaction", {"transactionId": transaction_id})) == "UnknownTxId"


# --- F05 ------------------------------------------------------------------------------------------------------------


def test_unlocking(bench: StationBench) -> None:
    assert bench.call("UnlockConnector", {"evseId": 1, "connectorId": 1})["status"] == "UnlockFailed"  # F05.FR.05
    for evse, connector in ((3, 1), (1, 2), (0, 0)):
        answer = bench.call("UnlockConnector", {"evseId": evse, "connectorId": connector})
        assert answer["status"] == "UnknownConnector"  # F05.FR.03
    start(bench)
    answer = bench.call("UnlockConnector", {"evseId": 1, "connectorId": 1})
    assert answer["status"] == "OngoingAuthorizedTransaction"  # F05.FR.02


# --- F06 ------------------------------------------------------------------------------------------------------------


def trigger(bench: StationBench, message: str, **evse: int) -> str:
    request: dict[str, Any] = {"requestedMessage": message}
    if evse:
        request["evse"] = evse
    return str(bench.call("TriggerMessage", request)["status"])


def test_trigger_heartbeat(bench: StationBench) -> None:
    bench.frames.clear()
    assert trigger(bench, "Heartbeat") == "Accepted"
    assert [(frame[0], frame[2]) for frame in bench.frames if frame[0] == 2] == [(2, "Heartbeat")]
    assert bench.frames[0][0] == 3  # F06.FR.04


@pytest.mark.parametrize("evse", [{}, {"id": 1}, {"id": 1, "connectorId": 2}, {"id": 3, "connectorId": 1}, {"id": 0}])
def test_trigger_status_of_an_unknown_connector(bench: StationBench, evse: dict[str, int]) -> None:
    count = len(bench.sent("StatusNotification"))
    assert trigger(bench, "StatusNotification", **evse) == "Rejected"  # F06.FR.12
    assert len(bench.sent("StatusNotification")) == count


def test_trigger_status(bench: StationBench) -> None:
    bench.plug(2)
    count = len(bench.sent("StatusNotification"))
    assert trigger(bench, "StatusNotification", id=2, connectorId=1) == "Accepted"
    assert [each["connectorStatus"] for each in bench.sent("StatusNotification")[count:]] == ["Occupied"]


def test_trigger_meter_values(bench: StationBench) -> None:
    assert trigger(bench, "MeterValues", id=2) == "Accepted"
    (request,) = bench.sent("MeterValues")
    assert request["evseId"] == 2
    assert request["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"  # F06.FR.06
    assert trigger(bench, "MeterValues") == "Accepted"
    assert [each["evseId"] for each in bench.sent("MeterValues")[1:]] == [1, 2]  # F06.FR.11
    assert trigger(bench, "MeterValues", id=3) == "Rejected"


def test_trigger_meter_values_when_there_is_nothing_to_measure(bench: StationBench) -> None:
    bench.context.model.put(keys.ALIGNED_MEASURANDS, ())
    assert trigger(bench, "MeterValues") == "Rejected"  # F06.FR.10: an accepted message must be sent


def test_trigger_transaction_events(bench: StationBench) -> None:
    assert trigger(bench, "TransactionEvent") == "Rejected"
    start(bench, 1)
    start(bench, 2, 8)
    count = len(bench.events)
    assert trigger(bench, "TransactionEvent", id=2) == "Accepted"
    (event,) = bench.events[count:]
    assert (event["eventType"], event["triggerReason"]) == ("Updated", "Trigger")  # F06.FR.07
    assert event["transactionInfo"]["chargingState"] == "Idle"
    assert event["meterValue"][0]["sampledValue"][0]["context"] == "Trigger"
    assert trigger(bench, "TransactionEvent") == "Accepted"
    assert len(bench.events) == count + 3
    assert trigger(bench, "TransactionEvent", id=3) == "Rejected"


def test_trigger_boot_when_accepted(bench: StationBench) -> None:
    assert trigger(bench, "BootNotification") == "Rejected"  # F06.FR.17


@pytest.mark.parametrize("message", ["PublishFirmwareStatusNotification", "SignV2GCertificate"])
def test_trigger_an_unsupported_message(bench: StationBench, message: str) -> None:
    assert trigger(bench, message) == "NotImplemented"  # F06.FR.08
    assert bench.errors == []


# --- before the CSMS has accepted us ---------------------------------------------------------------------------------


@pytest.fixture
def pending(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.answers["BootNotification"] = {"status": "Pending", "currentTime": "2027-01-15T08:00:00Z", "interval": 300}
    bench.up()
    return bench


def test_remote_control_while_pending(pending: StationBench) -> None:
    assert rejected(start(pending)) == "CSNotAccepted"  # B02.FR.05
    assert rejected(pending.call("RequestStopTransaction", {"transactionId": "x"})) == "CSNotAccepted"
    assert pending.events == []


@pytest.mark.parametrize(
    ("message", "evse", "action"),
    [
        ("BootNotification", {}, "BootNotification"),
        ("Heartbeat", {}, "Heartbeat"),
        ("StatusNotification", {"id": 1, "connectorId": 1}, "StatusNotification"),
        ("MeterValues", {"id": 1}, "MeterValues"),
    ],
)
def test_triggers_while_pending(pending: StationBench, message: str, evse: dict[str, int], action: str) -> None:
    count = len(pending.requests)
    assert trigger(pending, message, **evse) == "Accepted"
    assert [name for name, _ in pending.requests[count:]] == [action]  # B02.FR.02
    if action == "BootNotification":
        assert pending.requests[-1][1]["reason"] == "Triggered"


def test_a_transaction_event_can_not_be_triggered_while_pending(pending: StationBench) -> None:
    assert trigger(pending, "TransactionEvent") == "Rejected"
