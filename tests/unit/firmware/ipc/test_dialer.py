# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from firmware.contract.messages import FromClient
from firmware.ipc.connection import Connection
from firmware.ipc.dialer import Backoff, Dialer
from firmware.ipc.framing import Decoder
from tests.support.sockets import RawPeer, ScriptedServer, eventually

decode: Decoder[FromClient] = Decoder(FromClient)


class Owner:
    """Counts connections, and declares each proven if it has a dialer."""

    def __init__(self) -> None:
        self.opened = 0
        self.reasons: list[str] = []
        self.dialer: Dialer[FromClient] | None = None

    def on_open(self, connection: Connection[FromClient]) -> None:
        self.opened += 1
        if self.dialer is not None:
            self.dialer.proven()

    def on_message(self, connection: Connection[FromClient], message: FromClient) -> None:
        raise AssertionError("nothing is sent here")

    def on_closed(self, connection: Connection[FromClient], reason: str) -> None:
        self.reasons.append(reason)


class CountingBackoff(Backoff):
    """Very short pauses, counted."""

    def __init__(self) -> None:
        super().__init__(0.001, 0.001)
        self.pauses = 0
        self.resets = 0

    def next(self) -> float:
        self.pauses += 1
        return super().next()

    def reset(self) -> None:
        self.resets += 1


async def hang_up(peer: RawPeer) -> None:
    """A server that closes each connection at once."""


async def stay(peer: RawPeer) -> None:
    await peer.closed()


async def cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


def test_pauses_double_up_to_a_second() -> None:
    backoff = Backoff()
    assert [backoff.next() for _ in range(7)] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0]
    backoff.once(5.0)
    assert [backoff.next(), backoff.next()] == [5.0, 1.0]
    backoff.reset()
    assert backoff.next() == 0.05


async def test_it_waits_for_a_server_and_logs_that_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    owner, backoff = Owner(), CountingBackoff()
    dialer = Dialer(tmp_path / "s", decode, owner, backoff=backoff)
    task = asyncio.create_task(dialer.run())
    await eventually(lambda: backoff.pauses > 5)
    assert caplog.text.count("No such file") == 1
    async with ScriptedServer(tmp_path / "s", stay) as server:
        await eventually(lambda: owner.opened == 1)
        await cancelled(task)
        await eventually(lambda: owner.reasons == ["we are stopping"])
        assert server.connections == 1


async def test_it_reconnects(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    owner, backoff = Owner(), CountingBackoff()
    async with ScriptedServer(tmp_path / "s", hang_up):
        task = asyncio.create_task(Dialer(tmp_path / "s", decode, owner, backoff=backoff).run())
        await eventually(lambda: owner.opened > 5)
        await cancelled(task)
    assert caplog.text.count("no connection: the peer closed") == 1
    assert backoff.resets == 0


@pytest.mark.parametrize(("stable_s", "resets"), [(0.0, True), (60.0, False)])
async def test_pauses_are_short_again_after_a_good_connection_that_lasted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, stable_s: float, resets: bool
) -> None:
    owner, backoff = Owner(), CountingBackoff()
    owner.dialer = Dialer(tmp_path / "s", decode, owner, backoff=backoff, stable_s=stable_s)
    async with ScriptedServer(tmp_path / "s", hang_up):
        task = asyncio.create_task(owner.dialer.run())
        await eventually(lambda: backoff.pauses > 2)
        await cancelled(task)
    assert bool(backoff.resets) is resets
    assert caplog.text == ""  # the owner logs the end of a good connection
