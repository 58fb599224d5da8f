# SPDX-License-Identifier: Apache-2.0
"""The displays' web page in a browser: every page, a whole session by touch, and what goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from playwright.async_api import Browser, BrowserContext, CDPSession, Page, expect

from drivers.screen import languages
from drivers.screen.browser_watch import SILENT_S
from drivers.screen.kiosk import KioskServer
from drivers.screen.web import WebScreen
from firmware.contract import Page as Shown
from firmware.contract import PageModel
from tests.browser.accessibility import barriers
from tests.browser.conftest import watch
from tests.support.clock import ManualClock
from tests.support.display_pages import MODELS
from tests.support.scenario import CARD, site
from tests.support.sockets import eventually

pytestmark = pytest.mark.slow

SIZES = {"landscape": (800, 480), "portrait": (480, 800)}
"""The smallest: everything on a page follows its size."""
TOO_BIG = """() => [...document.querySelectorAll("main, main *, header, footer *, .notice, .veil *")]
  .filter((node) => !node.closest("svg") && node.clientWidth > 0)
  .filter((node) => node.scrollWidth > node.clientWidth + 2 && getComputedStyle(node).display !== "inline"
    || node.localName === "main" && node.scrollHeight > node.clientHeight + 2)
  .map((node) => `${node.localName}.${node.className} ${node.scrollWidth} ${node.scrollHeight}`)"""
SMALL = """() => [...document.querySelectorAll("button")].map((node) => node.getBoundingClientRect())
  .filter((box) => box.height < 44 || box.width < 44).length"""


class Station:
    """Display 1 on a server of its own, and what is reported of it."""

    def __init__(self, server: KioskServer, **options: Any) -> None:
        self.server = server
        self.clock = ManualClock()
        self.reports: list[str | None] = []
        self.restarted = 0
        self.screen = WebScreen(
            WebScreen.Options(server=server, screen=1, **options),
            clock=self.clock,
            restart=self._restart,
            watched=False,
        )
        report = self.reports.append
        self.screen.listen(lambda: report("select"), lambda: report("stop"), report)

    async def _restart(self) -> None:
        self.restarted += 1

    @property
    def url(self) -> str:
        return f"{self.server.origin}/display/1"


@pytest.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    server = KioskServer(KioskServer.Options(port=0, address_file=str(tmp_path / "address")))
    await server.open()
    yield Station(server)
    server.close()


async def shown(page: Page, model: PageModel) -> None:
    await page.wait_for_selector(f'[data-page="{model.page.value}"]')


# --- every page ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_every_page_fits_in_every_language(browser: Browser, station: Station, size: str) -> None:
    width, height = SIZES[size]
    context = await browser.new_context(viewport={"width": width, "height": height})
    trouble: list[str] = []
    watch(context, trouble)
    page = await context.new_page()
    station.screen.show(MODELS["idle"])
    await page.goto(station.url)
    await shown(page, MODELS["idle"])
    for code in languages.codes():
        words = languages.words(code)
        await page.locator(f'footer [lang="{code}"]').click()
        await expect(page.locator("html")).to_have_attribute("lang", code)
        for name, model in MODELS.items():
            station.screen.show(model)
            await shown(page, model)
            await expect(page.locator("h1")).to_have_text(words[f"{model.page.value}.title"])
            assert await page.evaluate(TOO_BIG) == [], (code, name)
            assert await page.evaluate(SMALL) == 0, (code, name)
    await context.close()
    assert trouble == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_no_page_has_a_barrier(page: Page, tmp_path: Path, theme: str) -> None:
    server = KioskServer(KioskServer.Options(port=0))
    await server.open()
    station = Station(server, theme=theme)
    await page.goto(station.url)
    for name, model in MODELS.items():
        station.screen.show(model)
        await shown(page, model)
        assert await barriers(page) == [], name
    station.screen.show(MODELS["charging"])
    await page.locator("[data-action=ask]").click()
    await expect(page.get_by_role("dialog")).to_be_visible()
    assert await barriers(page) == []
    server.close()


def test_the_models_have_every_page_and_every_field() -> None:
    assert {model.page for model in MODELS.values()} == set(Shown)
    used = {field for model in MODELS.values() for field in msgspec.to_builtins(model)}
    assert used == set(PageModel.__struct_fields__)


async def test_what_is_on_the_page_of_a_session(page: Page, station: Station) -> None:
    station.screen.show(MODELS["charging offline"])
    await page.goto(station.url)
    for text in ("148.2 kW", "21.37 kWh", "12 min", "1 h 23 min", "200 kW offered", "Power is shared with outlet 2."):
        await expect(page.locator("main")).to_contain_text(text)
    await expect(page.locator(".ring .inside")).to_have_text("46%Battery")
    await expect(page.locator("header")).to_contain_text("Outlet 2charging148 kW")
    await expect(page.locator(".notice")).to_contain_text("Charging goes on.")
    await page.locator('footer [lang="de"]').click()
    await expect(page.locator("main")).to_contain_text("148,2 kW")


async def test_texts_that_are_scripts_are_texts(page: Page, station: Station) -> None:
    """Nothing that the CSMS sends is in a model; if it were, it would be text."""
    attack = "<img src=x onerror=document.title='owned'>"
    hostile = {"connector": attack, "code": attack, "since": attack, "started": attack, "ended": attack}
    await page.goto(station.url)
    for fields in (
        {"page": "unavailable", "out_of_service": "operator"},
        {"page": "faulted", "faults": ["meter"]},
        {"page": "finished"},
    ):
        model = msgspec.convert({**fields, **hostile}, PageModel)
        station.screen.show(model)
        await shown(page, model)
        await expect(page.locator("header")).to_contain_text(attack)
        assert await page.locator("img, script:not([src])").count() == 0
    assert await page.title() == "Display"


# --- the person ------------------------------------------------------------------------------------------------------


async def test_a_session_by_touch_alone_in_two_languages(browser: Browser, tmp_path: Path) -> None:
    """Card and cable apart, which no display has."""
    async with site(tmp_path, displays=True) as here:
        context = await browser.new_context(viewport={"width": 800, "height": 480}, has_touch=True)
        trouble: list[str] = []
        watch(context, trouble)
        page = await context.new_page()
        state = await here.rig.state()
        await page.goto(state["screens"][0]["url"])
        for code in ("de", "ja"):
            await session_by_touch(page, here, code)
        assert [transaction.reason for transaction in here.transactions] == ["Local", "Local"]
        await context.close()
        assert trouble == []


async def session_by_touch(page: Page, here: Any, code: str) -> None:
    words = languages.words(code)

    async def title(key: str) -> None:
        await expect(page.locator("h1")).to_have_text(words[f"{key}.title"], timeout=20_000)

    await page.locator(f'footer [lang="{code}"]').tap()
    await title("idle")
    await page.get_by_role("button", name=words["button.select"]).tap()
    await title("select")
    assert await here.card(uid=CARD) == "started"
    await title("plug_in")
    await here.plug_in(1, soc_percent=30)
    await title("charging")
    await expect(page.locator(".ring b")).to_contain_text("3", timeout=20_000)
    await here.until_evse(1, lambda it: it["current_a"] > 10)
    await page.get_by_role("button", name=words["button.stop"], exact=True).tap()
    await page.get_by_role("button", name=words["confirm.no"]).tap()
    await title("charging")
    await page.get_by_role("button", name=words["button.stop"], exact=True).tap()
    await page.get_by_role("button", name=words["confirm.yes"]).tap()
    await title("finished")
    await expect(page.locator(".receipt")).to_contain_text("kWh")
    await here.leave(1)
    await title("idle")


async def test_one_button_is_enough(page: Page, station: Station) -> None:
    async def press(held_ms: int = 0) -> None:
        await page.keyboard.down("F8")
        await page.wait_for_timeout(held_ms)
        await page.keyboard.up("F8")

    station.screen.show(MODELS["charging"])
    await page.goto(station.url)
    await shown(page, MODELS["charging"])
    await press()
    await expect(page.locator("[data-action=ask]")).to_be_focused()
    station.screen.show(msgspec.structs.replace(MODELS["charging"], energy_kwh=99.0))
    await expect(page.locator("main")).to_contain_text("99.00")
    await expect(page.locator("[data-action=ask]")).to_be_focused()  # an update does not move the focus
    await press(900)
    await expect(page.locator("[data-action=keep]")).to_be_focused()
    await press()
    await press(900)
    await eventually(lambda: station.reports == ["select", "stop"])
    await press()
    await press()
    await press(900)
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator('footer [lang="en"]')).to_be_focused()


async def test_a_keyboard_is_enough(page: Page, station: Station) -> None:
    station.screen.show(MODELS["idle"])
    await page.goto(station.url)
    await shown(page, MODELS["idle"])
    await page.keyboard.press("Tab")
    await expect(page.locator("[data-action=select]:focus")).to_have_text("Charge here")
    await page.keyboard.press("Enter")
    await eventually(lambda: station.reports == ["select"])
    station.screen.show(MODELS["charging"])
    await shown(page, MODELS["charging"])
    await page.keyboard.press("Tab")
    await expect(page.locator("[data-action=ask]")).to_be_focused()
    station.clock.advance(1.0)
    await page.keyboard.press("Enter")
    await expect(page.locator("[data-action=keep]")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await eventually(lambda: station.reports == ["select", "select", "stop"])
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_question_without_an_answer_and_a_language_without_a_driver(page: Page, station: Station) -> None:
    await page.clock.install()
    station.screen.show(MODELS["charging"])
    await page.goto(station.url)
    await page.locator("[data-action=ask]").click()
    await page.clock.run_for(17_000)
    await expect(page.get_by_role("dialog")).to_have_count(0)
    assert station.reports == ["select"]
    await page.locator('footer [lang="fr"]').click()
    await expect(page.locator("h1")).to_have_text("En charge")
    await page.clock.run_for(63_000)
    await expect(page.locator("h1")).to_have_text("En charge")  # somebody charges here
    station.screen.show(MODELS["idle"])
    await expect(page.locator("h1")).to_have_text("Libre")
    await page.clock.run_for(63_000)
    await expect(page.locator("h1")).to_have_text("Free")


# --- how fast it is, and for how long ---------------------------------------------------------------------------------


async def test_what_the_page_loads(page: Page, station: Station) -> None:
    """A few small files, and at the next start of the browser none of them."""
    loaded = """() => performance.getEntriesByType("resource").filter((each) => each.transferSize > 0)
      .map((each) => [new URL(each.name).pathname, each.transferSize])"""
    station.screen.show(MODELS["charging"])
    await page.goto(station.url)
    await shown(page, MODELS["charging"])
    sizes = dict(await page.evaluate(loaded))
    assert len(sizes) <= 8
    assert sum(sizes.values()) < 60_000
    await page.goto("about:blank")
    await page.goto(station.url)
    await shown(page, MODELS["charging"])
    assert await page.evaluate(loaded) == []


# --- what goes wrong -------------------------------------------------------------------------------------------------


async def test_a_browser_that_dies_is_restarted(window: BrowserContext, station: Station) -> None:
    station.screen.show(MODELS["charging"])
    page = await window.new_page()
    async with page.expect_websocket() as opened:
        await page.goto(station.url)
    await beaten(await opened.value)
    await page.close()
    station.clock.advance(SILENT_S)
    await station.screen.check()
    assert (station.restarted, station.reports) == (1, [])
    again = await window.new_page()
    async with again.expect_websocket() as opened:
        await again.goto(station.url)
    await beaten(await opened.value)
    await shown(again, MODELS["charging"])
    station.clock.advance(SILENT_S - 1)
    await station.screen.check()
    assert (station.restarted, station.reports) == (1, [])


async def beaten(socket: Any) -> None:
    """The page has proved that it paints."""
    await socket.wait_for_event("framesent", lambda frame: '"beat"' in str(frame))


async def test_a_page_that_hangs_sends_no_heartbeat(page: Page, station: Station) -> None:
    """Its WebSocket stays open: the heartbeat comes from what paints."""
    heard: list[str] = []
    async with page.expect_websocket() as opened:
        await page.goto(station.url)
    socket = await opened.value
    await beaten(socket)
    await page.evaluate("() => { window.requestAnimationFrame = () => 0; }")
    socket.on("framesent", lambda frame: heard.append(str(frame)))
    await page.wait_for_timeout(4500)
    assert heard == []
    assert not socket.is_closed()


async def test_a_charger_that_is_gone_for_a_while(page: Page, station: Station, tmp_path: Path) -> None:
    station.screen.show(MODELS["charging"])
    await page.goto(station.url)
    await shown(page, MODELS["charging"])
    station.server.close()
    await expect(page.get_by_role("alert")).to_contain_text("no connection to the charger")
    server = KioskServer(KioskServer.Options(port=0, address_file=str(tmp_path / "address")))
    await server.open()
    again = Station(server)
    again.screen.show(MODELS["finished"])
    assert again.url == station.url
    await shown(page, MODELS["finished"])
    await expect(page.get_by_role("alert")).to_have_count(0)
    server.close()


async def test_an_hour_of_updates_does_not_grow(page: Page, station: Station) -> None:
    """An update a second for an hour, from the driver to the glass, with everything that changes in it."""
    session = await page.context.new_cdp_session(page)
    await page.add_init_script(_COUNT_MESSAGES)
    station.screen.show(MODELS["idle"])
    await page.goto(station.url)
    await shown(page, MODELS["idle"])
    await update(page, station, 600)
    before = await size_of(session)
    await update(page, station, 3600)
    after = await size_of(session)
    print(f"{before} to {after}")
    assert after["Nodes"] <= before["Nodes"] + 5
    assert after["JSEventListeners"] <= before["JSEventListeners"]
    assert after["JSHeapUsedSize"] < before["JSHeapUsedSize"] + 300_000


_COUNT_MESSAGES = """{
  window.heard = 0;
  window.WebSocket = class extends WebSocket {
    constructor(...given) {
      super(...given);
      this.addEventListener("message", () => { window.heard += 1; });
    }
  };
}"""


async def update(page: Page, station: Station, count: int) -> None:
    """Show so many models, each of which reaches the page; the last one is a refused card."""
    models = [MODELS[name] for name in ("charging", "suspended", "finished", "idle", "select", "plug_in", "preparing")]
    heard = await page.evaluate("heard")
    for at in range(count):
        model = models[at // 60 % len(models)]
        station.screen.show(msgspec.structs.replace(model, duration_s=at, power_kw=at % 200))
        for _ in range(4):
            await asyncio.sleep(0)  # it is sent before the next one is shown, which would replace it
        if at % 20 == 19:
            while await page.evaluate("heard") - heard <= at:
                await page.wait_for_timeout(10)
    station.screen.show(MODELS["rejected"])
    await shown(page, MODELS["rejected"])


async def size_of(session: CDPSession) -> dict[str, float]:
    await session.send("Performance.enable")
    for _ in range(2):
        await session.send("HeapProfiler.collectGarbage")
    found = await session.send("Performance.getMetrics")
    kept = ("Nodes", "JSEventListeners", "JSHeapUsedSize")
    return {each["name"]: each["value"] for each in found["metrics"] if each["name"] in kept}
