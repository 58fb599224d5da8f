# SPDX-License-Identifier: Apache-2.0
"""The pages of a station that works with its CSMS: what is live, who may do what, hostile texts, keyboard, look."""

from __future__ import annotations

import asyncio
import json
import tarfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, Route, expect

from tests.browser.accessibility import barriers
from tests.browser.commissioning import PASSWORD, sign_in, sign_in_first, station
from tests.browser.conftest import new_window
from tests.support.rig import Rig
from tools.chromium import chromium
from tools.csms.client import Client
from tools.csms.server import Running, running
from tools.csms.settings import Settings

# One station and one browser for all tests here: their start takes longer than the tests.
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

IDENTITY = "CP001"
HOSTILE = "<img src=x onerror=\"document.title='hit'\"><script>document.title='hit'</script>"
UPDATES = 120
VIEWER = "another password to read"
PAGES = ["Status", "Set-up", "Settings", "Messages", "Tests", "Logs", "Access", "Maintenance"]
FIELDS = {
    "Set-up": "Identity",
    "Settings": "Find settings",
    "Messages": "Find messages",
    "Logs": "Find in the logs",
    "Access": "Its private key, PEM",
}
"""A field of each page that is there when all are."""
BUNDLE = ["Make the bundle"]
"""Reads, and changes nothing; a viewer may have it, too."""
FACTORY = """
identity = "{identity}"
basic_auth_password = "0123456789abcdef"
[[network_profile]]
slot = 1
url = "{url}"
security_profile = 1
"""


@dataclass(frozen=True)
class Site:
    """A station, its bench CSMS, and the address of its page."""

    rig: Rig
    bench: Running
    url: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    async with running(Settings(folder / "csms.sqlite3", port=0)) as bench:
        settings = FACTORY.format(identity=IDENTITY, url=bench.ocpp_url)
        async with station(folder, settings) as (rig, state):
            await rig.client.until(lambda state: state["ocpp"]["registration"] == "Accepted")
            yield Site(rig, bench, state["commissioning"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(site: Site) -> AsyncIterator[Page]:
    """Where the installer is signed in."""
    async with chromium() as browser, new_window(browser) as window:
        page = await window.new_page()
        await sign_in_first(page, site.url)
        yield page


async def test_what_happens_is_seen_at_once(page: Page, site: Site) -> None:
    await page.get_by_role("link", name="Status").click()
    await expect(page.get_by_role("heading", name="CSMS connected Accepted")).to_be_visible()
    await site.rig.op("plug_in", evse=1)
    await expect(page.locator("section").filter(has=page.get_by_role("heading", name="EVSE 1"))).to_contain_text(
        "in the car"
    )

    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Find settings").fill("heartbeat")
    row = page.get_by_role("row").filter(has_text="HeartbeatInterval")
    await expect(row).to_contain_text("60 s")
    data = [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}, "attributeValue": "77"}]
    await call(site.bench, "SetVariables", {"setVariableData": data})
    await expect(row).to_contain_text("77 s")
    await expect(row).to_contain_text("changed")

    await page.get_by_role("link", name="Messages").click()
    message = page.locator(".message").filter(has_text="SetVariables")
    await expect(message).to_contain_text("OCPPCommCtrlr.HeartbeatInterval: Accepted")
    await page.get_by_label("Find messages").fill("no such message")
    await expect(message).to_have_count(0)
    await page.get_by_label("Find messages").fill("heartbeatinterval")
    await message.get_by_role("button").click()
    await expect(message.locator("pre").last).to_contain_text('"attributeStatus": "Accepted"')
    await call(site.bench, "NoSuchAction", {})
    await page.get_by_label("Find messages").fill("")
    await page.get_by_label("problems").check()
    await expect(page.locator(".message")).to_contain_text(["NoSuchAction"])

    await page.get_by_role("link", name="Logs").click()
    await expect(page.get_by_label("Lines of the logs")).to_contain_text("registration: Accepted")


