# SPDX-License-Identifier: Apache-2.0
"""A page that is served, with its label's password changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.support.commissioning import Browser, HalDouble, Served, served
from tests.support.sockets import idle_evse, snapshot


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as found:
        yield found


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as found:
        yield found


@pytest.fixture
async def installer(page: Served, stack: AsyncExitStack) -> Browser:
    """Signed in, with the seat."""
    return await page.installer(stack)


@pytest.fixture
def link(page: Served, monkeypatch: pytest.MonkeyPatch) -> HalDouble:
    """The page's HAL, with two EVSEs."""
    hal = page.service.site.hal
    link = HalDouble(hal)
    monkeypatch.setattr(hal._link, "request", link.request)
    hal.on_hal_up(replace(snapshot(), evses=[idle_evse(1), idle_evse(2)]))
    return link
