# SPDX-License-Identifier: Apache-2.0
"""Block E, driven through the whole station."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc, parse_utc
from firmware.contract import (
    BootCause,
    Cause,
    EnergyFlow,
    Fault,
    FaultRaised,
    Permit,
    Phase,
    PhaseChanged,
    SetLimit,
    Withdraw,
)
from services.ocpp.device_model import keys
from tests.support.station_bench import Instant, StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"


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


def test_the_token_is_told_once_and_the_evse_when_connected(bench: StationBench) -> None:
    charge(bench)
    assert ["idToken" in event for event in bench.events] == [True, False, False]  # E03.FR.01
    assert bench.events[1]["evse"] == {"id": 2, "connectorId": 1}  # E01.FR.16
    assert "evse" not in bench.events[2]


def test_meter_values_at_start_and_end(bench: StationBench) -> None:
    charge(bench)
    bench.deliver(2, 500.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    begin = bench.events[0]["meterValue"][0]["sampledValue"][0]
    assert (begin["value"], begin["context"]) == (2000.0, "Transaction.Begin")  # E02.FR.09
    contexts = [value["sampledValue"][0]["context"] for value in bench.events[-1]["meterValue"]]
    values = [value["sampledValue"][0]["value"] for value in bench.events[-1]["meterValue"]]
    assert contexts == ["Transaction.Begin", "Transaction.End"]  # E06.FR.11
    assert values == [2000.0, 2500.0]


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


def test_the_ended_event_waits_for_the_final_reading(bench: StationBench) -> None:
    charge(bench)
    count = len(bench.events)
    bench.card(CARD, 2)
    assert Withdraw(2) in bench.commands
    assert len(bench.events) == count
    bench.energy_off(2)
    assert bench.events[-1]["eventType"] == "Ended"


def test_without_a_final_reading_the_transaction_still_ends(bench: StationBench) -> None:
    charge(bench)
    bench.card(CARD, 2)
    bench.advance(31)
    assert bench.summary()[-1][:2] == ("Ended", "StopAuthorized")


def test_cable_not_plugged_in_in_time(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("TxCtrlr", "EVConnectionTimeOut"): "20"})
    bench.up()
    bench.card(CARD, 1)
    bench.advance(19)
    assert len(bench.events) == 1
    bench.advance(2)
    assert bench.summary()[-1] == ("Ended", "EVConnectTimeout", "Idle")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Timeout"  # E03.FR.05
    bench.plug(1)
    assert len(bench.events) == 2


def test_unplugging_ends_the_authorisation(bench: StationBench) -> None:
    charge(bench)
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")  # E09.FR.01
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"


def test_vehicle_ends_the_session(bench: StationBench) -> None:
    charge(bench)
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert bench.summary()[-1][:2] == ("Ended", "StopAuthorized")  # E15.FR.04
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault.EMERGENCY_STOP, "EmergencyStop"),
        (Fault.GROUND_FAULT, "GroundFault"),
        (Fault.OVER_CURRENT, "OvercurrentFault"),
        (Fault.POWER_MODULE, "Other"),
    ],
)
def test_faults_end_the_transaction(bench: StationBench, fault: Fault, reason: str) -> None:
    charge(bench)
    bench.event(FaultRaised(fault, 2))
    bench.energy_off(2, Phase.FAULTED, Cause.FAULT)
    assert bench.summary()[-1][:2] == ("Ended", "AbnormalCondition")  # E06.FR.16
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == reason


def test_a_fault_of_the_card_reader_stops_nothing(bench: StationBench) -> None:
    charge(bench)
    bench.event(FaultRaised(Fault.CARD_READER))
    assert bench.events[-1]["eventType"] == "Updated"


def test_periodic_samples(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "10"})
    bench.up()
    charge(bench)
    count = len(bench.events)
    bench.advance(35)
    samples = bench.events[count:]
    assert [event["triggerReason"] for event in samples] == ["MeterValuePeriodic"] * 3  # J02.FR.11
    assert all(event["meterValue"][0]["sampledValue"][0]["context"] == "Sample.Periodic" for event in samples)


def test_the_lease_is_renewed_while_authorised(bench: StationBench) -> None:
    charge(bench)
    bench.commands.clear()
    bench.advance(16)
    renewals = [command for command in bench.commands if isinstance(command, Permit)]
    assert len(renewals) == 3
    assert all(command.lease_s == 15.0 for command in renewals)


def test_token_refused_in_the_event_ends_the_transaction(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Invalid"}} if "idToken" in request else {}
    )
    bench.card(CARD, 2)
    assert bench.summary()[-1][:2] == ("Ended", "Deauthorized")  # E05.FR.10
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


def test_token_refused_may_charge_up_to_the_limit(tmp_path: Path) -> None:
    bench = StationBench(
        tmp_path,
        variables={("TxCtrlr", "StopTxOnInvalidId"): "false", ("TxCtrlr", "MaxEnergyOnInvalidId"): "300"},
    )
    bench.up()
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Blocked"}} if "idToken" in request else {}
    )
    charge(bench)
    bench.deliver(2, 299.0)
    assert SetLimit(2, 0.0) not in bench.commands  # E05.FR.03
    bench.deliver(2, 2.0)
    assert SetLimit(2, 0.0) in bench.commands  # E05.FR.02


def test_power_cut_ends_the_transaction_with_the_next_number(bench: StationBench) -> None:
    transaction_id = charge(bench)
    bench.deliver(2, 700.0)
    bench.power_cut()
    bench.up()
    ended = bench.events[-1]
    assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "AbnormalCondition")
    assert ended["transactionInfo"]["stoppedReason"] == "PowerLoss"
    assert ended["transactionInfo"]["transactionId"] == transaction_id
    assert ended["seqNo"] == 3
    assert ended["offline"] is True
    assert ended["meterValue"][-1]["sampledValue"][0]["value"] == 2700.0
    assert bench.call("GetTransactionStatus", {"transactionId": transaction_id}) == {
        "messagesInQueue": False,
        "ongoingIndicator": False,
    }


def test_orderly_reboot_by_hand_is_not_a_power_loss(bench: StationBench) -> None:
    charge(bench)
    bench.power_cut(cause=BootCause.LOCAL_RESET)
    bench.up()
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Reboot"


def test_restart_of_the_service_keeps_the_transaction_whole(bench: StationBench) -> None:
    transaction_id = charge(bench)
    bench.restart_service()
    bench.up()
    assert bench.events[-1]["eventType"] == "Updated"
    bench.card(CARD, 2)
    bench.energy_off(2)
    ended = bench.events[-1]
    assert ended["transactionInfo"]["transactionId"] == transaction_id
    assert (ended["eventType"], ended["seqNo"]) == ("Ended", 3)
    assert ended["transactionInfo"]["stoppedReason"] == "Local"


def test_unplugged_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    bench.restart_service()
    bench.up()
    assert bench.summary()[-1][:2] == ("Ended", "EVCommunicationLost")


def test_death_of_the_hal_ends_the_session(bench: StationBench) -> None:
    charge(bench)
    bench.hal_dies()
    assert bench.sent("StatusNotification")[-1]["connectorStatus"] == "Faulted"
    bench.hal_up()
    assert bench.summary()[-1][:2] == ("Ended", "AbnormalCondition")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Other"


def test_death_of_the_hal_that_does_not_come_back(bench: StationBench) -> None:
    charge(bench)
    bench.hal_dies()
    bench.advance(6)
    assert bench.events[-1]["eventType"] == "Ended"


def test_a_lost_connection_to_the_hal_is_not_its_death(bench: StationBench) -> None:
    charge(bench)
    bench.hal_down()
    bench.hal_up()
    bench.advance(6)
    assert bench.events[-1]["eventType"] == "Updated"


def test_lease_lost_and_granted_anew(bench: StationBench) -> None:
    charge(bench)
    bench.commands.clear()
    bench.event(PhaseChanged(2, Phase.FINISHED, Cause.LEASE))
    assert any(isinstance(command, Permit) for command in bench.commands)


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


def test_events_made_offline_say_so(bench: StationBench) -> None:
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


def test_retries_and_gives_up(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = "InternalError"
    bench.card(CARD, 1)
    attempts = bench.context.model.get(keys.MESSAGE_ATTEMPTS)
    interval = bench.context.model.get(keys.MESSAGE_ATTEMPT_INTERVAL)
    bench.advance(interval * attempts * attempts + 1)
    assert len([event for event in bench.events if event["seqNo"] == 0]) == attempts  # E13.FR.02, E13.FR.04


# --- start and stop points (E01, E06), on the product that has them all ---------------------------------------------


def full(directory: Path, start: str, stop: str, **more: str) -> StationBench:
    """A station with these start and stop points and further TxCtrlr variables, up and accepted."""
    variables = {("TxCtrlr", "TxStartPoint"): start, ("TxCtrlr", "TxStopPoint"): stop}
    bench = StationBench(
        directory,
        product_name="full",
        variables=variables | {("TxCtrlr", name): value for name, value in more.items()},
    )
    bench.up()
    return bench


def kinds(bench: StationBench) -> list[tuple[str, str]]:
    return [(event["eventType"], event["triggerReason"]) for event in bench.events]


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("EVConnected", ("Started", "CablePluggedIn")),  # E01.FR.02
        ("Authorized", ("Started", "Authorized")),  # E01.FR.03
        ("PowerPathClosed", ("Started", "Authorized")),  # E01.FR.05
        ("EnergyTransfer", ("Started", "ChargingStateChanged")),  # E01.FR.06
        ("EVConnected,Authorized", ("Started", "CablePluggedIn")),
    ],
)
def test_start_points_with_the_cable_first(tmp_path: Path, start: str, first: tuple[str, str]) -> None:
    bench = full(tmp_path, start, "Authorized")
    bench.plug(1)
    bench.card(CARD)
    bench.energy_on(1)
    assert kinds(bench)[0] == first
    assert [event["eventType"] for event in bench.events].count("Started") == 1
    tokens = [event["idToken"]["idToken"] for event in bench.events if "idToken" in event]
    assert tokens == [CARD]  # E01.FR.10, E02.FR.20
    assert bench.events[0]["evse"] == {"id": 1, "connectorId": 1}  # E01.FR.16


@pytest.mark.parametrize(
    ("start", "first"),
    [
        ("EVConnected", ("Started", "CablePluggedIn")),
        ("PowerPathClosed", ("Started", "CablePluggedIn")),
        ("EnergyTransfer", ("Started", "ChargingStateChanged")),
    ],
)
def test_start_points_with_the_card_first(tmp_path: Path, start: str, first: tuple[str, str]) -> None:
    bench = full(tmp_path, start, "Authorized")
    bench.card(CARD, 1)
    assert bench.events == []
    bench.plug(1)
    bench.energy_on(1)
    assert kinds(bench)[0] == first
    assert bench.events[0]["idToken"]["idToken"] == CARD  # E03.FR.01


def test_a_car_that_is_there_at_power_on_starts_a_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(1)
    bench.power_cut()
    bench.up()
    assert kinds(bench) == [
        ("Started", "CablePluggedIn"),
        ("Ended", "AbnormalCondition"),
        ("Started", "CablePluggedIn"),  # E01.FR.02
    ]


def test_a_session_that_is_over_is_not_started_anew_by_the_hal_coming_back(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "Authorized")
    bench.plug(1)
    bench.card(CARD)
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Ended"
    bench.hal_down()
    bench.hal_up()
    bench.restart_service()
    bench.up()
    assert [event["eventType"] for event in bench.events].count("Started") == 1


@pytest.mark.parametrize("stop", ["Authorized", "PowerPathClosed", "EnergyTransfer", "EVConnected,Authorized"])
def test_a_card_ends_the_transaction(tmp_path: Path, stop: str) -> None:
    bench = full(tmp_path, "Authorized", stop)
    charge(bench)
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")  # E06.FR.03, E06.FR.06, E07.FR.02
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert bench.events[-1]["idToken"]["idToken"] == CARD


@pytest.mark.parametrize("stop", ["Authorized", "PowerPathClosed", "EnergyTransfer"])
def test_a_card_ends_the_transaction_before_energy_flowed(tmp_path: Path, stop: str) -> None:
    bench = full(tmp_path, "Authorized", stop)
    bench.card(CARD, 2)
    bench.card(CARD, 2)
    assert kinds(bench) == [("Started", "Authorized"), ("Ended", "StopAuthorized")]


def test_the_transaction_outlives_the_authorisation_until_the_cable_is_out(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    assert kinds(bench)[-1] == ("Updated", "StopAuthorized")  # E07, TxStopPoint is EVConnected
    bench.energy_off(2)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "EVConnected")
    bench.unplug(2)
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")  # E06.FR.02
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"  # what began the stopping


def test_remote_stop_then_unplug(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    transaction_id = charge(bench)
    assert bench.call("RequestStopTransaction", {"transactionId": transaction_id}) == {"status": "Accepted"}
    assert kinds(bench)[-1] == ("Updated", "RemoteStop")  # F03.FR.02, F04.FR.02
    bench.energy_off(2)
    bench.unplug(2)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Remote"  # F04.FR.03


def test_stopped_while_the_vehicle_waits(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(1)
    bench.card(CARD, 1)
    bench.suspend(1, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.call("RequestStopTransaction", {"transactionId": bench.events[0]["transactionInfo"]["transactionId"]})
    bench.event(PhaseChanged(1, Phase.PLUGGED, Cause.SERVICE))
    bench.suspend(1, EnergyFlow.NONE)
    assert bench.summary()[2:] == [  # E02.FR.13
        ("Updated", "ChargingStateChanged", "SuspendedEV"),
        ("Updated", "RemoteStop", "EVConnected"),
    ]


def test_the_cable_is_pulled_while_the_energy_ramps_down(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    bench.unplug(2)
    bench.energy_off(2, Phase.IDLE)
    assert kinds(bench)[-1] == ("Ended", "EVCommunicationLost")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"


def test_an_ended_authorisation_of_an_open_transaction_can_be_given_again(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.card("04FFFFFFFFFFFF", 2)
    assert kinds(bench)[-1][1] != "Authorized"  # C01.FR.23: not by another card
    bench.card(CARD, 2)
    assert kinds(bench)[-1] == ("Updated", "Authorized")  # E09.FR.01
    assert bench.permitted(2)
    bench.energy_on(2)
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"


def test_the_vehicle_ends_the_session_of_a_transaction_that_goes_on(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert ("Updated", "StopAuthorized") in kinds(bench)  # E15.FR.05
    assert all(event["eventType"] != "Ended" for event in bench.events)


def test_energy_transfer_as_stop_point(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EnergyTransfer")
    charge(bench)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert kinds(bench)[-1] == ("Ended", "ChargingStateChanged")  # E06.FR.07
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    assert not bench.permitted(2)


def test_suspension_by_the_vehicle_is_told(bench: StationBench) -> None:
    charge(bench)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "SuspendedEV")  # E01.FR.19
    bench.suspend(2, EnergyFlow.FLOWING)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "Charging")  # E01.FR.18


def test_a_car_that_comes_and_goes_without_a_driver_leaves_no_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "Authorized")
    bench.plug(1)
    bench.unplug(1)
    assert kinds(bench) == [("Started", "CablePluggedIn"), ("Ended", "EVCommunicationLost")]
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"


def test_power_path_closed_is_the_same_as_both_of_its_halves(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "PowerPathClosed")
    bench.plug(1)
    bench.unplug(1)  # never authorised: still not EVConnected (part 2, 2.6.6.2)
    assert kinds(bench)[-1] == ("Ended", "EVCommunicationLost")


def test_unplugging_without_losing_the_authorisation(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "Authorized", StopTxOnEVSideDisconnect="false", EVConnectionTimeOut="30")
    charge(bench)
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    assert bench.summary()[-1] == ("Updated", "EVCommunicationLost", "Idle")
    bench.plug(2)
    bench.energy_on(2)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "Charging")
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    bench.advance(31)
    assert kinds(bench)[-1] == ("Ended", "EVConnectTimeout")  # E10.FR.02


def test_unplugging_ends_the_path_even_if_not_the_authorisation(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "PowerPathClosed", StopTxOnEVSideDisconnect="false")
    charge(bench)
    bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.unplug(2)
    assert kinds(bench)[-1] == ("Ended", "EVCommunicationLost")  # E06.FR.06


def test_a_fault_of_an_unauthorised_transaction_ends_it(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "Authorized")
    bench.plug(1)
    bench.fault(Fault.GROUND_FAULT, 1)
    assert kinds(bench)[-1] == ("Ended", "AbnormalCondition")  # E06.FR.16


# --- the cable is pulled in every phase --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase", [Phase.PLUGGED, Phase.AUTHORISED, Phase.CABLE_CHECK, Phase.PRECHARGE, Phase.CHARGING, Phase.PAUSED]
)
def test_cable_pulled_in_every_phase(bench: StationBench, phase: Phase) -> None:
    bench.card(CARD, 2)
    bench.plug(2)
    if phase in (Phase.CHARGING, Phase.PAUSED):
        bench.energy_on(2)
    bench.phase[2] = phase
    bench.event(PhaseChanged(2, phase, Cause.SEQUENCE))
    bench.unplug(2)
    if phase in (Phase.CHARGING, Phase.PAUSED):
        assert bench.events[-1]["eventType"] == "Updated"  # the final reading is still to come
        bench.energy_off(2, Phase.IDLE, Cause.VEHICLE)
    bench.event(PhaseChanged(2, Phase.IDLE, Cause.DRIVER))
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")  # E09.FR.01
    assert [event["seqNo"] for event in bench.events] == list(range(len(bench.events)))
    assert not bench.permitted(2)


# --- the idToken's second check (E05) ------------------------------------------------------------------------------


def refuse_token(bench: StationBench, status: str = "Blocked") -> None:
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": status}} if "idToken" in request else {}
    )


@pytest.mark.parametrize("stop", ["Authorized", "PowerPathClosed", "EnergyTransfer"])
def test_token_refused_ends_the_transaction(tmp_path: Path, stop: str) -> None:
    bench = full(tmp_path, "Authorized", stop)
    refuse_token(bench)
    bench.card(CARD, 2)
    assert kinds(bench)[-1] == ("Ended", "Deauthorized")  # E05.FR.10
    assert not bench.permitted(2)


def test_token_refused_ends_the_energy_but_not_the_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    refuse_token(bench)
    bench.plug(1)
    bench.card(CARD)
    assert ("Updated", "Deauthorized") in kinds(bench)  # E05.FR.09
    assert bench.summary()[-1][2] == "EVConnected"
    assert not bench.permitted(1)
    bench.unplug(1)
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


def test_token_refused_late_while_energy_flows(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = None
    bench.card(CARD, 2)
    bench.plug(2)
    bench.energy_on(2)
    _, message_id, _, _ = bench.frames[-1]
    bench.answers["TransactionEvent"] = {}
    bench.frame(json.dumps([3, message_id, {"idTokenInfo": {"status": "Invalid"}}]))
    assert not bench.permitted(2)
    bench.energy_off(2)
    assert kinds(bench)[-1] == ("Ended", "Deauthorized")


def test_token_refused_after_the_driver_had_stopped_changes_nothing(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = None
    bench.card(CARD, 2)
    _, message_id, _, _ = bench.frames[-1]
    bench.card(CARD, 2)
    bench.answers["TransactionEvent"] = {}
    bench.frame(json.dumps([3, message_id, {"idTokenInfo": {"status": "Invalid"}}]))
    assert kinds(bench) == [("Started", "Authorized"), ("Ended", "StopAuthorized")]


def test_energy_is_held_back_at_once_without_a_limit(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("TxCtrlr", "StopTxOnInvalidId"): "false"})
    bench.up()
    refuse_token(bench)
    charge(bench)
    assert bench.limits[2] == 0.0
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_STATION)
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "SuspendedEVSE")  # E05.FR.02
    bench.restart_service()
    bench.limits[2] = None
    bench.up()
    assert bench.limits[2] == 0.0
    bench.card(CARD, 2)
    bench.energy_off(2)
    assert bench.limits[2] is None


# --- restarts while something is under way ---------------------------------------------------------------------------


def test_a_stop_survives_a_restart_of_the_service(bench: StationBench) -> None:
    charge(bench)
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    assert not bench.permitted(2)
    bench.energy_off(2)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert bench.events[-1]["idToken"]["idToken"] == CARD


def test_stopped_after_a_restart_of_the_service_in_the_cable_check(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.plug(2)
    bench.phase[2] = Phase.CABLE_CHECK
    bench.event(PhaseChanged(2, Phase.CABLE_CHECK, Cause.VEHICLE))
    bench.restart_service()
    bench.up()
    bench.card(CARD, 2)
    for phase in (Phase.STOPPING, Phase.FINISHED):
        bench.phase[2] = phase
        bench.event(PhaseChanged(2, phase, Cause.SERVICE))
    told_of_the_stop(bench)


def test_a_restart_of_the_service_while_the_vehicle_ends_the_charge(tmp_path: Path) -> None:
    """The final reading is waited for, and the HAL says why (E06.FR.07)."""
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStopPoint"): "EnergyTransfer"})
    bench.up()
    charge(bench)
    bench.die()
    bench.flow[2], bench.phase[2] = EnergyFlow.NONE, Phase.STOPPING
    bench.restart_service()
    bench.up()
    assert bench.events[-1]["eventType"] == "Updated"
    bench.registers[2] += 500.0
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    value = bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"]
    assert value == bench.registers[2]


def test_a_power_cut_after_the_clock_was_set_back(bench: StationBench) -> None:
    charge(bench)
    bench.advance(60)
    behind = {"currentTime": format_utc(bench.clock.utc() - 86_400.0)}
    bench.answers["Heartbeat"] = behind
    bench.answers["BootNotification"] = {"status": "Accepted", "interval": 60, **behind}
    bench.advance(300)
    told = bench.events[-1]["timestamp"]
    assert told < bench.events[0]["timestamp"]
    bench.power_cut()
    bench.up()
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["timestamp"] == told, "not by the clock that was wrong"


@pytest.mark.parametrize(
    ("dies", "returns"),
    [(StationBench.power_cut, StationBench.up), (StationBench.hal_dies, StationBench.hal_up)],
    ids=["power", "HAL"],
)
def test_power_or_hal_lost_after_the_driver_had_stopped(
    bench: StationBench, dies: Callable[[StationBench], None], returns: Callable[[StationBench], None]
) -> None:
    charge(bench)
    bench.card(CARD, 2)
    dies(bench)
    returns(bench)
    told_of_the_stop(bench)


def told_of_the_stop(bench: StationBench) -> None:
    """E07.FR.02, whatever kept the station from seeing the energy end."""
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"
    assert bench.events[-1]["idToken"]["idToken"] == CARD


def test_stopped_and_plugged_in_while_the_hal_was_lost(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.hal_down()
    bench.card(CARD, 2)
    bench.plug(2)
    bench.energy_on(2)
    bench.hal_up()
    bench.energy_off(2)
    told_of_the_stop(bench)


def test_energy_that_flowed_while_the_hal_was_lost_starts_the_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EnergyTransfer", "EnergyTransfer")
    bench.plug(2)
    bench.card(CARD, 2)
    bench.hal_down()
    bench.energy_on(2)
    bench.hal_up()
    assert bench.summary() == [("Started", "ChargingStateChanged", "Charging")]  # E01.FR.06


def test_no_change_is_told_that_nobody_has_seen(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "2"})
    bench.up()
    charge(bench)
    bench.hal_down()
    bench.advance(3)
    bench.hal_up()
    assert bench.summary()[-1] == ("Updated", "MeterValuePeriodic", "Charging")


def test_stopped_from_afar_while_the_hal_was_lost(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(2)
    bench.card(CARD, 2)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.hal_down()
    bench.call("RequestStopTransaction", {"transactionId": bench.events[0]["transactionInfo"]["transactionId"]})
    told = [state for _, _, state in bench.summary()[2:]]
    assert told == ["SuspendedEV", "EVConnected"]  # F03.FR.02


def test_token_refused_while_the_hal_was_lost(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("TxCtrlr", "StopTxOnInvalidId"): "false"})
    bench.up()
    charge(bench)
    bench.hal_down()
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.call("TriggerMessage", {"requestedMessage": "TransactionEvent"})
    assert bench.summary()[-1] == ("Updated", "Trigger", "Charging")
    bench.hal_up()
    assert bench.limits[2] == 0.0  # E05.FR.02
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_STATION)
    assert bench.summary()[-2:] == [
        ("Updated", "Trigger", "Charging"),
        ("Updated", "ChargingStateChanged", "SuspendedEVSE"),
    ]


@pytest.mark.parametrize("restart", [False, True])
def test_what_the_hal_tells_late_is_not_dated_before_what_was_told(tmp_path: Path, *, restart: bool) -> None:
    intervals = {"TxUpdatedInterval": "10", "TxEndedInterval": "11"}
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", name): value for name, value in intervals.items()})
    bench.up()
    bench.card(CARD, 2)
    bench.hal_down()
    bench.plug(2)
    bench.unplug(2)
    bench.advance(12)
    if restart:
        bench.restart_service()
        bench.link_up()
    bench.hal_up()
    assert kinds(bench)[-3:] == [
        ("Updated", "MeterValuePeriodic"),
        ("Updated", "CablePluggedIn"),
        ("Ended", "EVCommunicationLost"),
    ]
    stamps = [event["timestamp"] for event in bench.events]
    assert stamps == sorted(stamps)
    stamps = [value["timestamp"] for value in bench.events[-1]["meterValue"]]
    assert len(stamps) == 3
    assert stamps == sorted(stamps)


def test_no_limit_outlives_the_transaction_that_ended_while_the_hal_was_lost(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("TxCtrlr", "StopTxOnInvalidId"): "false"})
    bench.up()
    refuse_token(bench)
    charge(bench)
    assert bench.limits[2] == 0.0  # E05.FR.02
    bench.hal_down()
    bench.advance(6)
    assert bench.events[-1]["eventType"] == "Ended"
    bench.hal_up()
    assert bench.limits[2] is None


def test_the_connection_time_out_survives_a_restart_of_the_service(bench: StationBench) -> None:
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    bench.advance(61)
    assert kinds(bench)[-1] == ("Ended", "EVConnectTimeout")  # E03.FR.05


def test_a_fault_that_came_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.fault(Fault.EMERGENCY_STOP)
    bench.energy_off(2, Phase.FAULTED, Cause.FAULT)
    bench.restart_service()
    bench.up()
    assert kinds(bench)[-1] == ("Ended", "AbnormalCondition")  # E06.FR.16
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EmergencyStop"


def test_a_card_shown_while_the_service_was_away(bench: StationBench) -> None:
    charge(bench)
    bench.die()
    bench.card(CARD, 2)
    bench.restart_service()
    bench.up()
    bench.energy_off(2)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.kept == []


def test_a_lost_hal_is_told_again_to_stop_when_the_transaction_is_over(bench: StationBench) -> None:
    charge(bench)
    bench.hal_down()
    bench.advance(6)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.held[2] is not None
    bench.hal_up()
    assert bench.held[2] is None


@pytest.mark.parametrize("instant", ["before the commit", "before sending", "after sending"])
def test_killed_within_the_unit_that_ends_a_transaction(bench: StationBench, instant: Instant) -> None:
    charge(bench)
    bench.card(CARD, 2)
    bench.dies = instant
    bench.energy_off(2)
    bench.restart_service()
    bench.up()
    seen: dict[int, Any] = {}
    for event in bench.events:
        bare = {key: value for key, value in event.items() if key != "offline"}
        assert seen.setdefault(event["seqNo"], bare) == bare
    assert sorted(seen) == list(range(len(seen)))
    assert [event["eventType"] for event in seen.values()].count("Ended") == 1


def test_a_shorter_interval_between_attempts_holds_at_once(bench: StationBench) -> None:
    """Else a day's wait that was set by mistake would hold up every later transaction."""
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


