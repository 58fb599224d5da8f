# SPDX-License-Identifier: Apache-2.0
"""Who may use the page, and for how long: certificates, tokens, sessions; and the main switch."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from msgspec.structs import replace
from playwright.async_api import Browser, Page, expect

from firmware.contract import Command, PowerOff, Problem
from services.commissioning.page_pem import make
from services.commissioning.sessions import ABSOLUTE_S, IDLE_S
from tests.browser.accessibility import barriers
from tests.browser.commissioning import sign_in
from tests.browser.conftest import new_window
from tests.support.clock import ManualClock
from tests.support.commissioning import PASSWORD, Answer, HalDouble, Served, served
from tests.support.sockets import eventually, idle_evse, snapshot

pytestmark = pytest.mark.slow


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


@pytest.fixture
async def installer(site: Served, page: Page) -> Page:
    """Signed in."""
    return await signed_in(page, site)


async def signed_in(page: Page, site: Served) -> Page:
    await page.goto(site.url)
    await sign_in(page, PASSWORD)
    await expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()
    return page


# --- the page's certificate -----------------------------------------------------------------------------------------


async def test_the_certificate_of_the_page_is_replaced(site: Served, installer: Page) -> None:
    await open_page(installer, "Access")
    before = await shown_by_the_port(site)
    chain, key = parts(make(["127.0.0.1", "station.example"], ManualClock().utc()))
    fingerprint = x509.load_pem_x509_certificate(chain.encode()).fingerprint(hashes.SHA256()).hex()
    await upload(installer, chain, key)
    await expect(installer.get_by_text("The next connection uses it.")).to_be_visible()
    await expect(installer.get_by_text(fingerprint, exact=False)).to_be_visible()
    await expect(installer.locator("dl").filter(has_text="SHA-256")).to_contain_text("uploaded")
    await expect(installer.get_by_label("Its private key, PEM", exact=False).first).to_have_value("")
    assert await shown_by_the_port(site) != before
    await installer.reload()  # over a connection with the new one
    await expect(installer.get_by_role("heading", name="Access", level=1)).to_be_visible()


async def test_odd_certificates_are_refused_and_change_nothing(site: Served, installer: Page) -> None:
    await open_page(installer, "Access")
    before = await shown_by_the_port(site)
    chain, key = parts(make(["127.0.0.1"], ManualClock().utc()))
    _, stranger = parts(make(["127.0.0.1"], ManualClock().utc()))
    expired, its_key = parts(make(["127.0.0.1"], ManualClock().utc() - 40 * 365 * 86400))
    binary = "\x00\x01 no certificate \ud7ff"
    said = set()
    for odd_chain, odd_key in [
        ("no certificate", key),
        (binary, key),
        (chain.replace("MII", "MIX", 1), key),
        (chain, stranger),
        (chain, "no key"),
        (key, chain),
        (expired, its_key),
        (chain * 40, key),
        ("<script>document.title='hit'</script>", key),
    ]:
        await upload(installer, odd_chain, odd_key)
        alert = installer.locator("section").filter(has_text="Certificate of this page").get_by_role("alert")
        await expect(alert).not_to_be_empty()
        said.add(await alert.text_content())
    assert len(said) > 3  # each has its own reason
    assert await shown_by_the_port(site) == before
    assert "hit" not in await installer.title()
    assert await barriers(installer) == []


async def upload(page: Page, chain: str, key: str) -> None:
    card = page.locator("section").filter(has_text="Certificate of this page")
    await card.locator("textarea").first.fill(chain)
    await card.locator("textarea").last.fill(key)
    await card.get_by_role("button", name="Use this certificate").click()


def parts(pem: bytes) -> tuple[str, str]:
    """Certificate and key of the content of a file."""
    begins = "-----BEGIN "
    found = [f"{begins}{each}" for each in pem.decode().split(begins)[1:]]
    return (
        "".join(each for each in found if "CERTIFICATE" in each),
        "".join(each for each in found if "PRIVATE KEY" in each),
    )


async def shown_by_the_port(site: Served) -> str:
    address = ("127.0.0.1", site.service.server.port)
    return await asyncio.to_thread(ssl.get_server_certificate, address)


async def open_page(page: Page, name: str) -> None:
    await page.get_by_role("link", name=name, exact=True).click()
    await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()


# --- tokens ---------------------------------------------------------------------------------------------------------


async def test_a_token_is_made_shown_once_used_and_revoked(site: Served, installer: Page) -> None:
    await open_page(installer, "Access")
    name = installer.get_by_label("Name of a new token")
    await name.fill("a/b <i>")
    await installer.get_by_role("button", name="Make a token").click()
    await expect(installer.get_by_role("alert").filter(has_text=".")).to_be_visible()
    await name.fill("monitoring")
    await installer.get_by_role("button", name="Make a token").click()
    token = await installer.locator(".notice code").text_content()
    row = installer.get_by_role("row").filter(has_text="monitoring")
    await expect(row).to_contain_text("may read")
    reads, changes = await try_token(site, token)
    assert (reads.status, changes.error) == (200, "read_only")

    await installer.reload()
    await expect(row).to_be_visible()
    assert token is not None
    assert token not in await installer.content()
    await row.get_by_role("button", name="Revoke").click()
    await installer.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(installer.get_by_text("No token yet.")).to_be_visible()
    assert [each.error for each in await try_token(site, token)] == ["wrong_token", "wrong_token"]


async def try_token(site: Served, token: str | None) -> tuple[Answer, Answer]:
    """What it may read, and change."""
    async with site.browser(Authorization=f"Bearer {token}") as script:
        return await script.get("/api/status"), await script.post("/api/restart", {"what": "service"})


# --- sessions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [IDLE_S + 1, ABSOLUTE_S + 1])
async def test_a_session_that_has_ended_asks_for_the_password(site: Served, installer: Page, after_s: float) -> None:
    await open_page(installer, "Access")
    await installer.get_by_label("Name of a new token").fill("half typed")
    site.clock.advance(after_s)
    await installer.get_by_role("button", name="Make a token").click()
    dialog = installer.get_by_role("dialog", name="Your session has ended")
    await dialog.get_by_label("Password", exact=True).fill("wrong password")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog.get_by_role("alert")).to_have_text("User or password is wrong.")
    await dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog).to_have_count(0)
    await expect(installer.get_by_role("row").filter(has_text="half typed")).to_be_visible()  # it was sent again


async def test_the_second_installer_is_told_and_the_first_cannot_act(
    site: Served, installer: Page, browser: Browser
) -> None:
    async with new_window(browser) as window:
        second = await signed_in(await window.new_page(), site)
        await expect(second.locator("#banner")).to_contain_text("Another installer is at work: installer at 127.0.0.1")
        await second.locator("#banner").get_by_role("button", name="Take over").click()
        await second.get_by_role("dialog").get_by_role("button", name="Take over").click()
        await expect(second.locator("#banner")).to_be_empty()

        await expect(installer.locator("#banner")).to_contain_text("Another installer is at work")
        await open_page(installer, "Maintenance")
        await installer.get_by_role("button", name="Restart the OCPP service").click()
        asked = installer.get_by_role("dialog", name="Another installer is at work")
        await asked.get_by_role("button", name="Cancel").click()
        await expect(installer.get_by_text("another installer is at work", exact=False).last).to_be_visible()
        assert "restart" not in str(site.peer.commands).lower()


# --- the main switch ------------------------------------------------------------------------------------------------


async def test_the_station_is_switched_off_after_a_question(
    site: Served, installer: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    hal = site.service.site.hal
    link = HalDouble(hal)
    monkeypatch.setattr(hal._link, "request", link.request)
    hal.on_hal_up(replace(snapshot(), evses=[idle_evse(1)]))
    await open_page(installer, "Maintenance")
    off = installer.get_by_role("button", name="Switch the station off")
    await off.click()
    await expect(installer.get_by_role("dialog")).to_contain_text("Sessions are ended, the contactors open")
    await expect(installer.get_by_role("dialog").get_by_role("button", name="Cancel")).to_be_focused()
    await installer.keyboard.press("Enter")  # nothing happens by mistake
    await expect(installer.get_by_role("dialog")).to_have_count(0)
    assert switched_off(link) == []

    link.refusal = Problem.BUSY, "the station is restarting"
    await off.click()
    await installer.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    await expect(installer.get_by_text("The station is restarting.")).to_be_visible()
    link.refusal = None
    await off.click()
    await installer.get_by_role("dialog").get_by_role("button", name="Switch off").click()
    await expect(installer.get_by_text("The station goes off.")).to_be_visible()
    await eventually(lambda: switched_off(link) == [PowerOff(), PowerOff()])


def switched_off(link: HalDouble) -> list[Command]:
    return [each for each in link.commands if isinstance(each, PowerOff)]
