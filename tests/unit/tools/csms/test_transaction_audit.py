# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.csms.transaction_audit import TransactionAudit, Verdict, series


def _event(seq_no: int, kind: str = "Updated", wh: float | None = None, **more: Any) -> dict[str, Any]:
    stamp = f"2026-11-23T12:{seq_no // 60:02}:{seq_no % 60:02}Z"
    event: dict[str, Any] = {
        "eventType": kind,
        "timestamp": stamp,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": "t1", **more.pop("info", {})},
        "evse": {"id": 1, "connectorId": 1},
        **more,
    }
    if wh is not None:
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        event["meterValue"] = [{"timestamp": stamp, "sampledValue": [{"value": wh, "context": context}]}]
    return event


def _session() -> list[dict[str, Any]]:
    token = {"idToken": "04A1", "type": "ISO14443"}
    return [
        _event(0, "Started", 1000.0, idToken=token),
        *(_event(number, wh=1000.0 + 10 * number, info={"chargingState": "Charging"}) for number in range(1, 6)),
        _event(6, "Ended", 1065.5, info={"chargingState": "Idle", "stoppedReason": "Remote"}),
    ]


def _audited(events: list[dict[str, Any]]) -> TransactionAudit:
    audit = TransactionAudit("CP001", "t1")
    for event in events:
        audit.add(event)
    return audit


def test_a_whole_session() -> None:
    summary = _audited(_session()).summary()
    assert (summary.events, summary.seq_ok, summary.problems, summary.active) == (7, True, [], False)
    assert (summary.meter_start_wh, summary.meter_stop_wh, summary.energy_wh) == (1000.0, 1065.5, 65.5)
    assert (summary.id_token, summary.evse, summary.connector) == ("04A1", 1, 1)
    assert (summary.started, summary.ended) == ("2026-11-23T12:00:00Z", "2026-11-23T12:00:06Z")
    assert (summary.stopped_reason, summary.charging_state) == ("Remote", "Idle")


def test_numbers_may_begin_anywhere() -> None:
    events = [event | {"seqNo": event["seqNo"] + 41} for event in _session()]
    assert _audited(events).summary().seq_ok


def test_a_repetition_is_not_counted_and_is_no_error() -> None:
    audit = _audited(_session())
    before = audit.summary()
    assert audit.add(_session()[3]) is Verdict.REPEATED
    assert audit.add(_session()[6] | {"offline": True}) is Verdict.REPEATED
    after = audit.summary()
    assert (after.seq_ok, after.repeated, after.events) == (True, 2, before.events)
    assert after.energy_wh == before.energy_wh


def test_a_conflict_is_wrong_and_the_first_content_counts() -> None:
    audit = _audited(_session())
    assert audit.add(_event(6, "Ended", 9999.0)) is Verdict.CONFLICT
    summary = audit.summary()
    assert (summary.seq_ok, summary.conflicts, summary.meter_stop_wh) == (False, 1, 1065.5)


@pytest.mark.parametrize(
    ("lost", "missing", "problem"),
    [
        ([2], 1, "missing seqNo 2"),
        ([2, 3, 5], 3, "missing seqNo 2 to 3, 5"),
        ([0], 0, "no Started event"),
    ],
)
def test_lost_events_are_flagged(lost: list[int], missing: int, problem: str) -> None:
    summary = _audited([event for event in _session() if event["seqNo"] not in lost]).summary()
    assert (summary.seq_ok, summary.missing, summary.problems) == (False, missing, [problem])


def test_a_huge_gap_costs_nothing() -> None:
    summary = _audited([_event(0, "Started"), _event(0) | {"seqNo": 2**40}]).summary()
    assert (summary.missing, summary.problems) == (2**40 - 1, [f"missing seqNo 1 to {2**40 - 1}"])


def test_an_event_after_the_end_is_flagged() -> None:
    assert _audited([*_session(), _event(7)]).summary().problems == ["an event after Ended"]


@given(st.integers())
def test_disorder_changes_no_energy(seed: int) -> None:
    events = _session()
    random.Random(seed).shuffle(events)
    summary = _audited(events).summary()
    assert (summary.energy_wh, summary.missing, summary.active, summary.id_token) == (65.5, 0, False, "04A1")
    assert summary.charging_state == "Idle"
    assert summary.seq_ok == (events == _session())


def test_a_local_stop_needs_no_reason() -> None:
    assert _audited([_event(0, "Started"), _event(1, "Ended")]).summary().stopped_reason == "Local"


def test_the_series_is_thinned_but_ends_where_the_session_ends() -> None:
    points = series((_event(number, wh=float(number)) for number in range(1000)), limit=100)
    assert len(points) == 100
    assert points[-1].energy_wh == 999.0


def test_peak_and_state_of_charge() -> None:
    audit = TransactionAudit("CP001", "t1")
    for number, (watts, soc) in enumerate([(10_000, 40), (90_000, 41), (60_000, 45)]):
        samples = [
            {"value": watts, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "W"}},
            {"value": soc, "measurand": "SoC", "location": "EV"},
        ]
        stamp = f"2026-11-23T12:00:0{number}Z"
        audit.add(_event(number, meterValue=[{"timestamp": stamp, "sampledValue": samples}]))
    summary = audit.summary()
    assert (summary.power_w, summary.max_power_w) == (60_000.0, 90_000.0)
    assert (summary.soc_start_percent, summary.soc_percent) == (40.0, 45.0)
