# SPDX-License-Identifier: Apache-2.0
"""The commissioning page of a station that runs."""

from __future__ import annotations

from tests.support.commissioning import Browser
from tests.support.scenario import Site

NEW = "a-better-Pa55phrase"


async def test_first_log_in_and_status(here: Site) -> None:
    state = await here.rig.client.until(lambda state: state["commissioning"] is not None)
    label = state["label"]["commissioning_password"]
    async with Browser(state["commissioning"]) as installer:
        assert (await installer.sign_in("installer", label))["must_change_password"]
        assert (await installer.get("/api/status")).error == "password_must_be_changed"
        await installer.change_password(label, NEW)
        status = (await installer.get("/api/status")).content
        assert (status["hal"], status["service"], status["csms"]["registration"]) == (True, True, "Accepted")
        assert status["serial_number"] == state["label"]["serial_number"]
        assert [each["status"] for each in status["evses"]] == ["Available", "Available"]
    assert (await here.rig.state())["label"]["commissioning_password"] is None


async def test_killed_process_serves_the_same_address_again(here: Site) -> None:
    state = await here.rig.client.until(lambda state: state["commissioning"] is not None)
    await here.rig.op("process", kill="commissioning")
    await here.rig.wait("process_restarted", process="commissioning")
    again = await here.rig.client.until(lambda state: state["commissioning"] is not None)
    assert again["commissioning"] == state["commissioning"]
    assert again["processes"]["commissioning"] != state["processes"]["commissioning"]
    async with Browser(again["commissioning"]) as installer:
        label = again["label"]["commissioning_password"]
        assert (await installer.sign_in("installer", label))["has_seat"]
