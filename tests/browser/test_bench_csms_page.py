# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS's page with scripted stations: messages, links, files, hundreds of stations, phone and keyboard."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
from playwright.async_api import Page, Route, expect

from tests.browser.accessibility import barriers
from tests.support.scripted_station import ScriptedStation, connected
from tests.support.sockets import eventually
from tools.csms.server import Running, running
from tools.csms.settings import Settings
from tools.csms.store import Store
from tools.csms.views import StationRecord

pytestmark = pytest.mark.slow

HOSTILE = "<img src=x onerror=alert(1)>"
T0 = "2026-11-23T12:00:00Z"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(Settings(tmp_path / "csms.sqlite3", port=0)) as found:
        yield found


async def test_a_station_that_connects_appears(page: Page, bench: Running) -> None:
    await page.goto(bench.url)
    await expect(page.locator("#live")).to_have_text("live")
    async with connected(f"{bench.ocpp_url}/CP007") as station:
        await expect(page.get_by_role("heading", name="CP007", level=1)).to_be_visible()
        await station.request("Heartbeat", {})
        await a_message_opens_and_is_found(page)
        assert await barriers(page) == []


async def a_message_opens_and_is_found(page: Page) -> None:
    message = page.locator(".message.call button").filter(has_text="Heartbeat").first
    await expect(message).to_be_visible()
    await page.locator("#filter").fill("no such text")
    await expect(page.locator("#messages")).to_have_text("No message matches the filter.")
    await page.locator("#filter").fill("heartbeat")
    await message.focus()
    await page.keyboard.press("Enter")
    await expect(message).to_have_attribute("aria-expanded", "true")
    await expect(message).to_be_focused()
    opened = page.locator(".message", has_text="Heartbeat").first
    await expect(opened).to_contain_text("G02: the station is alive")  # its use case
    await expect(opened.locator("pre")).to_have_count(3)  # and its answer


async def test_what_comes_while_the_page_loads_is_not_lost(page: Page, bench: Running) -> None:
    async with connected(f"{bench.ocpp_url}/CP007") as station:

        async def late(route: Route) -> None:
            """When the page gets this answer it has heard of a status that is newer."""
            answer = await route.fetch()
            status = {"timestamp": T0, "connectorStatus": "Faulted", "evseId": 1, "connectorId": 1}
            await station.ask("StatusNotification", status)
            await page.wait_for_function("window.heardStation")
            await route.fulfill(response=answer)
            answered.set()

        answered = asyncio.Event()
        await page.add_init_script(_HEAR_STATION)
        await page.route("**/api/stations/CP007", late)
        await page.goto(bench.url)
        await answered.wait()
        await expect(page.locator("#address")).to_contain_text("ws://")  # everything is loaded
        await page.evaluate(_DRAWN_TWICE)
        await expect(page.locator("section[data-evse='1'] .evse-head .pill")).to_have_text("Faulted")
        await expect(page.locator(".message").filter(has_text="StatusNotification")).to_have_count(1)


_HEAR_STATION = """
    const add = EventSource.prototype.addEventListener;
    EventSource.prototype.addEventListener = function (kind, listener) {
        add.call(this, kind, (event) => { listener(event); window.heardStation ||= kind === "station"; });
    };
"""


_DRAWN_TWICE = """() => new Promise((done) => {
    let drawn = 0;
    const observer = new MutationObserver(() => { drawn += 1; if (drawn === 2) done(); });
    observer.observe(document.getElementById("station"), { childList: true, subtree: true });
})"""


