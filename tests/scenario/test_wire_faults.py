# SPDX-License-Identifier: Apache-2.0
"""What simulators can do wrong on their wires, in the whole station: some rows of docs/device-faults.md of each kind.

Every row is played by tests/unit/hal/test_device_faults.py, without an OCPP service.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from services.ocpp.transactions.reasons import caused_by
from tests.support.device_faults import ROWS, Row, row_of
from tests.support.scenario import CARD, OTHER_CARD, Site, site
from tests.support.sockets import eventually

pytestmark = pytest.mark.slow

CARDS = {1: CARD, 2: OTHER_CARD}
_OF_BOTH = ("insulation", "vehicle")
"""Devices of each EVSE that are alike."""


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True) as found:
        yield found


async def disturb(here: Site, device: str, fault: str, *, present: bool = True) -> None:
    await here.rig.op("device_fault", device=device, fault=fault, present=present)


async def until_reported(here: Site, row: Row, *, since: int, cleared: bool = False) -> None:
    """NotifyEvent with the fault's code and words."""
    assert row.report is not None
    tech_code = row.code or row.report.value

    def reported() -> bool:
        events = [event for each in here.sent("NotifyEvent", since=since) for event in each["eventData"]]
        return any(
            event["techCode"] == tech_code
            and event["cleared"] is cleared
            and (cleared or row.words in event["techInfo"])
            for event in events
        )

    await here.csms.until(reported, f"NotifyEvent of {row}", timeout=60.0)


async def charge_both(here: Site) -> list[tuple[int, str]]:
    """EVSE and transaction of two vehicles that take long."""
    return [(evse, await here.charge(evse, uid=card, soc_percent=5, capacity_kwh=500)) for evse, card in CARDS.items()]


# --- what ends a session ---------------------------------------------------------------------------------------------

ENDS = (
    (row_of("meter 1", "malformed"), row_of("meter 2", "twin")),
    (row_of("meter 1", "frozen"), row_of("meter 2", "wrong_address")),
    (row_of("vehicle 1", "interlock_open"), replace(row_of("insulation 1", "device_error"), device="insulation 2")),
    (row_of("insulation 1", "wrong_function"), row_of("meter 2", "corrupt")),
)


async def end_and_recover(here: Site, row: Row, evse: int, transaction_id: str) -> None:
    """The fault ends the session; without the fault the EVSE is free for the next EV driver."""
    since = len(here.csms.received)
    await disturb(here, row.device, row.fault)
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert row.report is not None
    reason = caused_by(row.report).reason
    assert (transaction.triggers[-1], transaction.reason) == ("AbnormalCondition", reason), str(row)
    await until_reported(here, row, since=since)
    await here.until_evse(evse, lambda it: (it["contactor"], it["status"]) == ("open", "Faulted"))
    await disturb(here, row.device, row.fault, present=False)
    await here.plug_out(evse, force=True)
    await here.free(evse)
    await until_reported(here, row, since=since, cleared=True)


@pytest.mark.parametrize("rows", ENDS, ids=lambda rows: " and ".join(map(str, rows)))
async def test_what_ends_a_session(wired: Site, rows: tuple[Row, Row]) -> None:
    """At both EVSEs at once, each with its own fault."""
    transactions = await charge_both(wired)
    await asyncio.gather(*(end_and_recover(wired, *each) for each in _paired(rows, transactions)))


@pytest.mark.chance
async def test_any_two_rows_at_a_random_moment(wired: Site, rng: Random) -> None:
    """One at each EVSE, of those that last and end a session; `make chance` plays others each time."""
    rows = [row for row in ROWS if row.session == "ends" and row.report is not None and row.fault != "restarts"]
    first = rng.choice([row for row in rows if row.device.endswith(" 1")])
    of_both = [replace(row, device=row.device.replace("1", "2")) for row in rows if row.device.startswith(_OF_BOTH)]
    second = rng.choice([row for row in rows if row.device == "meter 2"] + of_both)
    print(f"{first}, {second}")
    transactions = await charge_both(wired)
    await asyncio.sleep(rng.uniform(0.0, 5.0))
    await asyncio.gather(*(end_and_recover(wired, *each) for each in _paired((first, second), transactions)))


