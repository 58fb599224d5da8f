# SPDX-License-Identifier: Apache-2.0
"""Drivers, cars and hardware that do what they should not: each ends in a clean state, told with the right reason."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from firmware.contract import Fault
from tests.support.scenario import CARD, OTHER_CARD, Site
from tests.support.story import Story
from tools.rig.client import RigRefused


def accept_only(here: Site, accepted: str, status: str = "Invalid") -> None:
    """The CSMS knows one card."""

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        known = request["idToken"]["idToken"] == accepted
        return {"idTokenInfo": {"status": "Accepted" if known else status}}

    here.csms.answers["Authorize"] = answer


def at_rest(evse: dict[str, Any]) -> bool:
    """Mended before the session was wound up it is `finished`, later `plugged`; the driver sees no difference."""
    return evse["phase"] in ("plugged", "finished") and evse["contactor"] == "open"


def count_ended(here: Site) -> int:
    return sum(story.ended for story in here.stories)


async def faulted_end(here: Site, transaction: str) -> Story:
    """The end of a transaction that something broke."""
    story = await here.end_of(transaction)
    story.check()
    return story


# --- cards ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["Invalid", "Blocked"])
async def test_card_that_the_csms_does_not_accept(here: Site, status: str) -> None:
    """The driver is told on the display that was touched, nothing starts, and the right card works right after."""
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
    assert len(here.stories) == 1


async def test_token_that_is_blocked_while_it_charges(here: Site) -> None:
    """The CSMS changes its mind in a TransactionEvent's answer: the session ends, DeAuthorized."""
    here.csms.answers["TransactionEvent"] = lambda event: (
        {"idTokenInfo": {"status": "Blocked"}} if "idToken" in event else {}
    )
    await here.plug_in(2)
    assert await here.card(2) == "started"
    await here.csms.until(lambda: bool(here.stories) and here.stories[0].ended, "the end", timeout=20)
    story = here.stories[0]
    story.check()
    assert (story.reason, story.triggers[-1]) == ("DeAuthorized", "Deauthorized")
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
        await here.until_page(evse, "rejected", reason="Please hold only one card to the reader.")
    assert here.sent("Authorize") == []


async def test_card_without_an_outlet(here: Site) -> None:
    """No display touched, no cable plugged in: the driver is told to choose, and the CSMS is not bothered."""
    assert await here.card() == "no_evse_selected"
    for evse in (1, 2):
        assert "outlet" in (await here.until_page(evse, "rejected"))["reason"]
    assert here.sent("Authorize") == []
    assert here.sent("TransactionEvent") == []


async def test_card_of_another_driver_does_not_stop(here: Site) -> None:
    """Whoever did not start the session can't stop it with a card of another group."""
    transaction = await here.charge(1)
    assert await here.card(1, OTHER_CARD) == "not_yours"
    await here.until_page(1, "rejected")
    assert not here.story(transaction).ended
    assert (await here.rig.evse(1))["contactor"] == "closed"
    (await here.stop_with_card(1)).check()


async def test_card_at_an_outlet_out_of_service(here: Site) -> None:
    """Unavailable by order of the CSMS, or faulted: no Authorize, no transaction; the other outlet still serves."""
    order = {"operationalStatus": "Inoperative", "evse": {"id": 1}}
    assert (await here.csms.call("ChangeAvailability", order))["status"] == "Accepted"
    await here.until_page(1, "unavailable")
    assert await here.card(1) == "unavailable"
    await here.rig.op("fault", code="ground_fault", evse=2)
    await here.csms.until(lambda: here.statuses(2)[-1] == "Faulted", "Faulted", timeout=20)
    await here.until_page(2, "faulted")
    assert await here.card(2) == "faulted"
    asked = {"idToken": {"idToken": CARD, "type": "ISO14443"}, "remoteStartId": 1, "evseId": 2}
    assert (await here.csms.call("RequestStartTransaction", asked))["status"] == "Rejected"
    assert here.sent("Authorize") == []
    assert here.statuses(1) == ["Available", "Unavailable"]
    await here.rig.op("clear_fault", code="ground_fault", evse=2)
    await here.csms.until(lambda: here.statuses(2)[-1] == "Available", "Available", timeout=20)
    assert await here.card(2) == "started"


