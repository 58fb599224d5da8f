# SPDX-License-Identifier: Apache-2.0
"""Charging sessions in every order of card, cable and CSMS, as the CSMS and the display see them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import parse_utc
from tests.support.received_transactions import ReceivedTransaction
from tests.support.rig import Rig
from tests.support.scenario import CARD, OTHER_CARD, Site, site

WHOLE = ["Idle", "EVConnected", "Charging", "EVConnected"]
REMOTE_TOKEN = {"idToken": OTHER_CARD, "type": "ISO14443"}


def check_energy(transaction: ReceivedTransaction, before: float, after: float) -> None:
    """The energy that the CSMS knows is the difference of the meter's registers, to 0.01 Wh."""
    assert transaction.energy_wh > 10
    assert transaction.energy_wh == pytest.approx(after - before, abs=0.01)
    assert transaction.registers[0] == pytest.approx(before, abs=0.01)


async def test_card_first(here: Site) -> None:
    """Card, cable, energy, card, cable out; the display guides, and the CSMS is notified of each step once."""
    before = await here.register_wh(1)
    pages = here.rig.mark
    await here.rig.op("select_evse", evse=1)
    await here.until_page(1, "select")
    assert await here.card() == "started"
    await here.until_page(1, "plug_in")
    await here.plug_in(1)
    transaction_id = await here.charging(1)
    assert float((await here.until_page(1, "charging"))["power_kw"]) >= 0
    assert await here.page(2) == "idle"
    await here.until_register(1, above_wh=before + 100)
    transaction = await here.stop_with_card(1)
    await here.leave(1)
    await here.until_page(1, "idle")

    transaction.check()
    assert transaction.id == transaction_id
    assert transaction.states == WHOLE
    assert transaction.triggers == ["Authorized", "CablePluggedIn", "ChargingStateChanged", "StopAuthorized"]
    assert (transaction.evse, transaction.reason, transaction.repeated) == (1, "Local", 0)
    assert transaction.events[0]["idToken"]["idToken"] == transaction.events[-1]["idToken"]["idToken"] == CARD
    check_energy(transaction, before, await here.register_wh(1))
    assert here.statuses(1) == ["Available", "Occupied", "Available"]
    assert here.statuses(2) == ["Available"]
    assert len(here.sent("Authorize")) == 1
    assert len(here.transactions) == 1
    shown = [
        each["page"] for each in here.rig.client.events[pages:] if each["event"] == "screen" and each["screen"] == 1
    ]
    guided = ["select", "authorising", "plug_in", "preparing", "charging", "stopping", "finished", "idle"]
    assert shown == guided


async def test_plug_first(here: Site) -> None:
    """The cable comes first: it selects the EVSE, and the transaction starts with the card."""
    before = await here.register_wh(2)
    await here.plug_in(2)
    await here.until_page(2, "select")
    assert await here.card() == "started"
    await here.charging(2)
    await here.until_register(2, above_wh=before + 100)
    transaction = await here.stop_with_card(2)
    await here.leave(2)

    transaction.check()
    assert transaction.states == ["EVConnected", "Charging", "EVConnected"]
    assert transaction.triggers == ["Authorized", "ChargingStateChanged", "StopAuthorized"]
    assert (transaction.evse, transaction.reason) == (2, "Local")
    check_energy(transaction, before, await here.register_wh(2))
    assert here.statuses(2) == ["Available", "Occupied", "Available"]


async def test_remote_start_and_stop(here: Site) -> None:
    """The CSMS starts and stops; its remoteStartId is reported once, in the first event."""
    before = await here.register_wh(1)
    request = {"idToken": REMOTE_TOKEN, "remoteStartId": 4711, "evseId": 1}
    assert (await here.csms.call("RequestStartTransaction", request))["status"] == "Accepted"
    await here.until_page(1, "plug_in")
    await here.plug_in(1)
    transaction_id = await here.charging(1)
    await here.until_register(1, above_wh=before + 100)
    stop = await here.csms.call("RequestStopTransaction", {"transactionId": transaction_id})
    assert stop["status"] == "Accepted"
    transaction = await here.end_of(transaction_id)
    await here.leave(1)

    transaction.check()
    assert transaction.states == WHOLE
    assert transaction.triggers == ["RemoteStart", "CablePluggedIn", "ChargingStateChanged", "RemoteStop"]
    assert transaction.reason == "Remote"
    starts = [each["transactionInfo"].get("remoteStartId") for each in transaction.events]
    assert starts == [4711] + [None] * (len(starts) - 1)
    assert [each["idToken"] for each in here.sent("Authorize")] == [REMOTE_TOKEN]
    check_energy(transaction, before, await here.register_wh(1))
    again = await here.csms.call("RequestStopTransaction", {"transactionId": transaction_id})
    assert again["status"] == "Rejected"


