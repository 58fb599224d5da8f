# SPDX-License-Identifier: Apache-2.0
"""The cockpit in a browser: a whole session by click and by drag, faults, and what goes wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from playwright.async_api import Page, expect

from tests.browser.accessibility import barriers
from tests.support.scenario import Site, site
from tools.cockpit.server import Cockpit

pytestmark = pytest.mark.slow


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Site]:
    async with site(tmp_path, variables={("MessageLogCtrlr", "Enabled"): "true"}) as found:
        yield found


@pytest.fixture
async def cockpit(station: Site) -> AsyncIterator[Cockpit]:
    async with Cockpit(station.rig.control, "127.0.0.1", 0) as found:
        yield found


async def test_a_session_and_a_fault(page: Page, station: Site, cockpit: Cockpit) -> None:
    await page.goto(cockpit.url)
    outlet = page.locator("section[data-evse='2']")
    await expect(page.locator("#live")).to_have_text("live")
    await expect(outlet.locator(".glass")).to_contain_text("Free")
    await outlet.get_by_role("button", name="Charge here").click()
    await expect(outlet.locator(".glass")).to_contain_text("Present your card")
    await page.locator("#language").select_option("de")
    await expect(outlet.locator(".glass")).to_contain_text("Karte")
    await page.locator("#language").select_option("en")
    await outlet.get_by_role("button", name="hold to the reader").click()
    await outlet.locator(".car").drag_to(outlet.locator(".plug"))
    await expect(outlet.locator(".glass h1")).to_have_text("Charging")
    await expect(outlet.locator(".legend")).to_contain_text("kW")
    await expect(outlet.locator(".chart p")).to_contain_text("s; simulated, ")
    assert (await station.rig.evse(2))["id_token"] == "04A1B2C3D4E580"
    assert await barriers(page) == []

    await page.get_by_role("button", name="Emergency stop", exact=True).click()
    await expect(outlet.locator(".glass h1")).to_have_text("Emergency stop")
    await page.get_by_role("button", name="Release the emergency stop").click()
    await expect(page.get_by_role("button", name="Emergency stop", exact=True)).to_be_visible()

    await page.get_by_role("button", name="mains off").click()
    await expect(page.get_by_role("button", name="mains on")).to_be_visible()
    await page.get_by_role("button", name="reset button").click()
    await expect(page.locator("#answer")).to_be_visible()  # what the rig refuses, it says


async def test_messages_are_paired_filtered_and_explained(page: Page, station: Site, cockpit: Cockpit) -> None:
    await page.emulate_media(color_scheme="dark")
    await page.set_viewport_size({"width": 390, "height": 844})
    await page.goto(cockpit.url)
    await page.locator("#filter").fill("BootNotification")
    boot = page.locator(".message", has_text="BootNotification").first
    await expect(boot).to_contain_text("⇒")
    await boot.get_by_role("button").click()
    await expect(boot).to_contain_text("the station reports its start")
    wide = "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not await page.evaluate(wide)
    assert await barriers(page) == []


async def test_pages_of_others_get_nothing(station: Site, cockpit: Cockpit) -> None:
    async with aiohttp.ClientSession() as http:
        for headers, status in (({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403), ({}, 200)):
            async with http.get(cockpit.url, headers=headers) as response:
                assert response.status == status
        async with http.ws_connect(f"{cockpit.url}events") as socket:
            await socket.send_str("[1]")
            while "answer" not in (heard := await socket.receive_json()):
                pass
            assert heard["answer"]["ok"] is False
