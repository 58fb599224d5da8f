# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from contextvars import copy_context

import pytest

from tests.support.sockets import eventually
from tools.fleet.network import STATION, NetworkLoop


class _End(asyncio.Protocol):
    """One end of a connection."""

    def __init__(self, ends: list[_End]) -> None:
        ends.append(self)
        self.transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None


async def _play(loop: NetworkLoop) -> None:
    ends: list[_End] = []
    served: list[_End] = []
    server = await loop.create_server(lambda: _End(served), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    def connect(number: int) -> asyncio.Task[object]:
        context = copy_context()
        context.run(STATION.set, number)
        return loop.create_task(loop.create_connection(lambda: _End(ends), "127.0.0.1", port), context=context)

    await connect(1)
    await connect(2)
    loop.fail(lambda number: number == 1)
    await eventually(lambda: ends[0].transport is None)
    with pytest.raises(OSError, match="unreachable"):
        await connect(1)
    await connect(2)
    assert ends[1].transport is not None
    loop.fail(lambda number: False)
    await connect(1)
    loop.fail(lambda number: True)
    server.close()
    await eventually(lambda: len(served) == 4 and all(each.transport is None for each in (*ends, *served)))


def test_an_outage_breaks_and_refuses_the_connections_of_its_stations_only() -> None:
    with asyncio.Runner(loop_factory=NetworkLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, NetworkLoop)
        runner.run(_play(loop))