async def test_a_link_to_a_message_is_permanent(page: Page, bench: Running) -> None:
    await page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    async with connected(f"{bench.ocpp_url}/CP007") as station, connected(f"{bench.ocpp_url}/CP001"):
        await station.request("Heartbeat", {"customData": {"vendorId": HOSTILE}})
        await page.goto(f"{bench.url}#station=CP007")
        message = page.locator(".message.call")
        await message.locator("button").first.click()
        await message.get_by_role("button", name="Copy the message").click()
        await expect(message.get_by_role("status")).to_have_text("copied")
        copied = json.loads(await page.evaluate("navigator.clipboard.readText()"))
        assert copied[2:] == ["Heartbeat", {"customData": {"vendorId": HOSTILE}}]
        await message.get_by_role("button", name="Copy a link to it").click()
        await expect(message.get_by_role("status")).to_have_text("copied")
        link = await page.evaluate("navigator.clipboard.readText()")
    for _ in range(2):
        await page.goto("about:blank")
        await page.goto(link)
        await expect(page.locator("#linked")).to_contain_text("Heartbeat")
        await expect(page.locator("#linked")).to_contain_text(HOSTILE)
        await expect(page.locator("#linked pre").last).to_contain_text("currentTime")
        await expect(page.get_by_role("heading", name="CP007", level=1)).to_be_visible()
    await page.goto(f"{bench.url}#message=999999")
    await expect(page.get_by_role("alert").first).to_contain_text("Message 999999 is not held")
    await page.locator("#linked").get_by_role("button", name="Close").click()
    await expect(page.locator("#linked")).to_be_hidden()


async def test_messages_and_transactions_become_files(page: Page, bench: Running) -> None:
    async with connected(f"{bench.ocpp_url}/CP007") as station, connected(f"{bench.ocpp_url}/CP001"):
        await transaction(station, "=1+1")
        await page.goto(f"{bench.url}#station=CP007")
        await expect(page.locator("#transactions tbody tr")).to_have_count(1)
        (row,) = csv.DictReader(io.StringIO(await download(page, "#transactions-files", "CSV file"), newline=""))
        assert (row["id"], row["station"]) == ("'=1+1", "CP007")
        (found,) = json.loads(await download(page, "#transactions-files", "JSON file"))
        assert found["id"] == "=1+1"
        own = json.loads(await download(page, "#messages-files", "JSON file"))
        assert {row["station"] for row in own} == {"CP007"}
        await page.get_by_label("Whose messages").select_option("all stations")
        await expect(page.locator("#messages-files a").first).to_have_attribute("href", re.compile(r"format=json$"))
        every = csv.DictReader(io.StringIO(await download(page, "#messages-files", "CSV file"), newline=""))
        assert {row["station"] for row in every} == {"CP001", "CP007"}
        await expect(page.locator(".message").filter(has_text="CP001")).not_to_have_count(0)


async def download(page: Page, place: str, name: str) -> str:
    async with page.expect_download() as started:
        await page.locator(place).get_by_role("link", name=name).click()
    return (await (await started.value).path()).read_text()


async def transaction(station: ScriptedStation, name: str) -> None:
    event = {"eventType": "Started", "timestamp": T0, "triggerReason": "CablePluggedIn", "seqNo": 0}
    event |= {"evse": {"id": 1, "connectorId": 1}}
    await station.ask("TransactionEvent", {**event, "transactionInfo": {"transactionId": name}})


async def test_what_a_station_says_is_only_text(page: Page, bench: Running) -> None:
    async with connected(f"{bench.ocpp_url}/CP007") as station:
        names = {"vendorName": HOSTILE, "model": "<b>bold", "serialNumber": HOSTILE[:25]}
        await station.ask("BootNotification", {"reason": "PowerUp", "chargingStation": names})
        await transaction(station, HOSTILE)
        event = {"eventId": 1, "timestamp": T0, "trigger": "Alerting", "actualValue": "true", "techInfo": HOSTILE}
        event |= {"component": {"name": HOSTILE, "evse": {"id": 1}}, "variable": {"name": "Problem"}}
        event |= {"eventNotificationType": "HardWiredNotification", "techCode": HOSTILE}
        await station.ask("NotifyEvent", {"generatedAt": T0, "seqNo": 0, "eventData": [event]})
        await station.refused_text(HOSTILE)
        await page.goto(bench.url)
        await expect(page.locator(".faults")).to_contain_text(HOSTILE)
        await expect(page.locator(".facts")).to_contain_text(f"{HOSTILE} <b>bold")
        await expect(page.locator(".message.malformed")).to_contain_text(HOSTILE)
        assert await page.locator("img[src=x], main b:text-is('bold')").count() == 0


