# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware.errors import StorageError
from tools.csms.back_office import BackOffice
from tools.csms.feed import Feed
from tools.csms.settings import Behaviour
from tools.csms.store import Limits, MessageRow, Store, Token
from tools.csms.transaction_audit import Verdict
from tools.csms.views import shortened


class _Clock:
    def monotonic(self) -> float:
        return 0.0

    def utc(self) -> float:
        return 1_795_435_200.0


class _Link:
    async def close(self, code: int, reason: str) -> None:
        """Nothing to close."""


def _office(path: Path, limits: Limits | None = None, **behaviour: Any) -> BackOffice:
    return BackOffice(Store(path / "db", limits), Feed(), _Clock(), Behaviour(**behaviour))


def _joined(office: BackOffice, station: str = "CP001") -> _Link:
    link = _Link()
    office.attach(station, link, remote="127.0.0.1", security_profile=1)
    return link


def _event(seq_no: int, kind: str = "Updated", wh: float = 0.0) -> dict[str, Any]:
    stamp = f"2026-11-23T12:00:{seq_no:02}Z"
    return {
        "eventType": kind,
        "timestamp": stamp,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": seq_no,
        "transactionInfo": {"transactionId": "t1"},
        "meterValue": [{"timestamp": stamp, "sampledValue": [{"value": wh}]}],
    }


def test_a_restart_forgets_nothing_of_a_transaction(tmp_path: Path) -> None:
    office = _office(tmp_path)
    _joined(office)
    office.on_transaction_event("CP001", _event(0, "Started", 100.0))
    office.on_transaction_event("CP001", _event(2, wh=150.0))
    office.on_transaction_event("CP001", _event(2, wh=150.0))
    office.on_transaction_event("CP001", _event(2, wh=151.0))
    before = office.transactions()

    again = _office(tmp_path)
    _joined(again)
    assert again.transactions() == before
    assert again.on_transaction_event("CP001", _event(2, wh=150.0)) is Verdict.REPEATED
    again.on_transaction_event("CP001", _event(3, "Ended", 175.0))
    (summary,) = again.transactions()
    assert (summary.events, summary.repeated, summary.conflicts, summary.missing) == (3, 2, 1, 1)
    assert summary.energy_wh == 75.0
    series = again.series("CP001", "t1")
    assert series is not None
    assert [point.energy_wh for point in series] == [100.0, 150.0, 175.0]


def test_an_event_that_is_not_stored_is_not_counted(tmp_path: Path) -> None:
    office = _office(tmp_path)
    _joined(office)
    office.on_transaction_event("CP001", _event(0, "Started"))
    with pytest.raises(StorageError):
        office.on_transaction_event("CP001", _event(1) | {"seqNo": 2**70})
    assert office.on_transaction_event("CP001", _event(1)) is Verdict.NEW
    (summary,) = office.transactions()
    assert (summary.events, summary.seq_ok) == (2, True)


def test_the_newer_connection_is_the_stations(tmp_path: Path) -> None:
    office = _office(tmp_path)
    older = _joined(office)
    newer = _Link()
    assert office.attach("CP001", newer, remote="127.0.0.1", security_profile=0) is older
    office.detach("CP001", older, "replaced")
    record = office.station("CP001")
    assert record is not None
    assert (record.connected, record.replaced, office.link("CP001")) == (True, 1, newer)
    office.detach("CP001", newer, "gone")
    assert not record.connected


@pytest.mark.parametrize(
    ("id_token", "kind", "accept_unknown", "status"),
    [
        ("04a1b2c3d4e580", "ISO14443", False, "Accepted"),
        ("DEADBEEF", "ISO14443", True, "Blocked"),
        ("1234", "ISO14443", False, "Invalid"),
        ("1234", "ISO14443", True, "Accepted"),
        ("", "NoAuthorization", False, "Accepted"),
    ],
)
def test_status_of_tokens(tmp_path: Path, id_token: str, kind: str, accept_unknown: bool, status: str) -> None:
    office = _office(tmp_path, accept_unknown=accept_unknown)
    assert office.authorize({"idToken": id_token, "type": kind}).status == status


