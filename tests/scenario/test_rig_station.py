# SPDX-License-Identifier: Apache-2.0
"""The rig with a whole station and a scripted CSMS: effects of network and mains on the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.csms import ScriptedCsms
from tests.support.rig import Rig
from tools.rig.factory_file import RETRY_AFTER_1_S, factory_file

pytestmark = pytest.mark.slow


@pytest.fixture
async def rig(csms: ScriptedCsms, tmp_path: Path) -> AsyncIterator[Rig]:
    station = tmp_path / "station.toml"
    station.write_text(factory_file(csms.url, variables=RETRY_AFTER_1_S))
    async with Rig(tmp_path / "cp", station=station) as rig:
        await rig.wait("registration", status="Accepted")
        yield rig


async def test_driver_charges_with_a_card(rig: Rig, csms: ScriptedCsms) -> None:
    await rig.op("plug_in", evse=2)
    await rig.op("present_card", uid="04a1b2c3", evse=2)
    await rig.wait("card", uid="04A1B2C3", outcome="started")
    await rig.wait("transaction", evse=2, kind="started")
    await rig.wait("phase", evse=2, phase="charging")
    state = await rig.client.until(lambda state: state["evses"][1]["current_a"] > 10)
    evse = state["evses"][1]
    assert evse["transaction_id"]
    assert (evse["id_token"], evse["status"]) == ("04A1B2C3", "Occupied")
    since = rig.mark
    await rig.op("present_card", uid="04a1b2c3", evse=2)
    await rig.wait("transaction", since=since, evse=2, kind="ended")
    await rig.op("plug_out", evse=2)
    await rig.wait("status", since=since, evse=2, status="Available")
    assert (await rig.evse(2))["transaction_id"] is None


@pytest.mark.parametrize("trouble", ["close", "down"])
async def test_link_is_lost_and_comes_back(rig: Rig, trouble: str) -> None:
    since = rig.mark
    await rig.op("network", mode=trouble)
    await rig.wait("disconnected", since=since)
    assert (await rig.state())["links"]["Wired0"] == ("down" if trouble == "down" else "up")
    await rig.op("network", mode="up")
    await rig.wait("connected", since=since)


async def test_power_cycle_is_a_power_up(rig: Rig, csms: ScriptedCsms) -> None:
    since = rig.mark
    await rig.op("power_cycle")
    await rig.wait("disconnected", since=since)
    await rig.wait("registration", since=since, status="Accepted")
    boots = [call.payload["reason"] for call in csms.received if call.action == "BootNotification"]
    assert boots == ["PowerUp", "PowerUp"]
    assert (await rig.state())["boots"] == 2


async def test_damaged_database_does_not_keep_the_station_down(rig: Rig) -> None:
    since = rig.mark
    await rig.op("storage", corrupt="database")
    await rig.op("power_cycle")
    await rig.wait("booted", since=since, boots=2)
    await rig.wait("registration", since=since, status="Accepted")
