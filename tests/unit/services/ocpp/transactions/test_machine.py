# SPDX-License-Identifier: Apache-2.0
"""What ends a session, and that the energy stops first."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import Cause, EnergyFlow, Fault, FaultRaised, Phase, PhaseChanged, Withdraw
from tests.support.station_bench import StationBench, charge
from tests.support.transactions import CARD, full, kinds


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


def test_what_ends_with_energy_ends_with_the_final_reading(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EnergyTransfer")
    charge(bench)
    bench.registers[2] += 42.0
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert bench.summary()[-1][:2] == ("Ended", "StopAuthorized")  # E15.FR.04
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    assert final_register(bench) == 2042.0


def test_the_cable_is_pulled_while_the_energy_ramps_down(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    bench.unplug(2)
    bench.energy_off(2, Phase.IDLE)
    assert kinds(bench)[-1] == ("Ended", "EVCommunicationLost")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"


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


@pytest.mark.parametrize(("energy", "states"), [(True, ["Charging", "EVConnected"]), (False, ["EVConnected"])])
def test_the_end_of_the_authorisation_and_of_the_energy_are_reported_apart(
    tmp_path: Path, energy: bool, states: list[str]
) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected")
    bench.card(CARD, 2)
    bench.plug(2)
    if energy:
        bench.energy_on(2)
    before = len(bench.events)
    bench.card(CARD, 2)
    if energy:
        bench.energy_off(2)
    assert [state for _, _, state in bench.summary()[before:]] == states  # E02.FR.13, E07.FR.02
    assert bench.shown[2].page.value == "finished"
    bench.restart_service()
    bench.up()
    bench.unplug(2)
    assert bench.summary()[-1] == ("Ended", "EVCommunicationLost", "Idle")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"


# --- what ends it ----------------------------------------------------------------------------------------------------


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


def test_a_fault_after_the_driver_had_stopped_is_not_the_reason(tmp_path: Path) -> None:
    bench = full(tmp_path, TxStopPoint="EVConnected")
    charge(bench)
    bench.card(CARD, 2)
    bench.energy_off(2)
    bench.fault(Fault.GROUND_FAULT, 2)
    bench.unplug(2)
    assert bench.events[-1]["eventType"] == "Ended"
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"  # part 2, 2.48: what initiated the stopping


@pytest.mark.parametrize("away", [False, True])
def test_a_transaction_without_its_meter_ends_whatever_its_stop_points_are(tmp_path: Path, away: bool) -> None:
    """What flows later is measured by another register (J02.FR.16, E06.FR.16); also if the service was away."""
    bench = full(tmp_path, start="EVConnected", stop="EVConnected")
    first = charge(bench)
    bench.deliver(2, 500.0)
    if away:
        bench.die()
    bench.fault(Fault.METER, 2)
    bench.energy_off(2, Phase.FAULTED)
    if away:
        bench.restart_service()
        bench.up()
    ended = bench.events[-1]
    assert (ended["eventType"], ended["triggerReason"]) == ("Ended", "AbnormalCondition")
    assert ended["transactionInfo"] == {
        "transactionId": first,
        "chargingState": "EVConnected",
        "stoppedReason": "Other",
    }
    assert ended["meterValue"][-1]["sampledValue"][0]["value"] == 2500.0  # E06.FR.11
    bench.registers[2] = 7.0
    bench.event(bench.reading(2))
    bench.clear_fault(Fault.METER, 2)
    bench.card(CARD, 2)
    bench.energy_on(2)
    begun = bench.events[-2]
    assert begun["transactionInfo"]["transactionId"] != first
    assert begun["meterValue"][0]["sampledValue"][0]["value"] == 7.0  # J02.FR.17
