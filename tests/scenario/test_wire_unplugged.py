# SPDX-License-Identifier: Apache-2.0
"""Each device on the wire is unplugged at a random moment of a session, and plugged in again a random time later.

The seed is printed with a failure; BAYWATT_SEED in the environment repeats it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.support.received_transactions import ReceivedTransaction
from tests.support.scenario import CARD, OTHER_CARD, Site, site

pytestmark = pytest.mark.chance

CARDS = {1: CARD, 2: OTHER_CARD}
SESSION_S = 14.0
"""From the plug to some seconds of energy transfer."""
MOST_ABSENT_S = 4.0
SPEED = 10.0
"""Slow enough that no car is full, and has ended its session itself, before the other EVSE has recovered."""
OWN = {"vehicle": "vehicle_link", "insulation": "isolation", "meter": "meter"}
"""Devices that each EVSE has, and the fault of one that is lost."""
SHARED = ("module bus", "vehicle bus", "modbus line", "lines", "alarms")


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True, speed=SPEED) as found:
        yield found


async def begin_both(here: Site) -> None:
    """Card and cable at each EVSE."""
    for evse, card in CARDS.items():
        assert await here.card(evse, card) == "started"
        await here.plug_in(evse)


async def some_time(rng: Random, most_s: float) -> None:
    pause_s = rng.uniform(0.0, most_s)
    print(f"after {pause_s:.2f} s")
    await asyncio.sleep(pause_s)


async def set_plugged(here: Site, device: str, plugged: bool) -> None:
    await here.rig.op("device", device=device, plugged=plugged)


def is_cut(evse: dict[str, Any]) -> bool:
    return (evse["contactor"], evse["status"]) == ("open", "Faulted")


async def ended(here: Site, evse: int) -> ReceivedTransaction:
    """Wait until the CSMS knows of the end of the EVSE's one transaction."""

    def own() -> list[ReceivedTransaction]:
        return [each for each in here.transactions if each.evse == evse]

    await here.csms.until(lambda: any(each.ended for each in own()), f"end of the transaction at EVSE {evse}")
    (transaction,) = own()
    return transaction


async def serve(here: Site, evse: int) -> None:
    """The next EV driver is served."""
    await here.plug_out(evse, force=True)
    await here.free(evse)
    await here.charge(evse, uid=CARDS[evse])
    (await here.stop_with_card(evse, CARDS[evse])).check()


@pytest.mark.parametrize("device", OWN)
async def test_a_device_of_one_evse(wired: Site, rng: Random, device: str) -> None:
    """Its session ends with the device's fault and the other goes on; it recovers by itself."""
    evse = rng.choice((1, 2))
    other, since = 3 - evse, wired.rig.mark
    await begin_both(wired)
    await some_time(rng, SESSION_S)
    await set_plugged(wired, f"{device} {evse}", False)
    await wired.rig.wait("fault", since=since, evse=evse, code=OWN[device])
    await wired.until_evse(evse, is_cut)
    (await ended(wired, evse)).check()
    await some_time(rng, MOST_ABSENT_S)
    await set_plugged(wired, f"{device} {evse}", True)
    await serve(wired, evse)
    (await wired.stop_with_card(other, CARDS[other])).check()
    assert f"of EVSE {other}: " not in "".join(line for line in wired.log("hal").splitlines() if " fault " in line)


@pytest.mark.parametrize("device", SHARED)
async def test_what_both_need(wired: Site, rng: Random, device: str) -> None:
    """Both sessions end cleanly; plugged in again, everything recovers by itself."""
    await begin_both(wired)
    await some_time(rng, SESSION_S)
    await set_plugged(wired, device, False)
    for evse in CARDS:
        await wired.until_evse(evse, is_cut)
        (await ended(wired, evse)).check()
    await some_time(rng, MOST_ABSENT_S)
    await set_plugged(wired, device, True)
    await wired.plug_out(1, force=True)
    await serve(wired, 2)
    await wired.free(1)