async def test_hostile_texts_are_texts(page: Page, site: Site) -> None:
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_label("Find settings").fill("OrganizationName")
    await page.get_by_role("button", name="Change SecurityCtrlr OrganizationName").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Value").fill(HOSTILE)
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.locator("small.error")).not_to_be_empty()
    await page.keyboard.press("Escape")
    await call(site.bench, HOSTILE, {HOSTILE: HOSTILE})
    await page.get_by_role("link", name="Messages").click()
    await expect(page.locator(".message").first).to_be_visible()
    for path, fields in [("Set-up", ["Identity"]), ("Access", ["Name of a new token"])]:
        await page.get_by_role("link", name=path).click()
        for field in fields:
            await page.get_by_label(field, exact=True).fill(HOSTILE)
            await page.get_by_label(field, exact=True).press("Enter")
        await expect(page.get_by_role("alert").filter(has_text=".").first).to_be_visible()
    assert "hit" not in await page.title()
    assert await page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("text", [HOSTILE, "\ud7ff\x07" * 40_000], ids=["script", "binary, oversized"])
async def test_every_field_refuses_what_is_none(page: Page, site: Site, text: str) -> None:
    """Each field of each form, one after the other; passwords are tried in `test_sign_in.py`: wrong ones cost time."""
    tried = 0
    for name, last in FIELDS.items():
        await page.get_by_role("link", name=name, exact=True).click()
        await expect(page.get_by_label(last).first).to_be_visible()
        steps = page.locator(".progress button")
        for step in range(await steps.count() or 1):
            if await steps.count():
                await steps.nth(step).click()
                await expect(page.get_by_role("heading", name=f"{step + 1}. ")).to_be_visible()
            tried += await fill_all(page, text)
    assert tried >= 14
    assert "hit" not in await page.title()
    assert await page.locator("img[src=x]").count() == 0
    state = (await site.rig.client.state())["ocpp"]
    assert (state["registration"], state["connected"]) == ("Accepted", True)


async def fill_all(page: Page, text: str) -> int:
    """How many fields have been filled; the form of each is sent with it."""
    fields = page.locator(
        "main input:visible:not([type=password], [type=checkbox], [type=file]), main textarea:visible"
    )
    for number in range(await fields.count()):
        field = fields.nth(number)
        await field.fill(text)
        before = await field.input_value()
        submit = page.locator("form").filter(has=field).locator("button[type=submit]")
        if await submit.count():
            await submit.click()
            dialog = page.get_by_role("dialog")
            if await dialog.count():
                await dialog.get_by_role("button").first.click()
            await expect(submit).to_be_enabled()
        assert before
        await field.fill("")
    return await fields.count()


async def test_the_hardware_is_tested_without_a_car(page: Page, site: Site) -> None:
    await page.get_by_role("link", name="Tests").click()
    contactor = page.locator(".test").filter(has=page.get_by_role("heading", name="Contactor, EVSE 2"))
    await contactor.get_by_role("button", name="Run").click()
    await page.get_by_role("dialog").get_by_role("button", name="Run").click()
    await expect(contactor.locator(".pill")).to_have_text("passed")
    reader = page.locator(".test").filter(has=page.get_by_role("heading", name="Card reader"))
    await reader.get_by_role("button", name="Run").click()
    await expect(reader.locator(".pill")).to_have_text("running")
    await site.rig.op("present_card", uid="04A1B2C3D4E580")
    await expect(reader.locator(".pill")).to_have_text("passed")
    await page.get_by_role("link", name="Status").click()
    await expect(page.get_by_role("row").filter(has_text="card reader")).to_contain_text("ok")


async def test_an_address_is_tried_and_kept_or_returns(page: Page) -> None:
    await open_network_step(page)
    trial = page.locator("#trial")
    await page.get_by_label("Address", exact=True).select_option("fixed")
    await page.get_by_label("Fixed address").fill("203.0.113.10/24")
    await page.get_by_label("Gateway").fill("203.0.114.1")
    await page.get_by_label("DNS servers").fill("203.0.113.53, dns.example")
    await confirm_trial(page)
    await expect(page.get_by_text("203.0.114.1 can't be reached: it is not in 203.0.113.0/24.")).to_be_visible()
    await expect(page.get_by_text("Expected IPv4 addresses such as 192.0.2.53, got 'dns.example'.")).to_be_visible()
    await expect(trial).to_be_empty()

    await page.get_by_label("Gateway").fill("203.0.113.1")
    await page.get_by_label("DNS servers").fill("203.0.113.53")
    await page.get_by_role("button", name="Try these settings of Wired0").click()
    await expect(page.get_by_role("dialog")).to_contain_text("Open https://203.0.113.10:")
    await page.get_by_role("dialog").get_by_role("button", name="Try them").click()
    await expect(trial).to_contain_text("New settings of Wired0 are being tried.")
    await page.get_by_role("link", name="Status").click()  # it is said on every page
    await page.reload()
    await expect(trial).to_contain_text("the former ones return in 2:")
    assert await barriers(page) == []
    await trial.get_by_role("button", name="Keep the new settings").click()
    await expect(trial).to_be_empty()

    await open_network_step(page)
    await expect(page.get_by_label("Fixed address")).to_have_value("203.0.113.10/24")
    await page.get_by_label("Address", exact=True).select_option("dhcp")
    await confirm_trial(page)
    await trial.get_by_role("button", name="Return to the former ones").click()
    await expect(trial).to_be_empty()
    await open_network_step(page)
    await expect(page.get_by_label("Fixed address")).to_have_value("203.0.113.10/24")