# --- cables -----------------------------------------------------------------------------------------------------


async def test_cable_pulled_in_every_phase(here: Site) -> None:
    """By force and at the worst moment: the contactor falls, the transaction ends, the outlet serves the next."""
    for turn, phase in enumerate(("authorised", "cable_check", "precharge", "charging")):
        evse = 1 + turn % 2
        since, heard = here.rig.mark, len(here.csms.received)
        await here.plug_in(evse)
        assert await here.card(evse) == "started"
        await here.rig.wait("phase", since=since, evse=evse, phase=phase)
        await here.plug_out(evse, force=True)
        await here.csms.until(lambda: count_ended(here) > turn, f"the end, pulled in {phase}", timeout=20)  # noqa: B023
        story = here.stories[turn]
        story.check()
        assert (story.triggers[-1], story.reason) == ("EVCommunicationLost", "EVDisconnected"), (phase, story.outline)
        assert story.states[-1] == "Idle"
        await here.free(evse)
        assert here.statuses(evse, since=heard) == ["Occupied", "Available"], phase


async def test_latch_holds_the_plug_under_load(here: Site) -> None:
    """While energy flows nobody pulls the plug; as soon as the session has ended the driver just takes it."""
    await here.charge(1)
    with pytest.raises(RigRefused, match="holds the plug"):
        await here.plug_out(1)
    assert (await here.rig.evse(1))["locked"]
    await here.stop_with_card(1)
    await here.leave(1)
    with pytest.raises(RigRefused, match="no car"):
        await here.plug_out(1)


async def test_plug_in_and_out_quickly(here: Site) -> None:
    """A driver who can't decide: ten times in and out, and the outlet is what it was; no status is told twice."""
    for _ in range(10):
        await here.plug_in(1)
        await here.plug_out(1)
    await here.free(1)
    told = here.statuses(1)
    assert [pair for pair in pairwise(told) if pair[0] == pair[1]] == []
    assert here.sent("TransactionEvent") == []


# --- cars -------------------------------------------------------------------------------------------------------


async def test_car_that_never_closes_its_contactor(here: Site) -> None:
    """refuse_precharge: pre-charge comes to nothing, nothing stays energised, and the outlet is free."""
    await here.plug_in(2)
    await here.rig.op("car", evse=2, misbehave="refuse_precharge")
    assert await here.card(2) == "started"
    await here.rig.wait("phase", evse=2, phase="precharge")
    await here.csms.until(lambda: here.stories[0].ended, "the end", timeout=20)
    story = here.stories[0]
    story.check()
    assert story.reason in ("StoppedByEV", "Other")
    assert "Charging" not in story.states
    assert story.energy_wh < 1
    it = await here.until_evse(2, lambda it: it["contactor"] == "open")
    assert it["phase"] in ("finished", "plugged")
    await here.leave(2)


async def test_car_that_asks_for_too_much_voltage(here: Site) -> None:
    """over_voltage_request: never delivered; the session fails with PowerQuality and clears when the plug is out."""
    transaction = await here.charge(2)
    await here.rig.op("car", evse=2, misbehave="over_voltage_request")
    await here.rig.wait("fault", evse=2, code="over_voltage")
    story = await faulted_end(here, transaction)
    assert (story.triggers[-1], story.reason) == ("AbnormalCondition", "PowerQuality")
    assert (await here.until_page(2, "faulted"))["faults"] == "over_voltage"
    await here.leave(2)
    assert here.statuses(2)[-3:] == ["Occupied", "Faulted", "Available"]


async def test_car_that_lets_the_pilot_go(here: Site) -> None:
    """drop_pilot under load is a plug that left: contactors open at once, EVDisconnected; then it is back."""
    transaction = await here.charge(1)
    since = here.rig.mark
    asked = asyncio.get_running_loop().time()
    await here.rig.op("car", evse=1, misbehave="drop_pilot")
    await here.rig.wait("contactor", since=since, evse=1, contactor="open")
    assert asyncio.get_running_loop().time() - asked < 1.0
    story = await faulted_end(here, transaction)
    assert story.reason in ("EVDisconnected", "Other")
    await here.rig.op("car", evse=1, misbehave="none")
    await here.until_evse(1, lambda it: it["status"] == "Occupied")
    assert await here.card(1) == "started"
    await here.csms.until(lambda: here.stories[-1].id != transaction, "another transaction")