async def test_both_evses_at_once(here: Site) -> None:
    """Two cars, two cards: two independent transactions that share the station's power."""
    before = [await here.register_wh(1), await here.register_wh(2)]
    since = len(here.csms.received)
    assert await here.card(1, CARD) == "started"
    assert await here.card(2, OTHER_CARD) == "started"
    await here.plug_in(1)
    await here.plug_in(2)
    first, second = await here.charging(1, since=since), await here.charging(2, since=since)
    await here.rig.client.until(lambda state: all(each["current_a"] > 50 for each in state["evses"]))
    offered = sum(each["offered_kw"] for each in (await here.rig.state())["evses"])
    assert 0 < offered <= 400
    one = await here.stop_with_card(1, CARD)
    assert (await here.rig.evse(2))["contactor"] == "closed"
    two = await here.stop_with_card(2, OTHER_CARD)
    await here.leave(1)
    await here.leave(2)

    assert [one.id, two.id] == [first, second]
    for evse, transaction in ((1, one), (2, two)):
        transaction.check()
        assert (transaction.evse, transaction.states, transaction.reason) == (evse, WHOLE, "Local")
        check_energy(transaction, before[evse - 1], await here.register_wh(evse))
        assert here.statuses(evse) == ["Available", "Occupied", "Available"]
    assert len(here.transactions) == 2


async def test_stop_button(here: Site) -> None:
    """The button on the display ends the session: no card is needed to stop."""
    transaction_id = await here.charge(1)
    await here.rig.op("press_stop", evse=1)
    transaction = await here.end_of(transaction_id)
    text = await here.until_page(1, "finished")
    assert "energy_kwh" in text
    await here.leave(1)
    transaction.check()
    assert (transaction.triggers[-1], transaction.reason) == ("StopAuthorized", "Local")
    assert transaction.states == WHOLE


async def test_vehicle_ends(here: Site) -> None:
    """The battery has reached its target: the car ends the session, and the transaction ends with it."""
    before = await here.register_wh(2)
    transaction_id = await here.charge(2, soc_percent=40, target_soc_percent=40.5, capacity_kwh=50)
    transaction = await here.end_of(transaction_id)
    await here.until_page(2, "finished", "select")
    await here.leave(2)
    transaction.check()
    assert (transaction.triggers[-1], transaction.reason) == ("StopAuthorized", "StoppedByEV")
    check_energy(transaction, before, await here.register_wh(2))
    assert here.statuses(2) == ["Available", "Occupied", "Available"]


async def test_vehicle_pauses(here: Site) -> None:
    """A car that requests no current suspends charging: the transaction continues with SuspendedEV."""
    transaction_id = await here.charge(2)
    await here.rig.op("car", evse=2, suspended=True)
    await here.csms.until(lambda: here.transaction(transaction_id).states[-1] == "SuspendedEV", "SuspendedEV")
    await here.until_page(2, "suspended")
    assert (await here.rig.evse(2))["phase"] == "paused"
    await here.rig.op("car", evse=2, suspended=False)
    await here.csms.until(lambda: here.transaction(transaction_id).states[-1] == "Charging", "Charging")
    transaction = await here.stop_with_card(2)
    await here.leave(2)
    transaction.check()
    assert transaction.states == ["Idle", "EVConnected", "Charging", "SuspendedEV", "Charging", "EVConnected"]


async def test_a_meter_that_falls_silent(here: Site) -> None:
    """The session ends with the meter's last register, and with the time at which that was read."""
    transaction_id = await here.charge(1)
    await here.until_register(1, above_wh=100)
    await here.rig.op("meter", evse=1, failed=True)
    transaction = await here.end_of(transaction_id)
    transaction.check()
    ended = transaction.events[-1]
    assert parse_utc(ended["timestamp"]) - parse_utc(ended["meterValue"][-1]["timestamp"]) > 3.0
    await here.rig.op("meter", evse=1, failed=False)
    await here.until_evse(1, lambda it: it["faults"] == [])
    await here.leave(1)


