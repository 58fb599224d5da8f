# SPDX-License-Identifier: Apache-2.0
"""A station of the product, connected and accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.station_bench import StationBench


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.up()
    return bench
