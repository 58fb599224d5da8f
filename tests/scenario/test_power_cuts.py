# SPDX-License-Identifier: Apache-2.0
"""Power cuts at random moments of charging, stopping, booting and sending: the books stay true.

`BAYWATT_POWER_CUTS=200 python -m pytest tests/scenario/test_power_cuts.py -s` cuts the power 200 times (a quarter of an
hour); without it, 12 times. `BAYWATT_SEED` chooses other moments. With `-s` it prints what it counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.scenario import CARD, OTHER_CARD, Site, site
from tests.support.story import Story
from tools.rig.client import RigRefused

CUTS = int(os.environ.get("BAYWATT_POWER_CUTS", "12"))
SEED = int(os.environ.get("BAYWATT_SEED", "2026"))
CARDS = {1: CARD, 2: OTHER_CARD}
LATENCIES_MS = (0, 0, 5, 40)


async def drive(here: Site, rng: Random) -> None:
    """Two drivers who plug in, present cards, stop and leave as they please, until they are cancelled."""
    while True:
        evse = rng.choice((1, 2))
        with contextlib.suppress(RigRefused):  # no power, no car, a latch that holds: drivers try, and try again
            await act(here, evse, rng)
        await asyncio.sleep(rng.uniform(0.0, 0.3))


async def act(here: Site, evse: int, rng: Random) -> None:
    it = await here.rig.evse(evse)
    if not it["plugged"] and rng.random() < 0.8:
        await here.rig.op("plug_in", evse=evse)
    elif (it["transaction_id"] is None and not it["id_token"]) or (it["phase"] == "charging" and rng.random() < 0.15):
        await here.rig.op("present_card", uid=CARDS[evse], evse=evse, hold_s=0.0)
    elif it["phase"] in ("finished", "plugged"):
        await here.rig.op("plug_out", evse=evse)


async def cut(here: Site, rng: Random, registers: dict[int, float]) -> None:
    """Let the drivers drive for a while, cut the power, and read the meters that nobody can cut.

    Half of the cuts come in an outage of the network, when the disk holds what nobody has heard yet.
    """
    await here.rig.op("network", latency_ms=rng.choice(LATENCIES_MS))
    drivers = asyncio.create_task(drive(here, rng))
    await asyncio.sleep(rng.triangular(0.0, 7.0, 1.0))
    if rng.random() < 0.5:
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        await asyncio.sleep(rng.uniform(0.0, 2.0))
    drivers.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await drivers
    await here.rig.op("power_cycle", off_s=rng.uniform(0.0, 0.1))
    await here.rig.op("network", mode="up")
    for each in (await here.rig.state())["evses"]:
        assert each["energy_wh"] >= registers[each["evse"]], f"the meter of EVSE {each['evse']} runs backwards"
        registers[each["evse"]] = each["energy_wh"]


async def wind_up(here: Site) -> None:
    """The station comes back for good; everybody leaves."""
    await here.rig.op("network", latency_ms=0)
    await here.settled()
    for evse in (1, 2):
        await here.until_evse(evse, lambda it: it["phase"] != "faulted")
        if (await here.rig.evse(evse))["transaction_id"] is not None:
            await here.rig.op("press_stop", evse=evse)
        await here.until_evse(evse, lambda it: it["transaction_id"] is None and it["contactor"] == "open")
        if (await here.rig.evse(evse))["plugged"]:
            await here.rig.op("plug_out", evse=evse)
        await here.until_evse(evse, lambda it: (it["status"], it["phase"]) == ("Available", "idle"))
    await here.settled()


def check_order(told: list[Story]) -> None:
    """At one outlet each transaction's register begins where the one before ended, or later."""
    for evse in (1, 2):
        registers = [value for story in told if story.evse == evse for value in story.registers]
        assert registers == sorted(registers), f"EVSE {evse}: {registers}"