async def test_an_access_point_is_set_and_its_secrets_stay_in_the_station(page: Page) -> None:
    await open_network_step(page)
    await page.get_by_label("Access point (APN)").fill("m2m_example")
    await page.get_by_label("User name").fill("baywatt")
    await page.get_by_label("Password of the access point").fill("open-sesame")
    await page.get_by_label("Authentication").select_option("chap")
    await page.get_by_label("PIN of the SIM").fill("12")
    await page.get_by_role("button", name="Try these settings of Wireless0").click()
    await expect(page.get_by_text("Expected 4 to 8 digits.")).to_be_visible()
    await expect(page.get_by_label("Access point (APN)")).to_be_focused()
    await page.get_by_label("Access point (APN)").fill("m2m.example")
    await page.get_by_label("PIN of the SIM").fill("4711")
    await page.get_by_role("button", name="Try these settings of Wireless0").click()
    await page.locator("#trial").get_by_role("button", name="Keep the new settings").click()
    await expect(page.locator("#trial")).to_be_empty()
    await open_network_step(page)
    await expect(page.get_by_label("Access point (APN)")).to_have_value("m2m.example")
    for secret in ("Password of the access point", "PIN of the SIM"):
        await expect(page.get_by_label(secret)).to_have_value("")
    await expect(page.get_by_text("One is set; leave this empty to keep it.")).to_have_count(2)
    assert "open-sesame" not in await page.content()
    assert await barriers(page) == []


async def open_network_step(page: Page) -> None:
    await page.get_by_role("link", name="Status").click()
    await page.get_by_role("link", name="Set-up").click()
    await page.get_by_role("button", name="Network").click()
    await expect(page.get_by_role("heading", name="2. Network")).to_be_visible()


async def confirm_trial(page: Page) -> None:
    await page.get_by_role("button", name="Try these settings of Wired0").click()
    await page.get_by_role("dialog").get_by_role("button", name="Try them").click()


async def test_the_logs_are_packed_for_support(page: Page) -> None:
    await page.get_by_role("link", name="Logs").click()
    async with page.expect_download() as started:
        await page.get_by_role("button", name="Make the bundle").click()
    bundle = await started.value
    assert bundle.suggested_filename.endswith(".tar.gz")
    with tarfile.open(await bundle.path()) as archive:
        names = archive.getnames()
        texts = b"".join(file.read() for name in names if (file := archive.extractfile(name)) is not None)
    assert len(names) > 3
    assert PASSWORD.encode() not in texts
    assert b"open-sesame" not in texts


async def test_the_viewer_finds_no_button_that_is_refused(page: Page) -> None:
    await page.get_by_role("link", name="Access").click()
    await page.get_by_label("Password of the viewer").fill(VIEWER)
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text("can sign in with this password")).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, VIEWER, user="viewer")
    await expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(
        ["Status", "Settings", "Messages", "Logs", "Access"]
    )
    await page.get_by_role("link", name="Settings").click()
    await expect(page.get_by_role("row").filter(has_text="HeartbeatInterval")).to_be_visible()
    buttons = page.get_by_role("main").get_by_role("button")
    for name, there in (("Settings", []), ("Status", []), ("Logs", BUNDLE), ("Access", ["Change the password"])):
        await page.get_by_role("link", name=name, exact=True).click()
        await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        await expect(page.locator(".card").first).to_be_visible()
        await expect(buttons).to_have_text(there)
    await page.get_by_role("link", name="Messages").click()
    await expect(page.locator(".message").first).to_be_visible()
    await expect(page.get_by_role("main").locator("button:not(.message button)")).to_have_count(0)
    await page.goto(f"{page.url.partition('#')[0]}#/service")  # as the installer's page would have it
    await expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()
    await page.get_by_role("button", name="Sign out").click()
    await sign_in(page, user="installer")
    await expect(page.get_by_role("link", name="Set-up")).to_be_visible()


