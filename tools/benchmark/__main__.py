# SPDX-License-Identifier: Apache-2.0
"""`make benchmark`: how fast and how large the station is, beside a floor measured in the same run.

The station is a whole rig (HAL, OCPP service, simulated hardware); the floor is a bare `websockets` client that answers
canned text, the least that any station in Python costs.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from tools.benchmark.floor_figures import measure_floor
from tools.benchmark.station_figures import measure_station
from tools.benchmark.table import print_table


async def main() -> None:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        print("measuring the floor", file=sys.stderr, flush=True)
        floor = await measure_floor()
        print("measuring the station", file=sys.stderr, flush=True)
        station = await measure_station(Path(folder))
    print_table(station, floor)


if __name__ == "__main__":
    asyncio.run(main())
