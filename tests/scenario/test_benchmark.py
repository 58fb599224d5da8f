# SPDX-License-Identifier: Apache-2.0
"""The benchmark of emergency stops gets a time for each stop; the times themselves are not checked here."""

from __future__ import annotations

from pathlib import Path

from tools.benchmark.emergency_stop import emergency_stops


async def test_each_emergency_stop_reaches_a_coil(tmp_path: Path) -> None:
    times = await emergency_stops(tmp_path / "station", 3)
    assert len(times) == 3
    assert min(times) > 0.0
