# SPDX-License-Identifier: Apache-2.0
"""The client against a scripted HAL, which usually breaks the contract."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from firmware.contract.messages import CONTRACT_VERSION, Greeting, Plugged, Role, Snapshot, Stamped
from firmware.ipc.framing import encode
from firmware.ipc.hal_link import HalLink, LinkState
from tests.support.sockets import RawPeer, ScriptedServer, eventually, snapshot
from tests.support.timer import ManualTimer

GREETING = encode(Greeting(version=CONTRACT_VERSION, role=Role.SERVICE, software="hal"))


class Watcher:
    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.events: list[Stamped] = []
        self.reasons: list[str] = []

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def on_hal_event(self, stamped: Stamped) -> None:
        self.events.append(stamped)

    def on_hal_down(self, reason: str) -> None:
        self.reasons.append(reason)


def event(seq: int) -> bytes:
    return encode(Stamped(seq=seq, mono_s=0.0, utc_s=0.0, event=Plugged(evse=1)))


@asynccontextmanager
async def following(
    path: Path, script: Callable[[RawPeer], Coroutine[Any, Any, None]], **options: Any
) -> AsyncIterator[tuple[HalLink, Watcher, ScriptedServer]]:
    watcher = Watcher()
    link = HalLink(path, watcher, software="rig 1", **options)
    async with ScriptedServer(path, script) as server:
        task = asyncio.create_task(link.run())
        yield link, watcher, server
        task.cancel()
        await asyncio.wait([task])
        assert link.state is LinkState.DOWN


async def test_greeting_snapshot_events(tmp_path: Path) -> None:
    heard: list[dict[str, Any]] = []

    async def script(peer: RawPeer) -> None:
        peer.send(GREETING + encode(snapshot(7)) + event(8) + event(9))
        heard.append(await peer.hear())
        await peer.closed()

    async with following(tmp_path / "s", script) as (link, watcher, _):
        await eventually(lambda: len(watcher.events) == 2)
        assert (link.state, link.run_id) == (LinkState.UP, "run")
        assert watcher.snapshots == [snapshot(7)]
        assert heard == [{"kind": "greeting", "version": CONTRACT_VERSION, "role": "observer", "software": "rig 1"}]
    assert watcher.reasons == []  # we have closed it ourselves


async def test_down_and_up_again(tmp_path: Path) -> None:
    seq = iter(range(0, 1000, 100))

    async def script(peer: RawPeer) -> None:
        first = next(seq)
        await peer.hear()
        peer.send(GREETING + encode(snapshot(first)) + event(first + 1))
        if first == 100:
            await peer.closed()

    async with following(tmp_path / "s", script) as (link, watcher, _):
        await eventually(lambda: len(watcher.events) == 2)
        assert [stamped.seq for stamped in watcher.events] == [1, 101]
        assert watcher.reasons == ["the peer closed"]
        assert link.state is LinkState.UP


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (event(9), "event 9 after 7"),
        (GREETING, "a second greeting"),
        (b"\n", "not a message of the contract"),
        (b"x" * 70_000, "a line of more than"),
        (b'{"kind":"done","id":1}\n', "an answer to 1"),
    ],
)
async def test_a_hal_that_breaks_the_contract_is_disconnected_and_dialled_again(
    tmp_path: Path, lines: bytes, reason: str
) -> None:
    async def script(peer: RawPeer) -> None:
        peer.send(GREETING + encode(snapshot(7)) + lines)
        await peer.closed()

    async with following(tmp_path / "s", script) as (_, watcher, server):
        await eventually(lambda: server.connections >= 2 and watcher.reasons)
        assert reason in watcher.reasons[0]
        assert watcher.events == []


async def test_a_silent_hal_is_disconnected(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def script(peer: RawPeer) -> None:
        peer.send(GREETING)
        await peer.closed()

    async with following(tmp_path / "s", script, snapshot_timeout_s=0.02) as (_, watcher, server):
        await eventually(lambda: server.connections >= 3)
        assert (watcher.snapshots, watcher.reasons) == ([], [])
    assert caplog.text.count("no snapshot within 0.02 s") == 1


async def test_an_idle_hal_stays_connected(tmp_path: Path) -> None:
    much_later = asyncio.Event()

    async def script(peer: RawPeer) -> None:
        peer.send(GREETING)
        await eventually(lambda: timer.pending == [2.0])
        peer.send(encode(snapshot()))
        await much_later.wait()
        peer.send(event(1))
        await peer.closed()

    timer = ManualTimer()
    async with following(tmp_path / "s", script, timer=timer) as (_, watcher, server):
        await eventually(lambda: watcher.snapshots)
        assert timer.pending == []  # nothing is left that would end the connection
        timer.advance(3600.0)
        much_later.set()
        await eventually(lambda: watcher.events)
        assert server.connections == 1


async def test_another_version_is_logged_once_for_each_change(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    versions = iter([98, 98, 98, 99, 99])
    met: list[int] = []

    async def script(peer: RawPeer) -> None:
        version = next(versions, 99)
        peer.send(encode(Greeting(version=version, software="hal")))
        await peer.closed()
        met.append(version)

    async with following(tmp_path / "s", script, version_retry_s=0.001) as (_, watcher, _server):
        await eventually(lambda: len(met) >= 6)
        assert watcher.snapshots == []
    assert caplog.text.count("version 98") == 1
    assert caplog.text.count("version 99") == 1


async def test_another_version_gets_a_long_pause(tmp_path: Path) -> None:
    async def script(peer: RawPeer) -> None:
        peer.send(encode(Greeting(version=99)))
        await peer.closed()

    timer = ManualTimer()
    async with following(tmp_path / "s", script, timer=timer) as (_, _, server):
        for connections in range(1, 4):
            await eventually(lambda: timer.pending == [5.0])  # not one of the usual pauses
            assert server.connections == connections
            timer.advance(5.0)
