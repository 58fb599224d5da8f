# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from firmware.errors import StorageError
from tools.csms.store import Limits, MessageRow, Store, StoredEvent, Token


def _row(text: str = "[]", station: str = "CP001") -> MessageRow:
    return MessageRow(0, "2026-11-23T12:00:00.000Z", station, "in", "call", "Heartbeat", "m1", text)


def test_messages_come_back_in_order_and_by_number(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    rows = [store.add_message(_row(str(number), f"CP{number % 2}")) for number in range(10)]
    assert store.messages() == rows
    assert store.messages(limit=3) == rows[-3:]
    assert store.messages(after=rows[3].id, limit=2) == rows[4:6]
    assert store.messages(before=rows[3].id, limit=2) == rows[1:3]
    assert store.messages("CP1") == rows[1::2]
    assert store.message(rows[5].id) == rows[5]
    assert store.message(999) is None


def test_the_oldest_are_deleted_first(tmp_path: Path) -> None:
    store = Store(tmp_path / "db", Limits(messages=5, transactions=2, events=3, stations=2))
    for number in range(9):
        store.add_message(_row(str(number)))
        store.put_station(f"CP{number}", b"{}")
        store.put_transaction("CP1", f"t{number}", b'"%d"' % number)
        store.add_event("CP1", "t", StoredEvent(number, "", msgspec.Raw(b"{}"), 0, 0))
    store.prune()
    assert [row.text for row in store.messages()] == ["4", "5", "6", "7", "8"]
    assert store.transactions() == [b'"7"', b'"8"']
    assert [event.seq_no for event in store.events("CP1", "t")] == [6, 7, 8]
    assert len(store.stations()) == 2


def test_big_messages_are_bounded_by_their_size(tmp_path: Path) -> None:
    store = Store(tmp_path / "db", Limits(message_bytes=100_000))
    for _ in range(300):
        store.add_message(_row("x" * 1000))
    assert sum(len(row.text) for row in store.messages(limit=1000)) <= 100_000
    assert store.messages()


def test_tokens_are_compared_without_case_and_deletions_last(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    assert store.token("deadbeef") == Token("DEADBEEF", status="Blocked")
    store.put_token(Token("abc", "Central", "Expired", "GROUP"))
    assert store.token("ABC") == Token("ABC", "Central", "Expired", "GROUP")
    assert store.delete_token("DeadBeef")
    assert not store.delete_token("DEADBEEF")
    store.close()
    assert [token.id_token for token in Store(tmp_path / "db").tokens()] == ["04A1B2C3D4E580", "ABC"]


def test_the_file_is_its_owners_only(tmp_path: Path) -> None:
    Store(tmp_path / "db").close()
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600


def test_a_damaged_file_is_renamed(tmp_path: Path) -> None:
    (tmp_path / "db").write_bytes(b"no database" * 1000)
    assert Store(tmp_path / "db").messages() == []
    assert (tmp_path / "db.damaged").read_bytes().startswith(b"no database")


def test_a_number_that_no_column_holds_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        Store(tmp_path / "db").add_event("CP1", "t", StoredEvent(2**70, "", msgspec.Raw(b"{}"), 0, 0))


def test_a_group_is_on_disk_after_its_commit(tmp_path: Path) -> None:
    store, reader = Store(tmp_path / "db", grouped=True), Store(tmp_path / "db")
    row = store.add_message(_row())
    assert (store.messages(), reader.messages()) == ([row], [])
    store.commit()
    store.commit()
    assert reader.messages() == [row]
    store.add_message(_row())
    store.close()
    assert len(reader.messages()) == 2


def test_a_group_that_the_disk_does_not_take_is_lost_and_the_next_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "db", grouped=True)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages + 4}")
    with pytest.raises(StorageError, match="full"):
        store.add_message(_row("x" * 100_000))
    with pytest.raises(StorageError, match="lost"):
        store.commit()
    row = store.add_message(_row())
    store.commit()
    assert Store(tmp_path / "db").messages() == [row]
