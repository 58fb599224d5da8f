# SPDX-License-Identifier: Apache-2.0
"""What the benchmark measures is there to be measured; the figures themselves are not judged here."""

from __future__ import annotations

from pathlib import Path

from tools.benchmark.emergency_stop import emergency_stops


async def test_each_emergency_stop_reaches_a_coil(tmp_path: Path) -> None:
    times = await emergency_stops(tmp_path / "station", 3)
    assert len(times) == 3
    assert min(times) > 0.0
