# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.station_benches import STATION_BENCHES, StationBench, WireStation


@pytest.fixture(params=STATION_BENCHES)
async def station(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[StationBench]:
    """Inputs, contactors and board over each kind of driver."""
    bench = STATION_BENCHES[request.param](tmp_path)
    await bench.start()
    yield bench
    await bench.close()


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[WireStation]:
    """The same over real drivers only, whose devices can be unplugged and plugged in again."""
    bench = WireStation(tmp_path)
    await bench.start()
    yield bench
    await bench.close()
