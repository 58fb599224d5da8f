# SPDX-License-Identifier: Apache-2.0
"""Requests and acknowledgements against the real server, over a real socket."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from firmware.contract.display import Page, PageModel
from firmware.contract.messages import (
    Answer,
    CardPresented,
    Done,
    Event,
    EvseSelected,
    Permit,
    Plugged,
    Problem,
    Refused,
    Role,
    SetLimit,
    Show,
    Snapshot,
    Stamped,
    Withdraw,
)
from firmware.errors import ContractError
from firmware.ipc.hal_link import HalLink, LinkState
from hal.journal import Journal
from hal.server import HalServer
from tests.support.clock import ManualClock
from tests.support.sockets import AnsweringCabinet, eventually

PERMIT = Permit(evse=1, session="s", lease_s=10.0)


class Listener:
    """Records each call."""

    def __init__(self) -> None:
        self.snapshots: list[Snapshot] = []
        self.events: list[Stamped] = []
        self.answers: list[Answer] = []
        self.reasons: list[str] = []

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self.snapshots.append(snapshot)

    def on_hal_event(self, stamped: Stamped) -> None:
        self.events.append(stamped)

    def on_answer(self, answer: Answer) -> None:
        self.answers.append(answer)

    def on_hal_down(self, reason: str) -> None:
        self.reasons.append(reason)


def service_link(path: Path, listener: Listener, software: str = "") -> HalLink:
    return HalLink(path, listener, on_answer=listener.on_answer, role=Role.SERVICE, software=software)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "h"


@pytest.fixture
def cabinet() -> AnsweringCabinet:
    return AnsweringCabinet()


def new_server(cabinet: AnsweringCabinet, path: Path, journal: Journal | None = None) -> HalServer:
    return HalServer(cabinet, path=path, clock=ManualClock(), utc=lambda: 0.0, journal=journal)


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
async def server(cabinet: AnsweringCabinet, path: Path, journal: Journal) -> AsyncIterator[HalServer]:
    running = new_server(cabinet, path, journal)
    await running.start()
    yield running
    await running.close()


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
async def client(path: Path, listener: Listener) -> AsyncIterator[HalLink]:
    following = service_link(path, listener, software="ocpp 1")
    task = asyncio.create_task(following.run())
    yield following
    await stopped(task)


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def up(client: HalLink) -> None:
    await eventually(lambda: client.state is LinkState.UP)


async def test_up_with_the_snapshot(client: HalLink, server: HalServer, listener: Listener) -> None:
    await up(client)
    assert server.has_service
    assert [snapshot.run_id for snapshot in listener.snapshots] == [server.run_id] == [client.run_id]


async def test_requests_are_answered_by_id(
    client: HalLink, server: HalServer, listener: Listener, cabinet: AnsweringCabinet
) -> None:
    await up(client)
    first, second = client.request(PERMIT), client.request(Permit(evse=9, session="s", lease_s=1.0))
    assert listener.answers == []
    await eventually(lambda: len(listener.answers) == 2)
    assert listener.answers[0] == Done(id=first)
    assert listener.answers[1] == Refused(id=second, problem=Problem.UNKNOWN_EVSE, detail="there is no EVSE 9")
    assert cabinet.commands[0] == PERMIT


async def test_asking_while_down_is_an_error(path: Path, listener: Listener) -> None:
    client = service_link(path, listener)
    assert client.state is LinkState.DOWN
    with pytest.raises(ContractError, match="down"):
        client.request(PERMIT)
    with pytest.raises(ContractError, match="down"):
        client.acknowledge(1)


async def test_an_invalid_command_is_not_sent(client: HalLink, server: HalServer, listener: Listener) -> None:
    await up(client)
    with pytest.raises(ValueError):
        client.request(SetLimit(evse=1, power_w=float("nan")))
    with pytest.raises(ValueError):
        client.request(Show(screen=1, model=PageModel(page=Page.IDLE, connector="x" * 70_000)))
    request = client.request(Withdraw(evse=1))
    await eventually(lambda: listener.answers)
    assert listener.answers == [Done(id=request)]


async def test_events_come_in_order_and_acknowledged_ones_once(
    client: HalLink, server: HalServer, listener: Listener, cabinet: AnsweringCabinet, journal: Journal
) -> None:
    await up(client)
    for event in (Plugged(evse=1), EvseSelected(evse=1), CardPresented(uid="04AA")):
        cabinet.publish(event)
    await eventually(lambda: len(listener.events) == 3)
    assert [stamped.seq for stamped in listener.events] == [1, 2, 3]
    client.acknowledge(2, run_id=client.run_id)
    client.acknowledge(3, run_id="an earlier run")  # its 3 was another event
    client.request(PERMIT)
    await eventually(lambda: listener.answers)
    assert [stamped.seq for stamped in journal.unacknowledged()] == [3]


async def test_the_hal_restarts_with_another_run(
    client: HalLink, listener: Listener, cabinet: AnsweringCabinet, path: Path
) -> None:
    first = new_server(cabinet, path)
    await first.start()
    await up(client)
    cabinet.publish(Plugged(evse=1))
    await eventually(lambda: listener.events)
    await first.close()
    await eventually(lambda: listener.reasons)
    assert listener.reasons == ["the peer closed"]
    with pytest.raises(ContractError):
        client.request(PERMIT)
    second = new_server(cabinet, path)
    await second.start()
    await up(client)
    assert [snapshot.run_id for snapshot in listener.snapshots] == [first.run_id, second.run_id]
    assert listener.snapshots[-1].seq == 0
    await second.close()


async def test_an_observer_is_refused(path: Path, server: HalServer, listener: Listener) -> None:
    observer = HalLink(path, listener, on_answer=listener.on_answer)
    task = asyncio.create_task(observer.run())
    await up(observer)
    observer.request(PERMIT)
    await eventually(lambda: listener.answers)
    answer = listener.answers[0]
    assert isinstance(answer, Refused)
    assert answer.problem is Problem.NOT_ALLOWED
    assert not server.has_service
    await stopped(task)


async def test_a_second_service_waits(
    path: Path, server: HalServer, client: HalLink, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    await up(client)
    waiting = Listener()
    second = service_link(path, waiting, software="intruder")
    task = asyncio.create_task(second.run())
    await eventually(lambda: caplog.text.count("intruder connects as a second service beside ocpp 1") >= 2)
    assert (waiting.snapshots, listener.reasons) == ([], [])
    await stopped(task)


class Life:
    """One run of a service process: what it has seen is lost with it, `safe` numbers are on disk."""

    def __init__(self, path: Path) -> None:
        self.listener = Listener()
        self.client = service_link(path, self.listener)
        self.task = asyncio.create_task(self.client.run())

    def write(self, safe: list[int]) -> None:
        seen = [stamped.seq for stamped in self.listener.events]
        assert seen == sorted(set(seen))
        safe.extend(stamped.seq for stamped in self.listener.events if stamped.keep and stamped.seq not in safe)

    async def end(self, server: HalServer) -> None:
        await stopped(self.task)
        await eventually(lambda: not server.has_service)


@pytest.mark.parametrize("seed", range(3))
async def test_a_service_that_dies_at_random_misses_no_kept_event(
    path: Path, server: HalServer, cabinet: AnsweringCabinet, seed: int
) -> None:
    chance = random.Random(seed)
    kept: list[int] = []
    safe: list[int] = []
    life = Life(path)
    for number in range(1, 301):
        event: Event = Plugged(evse=number) if chance.random() < 0.5 else EvseSelected(evse=number)
        cabinet.publish(event)
        kept.extend([number] if isinstance(event, Plugged) else [])
        if chance.random() < 0.3:
            await asyncio.sleep(0)
        if chance.random() < 0.05:
            await up(life.client)
            life.write(safe)
            if safe and chance.random() < 0.7:
                life.client.acknowledge(safe[-1])
                await asyncio.sleep(0)
            await life.end(server)
            life = Life(path)
    await eventually(lambda: kept[-1] in [stamped.seq for stamped in life.listener.events] + safe)
    life.write(safe)
    assert safe == kept
    await life.end(server)
