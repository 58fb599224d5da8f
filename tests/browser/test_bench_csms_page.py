# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS's page, in a browser."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessibility import barriers
from tests.support.scripted_station import connected
from tools.csms.server import running
from tools.csms.settings import Settings

pytestmark = pytest.mark.slow


async def test_a_station_that_connects_appears(page: Page, tmp_path: Path) -> None:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0)) as bench:
        await page.goto(bench.url)
        await expect(page.locator("#live")).to_have_text("live")
        async with connected(f"{bench.ocpp_url}/CP007") as station:
            await expect(page.get_by_role("heading", name="CP007", level=1)).to_be_visible()
            await station.request("Heartbeat", {})
            await a_message_opens_and_is_found(page)
            assert await barriers(page) == []


async def a_message_opens_and_is_found(page: Page) -> None:
    message = page.locator(".message.call button").filter(has_text="Heartbeat")
    await expect(message).to_be_visible()
    await page.locator("#filter").fill("no such text")
    await expect(page.locator("#messages")).to_have_text("No message matches the filter.")
    await page.locator("#filter").fill("heartbeat")
    await message.focus()
    await page.keyboard.press("Enter")
    await expect(message).to_have_attribute("aria-expanded", "true")
    await expect(message).to_be_focused()


async def test_a_button_without_a_name_is_a_barrier(page: Page) -> None:
    await page.set_content("<html lang=en><title>A page</title><main><button></button></main></html>")
    assert [found.split(":")[0] for found in await barriers(page)] == ["button-name"]