async def test_car_that_does_not_stop_drawing(here: Site) -> None:
    """hold_current: the station takes the current away by itself; the transaction ends as the driver wanted."""
    await here.charge(2)
    await here.rig.op("car", evse=2, misbehave="hold_current")
    asked = asyncio.get_running_loop().time()
    story = await here.stop_with_card(2)
    assert asyncio.get_running_loop().time() - asked < 10
    story.check()
    assert (story.reason, story.triggers[-1]) == ("Local", "StopAuthorized")
    assert (await here.rig.evse(2))["current_a"] == 0.0
    await here.leave(2)


async def test_car_with_bad_insulation(here: Site) -> None:
    """Found in the cable check before energy flows, and while it flows: isolation, GroundFault, clean afterwards."""
    await here.plug_in(1)
    await here.rig.op("car", evse=1, insulation_kohm=20)
    assert await here.card(1) == "started"
    await here.rig.wait("fault", evse=1, code="isolation")
    await here.csms.until(lambda: bool(here.stories) and here.stories[0].ended, "the end", timeout=20)
    story = here.stories[0]
    story.check()
    assert (story.reason, story.energy_wh) == ("GroundFault", 0.0)
    await here.plug_out(1)
    await here.free(1)
    transaction = await here.charge(1)
    await here.rig.op("car", evse=1, insulation_kohm=20)
    story = await faulted_end(here, transaction)
    assert (story.reason, story.triggers[-1]) == ("GroundFault", "AbnormalCondition")
    await here.plug_out(1)
    await here.free(1)


async def test_plug_that_gets_hot(here: Site) -> None:
    """Warm derates, a lost sensor derates, too hot ends the session; cool again it is free for the next."""
    transaction = await here.charge(2, soc_percent=10)
    await here.until_evse(2, lambda it: it["current_a"] > 60)
    await here.rig.op("car", evse=2, plug_temp_c=None)
    await here.until_evse(2, lambda it: it["current_a"] < 33)
    assert not here.story(transaction).ended
    await here.rig.op("car", evse=2, plug_temp_c=95)
    story = await faulted_end(here, transaction)
    assert story.triggers[-1] == "AbnormalCondition"
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
OF_OUTLET = [fault for fault in Fault if fault.stops_charging and fault not in (*OF_STATION, WELDED)]
PAIRS = [(OF_OUTLET[at], OF_OUTLET[at + 1 - len(OF_OUTLET)]) for at in range(0, len(OF_OUTLET), 2)]
GROUPS = [PAIRS[at : at + 3] for at in range(0, len(PAIRS), 3)]


async def break_and_mend(here: Site, fault: Fault, evse: int) -> None:
    """A fault while charging: Faulted and ended with its reason, said on the display; mended and unplugged: free."""
    transaction = await here.charge(evse, uid={1: CARD, 2: OTHER_CARD}[evse])
    heard = len(here.csms.received)
    await here.rig.op("fault", code=fault.value, evse=evse)
    story = await here.end_of(transaction)
    story.check()
    assert story.triggers[-1] == "AbnormalCondition", (fault, story.outline)
    assert story.reason == REASONS.get(fault, "Other"), (fault, story.reason)
    await here.csms.until(lambda: here.statuses(evse, since=heard) == ["Faulted"], f"Faulted by {fault}", timeout=20)
    assert fault.value in (await here.until_page(evse, "faulted"))["faults"]
    await here.rig.op("clear_fault", code=fault.value, evse=evse)
    await here.until_evse(evse, lambda it: it["contactor"] == "open")
    await here.plug_out(evse)
    await here.free(evse)
    assert here.statuses(evse, since=heard)[-1] == "Available"
    assert (await here.rig.evse(evse))["faults"] == []


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: "-".join(each.value for pair in group for each in pair))
async def test_fault_of_an_outlet_while_charging(here: Site, group: list[tuple[Fault, Fault]]) -> None:
    """Every fault that an outlet can have, two outlets at a time: neither disturbs the other."""
    for first, second in group:
        await asyncio.gather(break_and_mend(here, first, 1), break_and_mend(here, second, 2))


