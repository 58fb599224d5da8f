# SPDX-License-Identifier: Apache-2.0
"""The commissioning page for a test in a browser: its process alone, or that of a whole station."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Page, expect

from tests.support.rig import Rig
from tests.support.sockets import eventually

__all__ = ["LABEL", "PASSWORD", "commissioning_process", "sign_in", "sign_in_first", "station"]

LABEL = "7KQM-X2RP-9VTA"
PASSWORD = "correct horse battery staple"
_ROOT = Path(__file__).resolve().parents[2]


@asynccontextmanager
async def commissioning_process(folder: Path) -> AsyncIterator[str]:
    """The URL of a page whose label says `LABEL`."""
    port = folder / "port"
    (folder / "station.toml").write_text(f'identity = "CP001"\n[commissioning]\nport = 0\npassword = "{LABEL}"\n')
    settings = {
        "state": folder / "state",
        "factory": folder / "station.toml",
        "host": "127.0.0.1",
        "port_file": port,
        "hal_socket": folder / "hal.sock",
        "status_socket": folder / "status.sock",
        "administration_socket": folder / "administration.sock",
    }
    (folder / "commissioning.toml").write_text("".join(f'{name} = "{value}"\n' for name, value in settings.items()))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.commissioning", "--config", folder / "commissioning.toml", cwd=_ROOT
    )
    try:
        await eventually(port.exists)
        yield f"https://127.0.0.1:{json.loads(port.read_text())['port']}/"
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def station(folder: Path, settings: str = 'identity = "NEW"\n') -> AsyncIterator[tuple[Rig, dict[str, Any]]]:
    """A new station with these factory settings, and its state once the page is served."""
    file = folder / "station.toml"
    file.write_text(f'{settings}\n[commissioning]\npassword = "{LABEL}"\n')
    async with Rig(folder / "rig", station=file, page=True) as rig:
        yield rig, await rig.client.until(lambda state: state["commissioning"] is not None)


async def sign_in(page: Page, password: str = PASSWORD, *, user: str | None = None) -> None:
    if user is not None:
        await page.get_by_label("User", exact=True).select_option(user)
    await page.get_by_label("Password", exact=True).fill(password)
    await page.get_by_role("button", name="Sign in").click()


async def sign_in_first(page: Page, url: str) -> None:
    """As the first installer of a new station: the label's password, then one of our own."""
    await page.goto(url)
    await sign_in(page, LABEL)
    await page.get_by_label("New password", exact=True).fill(PASSWORD)
    await page.get_by_label("New password again").fill(PASSWORD)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_role("heading", name="Status", level=1)).to_be_visible()
