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

from tests.support.received_transactions import ReceivedTransaction
from tests.support.scenario import CARD, OTHER_CARD, Site, site
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


def check_order(transactions: list[ReceivedTransaction]) -> None:
    """At each EVSE the register of a transaction begins at the end of the one before, or higher."""
    for evse in (1, 2):
        registers = [value for each in transactions if each.evse == evse for value in each.registers]
        assert registers == sorted(registers), f"EVSE {evse}: {registers}"


def check_arrival(here: Site) -> None:
    """The first arrivals of a transaction's events are in the order of seqNo: no event overtakes another."""
    seen: dict[str, int] = {}
    for event in here.sent("TransactionEvent"):
        transaction_id, number = event["transactionInfo"]["transactionId"], event["seqNo"]
        last = seen.get(transaction_id, -1)
        assert number <= last + 1, f"{transaction_id}: {number} after {last}"
        seen[transaction_id] = max(number, last)


def summarise(here: Site, transactions: list[ReceivedTransaction]) -> str:
    reasons = dict(Counter(each.reason for each in transactions))
    events, repeated = sum(len(each.events) for each in transactions), sum(each.repeated for each in transactions)
    sums = f"{len(transactions)} transactions {reasons}, {events} events, {repeated} repeated"
    return f"{CUTS} cuts, {len(here.boot_reasons())} boots, {sums}"


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
        transactions = here.transactions
        summary = summarise(here, transactions)
        print(f"\n{summary}")
        for transaction in transactions:
            transaction.check()
            assert transaction.reason in ("PowerLoss", "Local", "StoppedByEV", "EVDisconnected"), transaction.outline
        check_order(transactions)
        check_arrival(here)
        started = {each["id"] for each in here.rig.client.events if each["event"] == "transaction"}
        assert started <= {each.id for each in transactions}, "a transaction in the rig's events is unknown to the CSMS"
        assert sum(each.repeated for each in transactions) <= CUTS, summary
        assert any(each.reason == "PowerLoss" for each in transactions), summary
        assert set(here.boot_reasons()) == {"PowerUp"}


async def test_cut_while_charging(tmp_path: Path) -> None:
    """A power cut ends the transaction with PowerLoss, the meter's value and the offline flag; the next one starts."""
    async with site(tmp_path) as here:
        transaction_id = await here.charge(2)
        await here.until_register(2, above_wh=500)
        since = len(here.csms.received)
        await here.rig.op("power_off")
        register = await here.register_wh(2)
        assert {each["page"] for each in (await here.rig.state())["screens"]} == {"off"}
        await here.rig.op("power_on")
        transaction = await here.end_of(transaction_id)
        transaction.check()
        assert (transaction.reason, transaction.triggers[-1]) == ("PowerLoss", "AbnormalCondition")
        assert transaction.registers[-1] == pytest.approx(register, abs=0.01)
        assert transaction.events[-1].get("offline") is True
        # The end is dated with the last event, the register with the time at which the station has read it.
        assert transaction.events[-1]["meterValue"][-1]["timestamp"] > transaction.events[-1]["timestamp"]
        assert here.boot_reasons(since=since)[0] == "PowerUp"
        assert "found open" in here.log("ocpp")
        await here.settled()
        assert await here.card(2) == "started"
        await here.until_another(transaction_id)


async def test_cut_while_the_csms_is_away(tmp_path: Path) -> None:
    """Everything that happened offline, before and after the cut, is sent in order once the CSMS is back."""
    async with site(tmp_path) as here:
        transaction_id = await here.charge(1)
        await here.rig.op("network", mode="refuse")
        await here.rig.op("network", mode="close")
        await here.rig.wait("disconnected")
        await here.until_register(1, above_wh=await here.register_wh(1) + 200)
        since = here.rig.mark
        await here.rig.op("power_cycle")
        await here.rig.wait("booted", since=since)
        await here.rig.client.until(lambda state: state["ocpp"]["queued_messages"] >= 3)
        assert not here.transaction(transaction_id).ended
        await here.rig.op("network", mode="up")
        transaction = await here.end_of(transaction_id)
        transaction.check()
        assert transaction.reason == "PowerLoss"
        assert transaction.repeated <= 1
        offline = [event.get("offline", False) for event in transaction.events]
        assert offline[-1] is True
        assert offline == sorted(offline)
