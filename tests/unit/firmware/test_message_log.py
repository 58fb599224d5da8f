# SPDX-License-Identifier: Apache-2.0
"""Reading and following the message log, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from firmware.message_log import MessageLogReader, text_of

CALL = {
    "time": "2027-01-15T08:00:00.000Z",
    "type": "CALL",
    "direction": "out",
    "action": "Heartbeat",
    "id": "1",
    "size": 25,
    "payload": {},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "messages.jsonl"


def raw(**members: Any) -> str:
    return json.dumps({**CALL, **members}) + "\n"


def ids(reader: MessageLogReader) -> list[str]:
    return [line["id"] for _, line in reader.lines()]


def test_both_parts_and_what_follows(path: Path) -> None:
    path.with_name("messages.jsonl.1").write_text(raw(id="older"))
    path.write_text(raw(id="newer"))
    reader = MessageLogReader(path)
    assert ids(reader) == ["older", "newer"]
    assert ids(reader) == []
    with path.open("a") as file:
        file.write(raw(id="next") + raw(id="half")[:20])
        file.flush()
        assert ids(reader) == ["next"]
        file.write(raw(id="half")[20:])
        file.flush()
        assert ids(reader) == ["half"]
    reader.close()


def test_a_file_that_comes_later_and_is_replaced(path: Path) -> None:
    reader = MessageLogReader(path)
    assert ids(reader) == []
    path.write_text(raw(id="1"))
    assert ids(reader) == ["1"]
    with path.open("a") as file:
        file.write(raw(id="2"))
    path.rename(path.with_name("messages.jsonl.1"))
    path.write_text(raw(id="3"))
    assert ids(reader) == ["2", "3"]
    reader.close()


@pytest.mark.parametrize(
    "damage",
    [b'{"time":"2027', b"\xff\xfe\x00", b"null", b"[]", b"{}", b'{"time":1,"type":"CALL"}', b"[" * 100_000, b""],
)
def test_damaged_lines_are_skipped(path: Path, damage: bytes) -> None:
    path.write_bytes(raw(id="1").encode() + damage + b"\n" + raw(id="2").encode())
    reader = MessageLogReader(path)
    assert ids(reader) == ["1", "2"]
    reader.close()


@pytest.mark.parametrize(
    ("members", "text"),
    [
        ({}, "-> CALL Heartbeat 1 {}"),
        (
            {"direction": "in", "type": "CALLRESULT", "ms": 12.3, "outcome": "result", "payload": {"a": "ü"}},
            '<- CALLRESULT Heartbeat 1 12.3 ms {"a":"ü"}',
        ),
        (
            {"direction": "in", "type": "CALLERROR", "ms": 0.5, "outcome": "InternalError", "payload": {"details": {}}},
            '<- CALLERROR Heartbeat 1 0.5 ms InternalError {"details":{}}',
        ),
        ({"action": "Reset\x1b[2J\x9b"}, "-> CALL Reset\\x1b[2J\\x9b 1 {}"),
        ({"payload": {"a": "\x1b[2J\u202e"}}, '-> CALL Heartbeat 1 {"a":"\\u001b[2J\\u202e"}'),
    ],
)
def test_a_line_for_people(members: dict[str, Any], text: str) -> None:
    assert text_of({**CALL, **members}) == f"{CALL['time']} {text}"


def test_lines_without_a_frame() -> None:
    time = CALL["time"]
    no_answer = {"type": "NO ANSWER", "action": "Heartbeat", "id": "1", "outcome": "time-out", "ms": 30000.0}
    assert text_of({"time": time, **no_answer}) == f"{time} -- NO ANSWER Heartbeat 1 30000 ms time-out"
    assert text_of({"time": time, "type": "CONNECTED", "text": "slot 1"}) == f"{time} -- CONNECTED slot 1"
    assert text_of({"time": time, "type": "LEFT OUT", "count": 7}) == f"{time} -- LEFT OUT 7 messages"
    unreadable = {"type": "UNREADABLE", "direction": "in", "size": 3, "text": "not a JSON array"}
    assert text_of({"time": time, **unreadable}) == f"{time} <- UNREADABLE ? (not a JSON array)"


def test_a_long_payload_is_cut() -> None:
    text = text_of({**CALL, "payload": {"a": "x" * 5000}})
    assert len(text) < 800
    assert text.endswith("… (5008 characters; --json shows all)")
