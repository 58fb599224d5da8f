# SPDX-License-Identifier: Apache-2.0
"""The station as a whole: frames, time, failures of link, disk and clock, and a hostile CSMS."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import CLOCK_FLOOR, format_utc, parse_utc
from firmware.contract import EvseSelected, Fault, FaultRaised, Plugged, StopPressed
from services.ocpp.signals import Authorised, TransactionChanged
from tests.support.station_bench import StationBench, charge, set_variables

CARD = "04A1B2C3D4E580"
READ = {"getVariableData": [{"component": {"name": "ClockCtrlr"}, "variable": {"name": "DateTime"}}]}


@pytest.fixture
def bench(tmp_path: Path) -> StationBench:
    bench = StationBench(tmp_path)
    bench.up()
    return bench


def finish(bench: StationBench, evse: int = 2) -> None:
    bench.card(CARD, evse)
    bench.energy_off(evse)
    bench.unplug(evse)


# --- frames ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "payload"),
    [
        (
            "GetVariables",
            {"getVariableData": [{"component": {"name": "ClockCtrlr"}, "variable": {"name": "DateTime"}}]},
        ),
        ("GetTransactionStatus", {}),
        ("GetInstalledCertificateIds", {}),
    ],
)
def test_a_request_that_only_reads_is_answered_and_leaves_no_more_to_do(
    bench: StationBench, action: str, payload: dict[str, Any]
) -> None:
    charge(bench)
    bench.clock.advance(1.0)
    station, now = bench.station, bench.clock.monotonic()
    deadline, queued = station.next_deadline(), len(bench.context.outbox)
    station.on_frame(json.dumps([2, "read", action, payload]), now)
    step = station.take_step()
    assert [json.loads(frame)[:2] for frame in step.frames] == [[3, "read"]]
    assert (step.changes, step.commands, step.notices) == (False, [], [])
    assert not bench.database._active().in_transaction
    assert (station.next_deadline(), len(bench.context.outbox)) == (deadline, queued)
    assert bench.context.registration.last_contact == now


def test_a_request_that_is_refused_or_changes_something_does(bench: StationBench) -> None:
    for frame in ('[2,"a","GetVariables",{}]', '[2,"b","ClearCache",{}]', '[2,"c","DataTransfer",{"vendorId":"x"}]'):
        bench.station.on_frame(frame, bench.clock.monotonic())
        assert bench.station.take_step().changes


@pytest.mark.parametrize(
    "frame",
    [
        "",
        "{",
        "null",
        "[]",
        "[2]",
        '[2,"x"]',
        '[9,"x","Reset",{}]',
        '[2,7,"Reset",{}]',
        '[2,"x",3,{}]',
        '[2,"x","Reset",[]]',
        '[2,"x","Reset",{"type":"Later"}]',
        '[2,"x","Reset",{"type":"OnIdle","now":true}]',
        '[2,"x","NoSuchThing",{}]',
        '[2,"x","CancelReservation",{"reservationId":1}]',
        '[2,"' + "x" * 40 + '","Reset",{"type":"OnIdle"}]',
        "[" * 10_000,
        "\x00",
    ],
)
def test_malformed_frames_are_answered_and_change_nothing(bench: StationBench, frame: str) -> None:
    bench.frames.clear()
    bench.frame(frame)
    assert [answer[0] for answer in bench.frames] == [4]
    assert not bench.rebooting
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"


@pytest.mark.parametrize("frame", ['[3,"unknown",{}]', '[4,"unknown","GenericError","",{}]', '[3,"unknown"]'])
def test_answers_without_a_request_are_ignored(bench: StationBench, frame: str) -> None:
    bench.frame(frame)
    bench.card(CARD, 1)
    assert bench.events[-1]["eventType"] == "Started"


def test_calls_without_a_valid_answer_are_reported(bench: StationBench) -> None:
    """For the message log: each once, whether it will be repeated or not."""
    bench.answers["StatusNotification"] = None
    bench.plug(1)
    bench.advance(31.0)
    bench.answers["Authorize"] = {"idTokenInfo": {"status": "Perhaps"}}
    bench.card(CARD, 1)
    bench.answers["StatusNotification"] = None
    bench.unplug(1)
    bench.link_down()
    outcomes = [(each.action, each.code) for each in bench.failures]
    assert outcomes == [
        ("StatusNotification", "TimedOut"),
        ("Authorize", "PropertyConstraintViolation"),
        ("StatusNotification", "ConnectionLost"),
    ]


def test_the_end_of_a_transaction_is_reported_with_its_reason(bench: StationBench) -> None:
    charge(bench, 1)
    finish(bench, 1)
    charge(bench, 2)
    bench.fault(Fault.EMERGENCY_STOP)
    bench.energy_off(2)
    bench.advance(31.0)
    ends = [each for each in bench.notices if isinstance(each, TransactionChanged) and each.change == "ended"]
    assert [each.stopped_reason for each in ends] == ["Local", "EmergencyStop"]


def test_one_request_at_a_time(bench: StationBench) -> None:
    bench.answers["StatusNotification"] = None
    bench.plug(1)
    bench.plug(2)
    bench.card(CARD, 1)
    assert len(bench.sent("StatusNotification")) == 3
    assert bench.sent("Authorize") == []
    bench.advance(31)
    assert len(bench.sent("StatusNotification")) == 4


def test_a_fresh_card_passes_the_backlog(bench: StationBench) -> None:
    charge(bench)
    bench.call("SetVariables", set_variables("SampledDataCtrlr", "TxUpdatedInterval", "1"))
    bench.link_down()
    bench.advance(20)
    bench.answers["TransactionEvent"] = None
    bench.link_up()
    on_the_wire = bench.frames[-1]
    assert on_the_wire[2] == "TransactionEvent"
    bench.card("04FFEEDDCCBB80", 1)
    bench.frame(json.dumps([3, on_the_wire[1], {}]))
    assert bench.sent("Authorize")[-1]["idToken"]["idToken"] == "04FFEEDDCCBB80"
    assert bench.context.outbox.durable_count >= 19


def test_a_bug_is_answered_with_an_internal_error(bench: StationBench, monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("services.ocpp.device_model.requests.get_variables", bug)
    request = {"getVariableData": [{"component": {"name": "A"}, "variable": {"name": "B"}}]}
    assert bench.call("GetVariables", request)[2] == "InternalError"
    assert bench.call("DataTransfer", {"vendorId": "x"}) == {"status": "UnknownVendorId"}


# --- retries (E13) --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", ["InternalError", None], ids=["error", "silence"])
def test_a_message_that_is_not_accepted_waits_longer_each_time(bench: StationBench, answer: Any) -> None:
    bench.call("SetVariables", set_variables("OCPPCommCtrlr", "HeartbeatInterval", "120"))
    bench.answers["TransactionEvent"] = answer
    stamps: list[float] = []

    def note(_: Any) -> Any:
        stamps.append(bench.clock.monotonic())
        return answer

    bench.answers["TransactionEvent"] = note
    bench.card(CARD, 1)
    bench.advance(400)
    timeout = 30 if answer is None else 0
    first = [stamps[1] - stamps[0], stamps[2] - stamps[1]]
    assert first == pytest.approx([60 + timeout, 120 + timeout], abs=31)  # E13.FR.03
    assert [event["seqNo"] for event in bench.events][:4] == [0, 0, 0, 1]  # E13.FR.02, E13.FR.04


def test_a_message_accepted_at_last(bench: StationBench) -> None:
    answers = iter(["InternalError", "InternalError"])
    bench.answers["TransactionEvent"] = lambda _: next(answers, {})
    bench.card(CARD, 1)
    bench.plug(1)
    bench.advance(200)
    assert [event["seqNo"] for event in bench.events][:4] == [0, 0, 0, 1]
    assert bench.events[0] == bench.events[2]


# --- the clock ------------------------------------------------------------------------------------------------------


def test_events_made_before_the_time_was_known_are_restamped(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.clock_set = False
    bench.power_cut()
    bench.hal_up()
    made = bench.clock.utc()
    bench.advance(100)
    bench.link_up()
    startup = bench.sent("SecurityEventNotification")[1]  # the first is of the boot before, when the clock was right
    assert abs(parse_utc(startup["timestamp"]) - made) < 1.0


def test_a_transaction_begun_before_the_time_was_known_is_restamped(bench: StationBench) -> None:
    bench.clock_set = False
    bench.power_cut()
    bench.hal_up()
    session = _begin_offline(bench)
    begun = bench.clock.utc()
    bench.advance(50)
    bench.link_up()
    started = next(event for event in bench.events if event["transactionInfo"]["transactionId"] == session)
    assert abs(parse_utc(started["timestamp"]) - begun) < 1.0
    assert abs(parse_utc(started["meterValue"][0]["timestamp"]) - begun) < 1.0
    assert started["offline"] is True


def _begin_offline(bench: StationBench) -> str:
    """A session without the CSMS: authorised as if it had been connected for a moment."""

    def authorise(now: float) -> None:
        bench.context.emit(Authorised(1, {"idToken": CARD, "type": "ISO14443"}))
        bench.station.on_time(now)

    bench.handle(authorise)
    return str(bench.context.hal.evses[1].transaction_id)


def test_stamps_never_lie_before_the_floor(tmp_path: Path) -> None:
    bench = StationBench(tmp_path, variables={("ClockCtrlr", "TimeSource"): "NTP"})
    bench.clock_set = False
    bench.hal_up()
    bench.advance(100)
    bench.link_up()
    bench.plug(1)
    bench.card(CARD)
    stamps = [request["timestamp"] for _, request in bench.requests if "timestamp" in request]
    assert stamps
    assert min(map(parse_utc, stamps)) >= CLOCK_FLOOR


def test_a_step_of_the_clock_moves_no_deadline(bench: StationBench) -> None:
    bench.card(CARD, 1)
    for step in (86_400.0, -172_800.0):
        bench.clock.step_utc(step)
        bench.clock_changed()
        bench.answers["Heartbeat"] = lambda _: {"currentTime": format_utc(bench.clock.utc())}
        bench.advance(20)
        assert bench.events[-1]["eventType"] != "Ended"
        assert bench.permitted(1)
    bench.advance(21)
    assert bench.events[-1]["triggerReason"] == "EVConnectTimeout"


def test_a_clock_that_is_lost_while_the_csms_is_connected(bench: StationBench) -> None:
    bench.clock_changed(is_set=False)
    bench.plug(1)
    stamp = bench.sent("StatusNotification")[-1]["timestamp"]
    assert abs(parse_utc(stamp) - bench.clock.utc()) < 2.0


# --- the disk -------------------------------------------------------------------------------------------------------


class Full(sqlite3.Connection):
    """A connection to a disk that is full while `full` is set."""

    full = False

    def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
        if Full.full and sql.split(None, 1)[0] in ("INSERT", "UPDATE", "DELETE", "COMMIT", "BEGIN"):
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise error
        return super().execute(sql, *args)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> type[Full]:
    Full.full = False
    connect = sqlite3.connect

    def connect_full(path: Any, **options: Any) -> sqlite3.Connection:
        return connect(path, **options) if path == ":memory:" else connect(path, factory=Full, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_full)
    return Full


def test_a_full_disk_loses_nothing(tmp_path: Path, disk: type[Full]) -> None:
    bench = StationBench(tmp_path)
    bench.up()
    charge(bench)
    charge(bench, 1)
    disk.full = True
    bench.link_down()
    for _ in range(20):
        bench.deliver(2, 100.0)
        bench.advance(61)
    assert bench.database.degraded
    finish(bench)
    disk.full = False
    bench.advance(10)
    assert not bench.database.degraded
    finish(bench, 1)
    bench.power_cut()
    bench.up()
    _check_transactions(bench, 2)


def _check_transactions(bench: StationBench, count: int) -> None:
    sequences: dict[str, list[int]] = {}
    for event in bench.events:
        sequences.setdefault(event["transactionInfo"]["transactionId"], []).append(event["seqNo"])
    assert len(sequences) == count
    assert all(numbers == list(range(len(numbers))) for numbers in sequences.values())
    assert [event["eventType"] for event in bench.events].count("Ended") == count


def test_a_full_disk_stops_no_driver(tmp_path: Path, disk: type[Full]) -> None:
    bench = StationBench(tmp_path)
    disk.full = True
    bench.up()
    charge(bench)
    finish(bench)
    assert bench.database.degraded
    _check_transactions(bench, 1)
    assert len(bench.context.outbox) == 0


# --- any start order ------------------------------------------------------------------------------------------------


def test_the_csms_before_the_hal(tmp_path: Path) -> None:
    bench = StationBench(tmp_path)
    bench.link_up()
    assert {each["connectorStatus"] for each in bench.sent("StatusNotification")} == {"Faulted"}
    bench.hal_up()
    assert [each["connectorStatus"] for each in bench.sent("StatusNotification")[2:]] == ["Available", "Available"]
    charge(bench)
    finish(bench)
    _check_transactions(bench, 1)


def test_events_for_unknown_evses_are_ignored(bench: StationBench) -> None:
    charge(bench)
    for event in (EvseSelected(9), Plugged(9), StopPressed(9), FaultRaised(Fault.ISOLATION, 9), bench.reading(2)):
        bench.event(event)
    assert bench.events[-1]["eventType"] == "Updated"
    assert bench.context.hal.selected is None
