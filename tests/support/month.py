# SPDX-License-Identifier: Apache-2.0
"""A month of operation on a simulated clock, in a process of its own: `python -m tests.support.month DIR DAYS`.

A station without I/O but with its database on the disk: both EVSEs charge twelve times a day for half an hour, and for
one hour of each day the CSMS is away. After each day a line of JSON says what the process and its files take.
"""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path

from tests.support.station_bench import StationBench
from tools.benchmark.machine import resident_mb

_DAY_S = 86_400.0
_SESSIONS = 12
_CHARGING_S = 1800.0
_SAMPLE_S = 60.0
_WH = 500.0
"""In each sample's time: 30 kW."""


def main(folder: Path, days: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    station = StationBench(folder, variables={("SampledDataCtrlr", "TxUpdatedInterval"): f"{_SAMPLE_S:g}"})
    station.up()
    for day in range(1, days + 1):
        _play_day(station)
        _forget(station)
        print(json.dumps({"day": day, "memory_mb": resident_mb(os.getpid()), "disk_mb": _disk_mb(folder)}), flush=True)


def _play_day(station: StationBench) -> None:
    began = station.clock.monotonic()
    for number in range(_SESSIONS):
        if number == _SESSIONS // 2:
            station.link_down()
        for evse in (1, 2):
            station.card(f"04A1B2C3D4E58{evse}", evse)
            station.plug(evse)
            station.energy_on(evse)
        for _ in range(int(_CHARGING_S / _SAMPLE_S)):
            station.advance(_SAMPLE_S)
            for evse in (1, 2):
                station.deliver(evse, _WH)
        for evse in (1, 2):
            station.energy_off(evse)
            station.unplug(evse)
        station.advance(_CHARGING_S)
        if not station.linked:
            station.link_up()
            station.advance(60.0)
    station.advance(max(0.0, began + _DAY_S - station.clock.monotonic()))


def _forget(station: StationBench) -> None:
    """What the doubles around the station have noted is not the station's memory."""
    if station.context.outbox:
        raise RuntimeError(f"{len(station.context.outbox)} messages are left in the queue")
    notes = (station.requests, station.frames, station.commands, station.notices, station.orders, station.tasks)
    for noted in (*notes, station.cancelled, station.failures):
        noted.clear()
    station._responses.clear()
    station._called.clear()
    gc.collect()


def _disk_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
