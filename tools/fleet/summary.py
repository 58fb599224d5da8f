# SPDX-License-Identifier: Apache-2.0
"""The figures of a run: what the workers report, added up; the live table; what is kept in `summary.json`."""

from __future__ import annotations

from collections import Counter
from statistics import StatisticsError, linear_regression

import msgspec
from msgspec import Struct, field

from tools.columns import table
from tools.fleet.orders import Final, Status

__all__ = ["Call", "Fleet", "Moment", "Summary", "calls_table", "live", "slope_per_min"]

_SETTLED = 0.25
"""The share of a run after which its memory counts as settled."""


class Call(Struct, frozen=True):
    """One action of the stations: how often, how quick the CSMS answers."""

    action: str
    answered: int
    failed: int
    per_s: float
    median_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float


class Moment(Struct, frozen=True):
    """The fleet at one time, `t_s` after the start."""

    t_s: float
    stations: int
    online: int
    charging: int
    waiting: int
    per_s: float
    median_ms: float
    p95_ms: float
    memory_mb: float
    cpu_percent: float


class Summary(Struct, kw_only=True):
    """The whole result; `summary.json`."""

    csms: str
    scenario: str
    stations: int
    workers: int
    length_s: float
    """Without the stop."""
    ended: str
    """Why: the time was over, somebody interrupted it, ..."""
    calls: list[Call]
    errors: dict[str, int]
    """Failed calls by action and reason."""
    visits: dict[str, int]
    transactions: int
    events_sent: int
    events_answered: int
    events_repeated: int
    lost: int
    """Events without an answer, and sequence numbers that were left out."""
    not_ended: int
    left_over: int
    """Messages that a station still had when it was switched off."""
    failed: dict[str, str]
    """Stations that did not end well, and why."""
    missing: int
    """Stations of which no end was reported."""
    memory_mb: float
    memory_mb_per_station: float
    memory_slope_mb_per_min: float | None
    """Of all processes with stations, after the first quarter; None for a run that is too short."""
    cpu_percent: float
    """Of a core, on average."""
    rollout: dict[str, int] = field(default_factory=dict)
    """Answers to UpdateFirmware by status."""
    firmware: dict[str, int] = field(default_factory=dict)
    """Stations by the version that they had in the end."""
    verified: dict[str, int] = field(default_factory=dict)
    """What the bench CSMS has stored of the transactions, in numbers of these."""
    moments: list[Moment] = field(default_factory=list)

    @property
    def sound(self) -> bool:
        bad = self.verified.get("missing", 0) + self.verified.get("incomplete", 0)
        return not (self.lost or self.not_ended or self.left_over or self.failed or self.missing or bad)


def slope_per_min(points: list[tuple[float, float]]) -> float | None:
    """The slope of the line of least squares through (seconds, value); None for fewer than 5 points."""
    if len(points) < 5:
        return None
    try:
        return 60.0 * linear_regression(*zip(*points, strict=True)).slope
    except StatisticsError:  # all at one time
        return None


class Fleet:
    """What the workers have reported."""

    def __init__(self) -> None:
        self._status: dict[str, Status] = {}
        self.finals: list[Final] = []
        self.gone: set[str] = set()
        """Workers whose child has ended."""
        self.moments: list[Moment] = []

    def take(self, worker: str, data: dict[str, object]) -> None:
        """A worker's report, as `msgspec.to_builtins` has made it."""
        self._status[worker] = msgspec.convert(data["status"], Status)
        self.finals += msgspec.convert(data["finals"], list[Final])
        if data["gone"]:
            self.gone.add(worker)

    def now(self) -> Status:
        """The sum of the workers."""
        every = list(self._status.values())
        visits: Counter[str] = Counter()
        for each in every:
            visits.update(each.visits)
        return Status(
            stations=sum(each.stations for each in every),
            online=sum(each.online for each in every),
            charging=sum(each.charging for each in every),
            visits=dict(visits),
            waiting=sum(each.waiting for each in every),
            memory_mb=sum(each.memory_mb for each in every),
            cpu_percent=sum(each.cpu_percent for each in every),
        )

    def memory_slope(self) -> float | None:
        """MB a minute, while all stations ran and after the first quarter."""
        most = max((each.stations for each in self.moments), default=0)
        full = [each for each in self.moments if each.stations == most]
        if not full:
            return None
        settled = full[0].t_s + _SETTLED * (full[-1].t_s - full[0].t_s)
        return slope_per_min([(each.t_s, each.memory_mb) for each in full if each.t_s >= settled])


def live(moment: Moment, calls: list[Call]) -> str:
    """The table in the terminal."""
    head = (
        f"{moment.t_s:5.0f} s   stations {moment.online} online of {moment.stations}   charging {moment.charging}   "
        f"queued {moment.waiting}   {moment.memory_mb:.0f} MB   CPU {moment.cpu_percent:.0f} %"
    )
    return f"{head}\n{calls_table(calls)}"


def calls_table(calls: list[Call]) -> str:
    rows = [
        (
            each.action,
            each.answered,
            each.failed,
            f"{each.per_s:.1f}",
            f"{each.median_ms:.0f}",
            f"{each.p95_ms:.0f}",
            f"{each.p99_ms:.0f}",
            f"{each.max_ms:.0f}",
        )
        for each in calls
    ]
    return table(("message", "answered", "failed", "/s", "median ms", "95 %", "99 %", "most"), rows)
