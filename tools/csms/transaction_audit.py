# SPDX-License-Identifier: Apache-2.0
"""One transaction, computed from its TransactionEvents. Pure.

Rules: an event is identified by its sequence number; the same event again changes nothing (a station that missed the
answer must repeat it: E13); the same number with other content is a conflict, and the first content counts. Numbers
begin anywhere and rise by one (part 2, 1.3.2.1). Energy is the last minus the first value of the import register,
with `Transaction.Begin` and `Transaction.End` preferred, in whatever order the messages arrive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from enum import Enum
from itertools import pairwise
from typing import Any

import msgspec
from msgspec import Struct

from firmware.clock import parse_utc
from tools.csms.metering import Point, points_of, readings

__all__ = ["TransactionAudit", "TransactionSummary", "Verdict", "series"]

_MAX_POINTS = 4000
_SHOWN_GAPS = 8


class Verdict(Enum):
    """How an event relates to those before."""

    NEW = "new"
    REPEATED = "repeated"
    CONFLICT = "conflict"


class TransactionSummary(Struct, frozen=True):
    """A transaction in one row; times are the station's, energy in Wh, power in W."""

    station: str
    id: str
    evse: int | None
    connector: int | None
    id_token: str | None
    id_token_type: str | None
    started: str | None
    ended: str | None
    stopped_reason: str | None
    charging_state: str | None
    active: bool
    events: int
    seq_ok: bool
    seq_first: int | None
    seq_last: int | None
    missing: int
    repeated: int
    late: int
    conflicts: int
    offline_events: int
    problems: list[str]
    energy_wh: float | None
    meter_start_wh: float | None
    meter_stop_wh: float | None
    power_w: float | None
    max_power_w: float | None
    soc_start_percent: float | None
    soc_percent: float | None


class TransactionAudit:
    """Collects the events of one transaction."""

    def __init__(self, station: str, transaction_id: str) -> None:
        self._station = station
        self._id = transaction_id
        self._seen: dict[int, bytes] = {}
        self._late: list[int] = []
        self._repeated = 0
        self._conflicts: list[int] = []
        self._offline = 0
        self._latest: dict[str, Any] = {}
        self._started_seq: int | None = None
        self._ended_seq: int | None = None
        self._low = self._high = 0
        self._registers: list[tuple[tuple[int, float, int], float]] = []
        self._first_soc: tuple[float, float] | None = None
        self._last: dict[str, tuple[float, float]] = {}
        self._peak_w: float | None = None

    def add(self, event: Mapping[str, Any]) -> Verdict:
        """Counts one TransactionEvent payload that passed its schema."""
        seq_no: int = event["seqNo"]
        content = _content(event)
        if seq_no in self._seen:
            return self._again(seq_no, content)
        if self._seen and seq_no < self._high:
            self._late.append(seq_no)
        self._low = min(self._low, seq_no) if self._seen else seq_no
        self._high = max(self._high, seq_no) if self._seen else seq_no
        self._seen[seq_no] = content
        self._offline += bool(event.get("offline"))
        self._note(seq_no, event)
        self._measure(seq_no, event.get("meterValue", ()))
        return Verdict.NEW

    def count_again(self, repeated: int, conflicts: list[int]) -> None:
        """Restores counts of events that are not stored."""
        self._repeated += repeated
        self._conflicts += conflicts

    def _again(self, seq_no: int, content: bytes) -> Verdict:
        if self._seen[seq_no] == content:
            self._repeated += 1
            return Verdict.REPEATED
        self._conflicts.append(seq_no)
        return Verdict.CONFLICT

    def _note(self, seq_no: int, event: Mapping[str, Any]) -> None:
        info = event["transactionInfo"]
        facts = {
            "evse": event.get("evse", {}).get("id"),
            "connector": event.get("evse", {}).get("connectorId"),
            "charging_state": info.get("chargingState"),
        }
        if event["eventType"] == "Started":
            self._started_seq = seq_no
            facts["started"] = event["timestamp"]
        if event["eventType"] == "Ended":
            self._ended_seq = seq_no
            facts["ended"] = event["timestamp"]
            # The reason may be left out only if it is Local (part 2, TransactionType).
            facts["stopped_reason"] = info.get("stoppedReason", "Local")
        known = {name: value for name, value in facts.items() if value is not None}
        newest = seq_no == self._high
        self._latest = self._latest | known if newest else known | self._latest
        if "idToken" in event:
            # The first token started the transaction; it may be stopped with another of the same group.
            self._latest.setdefault("id_token", event["idToken"]["idToken"])
            self._latest.setdefault("id_token_type", event["idToken"]["type"])

    def _measure(self, seq_no: int, meter_values: Iterable[Mapping[str, Any]]) -> None:
        for reading in readings(meter_values):
            if reading.field == "energy_wh":
                rank = {"Transaction.Begin": -1, "Transaction.End": 1}.get(reading.context, 0)
                self._keep_register((rank, _instant(reading.timestamp), seq_no), reading.value)
        for point in points_of(meter_values):
            self._remember(_instant(point.t), point)

    def _remember(self, instant: float, point: Point) -> None:
        for field, value in (("power_w", point.power_w), ("soc_percent", point.soc_percent)):
            if value is not None and instant >= self._last.get(field, (instant, 0.0))[0]:
                self._last[field] = (instant, value)
        if point.power_w is not None:
            self._peak_w = max(self._peak_w or 0.0, point.power_w)
        if point.soc_percent is not None and (self._first_soc is None or instant < self._first_soc[0]):
            self._first_soc = (instant, point.soc_percent)

    def _keep_register(self, key: tuple[int, float, int], value: float) -> None:
        ends = sorted([*self._registers, (key, value)])
        self._registers = [ends[0], ends[-1]] if len(ends) > 1 else ends

    def missing(self) -> int:
        """How many sequence numbers between the first and the last are missing."""
        return self._high - self._low + 1 - len(self._seen) if self._seen else 0

    def problems(self) -> list[str]:
        """The errors in the sequence of events, as texts; a repetition is no error."""
        found = []
        if self._seen and self._started_seq is None:
            found.append("no Started event")
        if self._started_seq is not None and self._started_seq != self._low:
            found.append("an event before Started")
        if self.missing():
            found.append("missing seqNo " + _gaps(sorted(self._seen)))
        found += [f"seqNo {_listed(self._late)} came late"] * bool(self._late)
        found += [f"seqNo {_listed(self._conflicts)} sent again with other content"] * bool(self._conflicts)
        if self._ended_seq is not None and self._high > self._ended_seq:
            found.append("an event after Ended")
        return found

    def summary(self) -> TransactionSummary:
        """The row that the page and the API show."""
        problems = self.problems()
        start, stop = self._meter()
        return TransactionSummary(
            station=self._station,
            id=self._id,
            **{name: self._latest.get(name) for name in _FROM_EVENTS},
            active=self._ended_seq is None,
            events=len(self._seen),
            seq_ok=not problems,
            seq_first=self._low if self._seen else None,
            seq_last=self._high if self._seen else None,
            missing=self.missing(),
            repeated=self._repeated,
            late=len(self._late),
            conflicts=len(self._conflicts),
            offline_events=self._offline,
            problems=problems,
            energy_wh=None if start is None or stop is None else round(stop - start, 3),
            meter_start_wh=start,
            meter_stop_wh=stop,
            power_w=self._last["power_w"][1] if "power_w" in self._last else None,
            max_power_w=self._peak_w,
            soc_start_percent=self._first_soc[1] if self._first_soc else None,
            soc_percent=self._last["soc_percent"][1] if "soc_percent" in self._last else None,
        )

    def _meter(self) -> tuple[float | None, float | None]:
        if not self._registers:
            return None, None
        return self._registers[0][1], self._registers[-1][1]


