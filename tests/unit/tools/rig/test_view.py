# SPDX-License-Identifier: Apache-2.0
"""The combined state of the station, and the events for its changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
import pytest

from firmware.contract import (
    Cause,
    Event,
    EvseStatus,
    Fault,
    FaultCleared,
    FaultRaised,
    MeterContext,
    MeterReading,
    Phase,
    PhaseChanged,
    Snapshot,
    Stamped,
)
from firmware.contract.status import CardNotice, LinkFailure, TransactionNotice
from tests.support import service_status
from tests.support.sockets import idle_evse
from tests.support.sockets import snapshot as no_evses
from tools.rig.view import StationView


class Seen:
    """The view, and what it emitted."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.view = StationView([1, 2], self._emit)

    def _emit(self, name: str, mono_s: float | None, **fields: Any) -> None:
        self.events.append({"event": name, **fields})

    def take(self) -> list[dict[str, Any]]:
        events, self.events = self.events, []
        return events

    def happen(self, event: Event, *, replayed: bool = False) -> None:
        self.view.on_hal_event(Stamped(seq=1, mono_s=5.0, utc_s=0.0, event=event, replayed=replayed))


def snapshot(*evses: EvseStatus, faults: Iterable[Fault] = ()) -> Snapshot:
    return msgspec.structs.replace(no_evses(), evses=list(evses), faults=list(faults))


STATUS = msgspec.structs.replace(
    service_status.STATUS,
    security_profile=2,
    queued_messages=3,
    last_contact_mono_s=90.0,
    firmware_version="1.2.3",
    evses=[msgspec.structs.replace(service_status.IDLE_EVSE, selected=True)],
)


def test_phases_and_faults_follow_events() -> None:
    seen = Seen()
    seen.view.on_hal_up(snapshot(idle_evse(1), idle_evse(2)))
    assert seen.take() == []
    seen.happen(PhaseChanged(evse=1, phase=Phase.PLUGGED, cause=Cause.DRIVER))
    seen.happen(FaultRaised(fault=Fault.METER, evse=1, detail="gone"))
    seen.happen(FaultRaised(fault=Fault.DOOR_OPEN))
    reading = MeterReading(1, MeterContext.PERIODIC, 0, 0, 0, 0, offered_a=10, offered_w=5000)
    seen.happen(reading)
    view = seen.view.evses[1]
    assert (view.phase, view.offered_w) == (Phase.PLUGGED, 5000)
    assert (view.faults, seen.view.faults) == ({Fault.METER}, {Fault.DOOR_OPEN})
    assert seen.take() == [
        {"event": "phase", "evse": 1, "phase": "plugged"},
        {"event": "fault", "code": "meter", "evse": 1, "detail": "gone"},
        {"event": "fault", "code": "door_open", "evse": None, "detail": ""},
    ]
    seen.happen(FaultCleared(fault=Fault.METER, evse=1))
    assert view.faults == set()
    assert seen.take() == [{"event": "fault_cleared", "code": "meter", "evse": 1}]


def test_replayed_events_are_ignored() -> None:
    seen = Seen()
    seen.happen(PhaseChanged(evse=1, phase=Phase.PLUGGED, cause=Cause.DRIVER), replayed=True)
    assert (seen.view.evses[1].phase, seen.take()) == (Phase.IDLE, [])


def test_new_run_of_the_hal_emits_only_differences() -> None:
    seen = Seen()
    seen.view.on_hal_up(
        snapshot(idle_evse(1, Phase.CHARGING, faults=[Fault.METER]), idle_evse(2), faults=[Fault.DOOR_OPEN])
    )
    seen.take()
    seen.view.on_hal_down("killed")
    assert not seen.view.hal_up
    seen.view.on_hal_up(snapshot(idle_evse(1, Phase.PLUGGED), idle_evse(2)))
    assert seen.take() == [
        {"event": "fault_cleared", "code": "door_open", "evse": None},
        {"event": "fault_cleared", "code": "meter", "evse": 1},
        {"event": "phase", "evse": 1, "phase": "plugged"},
    ]


