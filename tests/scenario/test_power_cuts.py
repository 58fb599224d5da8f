# SPDX-License-Identifier: Apache-2.0
"""Power cuts at random moments of charging, stopping, booting and sending: the transactions stay correct.

`BAYWATT_POWER_CUTS=200 python -m pytest tests/scenario/test_power_cuts.py -s` cuts the power 200 times (a quarter of an
hour); the default is 12 times. `BAYWATT_SEED` chooses other moments. With `-s` it prints the counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests.support.scenario import CARD, OTHER_CARD, Site, site
from tests.support.story import Story
from tools.rig.client import RigRefused

CUTS = int(os.environ.get("BAYWATT_POWER_CUTS", "12"))
SEED = int(os.environ.get("BAYWATT_SEED", "2026"))
CARDS = {1: CARD, 2: OTHER_CARD}
LATENCIES_MS = (0, 0, 5, 40)


async def drive(here: Site, rng: Random) -> None:
    """Two EV drivers who plug in, present cards, stop and leave at random, until they are cancelled."""
    while True:
        evse = rng.choice((1, 2))
        with contextlib.suppress(RigRefused):  # no power, no car, or the latch holds the plug: they try again
            await act(here, evse, rng)
        await asyncio.sleep(rng.uniform(0.0, 0.3))  # for the scenario: people pause, energy flows


async def act(here: Site, evse: int, rng: Random) -> None:
    it = await here.rig.evse(evse)
    if not it["plugged"] and rng.random() < 0.8:
        await here.rig.op("plug_in", evse=evse)
    elif (it["transaction_id"] is None and not it["id_token"]) or (it["phase"] == "charging" and rng.random() < 0.15):
        await here.rig.op("present_card", uid=CARDS[evse], evse=evse, hold_s=0.0)
    elif it["phase"] in ("finished", "plugged"):
        await here.rig.op("plug_out", evse=evse)


async def cut(here: Site, rng: Random, registers: dict[int, float]) -> None:
    """Let the EV drivers act for a while, cut the power, and read the meters, which never lose theirs.

    Half of the cuts are during an outage of the network, when messages are stored that the CSMS does not have yet.
    """
    await here.rig.op("network", latency_ms=rng.choice(LATENCIES_MS))
    drivers = asyncio.create_task(drive(here, rng))
    await asyncio.sleep(rng.triangular(0.0, 7.0, 1.0))  # the random moment of the cut
    if rng.random() < 0.5:
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        await asyncio.sleep(rng.uniform(0.0, 2.0))  # the outage lasts, messages are queued
    drivers.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await drivers
    await here.rig.op("power_cycle", off_s=rng.uniform(0.0, 0.1))
    await here.rig.op("network", mode="up")
    for each in (await here.rig.state())["evses"]:
        assert each["energy_wh"] >= registers[each["evse"]], f"the meter of EVSE {each['evse']} runs backwards"
        registers[each["evse"]] = each["energy_wh"]


async def wind_up(here: Site) -> None:
    """Power and network stay on; all sessions end and all cars leave."""
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


def check_order(stories: list[Story]) -> None:
    """At each EVSE the register of a transaction begins at the end of the one before, or higher."""
    for evse in (1, 2):
        registers = [value for story in stories if story.evse == evse for value in story.registers]
        assert registers == sorted(registers), f"EVSE {evse}: {registers}"


def check_arrival(here: Site) -> None:
    """The first arrivals of a transaction's events are in the order of seqNo: no event overtakes another."""
    seen: dict[str, int] = {}
    for event in here.sent("TransactionEvent"):
        transaction, number = event["transactionInfo"]["transactionId"], event["seqNo"]
        assert number <= seen.get(transaction, -1) + 1, f"{transaction}: {number} after {seen.get(transaction)}"
        seen[transaction] = max(number, seen.get(transaction, -1))


def summarise(here: Site, stories: list[Story]) -> str:
    reasons = dict(Counter(story.reason for story in stories))
    events, repeated = sum(len(story.events) for story in stories), sum(story.repeated for story in stories)
    boots = len(here.boot_reasons())
    return f"{CUTS} cuts, {boots} boots, {len(stories)} transactions {reasons}, {events} events, {repeated} repeated"


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * CUTS)
async def test_random_power_cuts(tmp_path: Path) -> None:
    """No event is lost, doubled or out of order, every transaction ends, and no register ever falls.

    An event that was being sent when the power failed may be repeated, with the same seqNo and content: the station
    can't know whether the CSMS has received it. There is at most one for each cut.
    """
    rng = Random(SEED)
    registers = {1: 0.0, 2: 0.0}
    async with site(tmp_path, speed=20.0) as here:
        for _ in range(CUTS):
            await cut(here, rng, registers)
        await wind_up(here)
        stories = here.stories
        summary = summarise(here, stories)
        print(f"\n{summary}")
        for story in stories:
            story.check()
            assert story.reason in ("PowerLoss", "Local", "StoppedByEV", "EVDisconnected"), story.outline
        check_order(stories)
        check_arrival(here)
        started = {each["id"] for each in here.rig.client.events if each["event"] == "transaction"}
        assert started <= {story.id for story in stories}, "a transaction in the rig's events is unknown to the CSMS"
        assert sum(story.repeated for story in stories) <= CUTS, summary
        assert any(story.reason == "PowerLoss" for story in stories), summary
        assert set(here.boot_reasons()) == {"PowerUp"}


async def test_cut_while_charging(tmp_path: Path) -> None:
    """A power cut ends the transaction with PowerLoss, the meter's value and the offline flag; the next one starts."""
    async with site(tmp_path) as here:
        transaction = await here.charge(2)
        await here.until_register(2, above_wh=500)
        since = len(here.csms.received)
        await here.rig.op("power_off")
        register = await here.register_wh(2)
        assert {each["page"] for each in (await here.rig.state())["screens"]} == {"off"}
        await here.rig.op("power_on")
        story = await here.end_of(transaction)
        story.check()
        assert (story.reason, story.triggers[-1]) == ("PowerLoss", "AbnormalCondition")
        assert story.registers[-1] == pytest.approx(register, abs=0.01)
        assert story.events[-1].get("offline") is True
        assert here.boot_reasons(since=since)[0] == "PowerUp"
        assert "found open" in here.log("ocpp")
        await here.settled()
        assert await here.card(2) == "started"
        await here.until_another(transaction)


async def test_cut_while_the_csms_is_away(tmp_path: Path) -> None:
    """Everything that happened offline, before and after the cut, is sent in order once the CSMS is back."""
    async with site(tmp_path) as here:
        transaction = await here.charge(1)
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        await here.rig.wait("disconnected")
        await here.until_register(1, above_wh=await here.register_wh(1) + 200)
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