def check_arrival(here: Site) -> None:
    """First arrivals come in the order of their seqNo: nothing overtakes."""
    seen: dict[str, int] = {}
    for event in here.sent("TransactionEvent"):
        transaction, number = event["transactionInfo"]["transactionId"], event["seqNo"]
        assert number <= seen.get(transaction, -1) + 1, f"{transaction}: {number} after {seen.get(transaction)}"
        seen[transaction] = max(number, seen.get(transaction, -1))


def report(here: Site, told: list[Story]) -> str:
    reasons: dict[Any, int] = {}
    for story in told:
        reasons[story.reason] = reasons.get(story.reason, 0) + 1
    events, again = sum(len(story.events) for story in told), sum(story.repeated for story in told)
    boots = len(here.sent("BootNotification"))
    return f"{CUTS} cuts, {boots} BootNotifications, {len(told)} transactions {reasons}, {events} events, {again} again"


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * CUTS)
async def test_random_power_cuts(tmp_path: Path) -> None:
    """No event is lost, doubled or out of order, every transaction ends, and no register ever falls.

    An event that was on its way when the power went may come again, with the same seqNo and the same words: nobody
    can know whether the CSMS has it. There is at most one for each cut.
    """
    rng = Random(SEED)
    registers = {1: 0.0, 2: 0.0}
    async with site(tmp_path, speed=20.0) as here:
        for _ in range(CUTS):
            await cut(here, rng, registers)
        await wind_up(here)
        told = here.stories
        summary = report(here, told)
        print(f"\n{summary}")
        for story in told:
            story.check()
            assert story.reason in ("PowerLoss", "Local", "StoppedByEV", "EVDisconnected"), story.outline
        check_order(told)
        check_arrival(here)
        started = {each["id"] for each in here.rig.client.events if each["event"] == "transaction"}
        assert started <= {story.id for story in told}, "a transaction that an onlooker saw is unknown to the CSMS"
        assert sum(story.repeated for story in told) <= CUTS, summary
        assert any(story.reason == "PowerLoss" for story in told), summary
        assert {each["reason"] for each in here.sent("BootNotification")} == {"PowerUp"}


async def test_cut_while_charging(tmp_path: Path) -> None:
    """The car charges, the power goes: PowerLoss, with the meter's value, told as offline; the next is served."""
    async with site(tmp_path) as here:
        transaction = await here.charge(2)
        await here.until_evse(2, lambda it: it["energy_wh"] > 500)
        since = len(here.csms.received)
        await here.rig.op("power_off")
        register = (await here.rig.evse(2))["energy_wh"]
        assert {each["page"] for each in (await here.rig.state())["screens"]} == {"off"}
        await here.rig.op("power_on")
        story = await here.end_of(transaction)
        story.check()
        assert (story.reason, story.triggers[-1]) == ("PowerLoss", "AbnormalCondition")
        assert story.registers[-1] == pytest.approx(register, abs=0.01)
        assert story.events[-1].get("offline") is True
        assert here.sent("BootNotification", since=since)[0]["reason"] == "PowerUp"
        assert "found open" in here.log("ocpp")
        await here.settled()
        assert await here.card(2) == "started"
        await here.csms.until(lambda: here.stories[-1].id != transaction, "another transaction")


async def test_cut_while_the_csms_is_away(tmp_path: Path) -> None:
    """Everything that happened offline, before and after the cut, is told in order when the CSMS is back."""
    async with site(tmp_path) as here:
        transaction = await here.charge(1)
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        await here.rig.wait("disconnected")
        register = (await here.rig.evse(1))["energy_wh"]
        await here.until_evse(1, lambda it: it["energy_wh"] > register + 200)
        since = here.rig.mark
        await here.rig.op("power_cycle")
        await here.rig.wait("booted", since=since)
        await here.rig.client.until(lambda state: state["ocpp"]["queued_messages"] >= 3)
        assert not here.story(transaction).ended
        await here.rig.op("network", mode="up")
        story = await here.end_of(transaction)
        story.check()
        assert story.reason == "PowerLoss"
        assert story.repeated <= 1
        offline = [event.get("offline", False) for event in story.events]
        assert offline[-1] is True
        assert offline == sorted(offline)
