# SPDX-License-Identifier: Apache-2.0
"""Debian's Chromium, headless, for the tests and the pictures of our pages; playwright drives it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright

__all__ = ["chromium"]

_PATH = "/usr/bin/chromium"
_SWITCHES = [
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """A browser without its sandbox: it may run as root, and every page is our own."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=_PATH, args=_SWITCHES, chromium_sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()