async def test_a_setting_is_changed_with_the_keyboard_alone(page: Page) -> None:
    keyboard = page.keyboard
    await page.get_by_role("link", name="Skip to the content").focus()
    for name in ("Sign out", "Status", "Set-up", "Settings"):
        await keyboard.press("Tab")
        await expect(page.get_by_text(name, exact=True).and_(page.locator("a, button"))).to_be_focused()
    await keyboard.press("Enter")
    await expect(page.get_by_label("Find settings")).to_be_visible()
    await keyboard.press("Tab")
    await expect(page.get_by_label("Find settings")).to_be_focused()
    await keyboard.type("heartbeatinterval")
    for _ in range(3):  # the checkbox, the table, the row's button
        await keyboard.press("Tab")
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog").get_by_label("Value")).to_be_focused()
    await keyboard.press("Control+a")
    await keyboard.type("5")
    await keyboard.press("Enter")
    await expect(page.get_by_role("dialog").locator("small.error")).not_to_be_empty()
    await keyboard.press("Control+a")
    await keyboard.type("120")
    await keyboard.press("Enter")
    await expect(page.get_by_role("row").filter(has_text="HeartbeatInterval")).to_contain_text("120 s")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.get_by_role("button", name="Change OCPPCommCtrlr HeartbeatInterval")).to_be_focused()


async def test_every_page_by_day_and_by_night_on_a_phone(page: Page) -> None:
    for name in PAGES:
        await page.get_by_role("link", name=name, exact=True).click()
        await expect(page.get_by_role("heading", name=name, level=1)).to_be_visible()
        await expect(page.locator(".card").first).to_be_visible()
        assert await barriers(page) == [], name
        await page.emulate_media(color_scheme="dark")
        await page.set_viewport_size({"width": 360, "height": 740})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360, name
        assert await barriers(page) == [], f"{name}, by night on a phone"
        await page.emulate_media(color_scheme="light")
        await page.set_viewport_size({"width": 1280, "height": 800})


async def test_updates_leave_nothing_behind(page: Page) -> None:
    """As many as come in two minutes, at once; as many again make the page no larger."""
    await page.get_by_role("link", name="Status").click()
    status = await page.evaluate("fetch('/api/status').then((answer) => answer.json())")
    nodes = []
    for hour in (1, 2):
        status["clock"]["utc"] = f"2027-01-01T0{hour}:00:00Z"
        last = json.dumps(status)
        status["clock"]["utc"] = "2026-12-31T00:00:00Z"
        events = [json.dumps(status)] * UPDATES + [last]
        body = "".join(f"event: status\ndata: {event}\n\n" for event in events)
        await page.route("**/api/events", partial(_answer, body))
        await page.reload()
        await expect(page.get_by_text(f"2027-01-01 0{hour}:00:00 UTC")).to_be_visible()
        await page.unroute("**/api/events")
        nodes.append(await _nodes(page))
    assert nodes[1] <= nodes[0] + 100


async def _answer(body: str, route: Route) -> None:
    await route.fulfill(body=body, content_type="text/event-stream")


async def _nodes(page: Page) -> float:
    """How many nodes the browser keeps for the page, those that nobody needs removed."""
    session = await page.context.new_cdp_session(page)
    await session.send("Performance.enable")
    await session.send("HeapProfiler.collectGarbage")
    metrics = (await session.send("Performance.getMetrics"))["metrics"]
    await session.detach()
    found: float = next(each["value"] for each in metrics if each["name"] == "Nodes")
    return found


async def call(bench: Running, action: str, payload: dict[str, Any]) -> None:
    await asyncio.to_thread(Client(bench.url).call, IDENTITY, action, payload, raw=True)
