# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS's page with a real station: the buttons of each EVSE, its figures, its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Locator, Page, expect

from tests.browser.accessibility import barriers
from tests.browser.bench_csms import bench_with_station, card, evse, outcome
from tests.support.rig import Rig

pytestmark = pytest.mark.slow


async def test_a_station_is_operated_by_its_buttons(page: Page, tmp_path: Path) -> None:
    async with bench_with_station(tmp_path, page) as (_, rig):
        await a_session(page, evse(page, 1), rig)
        await out_of_service_and_back(page, evse(page, 2))
        await the_whole_station(page)
        await a_fault_and_its_reason(page, evse(page, 2), rig)
        await nobody_is_there(page, evse(page, 2), rig)


async def press(place: Locator, name: str) -> None:
    await place.get_by_role("button", name=name, exact=True).click()


async def refuses(place: Locator, name: str, why: str) -> None:
    """A button that can't work now says so, and says why when it is pressed."""
    button = place.get_by_role("button", name=name, exact=True)
    await expect(button).to_have_attribute("aria-disabled", "true")
    await button.press("Enter")
    await expect(outcome(place)).to_have_text(f"{name.partition(',')[0]} not possible: {why}")


async def a_session(page: Page, place: Locator, rig: Rig) -> None:
    await refuses(place, "Stop, EVSE 1", "no transaction is running")
    await place.get_by_label("Token for EVSE 1").select_option("04A1B2C3D4E580")
    await press(place, "Start, EVSE 1")
    await expect(outcome(place)).to_contain_text("Start Accepted: the station starts a transaction")
    await rig.op("plug_in", evse=1)
    await expect(place.locator(".session .pill").first).to_have_text("Charging")
    measured = place.locator(".measured")
    for quantity in ("voltage", "current", "offered power"):
        await expect(measured).to_contain_text(quantity)
    await expect(measured).to_contain_text("400.0kW")  # both EVSEs' power, as the other is free
    assert await barriers(page) == []

    await refuses(place, "Unlock, EVSE 1", "a transaction is running; stop it first")
    await press(place, "Stop, EVSE 1")
    await expect(outcome(place)).to_contain_text("Stop Accepted: the station stops the transaction")
    await expect(place.locator(".session .pill").first).to_have_text("ended: Remote")
    await rig.op("plug_out", evse=1)
    await expect(place.locator(".evse-head .pill")).to_have_text("Available")
    await press(place, "Unlock, EVSE 1")
    await expect(outcome(place)).to_contain_text("Unlock UnlockFailed: the connector is not unlocked · FixedCable")


async def out_of_service_and_back(page: Page, place: Locator) -> None:
    status = place.locator(".evse-head .pill")
    await press(place, "Take out of service, EVSE 2")
    await expect(outcome(place)).to_have_text("Take out of service Accepted: it is so now")
    await expect(status).to_have_text("Unavailable")
    await refuses(place, "Start, EVSE 2", "the EVSE is out of service")
    await press(place, "Put into service, EVSE 2")
    await expect(status).to_have_text("Available")
    await expect(place.get_by_role("button", name="Start, EVSE 2")).not_to_have_attribute("aria-disabled", "true")


async def the_whole_station(page: Page) -> None:
    statuses = page.locator(".evse-head .pill")
    await press(card(page), "Take the station out of service")
    await expect(statuses).to_have_text(["Unavailable", "Unavailable"])
    await press(card(page), "Put the station into service")
    await expect(statuses).to_have_text(["Available", "Available"])


async def a_fault_and_its_reason(page: Page, place: Locator, rig: Rig) -> None:
    await rig.op("fault", code="ground_fault", evse=2)
    await expect(place.locator(".evse-head .pill")).to_have_text("Faulted")
    await expect(place.locator(".faults")).to_contain_text("CX002 ground fault")
    await page.emulate_media(color_scheme="dark")
    assert await barriers(page) == []
    await page.emulate_media(color_scheme="light")
    await rig.op("clear_fault", code="ground_fault", evse=2)
    await expect(place.locator(".faults")).to_have_count(0)
    await expect(place.locator(".evse-head .pill")).to_have_text("Available")


async def nobody_is_there(page: Page, place: Locator, rig: Rig) -> None:
    await rig.op("network", mode="down")
    await expect(card(page).locator(".station-head .pill").first).to_have_text("offline")
    await refuses(place, "Start, EVSE 2", "the station is offline")