def test_groups_are_stored(tmp_path: Path) -> None:
    office = _office(tmp_path)
    office.put_token(Token("aa", "ISO14443", "Accepted", "FLEET"))
    assert office.authorize({"idToken": "AA", "type": "ISO14443"}).group_id_token == "FLEET"


def test_status_comes_by_notify_event_too(tmp_path: Path) -> None:
    office = _office(tmp_path)
    _joined(office)
    component = {"name": "Connector", "evse": {"id": 2, "connectorId": 1}}
    event = {"component": component, "variable": {"name": "AvailabilityState"}, "actualValue": "Occupied"}
    office.on_events("CP001", {"eventData": [event | {"timestamp": "2026-11-23T12:00:00Z"}]})
    record = office.station("CP001")
    assert record is not None
    assert [(at.evse, at.connector, at.status) for at in record.connectors] == [(2, 1, "Occupied")]


def test_stations_and_transactions_are_bounded(tmp_path: Path) -> None:
    office = _office(tmp_path, Limits(stations=3, transactions=2))
    for number in range(10):
        station = f"CP{number}"
        office.detach(station, _joined(office, station), "gone")
        office.on_transaction_event(station, _event(0, "Started"))
    assert len(office.stations()) == 3
    assert [summary.station for summary in office.transactions()] == ["CP9", "CP8"]


def test_long_texts_are_shortened_for_the_page() -> None:
    row = MessageRow(1, "t", "CP001", "in", "call", None, None, "x" * 50)
    assert shortened(row, 50) is row
    assert shortened(row, 10).text == "x" * 10


def _problem(code: str, evse: int | None = 1, **more: Any) -> dict[str, Any]:
    component: dict[str, Any] = {"name": "ConnectedEV"} | ({} if evse is None else {"evse": {"id": evse}})
    event = {"component": component, "variable": {"name": "Problem"}, "techCode": code, "trigger": "Alerting"}
    return event | {"timestamp": "2026-11-23T12:00:00Z", "actualValue": "true"} | more


def test_the_line_of_a_station_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    office = _office(tmp_path)
    _joined(office)
    office.on_transaction_event("CP001", _event(0, "Started"))
    status = {"evseId": 1, "connectorId": 1, "connectorStatus": "Faulted", "timestamp": "2026-11-23T12:00:00Z"}
    office.on_status("CP001", status)
    office.on_events("CP001", {"eventData": [_problem("CX014", techInfo="pilot"), _problem("CX008", None)]})
    (record,) = office.stations()
    line = office.line(record)
    assert (line.statuses, line.faults, line.charging) == (["Faulted"], 2, 1)
    assert [(fault.evse, fault.code, fault.detail) for fault in record.faults] == [
        (1, "CX014", "pilot"),
        (None, "CX008", None),
    ]
    office.on_transaction_event("CP001", _event(1, "Ended"))
    office.on_events("CP001", {"eventData": [_problem("CX014", cleared=True)]})
    line = office.line(record)
    assert (line.faults, line.charging, office.active_transactions("CP001")) == (1, 0, [])


async def test_an_event_that_the_disk_has_not_taken_is_new_when_it_comes_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "db", grouped=True)
    office = BackOffice(store, Feed(), _Clock(), Behaviour())
    office.group_commits()
    _joined(office)
    office.on_transaction_event("CP001", _event(0, "Started"))
    await office.saved()
    office.on_transaction_event("CP001", _event(1))
    store._db.execute("ROLLBACK")
    with pytest.raises(StorageError):
        await office.saved()
    assert office.transactions()[0].events == 1
    assert office.on_transaction_event("CP001", _event(1)) is Verdict.NEW
    await office.saved()
    assert office.transactions()[0].events == 2
