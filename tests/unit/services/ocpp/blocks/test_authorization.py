# SPDX-License-Identifier: Apache-2.0
"""Block C, driven through the whole station: cards, groups and the master pass."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.contract import CardProblem, Cause, Fault, Phase, StopPressed
from services.ocpp.signals import CardOutcome
from tests.support.station_bench import StationBench

CARD = "04A1B2C3D4E580"
OTHER = "04FFEEDDCCBB80"
GROUP = {"idToken": "family", "type": "Central"}


def outcomes(bench: StationBench) -> list[str]:
    return [notice.result.value for notice in bench.notices if isinstance(notice, CardOutcome)]


def accept(bench: StationBench, **info: Any) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted", **info}}


def kinds(bench: StationBench) -> list[tuple[str, str]]:
    return [(event["eventType"], event["triggerReason"]) for event in bench.events]


# --- a card that may or may not charge ------------------------------------------------------------------------------


def test_a_card_is_authorised_by_the_csms(bench: StationBench) -> None:
    bench.card(CARD, 1)
    assert bench.sent("Authorize") == [{"idToken": {"idToken": CARD, "type": "ISO14443"}}]  # C01.FR.02
    assert outcomes(bench) == ["started"]
    assert bench.permitted(1)


@pytest.mark.parametrize(
    "status",
    [
        "Blocked",
        "ConcurrentTx",
        "Expired",
        "Invalid",
        "NoCredit",
        "NotAllowedTypeEVSE",
        "NotAtThisLocation",
        "NotAtThisTime",
        "Unknown",
    ],
)
def test_every_other_status_is_a_refusal(bench: StationBench, status: str) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": status}}
    bench.card(CARD, 1)
    bench.plug(1)
    assert outcomes(bench) == ["rejected"]
    assert bench.events == []
    assert not bench.permitted(1)  # C01.FR.01
    assert bench.shown[1].page.value == "rejected"
    bench.advance(6)
    assert bench.shown[1].page.value == "select"


def test_a_card_without_a_selected_evse(bench: StationBench) -> None:
    bench.card(CARD)
    assert bench.sent("Authorize") == []
    assert outcomes(bench) == ["no_evse_selected"]
    assert {model.page.value for model in bench.shown.values()} == {"rejected"}


def test_a_card_with_both_evses_waiting(bench: StationBench) -> None:
    bench.plug(1)
    bench.advance(61)  # the selection by plugging in has expired
    bench.plug(2)
    bench.card(CARD)
    assert outcomes(bench) == ["no_evse_selected"]


def test_a_selection_expires(bench: StationBench) -> None:
    bench.select(1)
    bench.advance(61)
    bench.card(CARD)
    assert outcomes(bench) == ["no_evse_selected"]


def test_a_second_vehicle_does_not_change_the_selection(bench: StationBench) -> None:
    bench.select(1)
    bench.plug(2)
    bench.card(CARD)
    assert bench.events[0]["evse"]["id"] == 1


@pytest.mark.parametrize("problem", list(CardProblem))
def test_several_cards_or_an_unreadable_one(bench: StationBench, problem: CardProblem) -> None:
    bench.select(1)
    bench.bad_card(problem)
    assert outcomes(bench) == [problem.value]
    assert bench.sent("Authorize") == []
    bench.card(CARD)
    assert bench.events[0]["eventType"] == "Started"


def test_the_same_card_presented_again_during_the_check(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    bench.card(CARD)
    bench.card(CARD, 1)
    assert len(bench.sent("Authorize")) == 1
    assert bench.shown[1].page.value == "authorising"
    answer_last_call(bench, {"idTokenInfo": {"status": "Accepted"}})
    assert kinds(bench) == [("Started", "Authorized")]


def answer_last_call(bench: StationBench, payload: Any) -> None:
    call = [frame for frame in bench.frames if frame[0] == 2][-1]
    bench.frame(json.dumps([3, call[1], payload]))


@pytest.mark.parametrize("code", ["InternalError", "SecurityError", "NotSupported"])
def test_an_error_of_the_csms(bench: StationBench, code: str) -> None:
    bench.answers["Authorize"] = code
    bench.card(CARD, 1)
    assert outcomes(bench) == ["error"]
    assert bench.events == []
    del bench.answers["Authorize"]
    bench.card(CARD, 1)
    assert outcomes(bench)[-1] == "started"


def test_a_nonsensical_answer(bench: StationBench) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Perhaps"}}
    bench.card(CARD, 1)
    assert outcomes(bench) == ["error"]


def test_no_answer_at_all(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    bench.advance(31)
    assert outcomes(bench) == ["offline"]
    del bench.answers["Authorize"]
    bench.card(CARD, 1)
    assert outcomes(bench)[-1] == "started"


def test_the_link_is_lost_during_the_check(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    bench.link_down()
    assert outcomes(bench) == ["offline"]
    del bench.answers["Authorize"]
    bench.link_up()
    assert bench.events == []  # the EV driver saw the refusal: the card must not start a session later
    bench.card(CARD, 1)
    assert outcomes(bench)[-1] == "started"


def test_a_card_while_offline(bench: StationBench) -> None:
    bench.link_down()
    bench.card(CARD, 1)
    bench.plug(1)
    assert outcomes(bench) == ["offline"]  # C-01: this product does not authorise offline
    bench.link_up()
    assert bench.sent("Authorize") == []
    assert bench.events == []


def test_a_card_at_an_evse_that_is_not_allowed(bench: StationBench) -> None:
    accept(bench, evseId=[1])
    bench.card(CARD, 2)
    assert outcomes(bench) == ["not_allowed_here"]  # C01.FR.21
    bench.card(CARD, 1)
    assert outcomes(bench)[-1] == "started"


def test_an_empty_list_of_evses_is_no_restriction(bench: StationBench) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}}  # C01.FR.19
    bench.card(CARD, 2)
    assert outcomes(bench) == ["started"]


def test_a_card_at_a_faulted_evse(bench: StationBench) -> None:
    bench.fault(Fault.ISOLATION, 1)
    bench.card(CARD, 1)
    assert outcomes(bench) == ["faulted"]
    assert bench.sent("Authorize") == []


def test_a_card_at_an_evse_out_of_service(bench: StationBench) -> None:
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    bench.card(CARD, 1)
    assert outcomes(bench) == ["unavailable"]


def test_an_evse_that_fails_during_the_check(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    bench.fault(Fault.ISOLATION, 1)
    answer_last_call(bench, {"idTokenInfo": {"status": "Accepted"}})
    assert outcomes(bench) == ["unavailable"]
    assert bench.events == []


def test_a_reset_that_begins_during_the_check(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    authorize = bench.frames[-1]
    bench.call("Reset", {"type": "Immediate"})
    bench.frame(json.dumps([3, authorize[1], {"idTokenInfo": {"status": "Accepted"}}]))
    assert bench.events == []
    bench.advance(2)
    assert bench.rebooting


# --- a card at an EVSE that charges --------------------------------------------------------------------------------


def test_the_card_that_started_stops_without_asking(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.card(CARD.lower())  # identifiers are case-insensitive (C01.FR.25)
    assert len(bench.sent("Authorize")) == 1  # C01.FR.03, C09.FR.07
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")


def test_the_card_that_started_stops_while_offline(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.link_down()
    bench.card(CARD, 1)
    assert not bench.permitted(1)  # E08.FR.01
    bench.energy_off(1)
    bench.link_up()
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")  # E08.FR.04
    assert bench.events[-1]["offline"] is True


def test_another_card_does_not_stop(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.card(OTHER, 1)
    assert outcomes(bench) == ["started", "not_yours"]
    assert kinds(bench) == [("Started", "Authorized")]


def test_the_same_card_at_the_other_evse_is_a_second_session(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.card(CARD, 2)
    assert len(bench.sent("Authorize")) == 2
    assert [event["evse"]["id"] for event in bench.events] == [1, 2]
    bench.card(CARD)  # no display was touched: it could mean either EVSE
    assert kinds(bench) == [("Started", "Authorized")] * 2


def test_another_card_does_not_take_an_evse_that_waits_for_its_cable(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    bench.card(CARD, 1)
    bench.card(OTHER, 1)
    assert outcomes(bench) == ["started", "not_yours"]
    bench.plug(1)
    assert bench.events[0]["idToken"]["idToken"] == CARD
    assert bench.refused == []


def test_the_card_that_waits_for_its_cable_can_cancel(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "PowerPathClosed"})
    bench.up()
    bench.card(CARD, 1)
    bench.card(CARD, 1)
    bench.plug(1)
    assert bench.events == []
    assert not bench.permitted(1)


def test_an_expired_authorisation_is_not_used_by_the_next_driver(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    bench.card(CARD, 1)
    bench.advance(61)  # EVConnectionTimeOut
    bench.plug(1)
    assert "idToken" not in bench.events[0]
    bench.card(OTHER, 1)
    assert outcomes(bench) == ["started", "started"]
    assert bench.events[-1]["idToken"]["idToken"] == OTHER  # E03.FR.01


def test_two_drivers_at_two_evses(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.card(OTHER, 2)
    bench.card(OTHER)
    ended = bench.events[-1]
    assert ended["eventType"] == "Ended"
    assert ended["transactionInfo"]["transactionId"] == bench.events[1]["transactionInfo"]["transactionId"]


@pytest.mark.parametrize("patience", [1, 70])
def test_a_card_that_charges_does_not_start_the_vehicle_waiting_next_to_it(bench: StationBench, patience: int) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.plug(2)  # the vehicle of another driver, who has not presented a card yet
    bench.advance(patience)  # while the plug selects the EVSE, and after that
    bench.card(CARD)
    assert len(bench.sent("Authorize")) == 1  # E07.FR.01, C01.FR.03
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.events[-1]["idToken"]["idToken"] == CARD
    bench.card(CARD, 2)
    assert bench.events[-1]["evse"]["id"] == 2  # the display was touched


def test_the_stop_button(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.event(StopPressed(2))
    assert kinds(bench) == [("Started", "Authorized")]
    bench.event(StopPressed(1))
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")
    assert bench.events[-1]["transactionInfo"]["stoppedReason"] == "Local"  # E07.FR.05


# --- groups (C09) ---------------------------------------------------------------------------------------------------


def test_a_card_of_the_same_group_stops(bench: StationBench) -> None:
    accept(bench, groupIdToken=GROUP)
    bench.card(CARD, 1)
    bench.card(OTHER, 1)
    assert len(bench.sent("Authorize")) == 2  # C09.FR.05
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")  # C09.FR.03
    assert bench.events[-1]["idToken"]["idToken"] == OTHER


def test_a_card_of_the_same_group_stops_without_a_touch(bench: StationBench) -> None:
    accept(bench, groupIdToken=GROUP)
    bench.card(CARD, 1)
    bench.card(OTHER)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")


def test_a_card_of_another_group_does_not_stop(bench: StationBench) -> None:
    accept(bench, groupIdToken=GROUP)
    bench.card(CARD, 1)
    accept(bench, groupIdToken={"idToken": "strangers", "type": "Central"})
    bench.card(OTHER, 1)
    assert outcomes(bench)[-1] == "not_yours"


def test_a_refused_card_of_the_same_group_does_not_stop(bench: StationBench) -> None:
    accept(bench, groupIdToken=GROUP)
    bench.card(CARD, 1)
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Blocked", "groupIdToken": GROUP}}
    bench.card(OTHER, 1)
    assert outcomes(bench)[-1] == "rejected"  # C09.FR.11
    assert kinds(bench) == [("Started", "Authorized")]


def test_the_group_may_come_with_the_answer_to_the_event(bench: StationBench) -> None:
    bench.answers["TransactionEvent"] = lambda request: (
        {"idTokenInfo": {"status": "Accepted", "groupIdToken": GROUP}} if "idToken" in request else {}
    )
    bench.card(CARD, 1)
    accept(bench, groupIdToken=GROUP)
    bench.card(OTHER, 1)
    assert kinds(bench)[-1] == ("Ended", "StopAuthorized")  # C09.FR.12


def test_a_card_of_the_group_does_not_stop_twice(bench: StationBench) -> None:
    accept(bench, groupIdToken=GROUP)
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.card(OTHER, 1)
    bench.card(OTHER, 1)
    bench.energy_off(1)
    assert [kind for kind, _ in kinds(bench)].count("Ended") == 1


# --- the master pass (C16) ------------------------------------------------------------------------------------------


@pytest.fixture
def master(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path, variables={("AuthCtrlr", "MasterPassGroupId"): "police"})
    bench.up()
    return bench


def present_master_pass(bench: StationBench, evse: int | None = None) -> None:
    accept(bench, groupIdToken={"idToken": "Police", "type": "Central"})
    bench.card("04000000000001", evse)


def test_the_master_pass_stops_everything(master: StationBench) -> None:
    for evse, uid in ((1, CARD), (2, OTHER)):
        master.card(uid, evse)
        master.plug(evse)
        master.energy_on(evse)
    present_master_pass(master)
    for evse in (1, 2):
        assert not master.permitted(evse)
        master.energy_off(evse)
    ended = [event for event in master.events if event["eventType"] == "Ended"]
    assert len(ended) == 2  # C16.FR.02
    assert {event["transactionInfo"]["stoppedReason"] for event in ended} == {"MasterPass"}  # C16.FR.07
    assert {event["triggerReason"] for event in ended} == {"StopAuthorized"}


def test_the_master_pass_starts_nothing(master: StationBench) -> None:
    master.plug(1)
    present_master_pass(master, 1)
    assert master.events == []  # C16.FR.03
    assert outcomes(master) == ["rejected"]


def test_a_refused_master_pass_stops_nothing(master: StationBench) -> None:
    master.card(CARD, 1)
    master.answers["Authorize"] = {
        "idTokenInfo": {"status": "Blocked", "groupIdToken": {"idToken": "police", "type": "Central"}}
    }
    master.card(OTHER, 1)
    assert kinds(master) == [("Started", "Authorized")]


def test_without_a_master_group_nothing_is_a_master_pass(bench: StationBench) -> None:
    bench.card(CARD, 1)
    accept(bench, groupIdToken={"idToken": "", "type": "Central"})
    bench.card(OTHER, 1)
    assert kinds(bench) == [("Started", "Authorized")]


# --- after a session ------------------------------------------------------------------------------------------------


def test_a_new_session_on_a_car_that_stayed(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.card(CARD, 1)
    bench.energy_off(1)
    bench.card(OTHER)
    assert kinds(bench)[-1] == ("Started", "Authorized")
    assert bench.events[-1]["transactionInfo"]["transactionId"] != bench.events[0]["transactionInfo"]["transactionId"]


def test_a_card_while_the_last_session_ramps_down(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.card(CARD, 1)
    bench.card(OTHER, 1)
    assert outcomes(bench)[-1] == "not_yours"  # C01.FR.23
    bench.energy_off(1, Phase.FINISHED, Cause.SERVICE)
    assert [kind for kind, _ in kinds(bench)].count("Started") == 1
