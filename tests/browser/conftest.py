# SPDX-License-Identifier: Apache-2.0
"""A real browser for the pages: Debian's Chromium, headless, driven by playwright.

A test takes `page` (a desktop's window) or `browser` (to open windows of other sizes, or two at once). A script's error
on a page, or a request to anywhere but the loopback, fails the test.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, expect

from tools.chromium import chromium

# For conditions; a machine with many tests at once is slow.
expect.set_options(timeout=20_000)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as started:
        yield started


@pytest.fixture
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with new_window(browser) as context:
        yield context


@pytest.fixture
async def page(window: BrowserContext) -> Page:
    return await window.new_page()


@asynccontextmanager
async def new_window(browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser window without cookies; it trusts the certificates that a station makes itself."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800}, ignore_https_errors=True)
    trouble: list[str] = []
    watch(context, trouble)
    yield context
    await context.close()
    assert trouble == []


def watch(context: BrowserContext, trouble: list[str]) -> None:
    """Note in `trouble` what no page of ours may do; for windows that a test opens itself."""

    def on_console(message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            trouble.append(f"console: {message.text}")

    def on_request(request: Request) -> None:
        if urlsplit(request.url).hostname not in {"127.0.0.1", "localhost", None}:
            trouble.append(f"a request to {request.url}")

    context.on("console", on_console)
    context.on("weberror", lambda error: trouble.append(f"script: {error.error}"))
    context.on("request", on_request)
