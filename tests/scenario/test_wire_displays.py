# SPDX-License-Identifier: Apache-2.0
"""The displays of a wired station: a serial panel at EVSE 1, a kiosk browser at EVSE 2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.contract import Fault
from tests.support.device_faults import row_of
from tests.support.scenario import CARD, OTHER_CARD, Site, site

pytestmark = pytest.mark.slow

CARDS = {1: CARD, 2: OTHER_CARD}


async def charge_both(here: Site) -> dict[int, str]:
    return {evse: await here.charge(evse, uid=card, soc_percent=5, capacity_kwh=500) for evse, card in CARDS.items()}


def no_fault(evse: dict[str, Any]) -> bool:
    return bool(evse["faults"] == [])


async def test_touches_choose_and_stop(tmp_path: Path) -> None:
    """At both displays; a touch says which of two sessions of one card is meant."""
    async with site(tmp_path, wire=True) as here:
        for evse in CARDS:
            await here.rig.op("select_evse", evse=evse)
            await here.until_page(evse, "select")
            await here.charge(evse, soc_percent=5, capacity_kwh=500)
        transaction_id = (await here.rig.evse(1))["transaction_id"]
        assert await here.card(2) == "stopped"
        await here.until_page(2, "finished")
        assert (await here.rig.evse(1))["phase"] == "charging"
        await here.rig.op("press_stop", evse=1)
        assert (await here.end_of(transaction_id)).reason == "Local"
        await here.until_page(1, "finished")


@pytest.mark.parametrize("fault", ["unplugged", "silent", "garbage"])
async def test_a_browser_that_does_not_come_up_stops_no_session(tmp_path: Path, fault: str) -> None:
    """Restarted three times, then reported; it is seen when it is back, and shows what is so then."""
    async with site(tmp_path, wire=True) as here:
        transactions = await charge_both(here)
        await disturb(here, fault, present=True)
        lost = [Fault.SCREEN.value]
        await here.rig.client.until(lambda state: state["evses"][1]["faults"] == lost, timeout_s=60.0)
        assert here.log("hal").count("no browser shows the page, restarting it") >= 3
        assert row_of("display 2", "silent").words in here.log("hal").partition(" fault screen of EVSE 2: ")[2]
        assert (await here.rig.evse(1))["faults"] == []
        await here.until_more_events(transactions[2], 3)
        assert (await here.rig.evse(2))["phase"] == "charging"
        await disturb(here, fault, present=False)
        await here.until_evse(2, no_fault)
        await here.rig.op("press_stop", evse=2)
        assert (await here.end_of(transactions[2])).reason == "Local"


async def disturb(here: Site, fault: str, *, present: bool) -> None:
    if fault == "unplugged":
        await here.rig.op("device", device="display 2", plugged=not present)
    else:
        await here.rig.op("device_fault", device="display 2", fault=fault, present=present)
