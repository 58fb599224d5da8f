# SPDX-License-Identifier: Apache-2.0
"""`make screenshots`: the pictures of our pages in `docs/images/`, from a bench CSMS and a station that run.

`make screenshots ONLY="cockpit display-free"` makes some of them.

A car charges at EVSE 1 meanwhile. Pictures differ a little each time: commit those whose page has changed.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Browser, Page, expect

from firmware.errors import BaywattError
from tools.chromium import chromium
from tools.csms.client import Client
from tools.demo.__main__ import factory_settings
from tools.demo.bench import start, start_rig
from tools.demo.session import CARD, accepted
from tools.rig.client import RigClient

_IMAGES = Path("docs/images")
_COLOURS = 128
_MOST_BYTES = 100_000
_PASSWORD = "four words for pictures"
_IDENTITY = "CP001"
_SOC_PERCENT = 30
_CAPACITY_KWH = 400
"""So that the car charges until the last picture."""
_PATIENCE_S = 90.0
_ENERGY_WH = 15_000.0
"""So that the curves show something."""
Size = tuple[int, int]
_DESKTOP: Size = (1280, 860)
_TALL: Size = (1280, 1150)
_PHONE: Size = (390, 800)
_PANEL: Size = (1024, 600)
_HALF_A_MINUTE = re.compile(r"the last (3[1-9]|[4-9]\d|\d{3}) s")
_WHOLE_CABINET: Size = (1440, 1120)


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture: its file, the page's address, and what is done there before it is taken."""

    name: str
    url: str
    prepare: Callable[[Page], Awaitable[None]] | None = None
    size: Size = _DESKTOP
    scheme: Literal["light", "dark"] = "light"


def main(only: Sequence[str] = ()) -> int:
    """`only`: the names of the pictures to make; all without one."""
    if shutil.which("pngquant") is None:
        print("screenshots: pngquant is missing: apt-get install pngquant", file=sys.stderr)
        return 2
    _IMAGES.mkdir(parents=True, exist_ok=True)
    try:
        asyncio.run(_make(only))
    except BaywattError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return _shrink(only)


async def _make(only: Sequence[str]) -> None:
    expect.set_options(timeout=1000 * _PATIENCE_S)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as name:
        folder = Path(name)
        options = ("csms", "up", "--port=0", f"--state={folder / 'csms'}", f"--files={folder / 'files'}")
        async with (
            start("the bench CSMS", *options, log=folder / "csms.log") as csms,
            start_rig(folder, _factory_settings(csms.ready)) as (rig_process, rig),
            start(
                "the cockpit", "cockpit", f"--control={rig_process.ready['control']}", log=folder / "cockpit.log"
            ) as cockpit,
            chromium() as browser,
        ):
            state = await _charging(rig)
            await _first_sign_in(browser, state)
            for shot in _shots(csms.ready["url"], cockpit.ready["url"], state):
                if not only or shot.name in only:
                    await _take(browser, shot)


def _factory_settings(ready: dict[str, Any]) -> str:
    """The demonstration's, with a car that is not full before the last picture."""
    return factory_settings(ready, 1, wire=False).replace("speed = 60.0", "speed = 15.0")


async def _charging(rig: RigClient) -> dict[str, Any]:
    """The state of the station when a car charges and the pages are up."""
    await accepted(rig)
    await rig.op("plug_in", evse=1, car={"soc_percent": _SOC_PERCENT, "capacity_kwh": _CAPACITY_KWH})
    await rig.op("present_card", uid=CARD, evse=1)
    await rig.until(lambda state: state["evses"][0]["energy_wh"] > _ENERGY_WH, timeout_s=_PATIENCE_S)
    return await rig.until(lambda state: state["commissioning"] is not None)


async def _first_sign_in(browser: Browser, state: dict[str, Any]) -> None:
    """Change the password of the label, so that each picture begins with a sign-in."""
    page = await _page(browser, _DESKTOP, "light")
    await page.goto(state["commissioning"])
    await _sign_in(page, state["label"]["commissioning_password"])
    await page.get_by_label("New password", exact=True).fill(_PASSWORD)
    await page.get_by_label("New password again").fill(_PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("navigation")).to_be_visible()
    await _leave(page)


async def _leave(page: Page) -> None:
    """Whoever comes next is the only installer."""
    sign_out = page.get_by_role("button", name="Sign out")
    if await sign_out.is_visible():
        await sign_out.click()
        await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await page.context.close()


async def _take(browser: Browser, shot: Shot) -> None:
    page = await _page(browser, shot.size, shot.scheme)
    await page.goto(shot.url)
    if shot.prepare is not None:
        await shot.prepare(page)
    await page.screenshot(path=_IMAGES / f"{shot.name}.png", animations="disabled")
    await _leave(page)
    print(f"  {shot.name}.png", flush=True)


