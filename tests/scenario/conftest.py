# SPDX-License-Identifier: Apache-2.0
"""The start of most scenario tests: a station that runs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.csms import ScriptedCsms
from tests.support.scenario import Site, site


@pytest.fixture
async def csms() -> AsyncIterator[ScriptedCsms]:
    async with ScriptedCsms() as csms:
        yield csms


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Site]:
    """A station that has booted and is accepted by its CSMS."""
    async with site(tmp_path) as found:
        yield found
