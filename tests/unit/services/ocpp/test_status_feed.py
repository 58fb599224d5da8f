# SPDX-License-Identifier: Apache-2.0
"""The status feed, and the client that follows it."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from firmware.contract.status import CardNotice, FromService, TransactionNotice
from firmware.ipc.status import StatusClient
from services.ocpp.status_feed import StatusFeed
from tests.support.service_status import STATUS
from tests.support.sockets import RawPeer, eventually

OFFLINE = replace(STATUS, connected=False)
CARD = CardNotice(uid="04AA", outcome="started")
STARTED = TransactionNotice(evse=1, id="t", change="started")


class Watcher:
    def __init__(self) -> None:
        self.messages: list[FromService] = []
        self.reasons: list[str] = []

    def on_service_message(self, message: FromService) -> None:
        self.messages.append(message)

    def on_service_down(self, reason: str) -> None:
        self.reasons.append(reason)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s"


@pytest.fixture
async def feed(path: Path) -> AsyncIterator[StatusFeed]:
    running = StatusFeed(path)
    await running.start()
    yield running
    await running.close()


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
async def client(path: Path, watcher: Watcher) -> AsyncIterator[StatusClient]:
    following = StatusClient(path, watcher)
    task = asyncio.create_task(following.run())
    yield following
    task.cancel()
    await asyncio.wait([task])


async def test_the_last_status_comes_first(path: Path, feed: StatusFeed) -> None:
    for message in (STATUS, CARD, OFFLINE):
        feed.publish(message)
    peer = await RawPeer.connect(path)
    first = await peer.hear()
    assert (first["kind"], first["connected"]) == ("status", False)
    feed.publish(CARD)
    assert await peer.hear() == {"kind": "card", "uid": "04AA", "outcome": "started"}
    await peer.close()


async def test_only_changes_are_sent(feed: StatusFeed, client: StatusClient, watcher: Watcher) -> None:
    feed.publish(STATUS)
    await eventually(lambda: watcher.messages)
    for message in (replace(STATUS), STARTED, STARTED, replace(STATUS), OFFLINE, CARD):
        feed.publish(message)
    await eventually(lambda: watcher.messages[-1] == CARD)
    assert watcher.messages == [STATUS, STARTED, STARTED, OFFLINE, CARD]
    assert client.status == OFFLINE


async def test_a_status_before_start_is_sent_later(path: Path) -> None:
    feed = StatusFeed(path)
    feed.publish(STATUS)
    await feed.start()
    peer = await RawPeer.connect(path)
    assert (await peer.hear())["firmware_version"] == "1.0.0"
    await feed.close()
    await peer.close()


async def test_the_client_waits_for_the_service_and_follows_it_through_a_restart(
    path: Path, client: StatusClient, watcher: Watcher
) -> None:
    for status in (STATUS, OFFLINE):
        feed = StatusFeed(path)
        feed.publish(status)
        await feed.start()
        await eventually(lambda status=status: client.status == status)  # type: ignore[misc]
        reasons = len(watcher.reasons)
        await feed.close()
        await eventually(lambda reasons=reasons: len(watcher.reasons) == reasons + 1)  # type: ignore[misc]
        assert client.status is None
    assert watcher.messages == [STATUS, OFFLINE]


async def test_an_observer_that_sends_is_closed_and_the_others_are_not(
    path: Path, feed: StatusFeed, client: StatusClient, watcher: Watcher
) -> None:
    feed.publish(STATUS)
    await eventually(lambda: watcher.messages)
    peer = await RawPeer.connect(path)
    await peer.hear()
    peer.send(b'{"kind":"status"}\n')
    assert await peer.line() == b""
    feed.publish(CARD)
    await eventually(lambda: watcher.messages[-1] == CARD)
    await peer.close()


async def test_a_slow_reader_is_closed_and_delays_no_other(
    path: Path, feed: StatusFeed, client: StatusClient, watcher: Watcher, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    feed.publish(STATUS)
    await eventually(lambda: watcher.messages)
    slow = await RawPeer.connect(path)
    await slow.hear()
    slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
    notice = CardNotice(uid="0" * 10_000, outcome="rejected")
    for _ in range(500):
        feed.publish(notice)
        await asyncio.sleep(0)
        if "has disconnected" in caplog.text:
            break
    assert caplog.text.count("has disconnected: the peer left") == 1
    feed.publish(CARD)
    await eventually(lambda: watcher.messages[-1:] == [CARD])
    assert watcher.reasons == []
    await slow.close()


@pytest.mark.parametrize(("uids", "mode"), [(frozenset(), 0o600), (frozenset({54321}), 0o660)])
async def test_it_is_for_the_same_user_unless_others_are_named(path: Path, uids: frozenset[int], mode: int) -> None:
    feed = StatusFeed(path, allowed_uids=uids)
    await feed.start()
    assert stat.S_IMODE(os.stat(path).st_mode) == mode
    await feed.close()
