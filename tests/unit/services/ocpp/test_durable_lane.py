# SPDX-License-Identifier: Apache-2.0
"""The durable lane on a real database: order, a small window, retries, deferral, thinning and damage."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from services.ocpp.durable_lane import DurableLane, RetryRule
from services.ocpp.storage import Database
from services.ocpp.storage.tables import OutboxTable
from tests.support.clock import ManualClock
from tests.support.database import put_raw

if TYPE_CHECKING:
    from services.ocpp.messages import Action

MARK = b"mark" * 100
RULE = RetryRule(3, 10.0)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "station.db", clock=ManualClock())


def make(database: Database, *, limit: int = 50_000, rule: RetryRule = RULE) -> DurableLane:
    lane = DurableLane(OutboxTable(database), lambda: rule, limit=limit)
    lane.load()
    return lane


def add(lane: DurableLane, number: int, kind: str = "Updated") -> None:
    """A message of the transaction `tx`."""
    _add(lane, number, "TransactionEvent", {"eventType": kind, "seqNo": number}, "tx")


def keep(lane: DurableLane, number: int, action: Action = "SecurityEventNotification") -> None:
    """A message that is not about a transaction."""
    _add(lane, number, action, {"seqNo": number}, None)


def _add(lane: DurableLane, number: int, action: Action, payload: Any, transaction_id: str | None) -> None:
    lane.add(action, payload, transaction_id=transaction_id, order=number, boot_id="boot", clock_offset=None)


def drain(lane: DurableLane, now: float = 0.0) -> list[int]:
    """The numbers of the messages that leave when the CSMS accepts each."""
    sent = []
    while (item := lane.next(now)) is not None:
        sent.append(item.payload["seqNo"])
        lane.remove(item)
    return sent


def leave_unanswered(lane: DurableLane, now: float, *, times: int) -> None:
    """The CSMS does not answer the next message."""
    for _ in range(times):
        item = lane.next(now)
        assert item is not None
        assert item.action == "SecurityEventNotification"
        assert lane.failed(item, now, timed_out=True) is False


def spoil(path: Path) -> None:
    """Damages one page, which holds no message."""
    data = bytearray(path.read_bytes())
    page = data.index(MARK) // 4096 * 4096
    data[page : page + 4096] = b"\xa5" * 4096
    path.write_bytes(data)


def test_ten_thousand_messages_leave_in_order_with_a_small_window(database: Database) -> None:
    lane = make(database)
    for number in range(10_000):
        add(lane, number)
        if number % 100 == 0 and database.commit():
            lane.flushed()
    database.commit()
    lane.flushed()
    assert len(lane._window) + len(lane._tail) <= 400
    lane.connected()
    assert drain(lane) == list(range(10_000))
    assert len(lane) == 0


def test_a_kept_message_is_repeated_until_the_csms_has_seen_it(database: Database) -> None:
    lane = make(database)
    lane.connected()
    keep(lane, 0)
    add(lane, 1)
    leave_unanswered(lane, 0.0, times=3)  # A04.FR.02, without delay
    keep(lane, 2)
    assert drain(lane) == [1], "a transaction message does not wait behind unanswered ones"
    assert len(lane) == 2
    assert lane.next_deadline() == 3600.0
    keep(lane, 3, "FirmwareStatusNotification")
    assert drain(lane, 3599.0) == [3]
    leave_unanswered(lane, 3600.0, times=1)
    assert drain(lane, 3600.0) == []
    assert drain(lane, 7200.0) == [0, 2]
    assert lane.next_deadline() is None


def test_deferred_messages_leave_with_the_next_connection_or_run(database: Database) -> None:
    lane = make(database)
    lane.connected()
    for number in range(300):
        keep(lane, number)
    add(lane, 300)
    leave_unanswered(lane, 0.0, times=3)
    assert drain(lane) == [300]
    database.commit()
    again = make(database)
    again.connected()
    assert drain(again) == list(range(300))
    lane.disconnected()
    lane.connected()
    assert drain(lane) == list(range(300))


def test_a_kept_message_that_the_csms_refuses_is_dropped(database: Database) -> None:
    lane = make(database)
    lane.connected()
    keep(lane, 0)
    item = lane.next(0.0)
    assert item is not None
    assert lane.failed(item, 0.0) is True
    assert len(lane) == 0


def test_retry_interval_grows_with_the_transmissions_and_ends(database: Database) -> None:
    lane = make(database)
    lane.connected()
    add(lane, 0)
    add(lane, 1)
    item = lane.next(0.0)
    assert item is not None
    assert lane.failed(item, 0.0) is False
    assert lane.next(9.9) is None  # nothing overtakes it
    assert lane.next(10.0) is item
    assert lane.failed(item, 10.0) is False
    assert lane.next(29.9) is None  # E13.FR.03
    assert lane.failed(item, 30.0) is True  # E13.FR.04
    assert drain(lane, 30.0) == [1]


def test_with_an_interval_of_0_the_waits_still_grow(database: Database) -> None:
    lane = make(database, rule=RetryRule(1000, 0.0))
    lane.connected()
    add(lane, 0)
    now, sent = 0.0, list[float]()
    for _ in range(5):
        item = lane.next(now)
        assert item is not None
        sent.append(now)
        assert lane.failed(item, now) is False
        assert lane.next(now) is None
        now = lane.next_deadline() or now
    assert sent == [0.0, 1.0, 3.0, 6.0, 10.0]


def test_attempts_survive_a_restart(database: Database) -> None:
    lane = make(database)
    lane.connected()
    add(lane, 0)
    item = lane.next(0.0)
    assert item is not None
    lane.failed(item, 0.0)
    database.commit()
    again = make(database)
    again.connected()
    item = again.next(0.0)
    assert item is not None
    assert again.failed(item, 0.0) is False
    assert again.failed(item, 0.0) is True


def test_a_full_lane_drops_every_other_update_and_keeps_the_ends(database: Database) -> None:
    lane = make(database, limit=20)
    add(lane, 0, "Started")
    for number in range(1, 30):
        add(lane, number)
    add(lane, 30, "Ended")
    assert len(lane) <= 20
    lane.connected()
    left = drain(lane)
    assert left[0] == 0
    assert left[-1] == 30
    assert left == sorted(left)
    assert 29 in left or 28 in left  # new messages are not dropped first (E04.FR.08)


def test_a_full_lane_spares_the_message_on_the_wire_and_deferred_ones(database: Database) -> None:
    lane = make(database, limit=20)
    lane.connected()
    keep(lane, 0)
    leave_unanswered(lane, 0.0, times=3)
    add(lane, 1)
    on_the_wire = lane.next(0.0)
    assert on_the_wire is not None
    for number in range(2, 30):
        add(lane, number)
    count = len(lane)
    lane.remove(on_the_wire)
    assert len(lane) == count - 1
    left = drain(lane)
    assert 1 not in left
    assert left == sorted(set(left))
    assert drain(lane, 3600.0) == [0]
    assert len(lane) == 0


def test_nothing_overtakes_messages_behind_the_full_window(database: Database) -> None:
    """A disk that can't be written: no unit of work is flushed for a while."""
    lane = make(database)
    for number in range(300):
        add(lane, number)
    lane.connected()
    first = lane.next(0.0)
    assert first is not None
    lane.remove(first)
    add(lane, 300)
    assert drain(lane) == list(range(1, 301))


def test_messages_deferred_in_their_own_unit_of_work_are_there_once(database: Database) -> None:
    lane = make(database)
    for number in range(400):
        keep(lane, number)
    lane.connected()
    leave_unanswered(lane, 0.0, times=3)
    assert drain(lane) == []
    assert drain(lane, 3600.0) == list(range(400))
    assert len(lane) == 0


def test_salvaged_messages_leave_in_order(database: Database, tmp_path: Path) -> None:
    lane = make(database)
    database.on_replaced(lane.rewrite)
    put_raw(database, "elsewhere", MARK)
    keep(lane, 0)
    for number in range(1, 301):
        add(lane, number)
    assert database.commit()
    lane.flushed()
    database.read("PRAGMA wal_checkpoint(FULL)")
    lane.connected()
    leave_unanswered(lane, 0.0, times=3)
    sent = lane.next(0.0)
    assert sent is not None
    lane.remove(sent)
    spoil(tmp_path / "station.db")
    assert database.verify() is False
    add(lane, 301)
    assert len(lane) == 301
    assert drain(lane) == list(range(2, 302))
    assert drain(lane, 3600.0) == [0]
    assert len(lane) == 0