async def test_one_evse_serves_one_driver_after_another(here: Site) -> None:
    """Two sessions in a row: two transactions, each of which begins with the meter's register at that time."""
    registers: list[float] = []
    for uid in (OTHER_CARD, CARD):
        before = await here.register_wh(1)
        await here.charge(1, uid=uid)
        transaction = await here.stop_with_card(1, uid)
        await here.leave(1)
        transaction.check()
        check_energy(transaction, before, await here.register_wh(1))
        registers += transaction.registers
    assert len(here.transactions) == 2
    assert registers == sorted(registers)
    assert here.statuses(1) == ["Available"] + ["Occupied", "Available"] * 2


@pytest.mark.parametrize("by", ["card", "csms"])
async def test_started_again_at_once_on_the_same_cable(here: Site, by: str) -> None:
    """The car is still ending the last session when the next is authorised: it charges again all the same."""
    first = await here.charge(1)
    await here.rig.op("car", evse=1, misbehave="slow_end")
    since = len(here.csms.received)
    assert (await here.csms.call("RequestStopTransaction", {"transactionId": first}))["status"] == "Accepted"
    await here.end_of(first)
    if by == "card":
        assert await here.card(1) == "started"
    else:
        request = {"idToken": REMOTE_TOKEN, "remoteStartId": 4712, "evseId": 1}
        assert (await here.csms.call("RequestStartTransaction", request))["status"] == "Accepted"
    second = await here.charging(1, since=since)
    assert second != first
    story = await here.stop_with_card(1, CARD if by == "card" else OTHER_CARD)
    await here.leave(1)
    story.check()


async def test_a_car_that_sleeps_is_woken(here: Site) -> None:
    """The next session on the same cable: the car does not see that it is authorised until its pilot is interrupted."""
    await here.charge(2)
    await here.rig.op("car", evse=2, misbehave="sleep")
    await here.stop_with_card(2)
    since = len(here.csms.received)
    assert await here.card(2) == "started"
    await here.charging(2, since=since)
    assert "its pilot is interrupted" in here.log("hal")
    (await here.stop_with_card(2)).check()
    await here.leave(2)


async def test_no_cable_is_plugged_in(tmp_path: Path) -> None:
    """A card and no cable: the transaction ends after EVConnectionTimeOut, and the EVSE is free."""
    async with site(tmp_path, variables={("TxCtrlr", "EVConnectionTimeOut"): "1"}) as here:
        assert await here.card(1) == "started"
        await here.until_page(1, "plug_in")
        transaction = await here.until_ended()
        assert [each["triggerReason"] for each in transaction.events] == ["Authorized", "EVConnectTimeout"]
        assert transaction.reason == "Timeout"
        await here.until_page(1, "idle")
        await here.until_evse(1, lambda it: it["transaction_id"] is None)


async def test_two_rigs_side_by_side(tmp_path: Path) -> None:
    """Two stations on one machine share nothing: each has its own CSMS, car and transactions."""
    async with site(tmp_path, name="one", identity="CP1") as one, site(tmp_path, name="two", identity="CP2") as two:
        assert one.csms.handshakes[0].path.endswith("/CP1")
        assert two.csms.handshakes[0].path.endswith("/CP2")
        await asyncio.gather(one.charge(1), two.charge(2))
        ends = await asyncio.gather(one.stop_with_card(1), two.stop_with_card(2))
        for transaction in ends:
            transaction.check()
        await asyncio.gather(one.leave(1), two.leave(2))
        assert (len(one.transactions), len(two.transactions)) == (1, 1)
        assert one.transactions[0].id != two.transactions[0].id
        serials: set[Any] = set()
        for each in (one, two):
            boots = each.sent("BootNotification")
            assert len(boots) == 1
            serials.add(boots[0]["chargingStation"]["serialNumber"])
        assert len(serials) == 2


async def test_two_rigs_in_one_directory(here: Site, tmp_path: Path) -> None:
    """The second one refuses to start."""
    rig = Rig(here.rig.directory, control=tmp_path / "other.sock")
    with pytest.raises(AssertionError, match="another rig uses this directory"):
        await rig.start()
