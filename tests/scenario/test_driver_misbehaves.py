# SPDX-License-Identifier: Apache-2.0
"""Misuse by EV drivers, misbehaving cars and broken hardware: each case ends in a clean state with the right reason."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from firmware.contract import Fault
from services.ocpp.device_model.hardware import COMPONENT_OF_FAULT
from tests.support.received_transactions import ReceivedTransaction
from tests.support.scenario import CARD, OTHER_CARD, Site, within
from tools.rig.client import RigRefused


def accept_only(here: Site, accepted: str, status: str = "Invalid") -> None:
    """The CSMS accepts one card and answers `status` to all others."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        known = request["idToken"]["idToken"] == accepted
        return {"idTokenInfo": {"status": "Accepted" if known else status}}

    here.csms.answers["Authorize"] = answer


def at_rest(evse: dict[str, Any]) -> bool:
    """The phase is `finished` if the fault was cleared before the session ended, otherwise `plugged`."""
    return evse["phase"] in ("plugged", "finished") and evse["contactor"] == "open"


async def faulted_end(here: Site, transaction_id: str) -> ReceivedTransaction:
    """Wait for the end of a transaction that a fault interrupts."""
    transaction = await here.end_of(transaction_id)
    transaction.check()
    return transaction


# --- cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Invalid", "Blocked"])
async def test_card_that_the_csms_does_not_accept(here: Site, status: str) -> None:
    """The display that was touched shows the refusal, no transaction starts, and the right card works afterwards."""
    accept_only(here, CARD, status)
    await here.plug_in(1)
    assert await here.card(1, OTHER_CARD) == "rejected"
    assert (await here.until_page(1, "rejected"))["reason"]
    assert await here.page(2) == "idle"
    assert here.sent("TransactionEvent") == []
    assert (await here.rig.evse(1))["contactor"] == "open"
    assert await here.card(1) == "started"
    await here.charging(1)
    assert await here.card(1, OTHER_CARD) == "rejected"
    assert (await here.rig.evse(1))["contactor"] == "closed"
    (await here.stop_with_card(1)).check()
    await here.leave(1)
    assert len(here.transactions) == 1


async def test_token_that_is_blocked_while_charging(here: Site) -> None:
    """The CSMS answers a TransactionEvent with Blocked: the session ends with DeAuthorized."""
    here.csms.answers["TransactionEvent"] = lambda event: (
        {"idTokenInfo": {"status": "Blocked"}} if "idToken" in event else {}
    )
    await here.plug_in(2)
    assert await here.card(2) == "started"
    transaction = await here.until_ended()
    transaction.check()
    assert (transaction.reason, transaction.triggers[-1]) == ("DeAuthorized", "Deauthorized")
    await here.until_evse(2, lambda it: it["contactor"] == "open")


async def test_two_cards_at_once(here: Site) -> None:
    """Two cards on the reader can't be distinguished: both displays say so, and the CSMS is not asked about the second.

    The outcome comes by the status feed and may be ahead of the page, which goes through the HAL. Until then a display
    may still show the refusal of the first card, which was presented without a selected EVSE.
    """
    await here.rig.op("present_card", uid=CARD, hold_s=10.0)
    since = here.rig.mark
    await here.rig.op("present_card", uid=OTHER_CARD, hold_s=0.0)
    await here.rig.wait("card", since=since, outcome="several_cards")
    for evse in (1, 2):
        await here.until_page(evse, "rejected", reason="several_cards")
    assert here.sent("Authorize") == []


async def test_card_without_a_selected_evse(here: Site) -> None:
    """No display touched, no cable plugged in: the displays ask for a choice, and the CSMS gets no request."""
    assert await here.card() == "no_evse_selected"
    for evse in (1, 2):
        await here.until_page(evse, "rejected", reason="no_evse_selected")
    assert here.sent("Authorize") == []
    assert here.sent("TransactionEvent") == []


async def test_card_of_another_driver_does_not_stop(here: Site) -> None:
    """A card of another group does not stop the session."""
    transaction_id = await here.charge(1)
    assert await here.card(1, OTHER_CARD) == "not_yours"
    await here.until_page(1, "rejected")
    assert not here.transaction(transaction_id).ended
    assert (await here.rig.evse(1))["contactor"] == "closed"
    (await here.stop_with_card(1)).check()


