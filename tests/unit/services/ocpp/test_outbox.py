# SPDX-License-Identifier: Apache-2.0
"""The outbox on a real database: the order of two lanes, the offline flag, time stamps, and a state machine."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.ocpp.durable_lane import RetryRule
from services.ocpp.outbox import Outbox
from services.ocpp.storage import Database
from services.ocpp.storage.tables import OutboxTable
from tests.support.clock import ManualClock


def make(database: Database, *, boot: str = "boot", queue_all: bool = False, attempts: int = 3) -> Outbox:
    outbox = Outbox(OutboxTable(database), boot, lambda: RetryRule(attempts, 10.0), lambda: queue_all)
    outbox.durable.load()
    return outbox


def event(number: int, kind: str = "Updated") -> dict[str, Any]:
    return {"eventType": kind, "seqNo": number, "timestamp": "2026-11-23T10:00:00.000Z"}


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "station.db", clock=ManualClock())


def drain(outbox: Outbox, now: float = 0.0) -> list[int]:
    sent = []
    while (item := outbox.next(now, registered=True)) is not None:
        sent.append(item.payload["seqNo"])
        outbox.done(item)
    return sent


def test_the_backlog_survives_and_is_offline(database: Database) -> None:
    first = make(database)
    first.send_durable("TransactionEvent", event(0), "tx")
    database.commit()
    again = make(database)
    again.go_online()
    again.send_durable("TransactionEvent", event(1), "tx")
    old = again.next(0.0, registered=True)
    assert old is not None
    assert again.payload(old, clock_offset=0.0)["offline"] is True
    again.done(old)
    fresh = again.next(0.0, registered=True)
    assert fresh is not None
    assert "offline" not in again.payload(fresh, clock_offset=0.0)


def test_a_message_interrupted_by_the_link_is_sent_again_as_offline(database: Database) -> None:
    outbox = make(database)
    outbox.go_online()
    outbox.send_durable("TransactionEvent", event(0), "tx")
    item = outbox.next(0.0, registered=True)
    assert item is not None
    assert outbox.interrupted(item) is False
    outbox.go_offline()
    outbox.go_online()
    again = outbox.next(0.0, registered=True)
    assert again is item
    assert outbox.payload(item, clock_offset=0.0)["offline"] is True  # E11.FR.07


def test_a_card_does_not_wait_behind_the_backlog(database: Database) -> None:
    outbox = make(database)
    outbox.send_durable("TransactionEvent", event(0), "tx")
    outbox.go_online()
    outbox.send("Authorize", {"seqNo": -1})
    assert drain(outbox) == [-1, 0]


def test_fresh_messages_of_both_lanes_keep_their_order(database: Database) -> None:
    outbox = make(database)
    outbox.go_online()
    outbox.send("StatusNotification", {"seqNo": 1})
    outbox.send_durable("TransactionEvent", event(2), "tx")
    outbox.send("MeterValues", {"seqNo": 3})
    assert drain(outbox) == [1, 2, 3]


def test_before_acceptance_only_requested_messages_leave(database: Database) -> None:
    outbox = make(database)
    outbox.send_durable("TransactionEvent", event(0), "tx")
    assert outbox.next(0.0, registered=False) is None
    outbox.send("NotifyReport", {"seqNo": 9}, early=True)
    item = outbox.next(0.0, registered=False)
    assert item is not None
    assert item.action == "NotifyReport"  # B02.FR.02


def test_queue_all_keeps_other_messages_on_disk(database: Database) -> None:
    outbox = make(database, queue_all=True)
    outbox.send("MeterValues", {"seqNo": 5})
    outbox.send("StatusNotification", {"seqNo": 6})
    database.commit()
    again = make(database)
    again.go_online()
    assert drain(again) == [5]


def test_time_stamps_are_corrected_once_the_time_is_known(database: Database) -> None:
    outbox = make(database)
    outbox.send_durable("TransactionEvent", event(0), "tx", clock_offset=100.0)
    outbox.go_online()
    item = outbox.next(0.0, registered=True)
    assert item is not None
    assert outbox.payload(item, clock_offset=3700.0)["timestamp"] == "2026-11-23T11:00:00.000Z"


def test_an_unknown_time_of_another_boot_is_not_corrected(database: Database) -> None:
    make(database, boot="one").send_durable("TransactionEvent", event(0), "tx", clock_offset=100.0)
    outbox = make(database, boot="two")
    outbox.go_online()
    item = outbox.next(0.0, registered=True)
    assert item is not None
    assert outbox.payload(item, clock_offset=3700.0)["timestamp"] == "2026-11-23T10:00:00.000Z"


def copy_as_after_a_power_cut(path: Path) -> Path:
    """Copies the files as they are now into a folder of their own; closing the original would commit."""
    folder = Path(tempfile.mkdtemp(dir=path.parent))
    for file in path.parent.glob("station.db*"):
        shutil.copy(file, folder)
    return folder / path.name


class OutboxMachine(RuleBasedStateMachine):
    """Any order of messages, outages, failures, commits and power cuts; the CSMS receives each committed message at
    least once, in order, none before its predecessor is accepted, and no uncommitted one."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "station.db"
        self.database = Database(self.path, clock=ManualClock())
        self.outbox = make(self.database, attempts=1000)
        self.online = False
        self.now = 0.0
        self.made = 0
        self.committed: list[int] = []
        self.open: list[int] = []
        self.accepted: list[int] = []
        self.wire: Any = None

    def teardown(self) -> None:
        self.database.close()
        self.folder.cleanup()

    @rule(count=st.integers(1, 450))
    def make_messages(self, count: int) -> None:
        for _ in range(count):
            self.outbox.send_durable("TransactionEvent", event(self.made), "tx")
            self.open.append(self.made)
            self.made += 1
        self.commit()

    def commit(self) -> None:
        assert self.database.commit()
        self.outbox.durable.flushed()
        self.committed = list(self.open)

    @rule()
    def go_online(self) -> None:
        if not self.online:
            self.online = True
            self.outbox.go_online()

    @precondition(lambda self: self.online)
    @rule()
    def go_offline(self) -> None:
        self.online = False
        if self.wire is not None:
            assert self.outbox.interrupted(self.wire) is False
            self.wire = None
        self.outbox.go_offline()

    @precondition(lambda self: self.online and self.wire is None)
    @rule()
    def transmit(self) -> None:
        self.now += 1e6
        self.wire = self.outbox.next(self.now, registered=True)
        if self.open:
            assert self.wire is not None
            assert self.wire.payload["seqNo"] == self.open[0]
        else:
            assert self.wire is None

    @precondition(lambda self: self.wire is not None)
    @rule()
    def answer(self) -> None:
        self.outbox.done(self.wire)
        self.accepted.append(self.open.pop(0))
        self.wire = None
        self.commit()

    @precondition(lambda self: self.online)
    @rule(count=st.integers(1, 300))
    def exchange(self, count: int) -> None:
        for _ in range(count):
            if self.wire is None:
                self.transmit()
            if self.wire is not None:
                self.answer()

    @precondition(lambda self: self.wire is not None)
    @rule()
    def refuse(self) -> None:
        assert self.outbox.failed(self.wire, self.now) is False
        self.wire = None
        self.commit()

    @rule(uncommitted=st.integers(0, 3))
    def power_cut(self, uncommitted: int) -> None:
        for _ in range(uncommitted):
            self.outbox.send_durable("TransactionEvent", event(10**6 + self.made), "tx")
        self.path = copy_as_after_a_power_cut(self.path)
        self.database.close()
        self.database = Database(self.path, clock=ManualClock())
        self.outbox = make(self.database, attempts=1000)
        self.open = list(self.committed)
        self.online, self.wire = False, None

    @invariant()
    def counted(self) -> None:
        assert len(self.outbox) == len(self.open)

    @invariant()
    def accepted_in_order(self) -> None:
        assert self.accepted == sorted(set(self.accepted))


OutboxMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
TestOutbox = OutboxMachine.TestCase