def series(events: Iterable[Mapping[str, Any]], limit: int = 600) -> list[Point]:
    """The points that these events have measured, in order of time, thinned to about `limit`; the last is included."""
    points: dict[str, Point] = {}
    for event in events:
        for point in points_of(event.get("meterValue", ())):
            points[point.t] = point
        if len(points) > _MAX_POINTS:
            points = {point.t: point for point in _ordered(points)[::2]}
    ordered = _ordered(points)
    step = max(1, -(-len(ordered) // limit))
    return ordered[::-step][::-1]


def _ordered(points: Mapping[str, Point]) -> list[Point]:
    return sorted(points.values(), key=lambda point: _instant(point.t))


_FROM_EVENTS = (
    "evse",
    "connector",
    "id_token",
    "id_token_type",
    "started",
    "ended",
    "stopped_reason",
    "charging_state",
)


def _content(event: Mapping[str, Any]) -> bytes:
    # A station may mark the repetition as offline: the content is still the same.
    kept = {name: event[name] for name in event if name != "offline"}
    return hashlib.blake2b(msgspec.json.encode(kept, order="deterministic"), digest_size=16).digest()


def _instant(timestamp: str) -> float:
    try:
        return parse_utc(timestamp)
    except (ValueError, OverflowError):
        return 0.0


def _listed(numbers: list[int]) -> str:
    more = f" and {len(numbers) - _SHOWN_GAPS} more" if len(numbers) > _SHOWN_GAPS else ""
    return ", ".join(str(number) for number in numbers[:_SHOWN_GAPS]) + more


def _gaps(seen: list[int]) -> str:
    spans = [
        f"{low + 1}" if high - low == 2 else f"{low + 1} to {high - 1}"
        for low, high in pairwise(seen)
        if high - low > 1
    ]
    more = f" and {len(spans) - _SHOWN_GAPS} more gaps" if len(spans) > _SHOWN_GAPS else ""
    return ", ".join(spans[:_SHOWN_GAPS]) + more