def test_killed_before_the_hal_was_told_that_the_authorisation_ended(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "EVConnected")
    bench.plug(1)
    bench.card(CARD, 1)
    bench.dies = "before sending"
    bench.card(CARD)
    assert bench.permitted(1)
    bench.restart_service()
    bench.up()
    assert kinds(bench)[-1] == ("Updated", "StopAuthorized")
    assert not bench.permitted(1)


# --- meter values ----------------------------------------------------------------------------------------------------


def test_values_are_sampled_for_the_end(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxEndedInterval"): "10"})
    bench.up()
    charge(bench)
    for _ in range(3):
        bench.advance(10)
        bench.deliver(2, 100.0)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = [value["sampledValue"][0] for value in bench.events[-1]["meterValue"]]
    assert [value["context"] for value in values] == ["Transaction.Begin", *["Sample.Periodic"] * 3, "Transaction.End"]
    assert [value["value"] for value in values] == sorted(value["value"] for value in values)  # J02.FR.16


def test_values_for_the_end_are_thinned_not_cut(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxEndedInterval"): "1"})
    bench.up()
    charge(bench)
    for _ in range(400):
        bench.advance(1)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = bench.events[-1]["meterValue"]
    assert len(values) == 101
    contexts = [value["sampledValue"][0]["context"] for value in values]
    assert (contexts[0], contexts[-1]) == ("Transaction.Begin", "Transaction.End")  # E06.FR.13, J02.FR.20
    stamps = [parse_utc(value["timestamp"]) for value in values]
    gaps = [later - earlier for earlier, later in itertools.pairwise(stamps)]
    assert all(0 <= gap <= 9 for gap in gaps), "no part of the transaction is told less than another"


@pytest.mark.parametrize(("interval", "samples"), [("60", 10), ("20", 28)])
def test_an_interval_that_is_set_again_goes_on(tmp_path: Path, interval: str, samples: int) -> None:
    """J02.FR.11: another interval begins afresh."""
    bench = StationBench(tmp_path, variables={("SampledDataCtrlr", "TxUpdatedInterval"): "60"})
    bench.up()
    charge(bench)
    before = len(bench.events)
    for _ in range(20):
        bench.advance(30)
        bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedInterval", interval))
    assert len(bench.events) - before == samples


def test_clock_aligned_values_for_the_end(tmp_path: Path) -> None:
    bench = StationBench(
        tmp_path,
        variables={
            ("AlignedDataCtrlr", "TxEndedInterval"): "30",
            ("SampledDataCtrlr", "TxEndedMeasurands"): "",
        },
    )
    bench.up()
    charge(bench)
    bench.advance(95)
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = bench.events[-1]["meterValue"]
    assert {value["sampledValue"][0]["context"] for value in values} == {"Sample.Clock"}  # part 2, 2.7.15
    stamps = [parse_utc(value["timestamp"]) for value in values]
    assert len(stamps) == 3
    assert all(stamp % 30 == 0 for stamp in stamps)


def test_a_meter_that_falls_back_is_not_believed(bench: StationBench) -> None:
    charge(bench)
    bench.deliver(2, 500.0)
    bench.advance(60)
    bench.registers[2] = 10.0
    bench.event(bench.reading(2))
    bench.card(CARD, 2)
    bench.energy_off(2)
    values = [
        sample["value"]
        for event in bench.events
        for value in event.get("meterValue", [])
        for sample in value["sampledValue"]
    ]
    assert min(values) == 2000.0  # J02.FR.16
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == 2500.0


# --- an unknown clock ----------------------------------------------------------------------------------------------


def test_a_power_cut_that_lost_the_clock_is_dated_with_what_was_known(bench: StationBench) -> None:
    charge(bench)
    bench.advance(60)
    last = bench.events[-1]["timestamp"]
    bench.clock_set = False
    bench.power_cut()
    bench.up()
    ended = bench.events[-1]
    assert ended["eventType"] == "Ended"
    assert ended["timestamp"] == last
    assert ended["meterValue"][-1]["timestamp"] == last
