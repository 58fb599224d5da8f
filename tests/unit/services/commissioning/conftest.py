# SPDX-License-Identifier: Apache-2.0
"""A page that is served, with its label's password changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.commissioning import Browser, Served, served


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
