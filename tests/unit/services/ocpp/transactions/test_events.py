# SPDX-License-Identifier: Apache-2.0
"""TransactionEvents as a row: their order in time, and what the CSMS says in answer to any of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.clock import parse_utc
from firmware.contract import Cause, EnergyFlow, EnergyFlowChanged, Fault, Phase, Stamped
from tests.support.station_bench import StationBench, charge

CARD = "04A1B2C3D4E580"


def full(path: Path, **tx: str) -> StationBench:
    bench = StationBench(path, product_name="full", variables={("TxCtrlr", name): value for name, value in tx.items()})
    bench.up()
    return bench


def test_what_the_hal_tells_late_is_not_dated_before_what_was_told(tmp_path: Path) -> None:
    bench = full(tmp_path)
    charge(bench)
    seen = bench.clock.monotonic() + 59.9
    bench.advance(61)  # a periodic sample overtakes
    assert bench.events[-1]["triggerReason"] == "MeterValuePeriodic"
    late = Stamped(1000, seen, bench.clock.utc() - 1.1, EnergyFlowChanged(2, EnergyFlow.SUSPENDED_BY_VEHICLE))
    bench.handle(lambda now: bench.station.on_hal_event(late, now))
    assert bench.summary()[-1][1:] == ("ChargingStateChanged", "SuspendedEV")
    stamps = [parse_utc(event["timestamp"]) for event in bench.events]
    assert stamps == sorted(stamps)


@pytest.mark.parametrize("event", ["MeterValuePeriodic", "ChargingStateChanged"])
def test_the_csms_may_withdraw_the_token_in_answer_to_any_event(tmp_path: Path, event: str) -> None:
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


def test_a_word_about_the_token_of_a_transaction_without_one_is_nothing(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStartPoint="EVConnected", TxStopPoint="EVConnected")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Invalid"}}
    bench.plug(1)
    assert bench.summary() == [("Started", "CablePluggedIn", "EVConnected")]


def test_a_token_that_is_refused_before_energy_flows_closes_no_contactor(tmp_path: Path) -> None:
    bench = full(tmp_path, StopTxOnInvalidId="false")
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "ConcurrentTx"}} if "idToken" in request else {}
    )
    bench.card(CARD, 2)
    bench.plug(2)
    told = [
        ("Started", "Authorized", "Idle"),
        ("Updated", "CablePluggedIn", "EVConnected"),
        ("Updated", "ChargingStateChanged", "SuspendedEVSE"),  # E05.FR.02
    ]
    assert bench.summary() == told
    bench.advance(20)
    assert not bench.permitted(2)
    bench.restart_service()
    bench.up()
    assert not bench.permitted(2)
    assert bench.summary() == told
    bench.card(CARD, 2)
    assert bench.summary()[3:] == [("Ended", "StopAuthorized", "EVConnected")]
    assert bench.limits[2] is None


def test_a_token_that_is_refused_is_refused_again_when_the_cable_comes_back(tmp_path: Path) -> None:
    bench = full(tmp_path, StopTxOnInvalidId="false", StopTxOnEVSideDisconnect="false")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "Blocked"}}
    bench.card(CARD, 2)
    for _ in range(2):
        bench.plug(2)
        bench.unplug(2)
    assert [state for _, _, state in bench.summary()] == ["Idle", *["EVConnected", "SuspendedEVSE", "Idle"] * 2]
    assert not bench.permitted(2)


@pytest.mark.parametrize(("energy", "states"), [(True, ["Charging", "EVConnected"]), (False, ["EVConnected"])])
def test_the_end_of_the_authorisation_and_of_the_energy_are_told_when_they_are(
    tmp_path: Path, energy: bool, states: list[str]
) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected")
    bench.card(CARD, 2)
    bench.plug(2)
    if energy:
        bench.energy_on(2)
    told = len(bench.events)
    bench.card(CARD, 2)
    if energy:
        bench.energy_off(2)
    assert [state for _, _, state in bench.summary()[told:]] == states  # E02.FR.13, E07.FR.02
    assert bench.shown[2][0] == "finished"
    bench.restart_service()
    bench.up()
    bench.unplug(2)
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"


def test_energy_held_back_because_of_the_token_flows_again_when_it_is_accepted_anew(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected", StopTxOnInvalidId="false")
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Blocked"}} if "idToken" in request else {}
    )
    charge(bench)
    assert bench.limits[2] == 0.0  # E05.FR.02
    bench.answers["TransactionEvent"] = {}
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.card(CARD, 2)
    assert bench.permitted(2)
    assert bench.limits[2] is None


def test_energy_held_back_because_of_the_token_ends_what_ends_with_energy(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EnergyTransfer", StopTxOnInvalidId="false", MaxEnergyOnInvalidId="100")
    bench.answers["TransactionEvent"] = {"idTokenInfo": {"status": "NoCredit"}}
    charge(bench)
    bench.deliver(2, 101.0)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_STATION)
    assert bench.summary()[-1][:2] == ("Ended", "ChargingStateChanged")  # E05.FR.02, E06.FR.07
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "DeAuthorized"
    assert bench.limits[2] is None


# --- the final reading, and the reason that was first --------------------------------------------------------------


def final_register(bench: StationBench) -> float:
    value: float = bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"]
    return value


@pytest.mark.parametrize("stop", ["EVConnected", "PowerPathClosed", "EnergyTransfer"])
def test_a_cable_pulled_under_load_ends_with_the_final_reading(tmp_path: Path, stop: str) -> None:
    bench = full(tmp_path, TxStopPoint=stop, StopTxOnEVSideDisconnect="false")
    charge(bench)
    bench.unplug(2)
    assert bench.events[-1]["eventType"] == "Updated"
    bench.registers[2] += 42.0
    bench.energy_off(2, Phase.IDLE)
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")  # E06.FR.02, E06.FR.06, E06.FR.07
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"
    assert final_register(bench) == 2042.0  # E06.FR.11
    assert not bench.permitted(2)
    bench.plug(2)
    assert [event["eventType"] for event in bench.events].count("Ended") == 1


def test_the_vehicle_ends_what_ends_with_energy_and_the_final_reading_is_told(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EnergyTransfer")
    charge(bench)
    bench.registers[2] += 42.0
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert bench.summary()[-1][:2] == ("Ended", "StopAuthorized")  # E15.FR.04
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    assert final_register(bench) == 2042.0


def test_a_fault_after_the_driver_had_stopped_is_not_why_it_ended(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.fault(Fault.GROUND_FAULT, 2)
    bench.unplug(2)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"  # part 2, 2.48: what initiated the stopping