async def test_card_at_an_evse_out_of_service(here: Site) -> None:
    """Unavailable by request of the CSMS, or faulted: no Authorize, no transaction; after the fault it serves again."""
    order = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    assert (await here.csms.call("ChangeAvailability", order))["status"] == "Accepted"
    await here.until_page(1, "unavailable")
    assert await here.card(1) == "unavailable"
    await here.rig.op("fault", code="ground_fault", evse=2)
    await here.until_status(2, "Faulted")
    await here.until_page(2, "faulted")
    assert await here.card(2) == "faulted"
    request = {"idToken": {"idToken": CARD, "type": "ISO14443"}, "remoteStartId": 1, "evseId": 2}
    assert (await here.csms.call("RequestStartTransaction", request))["status"] == "Rejected"
    assert here.sent("Authorize") == []
    assert here.statuses(1) == ["Available", "Unavailable"]
    await here.rig.op("clear_fault", code="ground_fault", evse=2)
    await here.until_status(2, "Available")
    assert await here.card(2) == "started"


# --- cables -----------------------------------------------------------------------------------------------------


async def test_cable_pulled_in_every_phase(here: Site) -> None:
    """By force, in each phase: the contactor opens, the transaction ends, and the EVSE is free again."""
    for count, phase in enumerate(("authorised", "cable_check", "precharge", "charging"), start=1):
        evse = 2 - count % 2
        since, received = here.rig.mark, len(here.csms.received)
        await here.plug_in(evse)
        assert await here.card(evse) == "started"
        await here.rig.wait("phase", since=since, evse=evse, phase=phase)
        await here.plug_out(evse, force=True)
        transaction = await here.until_ended(count)
        transaction.check()
        cause = (transaction.triggers[-1], transaction.reason)
        assert cause == ("EVCommunicationLost", "EVDisconnected"), (phase, transaction.outline)
        assert transaction.states[-1] == "Idle"
        await here.free(evse)
        assert here.statuses(evse, since=received) == ["Occupied", "Available"], phase


async def test_latch_holds_the_plug_under_load(here: Site) -> None:
    """While energy flows the plug can't be pulled out; after the session it can."""
    await here.charge(1)
    with pytest.raises(RigRefused, match="holds the plug"):
        await here.plug_out(1)
    assert (await here.rig.evse(1))["locked"]
    await here.stop_with_card(1)
    await here.leave(1)
    with pytest.raises(RigRefused, match="no car"):
        await here.plug_out(1)


async def test_plug_in_and_out_quickly(here: Site) -> None:
    """Ten times in and out: the EVSE is free as before, and no status is reported twice in a row."""
    for _ in range(10):
        await here.plug_in(1)
        await here.plug_out(1)
    await here.free(1)
    assert [pair for pair in pairwise(here.statuses(1)) if pair[0] == pair[1]] == []
    assert here.sent("TransactionEvent") == []


# --- cars -------------------------------------------------------------------------------------------------------


async def test_car_that_never_closes_its_contactor(here: Site) -> None:
    """refuse_precharge: pre-charge fails, nothing stays energised, and the EVSE is free again."""
    await here.plug_in(2)
    await here.rig.op("car", evse=2, misbehave="refuse_precharge")
    assert await here.card(2) == "started"
    await here.rig.wait("phase", evse=2, phase="precharge")
    transaction = await here.until_ended()
    transaction.check()
    assert transaction.reason in ("StoppedByEV", "Other")
    assert "Charging" not in transaction.states
    assert transaction.energy_wh < 1
    it = await here.until_evse(2, lambda it: it["contactor"] == "open")
    assert it["phase"] in ("finished", "plugged")
    await here.leave(2)


async def test_car_that_requests_too_much_voltage(here: Site) -> None:
    """over_voltage_request: never delivered; the session ends with PowerQuality, and unplugging clears the fault."""
    transaction_id = await here.charge(2)
    await here.rig.op("car", evse=2, misbehave="over_voltage_request")
    await here.rig.wait("fault", evse=2, code="over_voltage")
    transaction = await faulted_end(here, transaction_id)
    assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", "PowerQuality")
    assert (await here.until_page(2, "faulted"))["faults"] == "over_voltage"
    await here.leave(2)
    assert here.statuses(2)[-3:] == ["Occupied", "Faulted", "Available"]


async def test_car_that_lets_the_pilot_go(here: Site) -> None:
    """drop_pilot under load counts as unplugged: contactors open at once, EVDisconnected; the car can charge again."""
    transaction_id = await here.charge(1)
    since = here.rig.mark
    with within(1.0):
        await here.rig.op("car", evse=1, misbehave="drop_pilot")
        await here.rig.wait("contactor", since=since, evse=1, contactor="open")
    transaction = await faulted_end(here, transaction_id)
    assert transaction.reason in ("EVDisconnected", "Other")
    await here.rig.op("car", evse=1, misbehave="none")
    await here.until_evse(1, lambda it: it["status"] == "Occupied")
    assert await here.card(1) == "started"
    await here.until_another(transaction_id)


