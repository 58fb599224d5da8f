# SPDX-License-Identifier: Apache-2.0
"""Messages in pairs, and lines of log files as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.commissioning.api.messages import MOST_OPEN, Exchange, MessagesQuery, Pairing, fits
from services.commissioning.logs import FIRST_LINES, LogLine, _Journal, open_logs

CALL = {"time": "t1", "type": "CALL", "direction": "out", "action": "Heartbeat", "id": "1", "size": 9, "payload": {}}
RESULT = {"time": "t2", "type": "CALLRESULT", "direction": "in", "action": "Heartbeat", "id": "1", "size": 9}
ANSWERED = {**RESULT, "outcome": "result", "ms": 4.2, "payload": {"currentTime": "x"}}


def put(pairing: Pairing, line: dict[str, Any]) -> Exchange:
    found = pairing.exchange(json.dumps(line).encode())
    assert found is not None
    return found


def test_an_answer_completes_its_request() -> None:
    pairing = Pairing()
    asked = put(pairing, CALL)
    assert (asked.number, asked.direction, asked.request, asked.answered) == (1, "out", {}, False)
    done = put(pairing, ANSWERED)
    assert (done.number, done.answered, done.outcome, done.ms, done.answer) == (
        1, True, "result", 4.2, {"currentTime": "x"},
    )  # fmt: skip
    assert done.request == {}


def test_one_id_of_both_sides_is_two_requests() -> None:
    pairing = Pairing()
    own, other = put(pairing, CALL), put(pairing, {**CALL, "direction": "in", "action": "Reset"})
    assert own.number != other.number
    assert put(pairing, {**ANSWERED, "direction": "out", "action": "Reset"}).number == other.number
    assert put(pairing, ANSWERED).number == own.number


def test_no_answer_is_an_answer() -> None:
    pairing = Pairing()
    put(pairing, CALL)
    late = put(pairing, {"time": "t", "type": "NO ANSWER", "action": "Heartbeat", "id": "1", "outcome": "time-out"})
    assert (late.number, late.answered, late.outcome) == (1, True, "time-out")


def test_what_has_no_request_stands_alone() -> None:
    pairing = Pairing()
    assert put(pairing, ANSWERED).answered is False
    connected = put(pairing, {"time": "t", "type": "CONNECTED", "text": "slot 1"})
    assert (connected.type, connected.text, connected.number) == ("CONNECTED", "slot 1", 2)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'"x"', b"\xff"])
def test_what_is_no_line_is_skipped(raw: bytes) -> None:
    assert Pairing().exchange(raw) is None


def test_requests_without_answers_are_forgotten_at_last() -> None:
    pairing = Pairing()
    for number in range(MOST_OPEN + 1):
        put(pairing, {**CALL, "id": str(number)})
    assert not put(pairing, {**ANSWERED, "id": "0"}).answered
    assert put(pairing, {**ANSWERED, "id": "1"}).answered


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        (MessagesQuery(), [1, 2, 3]),
        (MessagesQuery(direction="out"), [1]),
        (MessagesQuery(action="res"), [2]),
        (MessagesQuery(trouble=True), [2]),
    ],
)
def test_filters(query: MessagesQuery, wanted: list[int]) -> None:
    exchanges = [
        Exchange(1, "t", "CALL", direction="out", action="Heartbeat", outcome="result"),
        Exchange(2, "t", "CALL", direction="in", action="Reset", outcome="NotImplemented"),
        Exchange(3, "t", "CONNECTED"),
    ]
    assert [each.number for each in exchanges if fits(each, query)] == wanted


# --- logs -------------------------------------------------------------------------------------------------------------

LINE = "2026-11-30T12:00:0{}.000Z INFO hal.server: {}\n"


def test_last_lines_first_and_then_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "hal.log"
    file.write_text("".join(LINE.format(1, f"line {number}") for number in range(FIRST_LINES + 50)))
    with open_logs({"hal": str(file)}) as logs:
        texts = [line.text for line in logs.new()]
        assert (len(texts), texts[-1]) == (FIRST_LINES, f"line {FIRST_LINES + 49}")
        assert logs.new() == []
        with file.open("a") as more:
            more.write(LINE.format(2, "new") + "half a li")
        assert [line.text for line in logs.new()] == ["new"]
        with file.open("a") as more:
            more.write("ne\n")
        (half,) = logs.new()
        assert (half.text, half.time, half.level) == ("half a line", "2026-11-30T12:00:02.000Z", "INFO")


def test_a_file_that_is_replaced_is_read_to_its_end_and_then_the_new_one(tmp_path: Path) -> None:
    file = tmp_path / "hal.log"
    file.write_text(LINE.format(1, "old"))
    with open_logs({"hal": str(file)}) as logs:
        logs.new()
        with file.open("a") as more:
            more.write(LINE.format(2, "last of the old"))
        file.rename(tmp_path / "hal.log.1")
        file.write_text(LINE.format(3, "first of the new"))
        assert [line.text for line in logs.new()] == ["last of the old", "first of the new"]


def test_lines_of_several_processes_are_in_order_and_a_missing_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "hal.log").write_text(LINE.format(2, "second"))
    (tmp_path / "ocpp.log").write_text(LINE.format(1, "first").replace("INFO", "WARNING"))
    names = {name: str(tmp_path / f"{name}.log") for name in ("hal", "ocpp", "missing")}
    with open_logs(names) as logs:
        assert [(line.process, line.level, line.text) for line in logs.new()] == [
            ("ocpp", "WARNING", "first"), ("hal", "INFO", "second"),
        ]  # fmt: skip


class Reader:
    """Stands in for systemd's: the entries of a journal."""

    def __init__(self) -> None:
        self.entries: list[dict[str, object]] = []
        self.matches: list[dict[str, str]] = []

    def add_match(self, **match: str) -> None:
        self.matches.append(match)

    def add_disjunction(self) -> None: ...
    def seek_tail(self) -> None: ...
    def get_previous(self, skip: int) -> dict[str, object]:
        return {}

    def process(self) -> int:
        return 1

    def __iter__(self) -> Iterator[dict[str, object]]:
        while self.entries:
            yield self.entries.pop(0)


def test_entries_of_the_journal_are_lines() -> None:
    reader = Reader()
    journal = _Journal(reader)
    assert {"_SYSTEMD_UNIT": "baywatt-hal.service"} in reader.matches
    when = datetime(2026, 11, 30, 12, tzinfo=UTC)
    entry = {"_SYSTEMD_UNIT": "baywatt-hal.service", "__REALTIME_TIMESTAMP": when, "MESSAGE": b"\xff"}
    reader.entries = [{**entry, "PRIORITY": 4, "LOGGER": "hal.server", "MESSAGE": "late"}, entry]
    assert journal.new() == [
        LogLine("hal", "2026-11-30T12:00:00.000Z", "WARNING", "hal.server", "late"),
        LogLine("hal", "2026-11-30T12:00:00.000Z", "INFO", "", "b'\\xff'"),
    ]
    assert journal.new() == []


def test_bytes_that_are_no_text_are_shown_as_such(tmp_path: Path) -> None:
    (tmp_path / "hal.log").write_bytes(b"\xff\x00<script>\n")
    with open_logs({"hal": str(tmp_path / "hal.log")}) as logs:
        (line,) = logs.new()
    assert line.text == "\ufffd\x00<script>"
