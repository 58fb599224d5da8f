# SPDX-License-Identifier: Apache-2.0
"""E05: the CSMS does not accept the token of a running transaction."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware.contract import EnergyFlow, SetLimit
from services.ocpp.transactions.recovery import HAL_ABSENCE_S
from tests.support.station_bench import StationBench, charge
from tests.support.transactions import CARD, full, kinds, refuse_token


def test_token_refused_in_the_event_ends_the_transaction(bench: StationBench) -> None:
    refuse_token(bench, "Invalid")
    bench.card(CARD, 2)
    assert bench.summary()[-1][:2] == ("Ended", "Deauthorized")  # E05.FR.10
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


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


@pytest.mark.parametrize("event", ["MeterValuePeriodic", "ChargingStateChanged"])
def test_the_csms_may_refuse_the_token_in_answer_to_any_event(tmp_path: Path, event: str) -> None:
    bench = full(tmp_path)
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Expired"}} if request["triggerReason"] == event else {}
    )
    charge(bench)
    bench.advance(61)
    assert not bench.permitted(2)
    bench.energy_off(2)
    assert bench.summary()[-1][:2] == ("Ended", "Deauthorized")  # E05.FR.10; part 2, 2.6.8
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"


def test_a_refusal_in_a_transaction_without_a_token_changes_nothing(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStartPoint="EVConnected", TxStopPoint="EVConnected")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Invalid"}}
    bench.plug(1)
    assert bench.summary() == [("Started", "CablePluggedIn", "EVConnected")]


# --- StopTxOnInvalidId is false --------------------------------------------------------------------------------------


def test_a_refused_token_may_charge_up_to_the_limit(tmp_path: Path) -> None:
    bench = StationBench(
        tmp_path,
        variables={("TxCtrlr", "StopTxOnInvalidId"): "false", ("TxCtrlr", "MaxEnergyOnInvalidId"): "300"},
    )
    bench.up()
    refuse_token(bench)
    charge(bench)
    bench.deliver(2, 299.0)
    assert SetLimit(2, 0.0) not in bench.commands  # E05.FR.03
    bench.deliver(2, 2.0)
    assert SetLimit(2, 0.0) in bench.commands  # E05.FR.02


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


def test_a_token_that_is_refused_before_energy_flows_closes_no_contactor(tmp_path: Path) -> None:
    bench = full(tmp_path, StopTxOnInvalidId="false")
    refuse_token(bench, "ConcurrentTx")
    bench.card(CARD, 2)
    bench.plug(2)
    reported = [
        ("Started", "Authorized", "Idle"),
        ("Updated", "CablePluggedIn", "EVConnected"),
        ("Updated", "ChargingStateChanged", "SuspendedEVSE"),  # E05.FR.02
    ]
    assert bench.summary() == reported
    bench.advance(20)
    assert not bench.permitted(2)
    bench.restart_service()
    bench.up()
    assert not bench.permitted(2)
    assert bench.summary() == reported
    bench.card(CARD, 2)
    assert bench.summary()[3:] == [("Ended", "StopAuthorized", "EVConnected")]
    assert bench.limits[2] is None


def test_energy_is_held_back_again_when_the_cable_comes_back(tmp_path: Path) -> None:
    bench = full(tmp_path, StopTxOnInvalidId="false", StopTxOnEVSideDisconnect="false")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.card(CARD, 2)
    for _ in range(2):
        bench.plug(2)
        bench.unplug(2)
    assert [state for _, _, state in bench.summary()] == ["Idle", *["EVConnected", "SuspendedEVSE", "Idle"] * 2]
    assert not bench.permitted(2)


def test_energy_held_back_because_of_the_token_flows_again_once_it_is_accepted_again(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected", StopTxOnInvalidId="false")
    refuse_token(bench)
    charge(bench)
    assert bench.limits[2] == 0.0  # E05.FR.02
    bench.answers["TransactionEvent"] = {}
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.card(CARD, 2)
    assert bench.permitted(2)
    assert bench.limits[2] is None


def test_holding_energy_back_ends_a_transaction_that_ends_with_energy(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EnergyTransfer", StopTxOnInvalidId="false", MaxEnergyOnInvalidId="100")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "NoCredit"}}
    charge(bench)
    bench.deliver(2, 101.0)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_STATION)
    bench.energy_off(2)
    assert bench.summary()[-1] == ("Ended", "ChargingStateChanged", "EVConnected")  # E05.FR.02, E06.FR.07
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"
    assert bench.limits[2] is None


# --- the HAL is lost meanwhile ---------------------------------------------------------------------------------------


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


def test_no_limit_outlives_the_transaction_that_ended_while_the_hal_was_lost(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("TxCtrlr", "StopTxOnInvalidId"): "false"})
    bench.up()
    refuse_token(bench)
    charge(bench)
    assert bench.limits[2] == 0.0  # E05.FR.02
    bench.hal_down()
    bench.advance(HAL_ABSENCE_S + 1)
    assert bench.events[-1]["eventType"] == "Ended"
    bench.hal_up()
    assert bench.limits[2] is None
