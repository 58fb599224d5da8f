# SPDX-License-Identifier: Apache-2.0
"""Block G, driven through the whole station: connector status, availability, heartbeat."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc
from firmware.contract import Fault
from services.ocpp.device_model import keys
from tests.support.station_bench import StationBench, set_variables

CARD = "04A1B2C3D4E580"


def reported(bench: StationBench) -> list[tuple[int, str]]:
    """(EVSE, status) of each StatusNotification since the last call."""
    requests = [payload for action, payload in bench.requests if action == "StatusNotification"]
    bench.requests.clear()
    return [(request["evseId"], request["connectorStatus"]) for request in requests]


def status(bench: StationBench, evse: int) -> str:
    return bench.context.hal.evses[evse].status


def change(bench: StationBench, status: str, evse: int | None = None, connector: int | None = None) -> str:
    request: dict[str, Any] = {"operationalStatus": status}
    if evse is not None:
        request["evse"] = {"id": evse} if connector is None else {"id": evse, "connectorId": connector}
    return str(bench.call("ChangeAvailability", request)["status"])


# --- G01 ------------------------------------------------------------------------------------------------------------


def test_after_a_boot_every_connector_is_reported(bench: StationBench) -> None:
    assert reported(bench) == [(1, "Available"), (2, "Available")]  # B01.FR.05


def test_a_status_that_the_csms_refuses_is_not_repeated_at_once(bench: StationBench) -> None:
    reported(bench)
    bench.answers["StatusNotification"] = "InternalError"
    bench.plug(1)
    bench.plug(2)
    bench.unplug(2)
    assert reported(bench) == [(1, "Occupied"), (2, "Occupied"), (2, "Available")]


def test_a_status_that_is_not_answered_is_repeated(bench: StationBench) -> None:
    """MessageTimeout is 30 s. The link is up, and without a repetition the CSMS would never know of the vehicle."""
    reported(bench)
    bench.answers["StatusNotification"] = None
    bench.plug(1)
    bench.advance(59)
    assert reported(bench) == [(1, "Occupied")]
    del bench.answers["StatusNotification"]
    bench.advance(2)
    assert reported(bench) == [(1, "Occupied")]
    bench.advance(3600)
    assert (1, "Occupied") not in reported(bench), "it was answered"


def test_an_unanswered_status_is_not_repeated_for_ever(bench: StationBench) -> None:
    bench.answers["StatusNotification"] = bench.answers["Heartbeat"] = None
    reported(bench)
    bench.plug(1)
    bench.advance(86_400)
    assert reported(bench).count((1, "Occupied")) == 6
    bench.unplug(1)
    bench.advance(86_400)
    assert reported(bench).count((1, "Available")) == 6, "a new status is tried as often"


def test_only_the_newest_status_is_repeated(bench: StationBench) -> None:
    reported(bench)
    bench.answers["StatusNotification"] = lambda request: None if request["connectorStatus"] == "Occupied" else {}
    bench.plug(1)
    bench.unplug(1)  # waits behind the other
    bench.advance(30)
    assert reported(bench) == [(1, "Occupied"), (1, "Available")]
    bench.advance(3600)
    assert (1, "Available") not in reported(bench), "it was answered"


def test_a_lost_link_ends_the_repetitions(bench: StationBench) -> None:
    bench.answers["StatusNotification"] = None
    bench.plug(1)
    bench.advance(31)
    bench.link_down()
    del bench.answers["StatusNotification"]
    bench.link_up()
    reported(bench)
    bench.advance(3600)
    assert reported(bench) == []


def test_a_vehicle_comes_and_goes(bench: StationBench) -> None:
    reported(bench)
    bench.plug(1)
    assert reported(bench) == [(1, "Occupied")]  # G01.FR.03, E02.FR.05
    bench.unplug(1)
    assert reported(bench) == [(1, "Available")]  # G01.FR.04


def test_the_status_is_reported_before_the_transaction_event(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.requests.clear()
    bench.plug(1)
    assert [action for action, _ in bench.requests] == ["StatusNotification", "TransactionEvent"]


def test_a_fault_and_its_end(bench: StationBench) -> None:
    reported(bench)
    bench.fault(Fault.GROUND_FAULT, 2)
    assert reported(bench) == [(2, "Faulted")]
    bench.plug(2)
    assert reported(bench) == []
    bench.clear_fault(Fault.GROUND_FAULT, 2)
    assert reported(bench) == [(2, "Occupied")]


def test_a_fault_of_the_station_affects_each_connector(bench: StationBench) -> None:
    reported(bench)
    bench.fault(Fault.EMERGENCY_STOP)
    assert reported(bench) == [(1, "Faulted"), (2, "Faulted")]
    bench.clear_fault(Fault.EMERGENCY_STOP)
    assert reported(bench) == [(1, "Available"), (2, "Available")]


@pytest.mark.parametrize("fault", [Fault.CARD_READER, Fault.SCREEN])
def test_a_harmless_fault_changes_no_status(bench: StationBench, fault: Fault) -> None:
    reported(bench)
    bench.fault(fault)
    assert reported(bench) == []


def test_the_device_model_has_the_same_status(bench: StationBench) -> None:
    bench.plug(1)
    model = bench.context.model
    assert model.get(keys.CONNECTOR_AVAILABILITY_STATE, evse=1, connector=1) == "Occupied"
    assert model.get(keys.AVAILABILITY_STATE, evse=1) == "Occupied"
    assert model.get(keys.AVAILABILITY_STATE, evse=2) == "Available"


def test_a_failed_notification_is_repeated_at_the_next_connection(bench: StationBench) -> None:
    bench.answers["StatusNotification"] = "InternalError"
    bench.plug(1)
    del bench.answers["StatusNotification"]
    reported(bench)
    bench.link_down()
    bench.link_up()
    assert (1, "Occupied") in reported(bench)


# --- B04 ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offline_s", "expected"),
    [
        (61, [(1, "Available"), (2, "Occupied")]),  # B04.FR.01
        (59, [(2, "Occupied")]),  # B04.FR.02
    ],
)
def test_after_an_outage(bench: StationBench, offline_s: float, expected: list[tuple[int, str]]) -> None:
    reported(bench)
    bench.link_down()
    bench.plug(2)
    bench.advance(offline_s)
    bench.link_up()
    assert reported(bench) == expected


def test_a_change_during_a_short_outage_is_reported_even_if_reverted(bench: StationBench) -> None:
    reported(bench)
    bench.link_down()
    bench.plug(2)
    bench.unplug(2)
    bench.advance(10)
    bench.link_up()
    assert reported(bench) == [(2, "Available")]  # B04.FR.02
    bench.link_down()
    bench.link_up()
    assert reported(bench) == []


def test_a_heartbeat_follows_an_outage(bench: StationBench) -> None:
    bench.requests.clear()
    bench.link_down()
    bench.plug(2)
    bench.link_up()
    assert [action for action, _ in bench.requests] == ["StatusNotification", "Heartbeat"]  # B04, steps 4 and 5
    assert heartbeats(bench, 59) == 0
    assert heartbeats(bench, 2) == 1


# --- G03, G04 -------------------------------------------------------------------------------------------------------

LEVELS = [(None, None), (1, None), (1, 1)]


@pytest.mark.parametrize(("evse", "connector"), LEVELS)
def test_out_of_service_and_back(bench: StationBench, evse: int | None, connector: int | None) -> None:
    reported(bench)
    everywhere = [1, 2] if evse is None else [1]
    assert change(bench, "Inoperative", evse, connector) == "Accepted"
    assert reported(bench) == [
        (each, "Unavailable") for each in everywhere
    ]  # G03.FR.04, G03.FR.06, G04.FR.05, G04.FR.07
    assert change(bench, "Inoperative", evse, connector) == "Accepted"  # G03.FR.03, G04.FR.04
    reported(bench)
    assert change(bench, "Operative", evse, connector) == "Accepted"
    assert reported(bench) == [(each, "Available") for each in everywhere]  # G03.FR.07, G04.FR.08
    assert change(bench, "Operative", evse, connector) == "Accepted"


@pytest.mark.parametrize(("evse", "connector"), LEVELS)
def test_out_of_service_survives_a_power_cut(bench: StationBench, evse: int | None, connector: int | None) -> None:
    change(bench, "Inoperative", evse, connector)
    bench.power_cut()
    reported(bench)
    bench.up()
    expected = [(1, "Unavailable"), (2, "Unavailable" if evse is None else "Available")]
    assert reported(bench) == expected  # B01.FR.07, G01.FR.02, G03.FR.08, G04.FR.09
    change(bench, "Operative", evse, connector)
    bench.power_cut()
    bench.requests.clear()
    bench.up()
    assert reported(bench) == [(1, "Available"), (2, "Available")]


def test_the_levels_are_independent(bench: StationBench) -> None:
    change(bench, "Inoperative", 1, 1)
    change(bench, "Inoperative")
    reported(bench)
    change(bench, "Operative")
    assert reported(bench) == [(2, "Available")]  # G04.FR.08: the connector had been set separately
    change(bench, "Operative", 1)
    assert status(bench, 1) == "Unavailable"
    change(bench, "Operative", 1, 1)
    assert status(bench, 1) == "Available"


@pytest.mark.parametrize(("evse", "connector"), LEVELS)
def test_a_running_transaction_is_waited_for(bench: StationBench, evse: int | None, connector: int | None) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    reported(bench)
    assert change(bench, "Inoperative", evse, connector) == "Scheduled"  # G03.FR.05, G04.FR.06
    assert reported(bench) == ([(2, "Unavailable")] if evse is None else [])
    bench.card(CARD, 1)
    bench.energy_off(1)
    assert reported(bench) == [(1, "Unavailable")]
    bench.unplug(1)
    assert reported(bench) == []  # G01.FR.05: it has been reported, and stays


def test_a_scheduled_change_survives_a_power_cut(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    change(bench, "Inoperative", 1)
    bench.power_cut()
    reported(bench)
    bench.up()
    assert reported(bench) == [(1, "Unavailable"), (2, "Available")]


def test_a_scheduled_change_can_be_cancelled(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    change(bench, "Inoperative")
    reported(bench)
    assert change(bench, "Operative") == "Accepted"
    assert (2, "Available") in reported(bench)
    bench.card(CARD, 1)
    assert bench.context.hal.evses[1].status == "Occupied"


def test_the_last_scheduled_change_survives_a_power_cut(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    change(bench, "Inoperative")
    change(bench, "Inoperative", 1)
    assert change(bench, "Operative") == "Accepted"
    bench.power_cut()
    reported(bench)
    bench.up()
    assert reported(bench) == [(1, "Unavailable"), (2, "Available")]  # G03.FR.08, G04.FR.09


def test_a_cancelled_change_does_not_survive_a_power_cut(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    change(bench, "Inoperative", 1)
    assert change(bench, "Operative", 1) == "Accepted"
    bench.power_cut()
    bench.up()
    bench.unplug(1)
    assert status(bench, 1) == "Available"


def test_a_transaction_elsewhere_is_not_waited_for(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    assert change(bench, "Inoperative", 2) == "Accepted"


def test_a_fault_is_stronger_than_out_of_service(bench: StationBench) -> None:
    change(bench, "Inoperative", 1)
    bench.fault(Fault.GROUND_FAULT, 1)
    reported(bench)
    assert bench.context.hal.evses[1].status == "Faulted"
    bench.clear_fault(Fault.GROUND_FAULT, 1)
    assert reported(bench) == [(1, "Unavailable")]


@pytest.mark.parametrize(
    ("evse", "connector", "reason"),
    [(3, None, "UnknownEvse"), (-1, None, "UnknownEvse"), (1, 2, "UnknownConnectorId"), (2, 0, "UnknownConnectorId")],
)
def test_unknown_evses_can_not_be_changed(bench: StationBench, evse: int, connector: int | None, reason: str) -> None:
    reported(bench)
    place = {"id": evse} if connector is None else {"id": evse, "connectorId": connector}
    answer = bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": place})
    assert (answer["status"], answer["statusInfo"]["reasonCode"]) == ("Rejected", reason)
    assert reported(bench) == []


def test_evse_0_is_the_station(bench: StationBench) -> None:
    change(bench, "Inoperative", 0)
    assert {evse.status for evse in bench.context.hal.evses.values()} == {"Unavailable"}


def test_no_session_starts_at_an_evse_out_of_service(bench: StationBench) -> None:
    change(bench, "Inoperative", 1)
    bench.plug(1)
    bench.card(CARD, 1)
    assert bench.events == []
    assert not bench.permitted(1)


@pytest.mark.parametrize("evse", [None, 1])
def test_an_authorised_driver_can_not_start_at_an_evse_out_of_service(tmp_path: Path, evse: int | None) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EnergyTransfer"})
    bench.up()
    bench.card(CARD, 1)
    assert bench.permitted(1)
    assert change(bench, "Inoperative", evse) == "Accepted"  # no transaction is in progress: not G03.FR.05
    assert not bench.permitted(1)
    bench.plug(1)
    assert status(bench, 1) == "Unavailable"
    assert not bench.permitted(1)


# --- G02 ------------------------------------------------------------------------------------------------------------


def heartbeats(bench: StationBench, seconds: float) -> int:
    count = len(bench.sent("Heartbeat"))
    bench.advance(seconds)
    return len(bench.sent("Heartbeat")) - count


def boot_with(directory: Path, interval: int) -> StationBench:
    bench = StationBench(directory, variables={("OCPPCommCtrlr", "HeartbeatInterval"): "90"})
    bench.answers["BootNotification"] = lambda _: {
        "status": "Accepted",
        "currentTime": format_utc(bench.clock.utc()),
        "interval": interval,
    }
    bench.up()
    return bench


@pytest.mark.parametrize(("interval", "beats"), [(20, 30), (0, 6), (-5, 6)])
def test_the_interval_comes_with_the_boot(tmp_path: Path, interval: int, beats: int) -> None:
    bench = boot_with(tmp_path, interval)
    assert heartbeats(bench, 605) == beats  # B01.FR.04, G02.FR.01; 0 changes nothing


def test_the_interval_can_be_set(bench: StationBench) -> None:
    bench.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", "100"))
    assert heartbeats(bench, 405) == 4  # G02.FR.02


def test_no_heartbeat_while_offline(bench: StationBench) -> None:
    bench.link_down()
    assert heartbeats(bench, 1000) == 0
    bench.link_up()
    assert heartbeats(bench, 65) == 1


def test_unanswered_heartbeats_do_not_pile_up(bench: StationBench) -> None:
    bench.answers["Heartbeat"] = None
    heartbeats(bench, 1000)
    assert len(bench.context.outbox) <= 2


def test_a_heartbeat_sets_the_clock(bench: StationBench) -> None:
    bench.answers["Heartbeat"] = {"currentTime": "2027-06-01T00:00:00Z"}
    bench.advance(61)
    bench.plug(1)
    assert bench.sent("StatusNotification")[-1]["timestamp"].startswith("2027-06-01T00:00:")  # G02.FR.06
