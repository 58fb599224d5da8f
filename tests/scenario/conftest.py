# SPDX-License-Identifier: Apache-2.0
"""The start of most scenario tests: a station that runs."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

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


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> Random:
    """For tests at random moments: the seed is printed with a failure; BAYWATT_SEED repeats it."""
    seed = os.environ.get("BAYWATT_SEED") or str(secrets.randbelow(1_000_000))
    print(f"BAYWATT_SEED={seed}")
    return Random(f"{seed} {request.node.name}")
