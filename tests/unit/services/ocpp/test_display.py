# SPDX-License-Identifier: Apache-2.0
"""What the displays show, seen from the HAL."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from firmware.contract import (
    Advice,
    CardProblem,
    EnergyFlow,
    Fault,
    Offline,
    Outlet,
    OutletState,
    OutOfService,
    Page,
    Phase,
    PhaseChanged,
    Refusal,
    Show,
    Step,
    StopPressed,
    SuspendedBy,
)
from firmware.contract import (
    Cause as PhaseCause,
)
from services.ocpp.device_model import keys
from services.ocpp.no_connection import Cause, NoConnection
from services.ocpp.signals import CardOutcome
from tests.support.station_bench import StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.up()
    return bench


def page(bench: StationBench, screen: int = 1) -> str:
    return bench.shown[screen].page.value


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
    assert page(bench) == "stopping"
    bench.energy_off(1)
    assert page(bench) == "finished"
    assert bench.shown[1].energy_kwh == 0.0
    bench.select(1)
    assert page(bench) == "select"
    bench.unplug(1)
    bench.advance(61)
    assert page(bench) == "idle"
    assert page(bench, 2) == "idle"


@pytest.mark.parametrize("how", ["stop", "car"])
def test_a_touch_of_stop_does_not_hide_the_receipt(bench: StationBench, how: str) -> None:
    """Whoever is asked whether to stop has chosen this EVSE: for a card in place of the answer, not for a session."""
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.select(1)
    assert page(bench) == "charging"
    if how == "stop":
        bench.event(StopPressed(1))
    else:
        bench.event(PhaseChanged(1, Phase.FINISHED, PhaseCause.VEHICLE))
    bench.energy_off(1)
    assert page(bench) == "finished"


def test_a_car_that_does_not_answer(bench: StationBench) -> None:
    """The EV driver reads what to do, and the CSMS that nothing is offered to a car that does not listen."""
    bench.card(CARD, 1)
    bench.plug(1)
    bench.suspend(1, EnergyFlow.SUSPENDED_BY_VEHICLE)
    bench.suspend(1, EnergyFlow.UNANSWERED)
    assert page(bench) == "plug_in_again"
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
    shown = bench.shown[1]
    assert (shown.page, shown.energy_kwh, shown.power_kw, shown.soc_percent) == (Page.CHARGING, 0.5, 100.0, 50)
    assert (shown.evse, shown.connector) == (1, "NACS")


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
    assert (page(bench, 2), bench.shown[2].reason) == ("rejected", Refusal.REJECTED)
    assert page(bench) == "idle"
    bench.advance(5.1)
    assert page(bench, 2) == "select"


@pytest.mark.parametrize("problem", list(CardProblem))
def test_a_bad_card_is_explained_everywhere(bench: StationBench, problem: CardProblem) -> None:
    bench.bad_card(problem)
    assert (page(bench), page(bench, 2)) == ("rejected", "rejected")


@pytest.mark.parametrize("refusal", list(Refusal))
def test_every_refusal_has_a_reason(bench: StationBench, refusal: Refusal) -> None:
    def refuse(now: float) -> None:
        bench.context.emit(CardOutcome("", refusal))
        bench.station.on_time(now)

    bench.handle(refuse)
    assert (page(bench), bench.shown[1].reason) == ("rejected", refusal)


def test_out_of_service_and_faults(bench: StationBench) -> None:
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    assert (page(bench), page(bench, 2)) == ("unavailable", "idle")
    bench.fault(Fault.DOOR_OPEN)
    bench.fault(Fault.METER, 1)
    assert bench.shown[1].faults == (Fault.METER, Fault.DOOR_OPEN)
    assert (bench.shown[2].faults, bench.shown[2].advice) == ((Fault.DOOR_OPEN,), Advice.CLOSE_DOOR)


def test_offline(bench: StationBench) -> None:
    bench.link_down()
    assert page(bench) == "offline"
    bench.link_up()
    assert page(bench) == "idle"


def test_offline_for_a_reason(bench: StationBench) -> None:
    """The reason while it lasts, without the engineer's detail; an old one is not shown again."""
    bench.link_down(NoConnection(Cause.CLOSED, 1, "csms.example:80", '1008: "go away"'))
    assert (page(bench), bench.shown[1].offline) == ("offline", Offline.INTERRUPTED)
    bench.handle(lambda now: bench.station.on_link_failed(NoConnection(Cause.NAME, 1, "csms.example:80"), now))
    assert (page(bench), bench.shown[1].offline) == ("offline", Offline.UNREACHABLE)
    bench.link_up()
    assert page(bench) == "idle"
    bench.advance(1)
    bench.link_down()
    assert bench.shown[1].offline is Offline.UNKNOWN