async def test_car_that_does_not_stop_drawing(here: Site) -> None:
    """hold_current: the station switches the current off itself; the transaction ends as the EV driver requested."""
    await here.charge(2)
    await here.rig.op("car", evse=2, misbehave="hold_current")
    with within(10):
        transaction = await here.stop_with_card(2)
    transaction.check()
    assert (transaction.reason, transaction.triggers[-1]) == ("Local", "StopAuthorized")
    assert (await here.rig.evse(2))["current_a"] == 0.0
    await here.leave(2)


async def test_car_with_bad_insulation(here: Site) -> None:
    """Detected in the cable check, and while energy flows: isolation and GroundFault; the EVSE is free afterwards."""
    await here.plug_in(1)
    await here.rig.op("car", evse=1, insulation_kohm=20)
    assert await here.card(1) == "started"
    await here.rig.wait("fault", evse=1, code="isolation")
    transaction = await here.until_ended()
    transaction.check()
    assert (transaction.reason, transaction.energy_wh) == ("GroundFault", 0.0)
    await here.plug_out(1)
    await here.free(1)
    transaction_id = await here.charge(1)
    await here.rig.op("car", evse=1, insulation_kohm=20)
    transaction = await faulted_end(here, transaction_id)
    assert (transaction.reason, transaction.triggers[-1]) == ("GroundFault", "AbnormalCondition")
    await here.plug_out(1)
    await here.free(1)


async def test_plug_that_gets_hot(here: Site) -> None:
    """A lost sensor derates, too high a temperature ends the session; after cooling down the EVSE is free."""
    transaction_id = await here.charge(2, soc_percent=10)
    await here.until_evse(2, lambda it: it["current_a"] > 60)
    await here.rig.op("car", evse=2, plug_temp_c=None)
    await here.until_evse(2, lambda it: it["current_a"] < 33)
    assert not here.transaction(transaction_id).ended
    await here.rig.op("car", evse=2, plug_temp_c=95)
    transaction = await faulted_end(here, transaction_id)
    assert transaction.triggers[-1] == "AbnormalCondition"
    assert (await here.until_page(2, "faulted"))["faults"] == "over_temperature"
    await here.rig.op("car", evse=2, plug_temp_c=30)
    await here.until_evse(2, lambda it: it["faults"] == [])
    await here.leave(2)


# --- hardware ---------------------------------------------------------------------------------------------------

REASONS = {
    Fault.EMERGENCY_STOP: "EmergencyStop",
    Fault.GROUND_FAULT: "GroundFault",
    Fault.ISOLATION: "GroundFault",
    Fault.OVER_CURRENT: "OvercurrentFault",
    Fault.OVER_VOLTAGE: "PowerQuality",
    Fault.UNDER_VOLTAGE: "PowerQuality",
    Fault.POWER_LOSS: "PowerLoss",
}
HARMLESS = [fault for fault in Fault if not fault.stops_charging]
OF_STATION = [Fault.EMERGENCY_STOP, Fault.DOOR_OPEN, Fault.POWER_LOSS]
WELDED = Fault.CONTACTOR_WELDED
OF_EVSE = [fault for fault in Fault if fault.stops_charging and fault not in (*OF_STATION, WELDED)]
PAIRS = [(OF_EVSE[at], OF_EVSE[at + 1 - len(OF_EVSE)]) for at in range(0, len(OF_EVSE), 2)]
GROUPS = [PAIRS[at : at + 3] for at in range(0, len(PAIRS), 3)]


async def break_and_repair(here: Site, fault: Fault, evse: int) -> None:
    """A fault while charging: Faulted, on the display, and ended with its reason; cleared and unplugged: free."""
    transaction_id = await here.charge(evse, uid={1: CARD, 2: OTHER_CARD}[evse])
    received = len(here.csms.received)
    await here.rig.op("fault", code=fault.value, evse=evse)
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert transaction.triggers[-1] == "AbnormalCondition", (fault, transaction.outline)
    assert transaction.reason == REASONS.get(fault, "Other"), (fault, transaction.reason)
    await here.csms.until(lambda: here.statuses(evse, since=received) == ["Faulted"], f"Faulted by {fault}", timeout=20)
    assert fault.value in (await here.until_page(evse, "faulted"))["faults"]
    await until_reported(here, fault, evse, cleared=False, since=received)
    await here.rig.op("clear_fault", code=fault.value, evse=evse)
    await until_reported(here, fault, evse, cleared=True, since=received)
    await here.until_evse(evse, lambda it: it["contactor"] == "open")
    await here.plug_out(evse)
    await here.free(evse)
    assert here.statuses(evse, since=received)[-1] == "Available"
    assert (await here.rig.evse(evse))["faults"] == []