def _paired(rows: tuple[Row, Row], transactions: list[tuple[int, str]]) -> list[tuple[Row, int, str]]:
    return [(row, *each) for row, each in zip(rows, transactions, strict=True)]


async def exchange_meter(here: Site, *, own: bool) -> None:
    """Unplug the one, and plug in the other when the HAL has noticed that."""

    def refused() -> int:
        return here.log("hal").count("it refuses the connection")

    before = refused()
    await here.rig.op("device", device="meter 1", plugged=False)
    await eventually(lambda: refused() > before)
    await disturb(here, "meter 1", "exchanged", present=not own)
    await here.rig.op("device", device="meter 1", plugged=True)


async def test_another_meter_is_not_accepted_by_a_restart(wired: Site) -> None:
    row, since = row_of("meter 1", "exchanged"), len(wired.csms.received)
    await exchange_meter(wired, own=False)
    await until_reported(wired, row, since=since)
    await wired.rig.op("power_cycle")
    await wired.settled()
    await wired.until_evse(1, lambda it: it["faults"] == ["meter"])
    assert (await wired.rig.evse(2))["faults"] == []
    await exchange_meter(wired, own=True)
    await wired.free(1)
    await wired.charge(1)
    (await wired.stop_with_card(1)).check()


# --- what does not --------------------------------------------------------------------------------------------------

BRIDGED = (
    ("module 0", "fan"),
    ("module 0", "power limited"),
    ("module 0", "phase lost"),
    ("vehicle 1", "garbage"),
    ("vehicle 2", "garbage"),
    ("meter 2", "noise"),
    ("insulation 1", "split"),
    ("insulation 2", "merged"),
    ("card reader", "split"),
    ("display 1", "split"),
    ("display 1", "restart"),
    ("display 2", "crash"),
)
REPORTED = (
    row_of("module 0", "fault"),
    row_of("module 0", "babbling"),
    row_of("card reader", "babbling"),
    row_of("display 1", "silent"),
    row_of("display 1", "babbling"),
)


async def test_what_no_session_ends_by(wired: Site) -> None:
    transactions = await charge_both(wired)
    for device, fault in BRIDGED:
        await disturb(wired, device, fault)
    for _, transaction_id in transactions:
        await wired.until_more_events(transaction_id, 5)
    state = await wired.rig.state()
    assert [(each["phase"], each["faults"]) for each in state["evses"]] == [("charging", [])] * 2
    for device, fault in BRIDGED:
        await disturb(wired, device, fault, present=False)
    for row in REPORTED:
        since = len(wired.csms.received)
        await disturb(wired, row.device, row.fault)
        await until_reported(wired, row, since=since)
        await disturb(wired, row.device, row.fault, present=False)
        await until_reported(wired, row, since=since, cleared=True)
    for evse, card in CARDS.items():
        transaction = await wired.stop_with_card(evse, card)
        transaction.check()
        assert transaction.reason == "Local"


# --- what closes the station ------------------------------------------------------------------------------------------

CLOSES = (
    row_of("lines", "stop_wire_broken"),
    row_of("lines", "silent"),
    row_of("module bus", "bus_off"),
    row_of("vehicle bus", "full"),
)


async def test_what_closes_the_station(wired: Site) -> None:
    for row in CLOSES:
        since = len(wired.csms.received)
        await disturb(wired, row.device, row.fault)
        for evse in CARDS:
            await wired.until_evse(evse, lambda it: it["status"] == "Faulted")
        await until_reported(wired, row, since=since)
        await disturb(wired, row.device, row.fault, present=False)
        for evse in CARDS:
            await wired.free(evse)
        await until_reported(wired, row, since=since, cleared=True)
    await wired.charge(1)
    (await wired.stop_with_card(1)).check()