def test_charging_continues_while_offline(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    bench.energy_on(1)
    bench.link_down()
    assert (page(bench), page(bench, 2)) == ("charging", "offline")
    assert bench.shown[1].offline is Offline.UNKNOWN


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
    assert not any(CARD in text or "04FF" in text for show in shows for text in [repr(show.model)])


def test_the_energy_of_a_session_stays_when_the_register_changes_after_it(bench: StationBench) -> None:
    bench.plug(1)
    bench.card(CARD, 1)
    bench.energy_on(1)
    bench.deliver(1, 500.0)
    bench.card(CARD, 1)
    bench.energy_off(1)
    assert bench.shown[1].energy_kwh == 0.5
    bench.registers[1] = 4294967295.0
    bench.event(bench.reading(1))
    assert (page(bench), bench.shown[1].energy_kwh, bench.shown[1].soc_percent) == ("finished", 0.5, 50)


# --- the fields of the pages -----------------------------------------------------------------------------------------


def test_the_steps_of_the_preparation(bench: StationBench) -> None:
    bench.card(CARD, 1)
    bench.plug(1)
    steps = [bench.shown[1].step]
    for phase in (Phase.CABLE_CHECK, Phase.PRECHARGE, Phase.CHARGING):
        bench.event(PhaseChanged(1, phase, PhaseCause.SEQUENCE))
        assert page(bench) == "preparing"
        steps.append(bench.shown[1].step)
    assert steps == list(Step)


def test_who_suspends(bench: StationBench) -> None:
    charge(bench, 1)
    seen = []
    for flow in (EnergyFlow.SUSPENDED_BY_VEHICLE, EnergyFlow.SUSPENDED_BY_STATION):
        bench.suspend(1, flow)
        seen.append(bench.shown[1].suspended_by)
    assert seen == [SuspendedBy.VEHICLE, SuspendedBy.STATION]


def test_the_other_outlet(bench: StationBench) -> None:
    assert bench.shown[1].others == (Outlet(2, OutletState.FREE),)
    charge(bench, 1)
    bench.event(bench.reading(1))
    assert bench.shown[2].others == (Outlet(1, OutletState.CHARGING, 100),)
    assert bench.shown[1].shared_with is None
    charge(bench, 2, "04FFEEDDCCBB80")
    bench.event(bench.reading(1))
    assert bench.shown[1].shared_with == 2
    bench.fault(Fault.METER, 2)
    bench.energy_off(2, Phase.FAULTED)
    assert bench.shown[1].others == (Outlet(2, OutletState.FAULTED),)
    assert bench.shown[1].shared_with is None


def test_a_receipt_does_not_change_while_the_vehicle_stays(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("ClockCtrlr", "TimeZone"): "Asia/Kathmandu"})
    bench.up()
    bench.clock_changed(is_set=True, synchronised=True)
    charge(bench, 1)
    began = bench.context.time.utc(bench.clock.monotonic())
    bench.advance(600)
    bench.deliver(1, 5_000.0)
    bench.card(CARD, 1)
    bench.energy_off(1)
    receipt = bench.shown[1]
    bench.advance(3600)
    bench.event(bench.reading(1))
    assert bench.shown[1] == receipt
    assert (receipt.page, receipt.energy_kwh, receipt.duration_s) == (Page.FINISHED, 5.0, 600)
    zone = timezone(timedelta(hours=5, minutes=45))
    times = [datetime.fromtimestamp(began + after, zone).strftime("%Y-%m-%dT%H:%M") for after in (0, 600)]
    assert [receipt.started, receipt.ended] == times


@pytest.mark.parametrize("after", ["at once", "restarted", "power cut"])
def test_since_when_an_outlet_is_out_of_service(bench: StationBench, after: str) -> None:
    bench.clock_changed(is_set=True, synchronised=True)
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    since = bench.shown[1].since
    assert since is not None
    bench.advance(3 * 3600)
    if after == "restarted":
        bench.restart_service()
        bench.up()
    elif after == "power cut":
        bench.power_cut()
        bench.up()
    bench.call("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}})
    shown = bench.shown[1]
    assert (shown.page, shown.out_of_service, shown.since) == (Page.UNAVAILABLE, OutOfService.OPERATOR, since)
    bench.call("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 1}})
    assert (page(bench), bench.shown[1].since) == ("idle", None)


def test_a_session_that_ended_offline_still_has_its_receipt(bench: StationBench) -> None:
    charge(bench, 1)
    bench.link_down()
    bench.card(CARD, 1)
    bench.energy_off(1)
    assert (page(bench), bench.shown[1].offline) == ("finished", Offline.UNKNOWN)
    bench.unplug(1)
    assert page(bench) == "offline"


def test_where_cards_are_accepted_offline_the_page_still_invites(tmp_path: Path) -> None:
    bench = StationBench(
        tmp_path, product_name="full", variables={("AuthCtrlr", "OfflineTxForUnknownIdEnabled"): "true"}
    )
    bench.up()
    bench.link_down()
    assert (page(bench), bench.shown[1].offline) == ("idle", Offline.UNKNOWN)
    bench.select(1)
    assert page(bench) == "select"


def test_what_changes_no_page_costs_no_page(bench: StationBench) -> None:
    """A busy CSMS must not wait for displays; time zone and clock count from the next reading."""
    charge(bench, 1)
    bench.commands.clear()
    for zone in ("Asia/Kathmandu", "Europe/Oslo"):
        bench.call("SetVariables", set_variables("ClockCtrlr", "TimeZone", zone))
    assert [command for command in bench.commands if isinstance(command, Show)] == []
    bench.clock_changed(is_set=True, synchronised=True)
    bench.deliver(1, 10.0)
    assert len([command for command in bench.commands if isinstance(command, Show)]) >= 1
    started = bench.context.model.get(keys.TIME_ZONE), bench.shown[1].started
    utc = bench.context.hal.evses[1].session.started_utc
    assert started == ("Europe/Oslo", datetime.fromtimestamp(utc, ZoneInfo("Europe/Oslo")).strftime("%Y-%m-%dT%H:%M"))
