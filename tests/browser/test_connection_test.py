# SPDX-License-Identifier: Apache-2.0
"""The connection test in the browser: each step fails once, and says what failed and how to mend it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from websockets.asyncio.server import serve

from tests.browser.accessibility import barriers
from tests.browser.commissioning import sign_in_first, station
from tools.csms.client import Client
from tools.csms.server import running
from tools.csms.settings import Behaviour, Settings

pytestmark = pytest.mark.slow

STEPS = ["Find the address", "Reach the port", "Secure the connection", "Be let in", "Agree on OCPP", "Be accepted"]
PASSWORD = "a-password-of-the-operator"


async def test_each_step_can_fail(page: Page, tmp_path: Path) -> None:
    behaviour = Behaviour(boot_status="Rejected")
    settings = Settings(tmp_path / "csms.sqlite3", port=0, tls_port=0, behaviour=behaviour, passwords={"NEW": PASSWORD})
    async with running(settings) as bench, other_server() as other, station(tmp_path) as (_, state):
        secure = (await asyncio.to_thread(Client(bench.url).get, "/api"))["ocpps"]
        await sign_in_first(page, state["commissioning"])
        await page.get_by_role("link", name="Set-up").click()
        await page.get_by_role("button", name="CSMS").click()
        await tried(page, "ws://csms.invalid/ocpp", 0, "csms.invalid", "Check the spelling of the host")
        await tried(page, f"ws://127.0.0.1:{closed_port()}/ocpp", 1, "Nothing listens", "Check the port in the URL")
        await tried(page, bench.ocpp_url.replace("ws:", "wss:"), 2, "TLS", "Check that the port is one for TLS")
        await tried(page, bench.ocpp_url, 3, "none is set", "Set the password that the CSMS has for this identity")
        await page.get_by_label("Password towards the CSMS").fill(f"not-{PASSWORD}")
        await tried(page, bench.ocpp_url, 3, "credentials", "Compare identity and password")
        await tried(page, other, 4, "sub-protocol ocpp2.0.1", "at which the CSMS speaks OCPP 2.0.1")
        await page.get_by_label("Password towards the CSMS").fill(PASSWORD)
        await tried(page, bench.ocpp_url, 5, "Rejected", "Register the station at the CSMS")
        assert await barriers(page) == []
        await page.get_by_label("URL of the CSMS").fill(secure)
        await page.get_by_role("button", name="Save and go on").click()
        await expect(page.get_by_role("alert").filter(has_text="scheme does not match")).to_be_visible()


async def tried(page: Page, url: str, failing: int, said: str, remedy: str) -> None:
    """What comes before the step that fails is fine, what comes after it is not tried."""
    await page.get_by_label("URL of the CSMS").fill(url)
    await page.get_by_label("Security profile").select_option("2" if url.startswith("wss") else "1")
    await page.get_by_role("button", name="Test the connection").click()
    await expect(page.get_by_text("The station can’t be operated by this CSMS yet.")).to_be_visible()
    steps = page.locator(".steps li")
    for number, name in enumerate(STEPS):
        expected = "failed" if number == failing else "not tried" if number > failing else "ok"
        if name == "Secure the connection" and number < failing and not url.startswith("wss"):
            expected = "not needed"
        await expect(steps.nth(number)).to_contain_text(name)
        await expect(steps.nth(number).locator(".pill")).to_have_text(expected)
    await expect(steps.nth(failing)).to_contain_text(said)
    await expect(steps.nth(failing)).to_contain_text(remedy)
    await page.get_by_label("URL of the CSMS").fill("")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@asynccontextmanager
async def other_server() -> AsyncIterator[str]:
    """A WebSocket server that speaks no OCPP."""
    async with serve(lambda link: link.wait_closed(), "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
