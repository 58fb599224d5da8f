# SPDX-License-Identifier: Apache-2.0
"""Signing in to the commissioning page: the label's password, wrong ones, the lock-out, the end of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.accessibility import barriers
from tests.browser.commissioning import LABEL, PASSWORD, commissioning_process, sign_in, sign_in_first
from tests.browser.conftest import new_window

pytestmark = pytest.mark.slow


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    async with commissioning_process(tmp_path) as url:
        yield url


async def test_the_password_of_the_label_must_be_changed(page: Page, url: str) -> None:
    await page.goto(url)
    await expect(page.get_by_text("the password on the label inside the cabinet")).to_be_visible()
    assert await barriers(page) == []
    await sign_in(page, LABEL)
    await expect(page.get_by_role("heading", name="Choose a password")).to_be_visible()
    assert await barriers(page) == []
    new, again = page.get_by_label("New password", exact=True), page.get_by_label("New password again")
    for wrong, repeated, said in [
        ("short", "short", "Expected 10 to 128 characters."),
        (LABEL, LABEL, "The password of the label is known to everybody who can open the door."),
        (PASSWORD, f"{PASSWORD}.", "The two new passwords differ."),
    ]:
        await new.fill(wrong)
        await again.fill(repeated)
        await page.keyboard.press("Enter")
        await expect(page.get_by_text(said)).to_be_visible()
    await again.fill(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()
    await expect(page.get_by_text("The HAL does not answer: no energy can flow.")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, LABEL)
    await expect(page.get_by_role("alert")).to_have_text("User or password is wrong.")


async def test_wrong_passwords_cost_time(page: Page, url: str) -> None:
    await page.goto(url)
    for _ in range(5):
        await sign_in(page, "<script>document.title = 'no'</script>")
        await expect(page.get_by_role("alert")).to_have_text("User or password is wrong.")
    await sign_in(page, LABEL)
    await expect(page.get_by_role("alert")).to_contain_text("Too many wrong passwords: the next one is looked at in")


async def test_what_was_typed_is_still_there_after_the_session(browser: Browser, page: Page, url: str) -> None:
    """Two windows: the password is changed in one of them, which ends the session of the other."""
    await sign_in_first(page, url)
    async with new_window(browser) as window:
        await change_the_password_elsewhere(page, await window.new_page(), url)


async def change_the_password_elsewhere(page: Page, other: Page, url: str) -> None:
    await other.goto(url)
    await sign_in(other)
    await expect(other.get_by_text("Another installer is at work: installer at 127.0.0.1")).to_be_visible()
    await other.get_by_role("link", name="Access").click()
    await other.get_by_label("Name of a new token").fill("monitoring")
    await other.get_by_role("button", name="Make a token").click()
    await other.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    await expect(other.get_by_role("alert").filter(has_text="Another installer is at work")).to_be_visible()

    await other.get_by_role("button", name="Take over").click()
    await other.get_by_role("dialog").get_by_role("button", name="Take over").click()
    await expect(other.locator("#banner")).to_be_empty()
    await expect(page.locator("#banner")).to_contain_text("Another installer is at work")

    await page.get_by_role("link", name="Access").click()
    await page.get_by_label("Present password").fill(PASSWORD)
    await page.get_by_label("New password", exact=True).fill(f"{PASSWORD} 2")
    await page.get_by_label("New password again").fill(f"{PASSWORD} 2")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("The password is changed.")).to_be_visible()

    dialog = other.get_by_role("dialog", name="Your session has ended")
    await dialog.get_by_label("Password", exact=True).fill(f"{PASSWORD} 2")
    await dialog.get_by_role("button", name="Sign in").click()
    await expect(dialog).to_have_count(0)
    assert await other.get_by_label("Name of a new token").input_value() == "monitoring"
