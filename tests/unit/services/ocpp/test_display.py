# SPDX-License-Identifier: Apache-2.0
"""What the displays show, seen from the HAL."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware.contract import CardProblem, EnergyFlow, Fault, Show
from services.ocpp.no_connection import Cause, NoConnection
from services.ocpp.signals import CardOutcome, CardResult
from tests.support.station_bench import StationBench

CARD = "04A1B2C3D4E580"


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.up()
    return bench


def page(bench: StationBench, screen: int = 1) -> str:
    return bench.shown[screen][0]


def test_a_session_page_by_page(bench: StationBench) -> None:
    assert page(bench) == "idle"
    bench.select(1)
    assert page(bench) == "select"
    bench.card(CARD)
    assert page(bench) == "plug_in"
    bench.plug(1)
    assert page(bench) == "preparing"
    bench.energy_on(1)
    assert page(bench) == "charging"
    bench.suspend(1, EnergyFlow.SUSPENDED_BY_VEHICLE)
    assert page(bench) == "suspended"
    bench.card(CARD, 1)
    assert page(bench) == "finished"
    bench.energy_off(1)
    assert bench.shown[1][0] == "finished"
    assert bench.shown[1][1]["energy_kwh"] == "0.00"
    bench.select(1)
    assert page(bench) == "select"
    bench.unplug(1)
    bench.advance(61)
    assert page(bench) == "idle"
    assert page(bench, 2) == "idle"


def test_a_car_that_does_not_answer(bench: StationBench) -> None:
    """The EV driver reads what to do, and the CSMS that nothing is offered to a car that does not listen."""
    bench.card(CARD, 1)
    bench.plug(1)
    bench.suspend(1, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.suspend(1, EnergyFlow.UNANSWERED)
    shown, text = bench.shown[1]
    assert shown == "plug_in"
    assert "unplug the cable and plug it in again" in text["prompt"]
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "EVConnected")  # E01.FR.18
    assert bench.permitted(1)
    bench.energy_on(1)
    assert page(bench) == "charging"
    assert bench.summary()[-1] == ("Updated", "ChargingStateChanged", "Charging")


def test_figures(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.deliver(1, 500.0)
    assert bench.shown[1] == ("charging", {"energy_kwh": "0.50", "power_kw": "100.0", "soc_percent": "50"})


def test_nothing_is_shown_twice(bench: StationBench) -> None:
    bench.commands.clear()
    bench.event(bench.reading(1))
    bench.advance(30)
    assert [command for command in bench.commands if isinstance(command, Show)] == []


def test_waiting_for_the_operator(bench: StationBench) -> None:
    bench.answers["Authorize"] = None
    bench.card(CARD, 1)
    assert (page(bench), page(bench, 2)) == ("authorising", "idle")
    bench.advance(31)
    assert page(bench) == "rejected"
    bench.advance(5)
    assert page(bench) == "select" or page(bench) == "idle"


def test_a_refusal_is_explained_for_a_while(bench: StationBench) -> None:
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Expired"}}
    bench.card(CARD, 2)
    assert bench.shown[2] == ("rejected", {"reason": "This card is not accepted."})
    assert page(bench) == "idle"
    bench.advance(5.1)
    assert page(bench, 2) == "select"


@pytest.mark.parametrize("problem", list(CardProblem))
def test_a_bad_card_is_explained_everywhere(bench: StationBench, problem: CardProblem) -> None:
    bench.bad_card(problem)
    assert (page(bench), page(bench, 2)) == ("rejected", "rejected")


@pytest.mark.parametrize("result", sorted(set(CardResult) - {CardResult.STARTED, CardResult.STOPPED}))
def test_every_refusal_has_a_reason(bench: StationBench, result: CardResult) -> None:
    def refuse(now: float) -> None:
        bench.context.emit(CardOutcome("", result))
        bench.station.on_time(now)

    bench.handle(refuse)
    shown, text = bench.shown[1]
    assert shown == "rejected"
    assert text["reason"].endswith(".")


def test_out_of_service_and_faults(bench: StationBench) -> None:
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    assert (page(bench), page(bench, 2)) == ("unavailable", "idle")
    bench.fault(Fault.DOOR_OPEN)
    bench.fault(Fault.METER, 1)
    assert bench.shown[1] == ("faulted", {"faults": "door_open, meter"})
    assert bench.shown[2] == ("faulted", {"faults": "door_open"})


def test_offline(bench: StationBench) -> None:
    bench.link_down()
    assert page(bench) == "offline"
    bench.link_up()
    assert page(bench) == "idle"


def test_offline_for_a_reason(bench: StationBench) -> None:
    """A sentence for the EV driver while it lasts, without the engineer's detail; an old one is not shown again."""
    bench.link_down(NoConnection(Cause.CLOSED, 1, "csms.example:80", '1008: "go away"'))
    assert bench.shown[1] == ("offline", {"detail": "The operator's server has ended the connection."})
    bench.handle(lambda now: bench.station.on_link_failed(NoConnection(Cause.NAME, 1, "csms.example:80"), now))
    assert bench.shown[1] == ("offline", {"detail": "The operator's server can't be found by its name."})
    bench.link_up()
    assert page(bench) == "idle"
    bench.advance(1)
    bench.link_down()
    assert bench.shown[1] == ("offline", {})


def test_charging_continues_while_offline(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.link_down()
    assert (page(bench), page(bench, 2)) == ("charging", "offline")


def test_a_new_hal_gets_every_page_again(bench: StationBench) -> None:
    bench.hal_dies()
    bench.shown.clear()
    bench.hal_up()
    assert set(bench.shown) == {1, 2}


def test_authorised_before_the_transaction_starts(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EnergyTransfer"})
    bench.up()
    bench.card(CARD, 1)
    assert page(bench) == "plug_in"
    bench.plug(1)
    assert page(bench) == "authorised"


def test_a_transaction_without_a_driver_asks_for_one(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, product_name="full", variables={("TxCtrlr", "TxStartPoint"): "EVConnected"})
    bench.up()
    bench.plug(1)
    assert page(bench) == "select"


def test_no_display_shows_a_token(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.card("04FFEEDDCCBB80", 1)
    shows = [command for command in bench.commands if isinstance(command, Show)]
    assert not any(CARD in text or "04FF" in text for show in shows for text in show.text.values())


def test_the_energy_of_a_session_stays_when_the_register_changes_after_it(bench: StationBench) -> None:
    bench.plug(1)
    bench.card(CARD, 1)
    bench.energy_on(1)
    bench.deliver(1, 500.0)
    bench.card(CARD, 1)
    bench.energy_off(1)
    assert bench.shown[1][1]["energy_kwh"] == "0.50"
    bench.registers[1] = 4294967295.0
    bench.event(bench.reading(1))
    assert bench.shown[1] == ("finished", {"power_kw": "0.0", "energy_kwh": "0.50", "soc_percent": "50"})
