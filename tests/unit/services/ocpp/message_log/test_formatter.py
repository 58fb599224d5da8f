# SPDX-License-Identifier: Apache-2.0
"""From frames to lines: which request an answer belongs to, how long it took, how it ended."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from services.ocpp.message_log.formatter import Formatter
from services.ocpp.message_log.line import encode
from services.ocpp.message_log.redaction import Redaction
from services.ocpp.message_log.ring import Kind, Ring

UTC = 1_800_000_000.0


class Bench:
    """Frames in, lines out as they are in the file."""

    def __init__(self) -> None:
        self.formatter = Formatter(Redaction([]), lambda now: UTC + now)
        self.ring = Ring()

    def line(self, now: float, kind: Kind, text: Any) -> dict[str, Any]:
        frame = text if isinstance(text, str | bytes) else json.dumps(text)
        self.ring.add(now, kind, frame)
        line: dict[str, Any] = msgspec.json.decode(encode(self.formatter.line(self.ring.take())))
        return line


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_a_call_and_its_result(bench: Bench) -> None:
    call = bench.line(0.0, Kind.SENT, [2, "1", "Heartbeat", {}])
    result = bench.line(0.0123, Kind.RECEIVED, [3, "1", {"currentTime": "2027-01-15T08:00:00Z"}])
    assert call == {
        "time": "2027-01-15T08:00:00.000Z",
        "type": "CALL",
        "direction": "out",
        "action": "Heartbeat",
        "id": "1",
        "size": 25,
        "payload": {},
    }
    assert next(iter(call)) == "time"
    assert result == {
        "time": "2027-01-15T08:00:00.012Z",
        "type": "CALLRESULT",
        "direction": "in",
        "action": "Heartbeat",
        "id": "1",
        "outcome": "result",
        "ms": 12.3,
        "size": 49,
        "payload": {"currentTime": "2027-01-15T08:00:00Z"},
    }


def test_the_same_id_in_both_directions(bench: Bench) -> None:
    bench.line(0.0, Kind.SENT, [2, "1", "Heartbeat", {}])
    bench.line(1.0, Kind.RECEIVED, [2, "1", "ClearCache", {}])
    ours = bench.line(2.0, Kind.SENT, [3, "1", {"status": "Accepted"}])
    theirs = bench.line(3.0, Kind.RECEIVED, [3, "1", {"currentTime": "2027-01-15T08:00:00Z"}])
    assert [(each["action"], each["ms"]) for each in (ours, theirs)] == [("ClearCache", 1000.0), ("Heartbeat", 3000.0)]


def test_a_callerror(bench: Bench) -> None:
    bench.line(0.0, Kind.RECEIVED, [2, "1", "ClearCache", {}])
    line = bench.line(0.5, Kind.SENT, [4, "1", "NotSupported", "not here", {"path": "x"}])
    assert (line["type"], line["action"], line["outcome"], line["ms"]) == (
        "CALLERROR",
        "ClearCache",
        "NotSupported",
        500.0,
    )
    assert line["payload"] == {"description": "not here", "details": {"path": "x"}}


@pytest.mark.parametrize(("kind", "outcome"), [(Kind.TIMED_OUT, "time-out"), (Kind.LOST, "connection lost")])
def test_a_call_without_an_answer(bench: Bench, kind: Kind, outcome: str) -> None:
    bench.line(0.0, Kind.SENT, [2, "1", "Heartbeat", {}])
    bench.line(20.0, Kind.DISCONNECTED, "no pong in time")
    line = bench.line(30.0, kind, "1")
    assert line == {
        "time": "2027-01-15T08:00:30.000Z",
        "type": "NO ANSWER",
        "action": "Heartbeat",
        "id": "1",
        "outcome": outcome,
        "ms": 30_000.0,
    }


def test_an_answer_that_breaks_its_schema(bench: Bench) -> None:
    bench.line(0.0, Kind.SENT, [2, "1", "Heartbeat", {}])
    line = bench.line(0.1, Kind.RECEIVED, [3, "1", {"currentTime": "soon"}])
    assert line["outcome"] == "PropertyConstraintViolation"
    assert line["text"].startswith("breaks its schema: currentTime")
    assert line["payload"] == {"currentTime": "***"}


def test_answers_to_nothing_that_is_known(bench: Bench) -> None:
    assert "action" not in bench.line(0.0, Kind.RECEIVED, [3, "1", {"x": "Pl4nted"}])
    line = bench.line(0.0, Kind.RECEIVED, [4, "1", "InternalError", "Pl4nted", {"x": "Pl4nted"}])
    assert "ms" not in line
    assert "Pl4nted" not in str(line)


@pytest.mark.parametrize(
    ("frame", "members"),
    [
        ('[2,"1","ClearCache",{"x":"Pl4nted"', {"action": "ClearCache", "id": "1"}),
        ('[3,"1",{"x":"Pl4nted"', {"id": "1"}),
        ('{"x":"Pl4nted"}', {}),
        ("Pl4nted", {}),
        (b'\xff[2,"1"', {}),
        ("[" * 5000, {}),
        ('[2,"1","ClearCache",{"x":"' + "Pl4nted" * 50_000 + '"}]', {"action": "ClearCache", "id": "1"}),
    ],
)
def test_frames_that_can_not_be_read(bench: Bench, frame: str | bytes, members: dict[str, str]) -> None:
    line = bench.line(0.0, Kind.RECEIVED, frame)
    assert line["type"] == "UNREADABLE"
    assert line["size"] == len(frame)
    assert {name: line[name] for name in ("action", "id") if name in line} == members
    assert "Pl4nted" not in str(line)
    assert line["text"]


def test_a_binary_frame(bench: Bench) -> None:
    assert bench.line(0.0, Kind.RECEIVED, b'[2,"1","ClearCache",{}]')["text"] == "binary frame"


def test_calls_that_are_never_answered_are_forgotten(bench: Bench) -> None:
    for number in range(200):
        bench.line(0.0, Kind.RECEIVED, [2, f"i{number}", "ClearCache", {}])
    first = bench.line(1.0, Kind.SENT, [3, "i0", {"status": "Accepted"}])
    last = bench.line(1.0, Kind.SENT, [3, "i199", {"status": "Accepted"}])
    assert "action" not in first
    assert last["action"] == "ClearCache"


def test_a_new_connection_knows_no_calls_of_the_last_one(bench: Bench) -> None:
    bench.line(0.0, Kind.RECEIVED, [2, "1", "ClearCache", {}])
    line = bench.line(1.0, Kind.CONNECTED, "slot 1, ws://me:Pl4nted@csms/ocpp, security profile 1")
    assert line["text"] == "slot 1, ws://***@csms/ocpp, security profile 1"
    assert "action" not in bench.line(1.0, Kind.SENT, [3, "1", {"status": "Accepted"}])


def test_the_time_is_the_stations_when_it_is_written() -> None:
    """A clock that is set later is right for what was noted before, too."""
    offset = [0.0]
    formatter, ring = Formatter(Redaction([]), lambda now: now + offset[0]), Ring()
    ring.add(5.0, Kind.CONNECTED, "slot 1")
    offset[0] = UTC
    assert formatter.line(ring.take()).time == "2027-01-15T08:00:05.000Z"