async def test_hundreds_of_stations_are_a_list_of_pages(page: Page, tmp_path: Path) -> None:
    store = Store(tmp_path / "csms.sqlite3", grouped=True)
    for number in range(500):
        store.put_station(f"CP{number:03}", msgspec.json.encode(StationRecord(f"CP{number:03}")))
    store.close()
    async with (
        running(Settings(tmp_path / "csms.sqlite3", port=0)) as bench,
        connected(f"{bench.ocpp_url}/CP321") as station,
    ):
        await page.goto(bench.url)
        tabs = page.locator("#tabs button")
        await expect(tabs).to_have_count(24)
        await expect(page.locator("#stations-count")).to_have_text("1 of 500 connected")
        await expect(page.get_by_role("heading", name="CP321", level=1)).to_be_visible()
        await page.locator("#stations-pages").get_by_role("button", name="Next").click()
        await expect(tabs.first).to_have_text("CP024")
        await page.get_by_label("Find stations").fill("cp499")
        await expect(tabs).to_have_count(1)
        await tabs.click()
        await expect(page.get_by_role("heading", name="CP499", level=1)).to_be_visible()
        assert page.url.endswith("#station=CP499")
        await page.get_by_label("Find stations").fill("")
        await page.get_by_label("Which stations").select_option("charging")
        await expect(tabs).to_have_count(0)
        await transaction(station, "t1")
        await expect(tabs).to_have_text(["CP321charging"])
        # Another station's messages do not come to this one's page.
        await expect(page.locator("#messages")).to_have_text("No messages yet.")
        assert await barriers(page) == []


async def test_on_a_phone(page: Page, bench: Running) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    async with connected(f"{bench.ocpp_url}/CP007") as station:
        await transaction(station, "t1")
        await page.goto(bench.url)
        await expect(page.locator("#transactions tbody tr")).to_be_visible()
        # A table is a list of cards, each cell with the name of its column.
        cell = page.locator("#transactions td").nth(2)
        assert await cell.evaluate("cell => [cell.dataset.label, getComputedStyle(cell).display]") == ["Token", "flex"]
        answer = page.get_by_label("Boot answer")
        await expect(answer).to_be_hidden()
        await page.get_by_role("button", name="Settings").click()
        await answer.select_option("Pending")
        await eventually(lambda: bench.office.behaviour.boot_status == "Pending")
        for heading in ("Device model", "Certificates"):
            await page.get_by_role("heading", name=heading).click()
        assert await page.evaluate(_SMALL_TARGETS) == []
        assert await page.evaluate("document.documentElement.scrollWidth") == 390
        for scheme in ("light", "dark"):
            await page.emulate_media(color_scheme=scheme)
            assert await barriers(page) == []


_SMALL_TARGETS = """() => [...document.querySelectorAll("button, select, input, summary, a")]
    .filter((node) => node.checkVisibility() && node.type !== "checkbox" && node.offsetHeight < 32)
    .map((node) => node.outerHTML)"""


async def test_the_keyboard_reaches_everything_in_order(page: Page, bench: Running) -> None:
    async with connected(f"{bench.ocpp_url}/CP007") as station:
        await transaction(station, "t1")
        await page.goto(bench.url)
        await expect(page.locator("section[data-evse='1']")).to_be_visible()
        await page.locator("#pause").check()
        count = await page.evaluate(_NUMBER_ALL)
        await page.locator("[data-number='0']").focus()
        reached = []
        for _ in range(count):
            reached.append(await page.evaluate("Number(document.activeElement.dataset.number ?? -1)"))
            await page.keyboard.press("Tab")
        assert reached == list(range(count))


_NUMBER_ALL = """() => {
    const found = [...document.querySelectorAll("button, select, input, textarea, summary, a, [tabindex='0']")]
        .filter((node) => node.checkVisibility() && !node.disabled);
    found.forEach((node, number) => { node.dataset.number = number; });
    return found.length;
}"""


async def test_a_button_without_a_name_is_a_barrier(page: Page) -> None:
    await page.set_content("<html lang=en><title>A page</title><main><button></button></main></html>")
    assert [found.split(":")[0] for found in await barriers(page)] == ["button-name"]
