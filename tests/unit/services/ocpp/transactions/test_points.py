# SPDX-License-Identifier: Apache-2.0
"""Where transactions start and stop (E01, E06), on the product that has all start and stop points."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import Cause, EnergyFlow, Fault, Phase
from tests.support.station_bench import charge
from tests.support.transactions import CARD, full, kinds


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


# --- where a transaction stops ---------------------------------------------------------------------------------------


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


def test_energy_transfer_as_stop_point(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EnergyTransfer")
    charge(bench)
    bench.suspend(2, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert not bench.permitted(2)
    assert bench.events[-1]["eventType"] == "Updated"
    bench.registers[2] += 1.0
    bench.energy_off(2)
    # E06.FR.07, TC_E_22_CS with erratum 6.2.50: the Ended event goes with EVConnected, SuspendedEV only with Updated
    assert bench.summary()[-2:] == [
        ("Updated", "ChargingStateChanged", "Charging"),
        ("Ended", "ChargingStateChanged", "EVConnected"),
    ]
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "StoppedByEV"
    assert bench.events[-1]["meterValue"][-1]["sampledValue"][0]["value"] == bench.registers[2]


def test_power_path_closed_is_the_same_as_both_of_its_halves(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "PowerPathClosed")
    bench.plug(1)
    bench.unplug(1)  # never authorised: still not EVConnected (part 2, 2.6.6.2)
    assert kinds(bench)[-1] == ("Ended", "EVCommunicationLost")


def test_a_car_that_comes_and_goes_without_a_driver_leaves_no_transaction(tmp_path: Path) -> None:
    bench = full(tmp_path, "EVConnected", "Authorized")
    bench.plug(1)
    bench.unplug(1)
    assert kinds(bench) == [("Started", "CablePluggedIn"), ("Ended", "EVCommunicationLost")]
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "EVDisconnected"


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


# --- a transaction that outlasts its authorisation -------------------------------------------------------------------


def test_a_transaction_outlasts_its_authorisation_until_the_cable_is_out(tmp_path: Path) -> None:
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


def test_the_vehicle_ends_the_energy_of_a_transaction_that_continues(tmp_path: Path) -> None:
    bench = full(tmp_path, "Authorized", "EVConnected")
    charge(bench)
    bench.energy_off(2, Phase.FINISHED, Cause.VEHICLE)
    assert ("Updated", "StopAuthorized") in kinds(bench)  # E15.FR.05
    assert all(event["eventType"] != "Ended" for event in bench.events)
