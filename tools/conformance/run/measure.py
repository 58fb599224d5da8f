# SPDX-License-Identifier: Apache-2.0
"""The performance of the station, in the certificate's four rows, taken from the transcripts of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from tools.conformance.checks.values import mismatches
from tools.conformance.peer.transcript import Entry

__all__ = ["ROWS", "Figure", "measure", "summarise"]

ROWS: Mapping[str, str] = {
    "response": "OCPP response time",
    "triggered": "OCPP triggered function response time",
    "remote_start": "Authorization by RequestStartTransaction, request to TransactionEvent",
    "remote_stop": "End by RequestStopTransaction, request to TransactionEvent",
}
"""The titles of the certificate's rows."""


@dataclass(frozen=True)
class Figure:
    """One row, in seconds."""

    name: str
    limit_s: float
    count: int
    min_s: float
    max_s: float
    mean_s: float


def measure(entries: Sequence[Entry]) -> dict[str, list[float]]:
    """The durations in one transcript, in seconds, by row."""
    found: dict[str, list[float]] = {row: [] for row in ROWS}
    for position, entry in enumerate(entries):
        if entry.who != "csms" or entry.what != "call":
            continue
        later = entries[position + 1 :]
        answer = next((e for e in later if e.uid == entry.uid and e.what == "result"), None)
        if answer is None:
            continue
        found["response"].append(answer.at - entry.at)
        row, message = _consequence(entry, answer, later)
        if message is not None:
            found[row].append(message.at - entry.at)
    return found


def _consequence(entry: Entry, answer: Entry, later: Sequence[Entry]) -> tuple[str, Entry | None]:
    """The row and the message that follows from an accepted call."""
    if (answer.body or {}).get("status") != "Accepted":
        return "", None
    if entry.action == "TriggerMessage":
        return "triggered", _first(later, entry.body.get("requestedMessage"), {})
    if entry.action == "RequestStartTransaction":
        named = {"transactionInfo.remoteStartId": entry.body.get("remoteStartId")}
        return "remote_start", _first(later, "TransactionEvent", named)
    if entry.action == "RequestStopTransaction":
        return "remote_stop", _first(later, "TransactionEvent", {"triggerReason": "RemoteStop"})
    return "", None


def _first(later: Sequence[Entry], action: str, check: Mapping[str, object]) -> Entry | None:
    calls = (e for e in later if e.who == "station" and e.what == "call" and e.action == action)
    return next((e for e in calls if not mismatches(e.body, check)), None)


def summarise(measured: Iterable[Mapping[str, Sequence[float]]], limits: Mapping[str, float]) -> list[Figure]:
    """One figure for each row with measurements."""
    samples: dict[str, list[float]] = {row: [] for row in ROWS}
    for one in measured:
        for row, seconds in one.items():
            samples[row].extend(seconds)
    return [
        Figure(ROWS[row], limits[row], len(seconds), min(seconds), max(seconds), sum(seconds) / len(seconds))
        for row, seconds in samples.items()
        if seconds
    ]
