# SPDX-License-Identifier: Apache-2.0
"""The pages in Chromium: how long until something is to be seen, and what an hour of updates leaves behind.

    python -m tools.benchmark.pages                 # both; the hour of 3,600 updates takes two minutes
    python -m tools.benchmark.pages --period 1      # the same hour in an hour

The station is a whole rig with both EVSEs charging. A load is the time from the navigation, with its TLS, to the first
form of the commissioning page or the first page of a display, in a window that has never been there, and again in the
same window. Chromium keeps no file of a page whose certificate it does not trust, and it does not trust the one that a
station makes itself: only the displays are quicker again.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.async_api import Browser, CDPSession, Page, expect

from tools.benchmark.csms import listening
from tools.benchmark.growth import Row, lines
from tools.benchmark.machine import resident_mb
from tools.benchmark.station_figures import charge_both
from tools.benchmark.table import Figures
from tools.chromium import chromium
from tools.demo.bench import start_rig
from tools.rig.factory_file import factory_file
from tools.rig.settings_file import to_toml
from tools.rig.station_dir import ADMINISTRATION_SOCKET, HAL_SOCKET, STATUS_SOCKET

__all__ = ["load_figures", "page_growth"]

LOADS = 10
UPDATES = 3600
EARLY = 360
"""Updates before the first look: what is loaded and compiled late is there by then."""
PERIOD_S = 0.02
_PATIENCE_S = 60.0
_PASSWORD = "a password of the benchmark"
_LABEL = "BENCH-MARK-PAGE"
_SHOWN = """
window.shownAfter = new Promise((resolve) => {
  new MutationObserver((_, observer) => {
    if (!document.querySelector(%s)) return;
    observer.disconnect();
    resolve(performance.now());
  }).observe(document, { childList: true, subtree: true });
});
"""
_COUNTED = """
window.updates = 0;
const Own = EventSource;
window.EventSource = class extends Own {
  constructor(...given) { super(...given); this.addEventListener("status", () => { window.updates += 1; }); }
};
"""


# --- the first load ---------------------------------------------------------------------------------------------------


async def load_figures(folder: Path) -> Figures:
    """Milliseconds, by the key of their row, of a station of their own in `folder`."""
    folder.mkdir(parents=True)
    async with listening() as csms:
        factory = factory_file(csms.url, identity="BENCH", rig={"displays": True})
        async with start_rig(folder, factory, "--direct") as (_, rig), chromium() as browser:
            state = await rig.until(_is_served, timeout_s=_PATIENCE_S)
            page = await _loads(browser, state["commissioning"], "#view form")
            display = await _loads(browser, state["screens"][0]["url"], "body > *")
    return {"page load": page[0], "page again": page[1], "display load": display[0], "display again": display[1]}


def _is_served(state: dict[str, Any]) -> bool:
    return state["commissioning"] is not None and state["screens"][0]["url"] is not None


async def _loads(browser: Browser, url: str, shown: str) -> tuple[list[float], list[float]]:
    first: list[float] = []
    again: list[float] = []
    for _ in range(LOADS):
        window = await browser.new_context(ignore_https_errors=True)
        await window.add_init_script(_SHOWN % json.dumps(shown))
        for found in (first, again):
            page = await window.new_page()
            await page.goto(url)
            found.append(float(await page.evaluate("window.shownAfter")))
            await page.close()
        await window.close()
    return first, again


# --- an hour of updates -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Look:
    updates: int
    process_mb: float
    heap_mb: float
    """Of the page's scripts, what nobody needs collected."""
    nodes: float


async def page_growth(
    folder: Path, note: Callable[[str], None], *, period_s: float = PERIOD_S, updates: int = UPDATES
) -> list[Row]:
    """The status page, and its process, after the first minutes and at the end of the hour."""
    folder.mkdir(parents=True)
    async with listening() as csms:
        factory = factory_file(csms.url, identity="BENCH")
        async with start_rig(folder, factory, "--direct") as (_, rig):
            await rig.until(lambda state: state["ocpp"]["registration"] == "Accepted", timeout_s=_PATIENCE_S)
            await charge_both(csms, rig)
            async with _page_process(folder, period_s) as (pid, url), chromium() as browser:
                page = await _status_page(browser, url)
                early = await _look_after(page, pid, EARLY, note)
                late = await _look_after(page, pid, updates, note)
    sizes = (f"{early.updates} updates", f"{late.updates:,} updates")
    return [
        Row("page: its process", "MB", sizes, early.process_mb, late.process_mb, bounds=(0.0, 1.02), apart=0.5),
        Row("page: heap of its scripts", "MB", sizes, early.heap_mb, late.heap_mb, bounds=(0.0, 1.05), apart=0.2),
        Row("page: nodes", "", sizes, early.nodes, late.nodes, bounds=(0.0, 1.02), apart=20),
    ]


