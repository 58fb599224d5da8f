# SPDX-License-Identifier: Apache-2.0
"""The whole station on the real drivers: every device is a simulator that speaks its protocol on a real transport."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.rig import ROOT
from tests.support.scenario import CARD, OTHER_CARD, Site, site

CARDS = {1: CARD, 2: OTHER_CARD}


@pytest.fixture
async def wired(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, wire=True) as found:
        yield found


async def charge_both(here: Site) -> dict[int, str]:
    """Card and cable at each EVSE, until energy flows at both; returns the transactions' ids."""
    for evse, card in CARDS.items():
        assert await here.card(evse, card) == "started"
        await here.plug_in(evse)
    return {evse: await here.charging(evse) for evse in CARDS}


async def unplug(here: Site, *devices: str, plugged: bool = False) -> None:
    for device in devices:
        await here.rig.op("device", device=device, plugged=plugged)


async def plug(here: Site, *devices: str) -> None:
    await unplug(here, *devices, plugged=True)


async def test_a_session_on_each_evse(wired: Site) -> None:
    """What `make run` plays, over the wire: card, cable, charge, stop, unplug."""
    for evse, card in CARDS.items():
        await wired.charge(evse, uid=card)
        (await wired.stop_with_card(evse, card)).check()
        await wired.leave(evse)


async def test_devices_that_a_session_does_not_need(wired: Site) -> None:
    """Unplugged and back while both charge: nothing stops, and everything answers afterwards."""
    devices = ("system bus", "links", "logind", "systemd", "card reader", "module 9", "display 1", "display 2")
    await charge_both(wired)
    await unplug(wired, *devices)
    await wired.until_station_faults("card_reader")
    await plug(wired, *devices)
    await wired.until_station_faults()
    for evse, card in CARDS.items():
        (await wired.stop_with_card(evse, card)).check()


# --- faults ------------------------------------------------------------------------------------------------------

ALARMS = (
    "ground_fault",
    "isolation",
    "over_current",
    "over_voltage",
    "under_voltage",
    "pilot",
    "proximity",
    "connector_lock",
    "cable_check",
    "precharge",
    "contactor_failed",
)


def is_faulted(code: str, evse: dict[str, Any]) -> bool:
    return bool(evse["faults"] == [code] and evse["status"] == "Faulted")


async def test_alarm_contacts_at_rest(wired: Site) -> None:
    """Each fault that only a contact reports, at the EVSE concerned and no other, until it is cleared."""
    for count, code in enumerate(ALARMS):
        evse = 1 + count % 2
        await wired.rig.op("fault", code=code, evse=evse)
        await wired.until_evse(evse, partial(is_faulted, code))
        assert (await wired.rig.evse(3 - evse))["status"] == "Available"
        await wired.rig.op("clear_fault", code=code, evse=evse)
        await wired.until_evse(evse, lambda it: it["faults"] == [] and it["status"] == "Available")


@pytest.mark.parametrize(
    ("code", "other"),
    [("power_module", "over_temperature"), ("vehicle_link", "meter"), ("contactor_welded", "contactor_failed")],
)
async def test_faults_of_devices_while_both_charge(wired: Site, code: str, other: str) -> None:
    """One fault at each EVSE, seen by the device on the wire: both sessions end, and both recover.

    A welded contactor shows when it is to open, and failed modules are given back with the end of the session.
    """
    transactions = await charge_both(wired)
    since = wired.rig.mark
    for evse, fault in ((1, code), (2, other)):
        await wired.rig.op("fault", code=fault, evse=evse)
    for evse, fault in ((1, code), (2, other)):
        if fault == "contactor_welded":
            assert await wired.card(evse, CARDS[evse]) == "stopped"
        (await wired.end_of(transactions[evse])).check()
        await wired.rig.wait("fault", since=since, evse=evse, code=fault)
        await wired.rig.op("clear_fault", code=fault, evse=evse)
        await wired.plug_out(evse, force=True)
        await wired.free(evse)


@pytest.mark.parametrize("code", ["emergency_stop", "door_open"])
async def test_stop_button_and_door_while_both_charge(wired: Site, code: str) -> None:
    transactions = await charge_both(wired)
    await wired.rig.op("fault", code=code)
    for evse, transaction_id in transactions.items():
        (await wired.end_of(transaction_id)).check()
        await wired.until_evse(evse, lambda it: it["contactor"] == "open" and it["status"] == "Faulted")
    await wired.rig.op("clear_fault", code=code)
    for evse in CARDS:
        await wired.plug_out(evse, force=True)
        await wired.free(evse)


async def test_hal_that_dies_while_both_charge(wired: Site) -> None:
    """Lines keep their levels when their client is gone: it is the watchdog relay that opens the contactors."""
    transactions = await charge_both(wired)
    since = wired.rig.mark
    await wired.rig.op("process", kill="hal")
    await asyncio.gather(*(wired.rig.wait("contactor", since=since, evse=evse, contactor="open") for evse in CARDS))
    for transaction_id in transactions.values():
        (await wired.end_of(transaction_id)).check()


async def test_probe_lists_every_device(tmp_path: Path) -> None:
    """`baywatt-hal probe` on the buses of a cabinet whose HAL is not running."""
    async with site(tmp_path, wire=True, off=True) as here:
        await here.rig.op("device", device="meter 2", plugged=False)
        folder = tmp_path / "cp"
        text = (folder / "etc" / "hal.toml").read_text()
        displays = text.index("[[screen]]")
        world = re.search(r"\[bus\.world\]\n[^\[]*", text)
        assert world is not None
        (folder / "etc" / "probe.toml").write_text(text[:displays].replace(world[0], ""))
        probe = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-P", "-m", "hal", "probe", "--config", "etc/probe.toml", "--patience", "5"),
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=asyncio.subprocess.PIPE,
        )
        output, _ = await probe.communicate()
    lines = {re.split(r"  +", line)[0]: line for line in output.decode().splitlines()}
    assert probe.returncode == 1
    assert re.search(r"infypower +9 +4130000000000009 +off, 0 V", lines["shelf, module 9"])
    assert "DCBM" in lines["evse 1, meter"] or "12024072805" in lines["evse 1, meter"]
    assert "NO ANSWER: " in lines["evse 2, meter, Acrel DJSF1352-RN"]
    assert "waiting for ev" in lines["evse 2, vehicle"]
    assert "5.10" in lines["evse 2, insulation, isoCHA425HV"]
    assert "emergency stop released" in lines["inputs, contacts"]