def test_service_status_is_emitted_by_its_differences() -> None:
    seen = Seen()
    seen.view.on_service_message(STATUS)
    assert seen.take() == [
        {"event": "connected", "slot": 1, "security_profile": 2},
        {"event": "registration", "status": "Accepted"},
        {"event": "status", "evse": 1, "connector": 1, "status": "Available"},
    ]
    seen.view.on_service_message(STATUS)
    assert seen.take() == []
    occupied = msgspec.structs.replace(STATUS.evses[0], status="Occupied")
    seen.view.on_service_message(msgspec.structs.replace(STATUS, connected=False, evses=[occupied]))
    assert seen.take() == [
        {"event": "disconnected"},
        {"event": "status", "evse": 1, "connector": 1, "status": "Occupied"},
    ]


def test_service_that_restarts_repeats_no_status() -> None:
    seen = Seen()
    seen.view.on_service_message(STATUS)
    seen.take()
    seen.view.on_service_down("killed")
    assert seen.view.service(1) is None
    seen.view.on_service_message(STATUS)
    assert [each["event"] for each in seen.take()] == ["disconnected", "connected", "registration"]
    assert seen.view.service(1) is not None


def test_notices_pass_through() -> None:
    seen = Seen()
    seen.view.on_service_message(TransactionNotice(evse=1, id="t1", change="started"))
    seen.view.on_service_message(CardNotice(uid="AB", outcome="rejected"))
    assert seen.take() == [
        {"event": "transaction", "evse": 1, "id": "t1", "kind": "started"},
        {"event": "card", "uid": "AB", "outcome": "rejected"},
    ]


def test_transaction_without_notices_is_emitted_from_the_status() -> None:
    seen = Seen()
    with_one, with_none = (
        msgspec.structs.replace(STATUS, evses=[msgspec.structs.replace(STATUS.evses[0], transaction_id=each)])
        for each in ("t1", None)
    )
    seen.view.on_service_message(with_one)
    seen.view.on_service_message(TransactionNotice(evse=1, id="t1", change="started"))
    seen.view.on_service_message(TransactionNotice(evse=1, id="t1", change="updated"))
    seen.view.forget()
    seen.view.on_service_message(with_none)
    seen.view.on_service_message(with_none)
    seen.view.on_service_message(TransactionNotice(evse=1, id="t1", change="ended"))
    kinds = [(each["id"], each["kind"]) for each in seen.take() if each["event"] == "transaction"]
    assert kinds == [("t1", "started"), ("t1", "updated"), ("t1", "ended")]


def test_ocpp_part_counts_from_the_last_contact() -> None:
    seen = Seen()
    assert seen.view.ocpp(100.0)["connected"] is False
    seen.view.on_service_message(STATUS)
    assert seen.view.ocpp(100.0) == {
        "connected": True,
        "registration": "Accepted",
        "slot": 1,
        "interface": "Wired0",
        "security_profile": 2,
        "queued_messages": 3,
        "last_contact_s": 10.0,
        "last_failure": None,
    }


def test_a_failure_to_connect_is_in_the_state_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """One line for each cause until there was a connection, and the newest time in the state."""
    seen = Seen()
    failure = LinkFailure("2026-11-30T12:00:00.000Z", 1, "refused", "nothing listens at 127.0.0.1:9000")
    later = msgspec.structs.replace(failure, time="2026-11-30T12:00:10.000Z")
    for connected, last in ((False, None), (False, failure), (False, later), (True, later), (False, failure)):
        seen.view.on_service_message(msgspec.structs.replace(STATUS, connected=connected, last_failure=last))
    assert [record.getMessage() for record in caplog.records] == [
        "no connection, slot 1, refused: nothing listens at 127.0.0.1:9000"
    ] * 2
    assert seen.view.ocpp(100.0)["last_failure"] == {
        "time": "2026-11-30T12:00:00.000Z",
        "slot": 1,
        "kind": "refused",
        "text": "nothing listens at 127.0.0.1:9000",
    }
    seen.view.on_service_down("killed")
    assert seen.view.ocpp(100.0)["last_failure"] is None


def test_power_cut_forgets_everything_but_the_version() -> None:
    seen = Seen()
    seen.view.on_hal_up(snapshot(idle_evse(1, Phase.CHARGING, faults=[Fault.METER]), idle_evse(2)))
    seen.view.on_service_message(STATUS)
    seen.view.forget()
    assert not seen.view.hal_up
    assert seen.view.evses[1].phase is Phase.IDLE
    assert seen.view.service(1) is None
    assert seen.view.firmware_version == "1.2.3"