@asynccontextmanager
async def _page_process(folder: Path, period_s: float) -> AsyncIterator[tuple[int, str]]:
    """A second commissioning process at the rig's sockets: its pid and its address."""
    rig, port = folder / "rig", folder / "page-port"
    (folder / "page-station.toml").write_text(
        to_toml({"identity": "BENCH", "commissioning": {"port": 0, "password": _LABEL}})
    )
    settings = {
        "state": str(folder / "page"),
        "factory": str(folder / "page-station.toml"),
        "host": "127.0.0.1",
        "port_file": str(port),
        "hal_socket": str(HAL_SOCKET),
        "status_socket": str(STATUS_SOCKET),
        "administration_socket": str(ADMINISTRATION_SOCKET),
        "log_file": str(folder / "page.log"),
    }
    file = folder / "page.toml"
    file.write_text(to_toml(settings))
    root = str(Path(__file__).resolve().parents[2])
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tools.benchmark.page_process", str(period_s), "--config", str(file),
        cwd=rig, env={"PYTHONPATH": root, "MALLOC_ARENA_MAX": "1", "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while not port.exists():  # noqa: ASYNC110 - a file tells nobody
                await asyncio.sleep(0.05)
        yield process.pid, f"https://127.0.0.1:{json.loads(port.read_text())['port']}/"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _status_page(browser: Browser, url: str) -> Page:
    window = await browser.new_context(ignore_https_errors=True)
    await window.add_init_script(_COUNTED)
    page = await window.new_page()
    await page.goto(url)
    await page.get_by_label("Password", exact=True).fill(_LABEL)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("New password", exact=True).fill(_PASSWORD)
    await page.get_by_label("New password again").fill(_PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible(timeout=1000 * _PATIENCE_S)
    return page


async def _look_after(page: Page, pid: int, updates: int, note: Callable[[str], None]) -> _Look:
    """When the page has had so many; it asks for something now and then, or its session would end."""
    reached = False
    while not reached:
        await page.evaluate("fetch('/api/session')")
        reached = await _is_reached(page, updates)
    session = await page.context.new_cdp_session(page)
    try:
        look = await _look(page, session, pid)
    finally:
        await session.detach()
    note(f"{look.updates} updates: process {look.process_mb:.1f} MB, heap {look.heap_mb:.2f} MB, {look.nodes:g} nodes")
    return look


async def _is_reached(page: Page, updates: int) -> bool:
    handle = await page.evaluate_handle(
        """(most) => new Promise((found) => {
          const until = performance.now() + 60000;
          const look = setInterval(() => {
            if (window.updates < most && performance.now() < until) return;
            clearInterval(look);
            found(window.updates >= most);
          }, 200);
        })""",
        updates,
    )
    return bool(await handle.json_value())


async def _look(page: Page, session: CDPSession, pid: int) -> _Look:
    await session.send("Performance.enable")
    await session.send("HeapProfiler.collectGarbage")
    metrics = {each["name"]: each["value"] for each in (await session.send("Performance.getMetrics"))["metrics"]}
    updates = await page.evaluate("window.updates")
    return _Look(int(updates), resident_mb(pid), metrics["JSHeapUsedSize"] / 1e6, metrics["Nodes"])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = ArgumentParser(prog="python -m tools.benchmark.pages", description=__doc__)
    parser.add_argument("--period", type=float, default=PERIOD_S, metavar="S", help="between two updates")
    parser.add_argument("--updates", type=int, default=UPDATES, metavar="N", help="how many of them")
    options = parser.parse_args(arguments)
    asyncio.run(_measure(options.period, options.updates))
    return 0


async def _measure(period_s: float, updates: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        for key, values in (await load_figures(Path(folder) / "load")).items():
            print(f"{key}: median {median(values):.0f} ms, {min(values):.0f} to {max(values):.0f}", flush=True)
        for line in lines(await page_growth(Path(folder) / "growth", _say, period_s=period_s, updates=updates)):
            print(line)


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
