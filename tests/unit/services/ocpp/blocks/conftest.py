# SPDX-License-Identifier: Apache-2.0
"""A station of the product, connected and accepted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.station import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.up()
    return bench