async def test_contactor_that_has_welded(here: Site) -> None:
    """Nobody can see it while it is meant to be closed; when it does not open: no current, Faulted, until mended."""
    await here.charge(1)
    await here.rig.op("fault", code=WELDED.value, evse=1)
    story = await here.stop_with_card(1)
    story.check()
    assert story.reason == "Local"
    it = await here.until_evse(1, lambda it: it["status"] == "Faulted")
    assert (it["faults"], it["contactor"], it["current_a"]) == ([WELDED.value], "closed", 0.0)
    assert (await here.until_page(1, "faulted"))["faults"] == WELDED.value
    assert await here.card(1) == "faulted"
    assert len(here.stories) == 1
    await here.rig.op("clear_fault", code=WELDED.value, evse=1)
    await here.until_evse(1, at_rest)
    await here.leave(1)


@pytest.mark.parametrize("fault", OF_STATION, ids=lambda fault: fault.value)
async def test_fault_of_the_station_while_both_charge(here: Site, fault: Fault) -> None:
    """Stop button, door, mains: both sessions end with the reason, both outlets are Faulted, and free when mended."""
    ids = await asyncio.gather(here.charge(1, uid=CARD), here.charge(2, uid=OTHER_CARD))
    heard, since = len(here.csms.received), here.rig.mark
    await here.rig.op("fault", code=fault.value)
    for evse, transaction in zip((1, 2), ids, strict=True):
        await here.rig.wait("contactor", since=since, evse=evse, contactor="open")
        story = await faulted_end(here, transaction)
        assert (story.triggers[-1], story.reason) == ("AbnormalCondition", REASONS.get(fault, "Other"))
        assert (await here.until_page(evse, "faulted"))["faults"] == fault.value
    await here.rig.op("clear_fault", code=fault.value)
    for evse in (1, 2):
        await here.until_evse(evse, at_rest)
        await here.leave(evse)
        assert here.statuses(evse, since=heard) == ["Faulted", "Occupied", "Available"]


async def test_fault_that_leaves_charging_alone(here: Site) -> None:
    """A broken card reader or display is known and told, but ends no session and faults no outlet."""
    transaction = await here.charge(1)
    heard, since = len(here.csms.received), here.rig.mark
    for fault in HARMLESS:
        await here.rig.op("fault", code=fault.value)
        await here.rig.wait("fault", since=since, code=fault.value)
    before = (await here.rig.evse(1))["energy_wh"]
    await here.until_evse(1, lambda it: it["energy_wh"] > before + 100)
    for fault in HARMLESS:
        await here.rig.op("clear_fault", code=fault.value)
        await here.rig.wait("fault_cleared", since=since, code=fault.value)
    assert here.statuses(1, since=heard) == here.statuses(2, since=heard) == []
    assert not here.story(transaction).ended
    story = await here.stop_with_card(1)
    story.check()
    assert story.reason == "Local"


async def test_fault_that_comes_and_goes(here: Site) -> None:
    """A flickering ground fault gives one end and no more transactions; statuses alternate, none is told twice."""
    transaction = await here.charge(1)
    for _ in range(5):
        since = here.rig.mark
        await here.rig.op("fault", code="ground_fault", evse=1)
        await here.rig.wait("fault", since=since, code="ground_fault")
        await here.rig.op("clear_fault", code="ground_fault", evse=1)
        await here.rig.wait("fault_cleared", since=since, code="ground_fault")
    story = await faulted_end(here, transaction)
    assert story.reason == "GroundFault"
    await here.until_evse(1, at_rest)
    await here.leave(1)
    told = here.statuses(1)
    assert [pair for pair in pairwise(told) if pair[0] == pair[1]] == []
    assert len(here.stories) == 1
