# SPDX-License-Identifier: Apache-2.0
"""A new station is commissioned in the browser, from the password on its label to security profile 3."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.commissioning import sign_in_first, station
from tests.support.sockets import eventually
from tools.csms.client import Client
from tools.csms.server import Running, running
from tools.csms.settings import Settings

pytestmark = pytest.mark.slow

IDENTITY = "CP042"
CSMS_PASSWORD = "a-password-of-the-operator"


async def test_a_new_station_from_its_label_to_security_profile_3(page: Page, tmp_path: Path) -> None:
    settings = Settings(tmp_path / "csms.sqlite3", port=0, tls_port=0, passwords={IDENTITY: CSMS_PASSWORD})
    async with running(settings) as bench, station(tmp_path) as (_, state):
        secure = (await asyncio.to_thread(Client(bench.url).get, "/api"))["ocpps"]
        await sign_in_first(page, state["commissioning"])
        await page.get_by_role("link", name="Set-up").click()
        await identity_and_network(page)
        await page.get_by_role("button", name="Go on").click()  # security profile 1 needs no certificates
        await csms(page, bench.ocpp_url, 1, password=CSMS_PASSWORD)
        await time_zone(page)
        await site_limit(page)
        await connected(page, bench, 1)

        await add_root(page, bench)
        await csms(page, secure, 2)
        await connected(page, bench, 2)

        await add_station_certificate(page, bench, state["label"]["serial_number"])
        await csms(page, secure, 3)
        await connected(page, bench, 3)
        await factory_reset(page)


async def identity_and_network(page: Page) -> None:
    await page.get_by_label("Identity").fill(IDENTITY)
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("heading", name="2. Network")).to_be_focused()
    await expect(page.get_by_role("row").filter(has_text="Wired0")).to_contain_text("up")
    await page.get_by_role("button", name="Go on").click()


async def csms(page: Page, url: str, profile: int, *, password: str = "") -> None:
    """The step CSMS: tried first, then saved."""
    await page.get_by_role("button", name="CSMS").click()
    await page.get_by_label("URL of the CSMS").fill(url)
    await page.get_by_label("Security profile").select_option(str(profile))
    await page.get_by_label("Password towards the CSMS").fill(password)
    await page.get_by_label("Test to the end").check()
    await page.get_by_role("button", name="Test the connection").click()
    await expect(page.get_by_text("The station can work with this CSMS.")).to_be_visible()
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("heading", name="5. Time zone")).to_be_visible()


async def time_zone(page: Page) -> None:
    await page.get_by_label("Time zone").select_option("Europe/Berlin")
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("heading", name="6. Site limit")).to_be_visible()


async def site_limit(page: Page) -> None:
    limit = page.get_by_label("What the supply of the site permits")
    for wrong, says in (("much", "Expected a number."), ("9999", "what the settings allow")):
        await limit.fill(wrong)
        await page.get_by_role("button", name="Save and go on").click()
        await expect(page.get_by_text(says)).to_be_visible()
    await limit.fill("150")
    await page.get_by_role("button", name="Save and go on").click()
    await expect(page.get_by_role("heading", name="7. Finish")).to_be_visible()


async def connected(page: Page, bench: Running, profile: int) -> None:
    """The last step: the restart after which what was set counts."""
    await page.get_by_role("button", name="Finish").click()
    await page.get_by_role("button", name="Restart the OCPP service").click()
    await expect(page.get_by_text("It restarts.")).to_be_visible()
    await eventually(lambda: is_connected(bench, profile))
    await expect(page.get_by_text("Connected, Accepted.")).to_be_visible()


def is_connected(bench: Running, profile: int) -> bool:
    found = bench.office.station(IDENTITY)
    return found is not None and found.connected and found.security_profile == profile


async def add_root(page: Page, bench: Running) -> None:
    await page.get_by_role("button", name="Certificates").click()
    await page.get_by_label("File: Root certificate, PEM").set_input_files(bench.pki.csms_root)
    await page.get_by_role("button", name="Add").click()
    await expect(page.get_by_role("row").filter(has_text="CSMS root")).to_contain_text("bench CSMS root")


async def add_station_certificate(page: Page, bench: Running, serial_number: str) -> None:
    await page.get_by_role("button", name="Certificates").click()
    await page.get_by_role("button", name="Make a signing request").click()
    request = await page.get_by_label("Signing request, for the operator").input_value()
    await page.get_by_label("The answer: certificate chain", exact=False).first.fill(
        bench.pki.sign(request, serial_number)
    )
    await page.get_by_role("button", name="Install").click()
    await expect(page.get_by_role("row").filter(has_text=serial_number)).to_contain_text("Station")


async def factory_reset(page: Page) -> None:
    await page.get_by_role("link", name="Maintenance").click()
    await page.get_by_role("button", name="Factory reset").click()
    dialog = page.get_by_role("dialog")
    for typed in (IDENTITY[:-1], IDENTITY):
        await dialog.get_by_label("to confirm").fill(typed)
        await dialog.get_by_role("button", name="Reset everything").click()
        if typed != IDENTITY:
            await expect(dialog.get_by_text(f"Type {IDENTITY}.")).to_be_visible()
    await expect(page.get_by_text("the password on the label inside the cabinet")).to_be_visible()