async def until_reported(here: Site, fault: Fault, evse: int, *, cleared: bool, since: int) -> None:
    """NotifyEvent with the ChargeX code of the fault, at this EVSE."""
    expected = (fault.mrec(evse) or fault.value, COMPONENT_OF_FAULT[fault], {"id": evse}, cleared)

    def reported() -> bool:
        events = [event for each in here.sent("NotifyEvent", since=since) for event in each["eventData"]]
        found = [
            (event["techCode"], event["component"]["name"], event["component"].get("evse"), event["cleared"])
            for event in events
        ]
        return expected in found

    await here.csms.until(reported, f"NotifyEvent {expected}")


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: "-".join(each.value for pair in group for each in pair))
async def test_fault_of_an_evse_while_charging(here: Site, group: list[tuple[Fault, Fault]]) -> None:
    """Every fault of an EVSE, at two EVSEs at the same time: neither affects the other."""
    for first, second in group:
        await asyncio.gather(break_and_repair(here, first, 1), break_and_repair(here, second, 2))


async def test_contactor_that_has_welded(here: Site) -> None:
    """Undetectable until the contactor is to open; then there is no current, and Faulted until it is cleared."""
    await here.charge(1)
    await here.rig.op("fault", code=WELDED.value, evse=1)
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.reason == "Local"
    it = await here.until_evse(1, lambda it: it["status"] == "Faulted")
    assert (it["faults"], it["contactor"], it["current_a"]) == ([WELDED.value], "closed", 0.0)
    assert (await here.until_page(1, "faulted"))["faults"] == WELDED.value
    assert await here.card(1) == "faulted"
    assert len(here.transactions) == 1
    await here.rig.op("clear_fault", code=WELDED.value, evse=1)
    await here.until_evse(1, at_rest)
    await here.leave(1)


@pytest.mark.parametrize("fault", OF_STATION, ids=lambda fault: fault.value)
async def test_fault_of_the_station_while_both_charge(here: Site, fault: Fault) -> None:
    """Emergency stop, door, mains: both sessions end with the reason; both EVSEs are Faulted until it is cleared."""
    ids = await asyncio.gather(here.charge(1, uid=CARD), here.charge(2, uid=OTHER_CARD))
    received, since = len(here.csms.received), here.rig.mark
    await here.rig.op("fault", code=fault.value)
    for evse, transaction_id in zip((1, 2), ids, strict=True):
        await here.rig.wait("contactor", since=since, evse=evse, contactor="open")
        transaction = await faulted_end(here, transaction_id)
        assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", REASONS.get(fault, "Other"))
        page = "emergency_stop" if fault is Fault.EMERGENCY_STOP else "faulted"
        assert (await here.until_page(evse, page))["faults"] == fault.value
    await here.rig.op("clear_fault", code=fault.value)
    for evse in (1, 2):
        await here.until_evse(evse, at_rest)
        await here.leave(evse)
        assert here.statuses(evse, since=received) == ["Faulted", "Occupied", "Available"]


async def test_fault_that_leaves_charging_alone(here: Site) -> None:
    """A broken card reader or display is reported, but ends no session and makes no EVSE Faulted."""
    transaction_id = await here.charge(1)
    received, since = len(here.csms.received), here.rig.mark
    for fault in HARMLESS:
        await here.rig.op("fault", code=fault.value)
        await here.rig.wait("fault", since=since, code=fault.value)
    await here.until_register(1, above_wh=await here.register_wh(1) + 100)
    for fault in HARMLESS:
        await here.rig.op("clear_fault", code=fault.value)
        await here.rig.wait("fault_cleared", since=since, code=fault.value)
    assert here.statuses(1, since=received) == here.statuses(2, since=received) == []
    assert not here.transaction(transaction_id).ended
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.reason == "Local"


async def test_fault_that_comes_and_goes(here: Site) -> None:
    """A ground fault that comes and goes ends one transaction and starts none; no status is reported twice in a row."""
    transaction_id = await here.charge(1)
    for _ in range(5):
        since = here.rig.mark
        await here.rig.op("fault", code="ground_fault", evse=1)
        await here.rig.wait("fault", since=since, code="ground_fault")
        await here.rig.op("clear_fault", code="ground_fault", evse=1)
        await here.rig.wait("fault_cleared", since=since, code="ground_fault")
    transaction = await faulted_end(here, transaction_id)
    assert transaction.reason == "GroundFault"
    await here.until_evse(1, at_rest)
    await here.leave(1)
    assert [pair for pair in pairwise(here.statuses(1)) if pair[0] == pair[1]] == []
    assert len(here.transactions) == 1