async def _page(browser: Browser, size: Size, scheme: Literal["light", "dark"]) -> Page:
    width, height = size
    context = await browser.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, ignore_https_errors=True
    )
    return await context.new_page()


async def _sign_in(page: Page, password: str = _PASSWORD) -> None:
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


# --- what is shown ---------------------------------------------------------------------------------------------


def _shots(bench: str, cockpit: str, state: dict[str, Any]) -> list[Shot]:
    station = state["commissioning"]
    displays = [screen["url"] for screen in state["screens"]]
    return [
        Shot("display-charging", displays[0], partial(_shows, "Charging"), _PANEL),
        Shot("display-free", displays[1], partial(_shows, "Free"), _PANEL),
        Shot("bench-csms", bench, _bench_is_live),
        Shot("cockpit", cockpit, _cockpit_is_live, _WHOLE_CABINET),
        Shot("commissioning-sign-in", station),
        Shot("commissioning-status", station, _status, _TALL),
        Shot("commissioning-status-phone", station, _status, _PHONE, "dark"),
        Shot(
            "commissioning-set-up", f"{station}#/setup", partial(_connection_test, bench.replace("http", "wss")), _TALL
        ),
        Shot("commissioning-messages", f"{station}#/messages", partial(_messages, Client(bench))),
        Shot("commissioning-settings", f"{station}#/settings", _settings),
        Shot("commissioning-tests", f"{station}#/tests", _tests),
        # The last of its pages: each says what is tried.
        Shot("commissioning-network", f"{station}#/setup", _network, _TALL),
    ]


async def _bench_is_live(page: Page) -> None:
    await expect(page.get_by_role("heading", name="CP001", level=1)).to_be_visible()
    await expect(page.locator(".chart svg").first).to_be_visible()


async def _cockpit_is_live(page: Page) -> None:
    """With half a minute in its charts."""
    await expect(page.locator("#live")).to_have_text("live")
    outlet = page.locator("section[data-evse='1']")
    await expect(outlet.locator(".glass h1")).to_have_text("Charging")
    await expect(outlet.locator(".chart p")).to_contain_text(_HALF_A_MINUTE)


async def _status(page: Page) -> None:
    await _sign_in(page)
    await expect(page.get_by_text("charging", exact=True).first).to_be_visible()


async def _connection_test(url: str, page: Page) -> None:
    """At a port without TLS."""
    await _sign_in(page)
    await page.get_by_role("button", name="CSMS").click()
    await page.get_by_label("URL of the CSMS").fill(url)
    await page.get_by_label("Security profile").select_option("2")
    await page.get_by_role("button", name="Test the connection").click()
    await expect(page.locator(".steps li")).to_have_count(6)


async def _network(page: Page) -> None:
    """An address that is tried, and not kept."""
    await _sign_in(page)
    await page.get_by_role("button", name="Network").click()
    await page.get_by_label("Address", exact=True).select_option("fixed")
    await page.get_by_label("Fixed address").fill("203.0.113.10/24")
    await page.get_by_label("Gateway").fill("203.0.113.1")
    await page.get_by_role("button", name="Try these settings of Wired0").click()
    await page.get_by_role("dialog").get_by_role("button", name="Try them").click()
    await expect(page.locator("#trial")).to_contain_text("are being tried")


async def _messages(csms: Client, page: Page) -> None:
    await _sign_in(page)
    await expect(page.get_by_label("Find messages")).to_be_visible()
    heartbeat = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    for action, payload in (
        ("GetVariables", {"getVariableData": [heartbeat]}),
        ("SetVariables", {"setVariableData": [{**heartbeat, "attributeValue": "soon"}]}),
        ("NoSuchAction", {}),
        ("TriggerMessage", {"requestedMessage": "Heartbeat"}),
    ):
        await asyncio.to_thread(csms.call, _IDENTITY, action, payload, raw=True)
    await expect(page.locator(".message").filter(has_text="Heartbeat")).to_have_count(4)
    await page.locator(".message.call > button").filter(has_text="SetVariables").click()


async def _settings(page: Page) -> None:
    await _sign_in(page)
    await page.get_by_label("Find settings").fill("sampled")


async def _tests(page: Page) -> None:
    await _sign_in(page)
    await expect(page.get_by_role("heading", name="Card reader")).to_be_visible()


async def _shows(title: str, page: Page) -> None:
    await expect(page.locator("h1")).to_have_text(title)


def _shrink(only: Sequence[str]) -> int:
    """Palettes instead of colours; a picture that stays too large is an error."""
    files = [file for file in sorted(_IMAGES.glob("*.png")) if not only or file.stem in only]
    subprocess.run(
        ["pngquant", "--force", "--ext", ".png", "--strip", "--speed", "1", str(_COLOURS), *files], check=True
    )
    large = [file for file in files if file.stat().st_size > _MOST_BYTES]
    for file in large:
        print(f"screenshots: {file} has {file.stat().st_size} bytes, at most {_MOST_BYTES} are meant", file=sys.stderr)
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
