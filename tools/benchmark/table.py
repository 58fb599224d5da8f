# SPDX-License-Identifier: Apache-2.0
"""The printed table: the station's figures beside the floor's, and whether each goal of docs/benchmark.md is met."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tools.benchmark.machine import processor
from tools.columns import table

__all__ = ["ROWS", "Figures", "Goal", "Row", "as_json", "lines", "ratio"]

Figures: TypeAlias = dict[str, list[float]]
"""Measured values by the key of their row."""


@dataclass(frozen=True, slots=True)
class Goal:
    """What a row is to hold: every bound that is given; none in a row that explains others.

    `at_least` is for rates, the others are upper bounds.

    `floors`: the median is at most so many times the floor's.
    """

    floors: float | None = None
    median: float | None = None
    p99: float | None = None
    worst: float | None = None
    at_least: float | None = None

    def __str__(self) -> str:
        bounds = [
            ("", self.floors, "x"),
            ("", self.median, ""),
            ("p99 ", self.p99, ""),
            ("max ", self.worst, ""),
            (">= ", self.at_least, ""),
        ]
        return ", ".join(f"{name}{bound:g}{unit}" for name, bound, unit in bounds if bound is not None)

    def is_met(self, ours: Sequence[float], floor: Sequence[float] | None) -> bool:
        median = statistics.median(ours)
        measured = [
            (ratio(ours, floor) if floor else None, self.floors),
            (median, self.median),
            (_p99(ours), self.p99),
            (max(ours), self.worst),
            (-median, None if self.at_least is None else -self.at_least),
        ]
        return all(bound is None or (value is not None and value <= bound) for value, bound in measured)


@dataclass(frozen=True, slots=True)
class Row:
    key: str
    name: str
    unit: str
    goal: Goal


ROWS = (
    Row("get 1", "GetVariables, 1 variable", "ms", Goal(floors=1.0, p99=1, worst=50)),
    Row("get 12", "GetVariables, 12 variables", "ms", Goal(floors=1.0)),
    Row("set 1", "SetVariables, durable", "ms", Goal(floors=2.5, p99=3)),
    Row("trigger answer", "TriggerMessage, answer", "ms", Goal(floors=1.2, worst=1000)),
    Row("trigger", "TriggerMessage to Heartbeat", "ms", Goal(floors=1.2)),
    Row("report answer", "FullInventory, answer", "ms", Goal(floors=1.2)),
    Row("report", "FullInventory to the last part", "ms", Goal(floors=1.2)),
    Row("start answer", "RequestStart, answer", "ms", Goal(floors=2.5)),
    Row("start", "RequestStart to Started", "ms", Goal(floors=2.2, p99=8)),
    Row("stop answer", "RequestStop, answer", "ms", Goal(floors=2.5)),
    Row("stop", "RequestStop to Ended", "ms", Goal(floors=2.2)),
    Row("stop power", "RequestStop to Ended, with power", "ms", Goal(worst=2000)),
    Row("card", "card presented to Authorize", "ms", Goal(median=5)),
    Row("boot", "process to BootNotification", "ms", Goal(floors=1.5)),
    Row("cold", "rig to BootNotification", "ms", Goal(median=2000)),
    Row("disk flush", "one flush of the disk alone", "ms", Goal()),
    Row("drain", "draining 10,000 messages", "1/s", Goal(at_least=2500)),
    Row("drain memory", "memory taken by draining", "MB", Goal(median=1)),
    Row("memory", "resident, OCPP service", "MB", Goal(median=36)),
    Row("memory hal", "resident, HAL", "MB", Goal(median=40)),
    Row("memory page", "resident, commissioning", "MB", Goal(median=40)),
    Row("page load", "commissioning page, first load", "ms", Goal(median=300)),
    Row("page again", "commissioning page, again", "ms", Goal(median=300)),
    Row("display load", "display, first load", "ms", Goal(median=300)),
    Row("display again", "display, again", "ms", Goal(median=300)),
    Row("cpu", "CPU of all processes", "% core", Goal(median=2)),
    Row("estop", "e-stop input to contactor", "ms", Goal(p99=10)),
    Row("wire estop", "e-stop to contactor, wire", "ms", Goal(p99=10)),
    Row("wire cycle", "100 ms cycle is off by, wire", "ms", Goal(p99=10)),
    Row("wire cpu", "CPU of the HAL, wire", "% core", Goal(median=6)),
    Row("wire memory", "resident, HAL, wire", "MB", Goal(median=40)),
    Row("flash", "written to disk in a day", "MB", Goal(median=200)),
)
_HEAD = ("", "unit", "floor", "ours", "p99", "ratio", "goal", "met")
_TAIL = 20
"""So many values have a 99th percentile worth printing."""
LEGEND = """\
Medians, and the 99th percentile of ours; JSON has the worst, too. Both EVSEs charge, except in the
rows of starts, stops and cards; wire: the HAL on the drivers of real devices. floor: a bare
`websockets` station that answers canned text, with no disk, measured in the same run. Goals: 1.2x is
at most 1.2 times the floor's median. The floor's drain and its start, stop and set rows write nothing
to disk; ours are on disk before they are sent, which takes one flush each."""


def ratio(ours: Sequence[float], floor: Sequence[float]) -> float:
    return statistics.median(ours) / statistics.median(floor)


def lines(station: Figures, floor: Figures) -> Iterator[str]:
    yield f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {processor()}"
    yield table(_HEAD, [_cells(row, station.get(row.key), floor.get(row.key)) for row in ROWS])
    yield LEGEND
    if "disk flush" in station and "drain" in floor:
        most = 1000 / (1000 / statistics.median(floor["drain"]) + statistics.median(station["disk flush"]))
        yield f"A floor that flushed this disk once for each message would drain {most:.0f} of them in a second."


def _cells(row: Row, ours: Sequence[float] | None, floor: Sequence[float] | None) -> tuple[str, ...]:
    times = f"{ratio(ours, floor):.2f}" if ours and floor else ""
    met = (
        "not measured"
        if not ours
        else ""
        if row.goal == Goal()
        else "yes"
        if row.goal.is_met(ours, floor)
        else "MISSED"
    )
    tail = f"{_p99(ours):.3g}" if ours and len(ours) >= _TAIL else ""
    return row.name, row.unit, _median(floor), _median(ours), tail, times, str(row.goal), met


def as_json(station: Figures, floor: Figures) -> list[dict[str, Any]]:
    """A row each: name, unit, `ours` and `floor` with median, p99, max and count, the goal, and whether it is met."""
    found = []
    for row in ROWS:
        ours, theirs = station.get(row.key), floor.get(row.key)
        met = row.goal.is_met(ours, theirs) if ours and row.goal != Goal() else None
        figures = {"ours": _summary(ours), "floor": _summary(theirs)}
        found.append({"key": row.key, "name": row.name, "unit": row.unit, **figures, "goal": str(row.goal), "met": met})
    return found


def _summary(values: Sequence[float] | None) -> dict[str, float] | None:
    if not values:
        return None
    return {"median": statistics.median(values), "p99": _p99(values), "max": max(values), "count": len(values)}


def _p99(values: Sequence[float]) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def _median(values: Sequence[float] | None) -> str:
    return f"{statistics.median(values):.3g}" if values else ""
