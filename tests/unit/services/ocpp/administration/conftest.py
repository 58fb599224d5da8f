# SPDX-License-Identifier: Apache-2.0
"""The administration socket of a station of the product that is connected and accepted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.administration import Site, served
from tests.support.station_bench import StationBench


@pytest.fixture
async def site(bench: StationBench, tmp_path: Path) -> AsyncIterator[Site]:
    async with served(bench, tmp_path) as running:
        yield running
