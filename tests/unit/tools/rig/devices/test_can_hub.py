# SPDX-License-Identifier: Apache-2.0
"""The hub as an adapter sees it: lines in, lines out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.support.sockets import eventually
from tools.rig.devices.can_hub import CanHub


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def says(self, line: bytes, answer: bytes) -> None:
        self._writer.write(line)
        async with asyncio.timeout(10.0):
            assert await self._reader.readexactly(len(answer)) == answer

    def vanish(self) -> None:
        self._writer.transport.abort()


@pytest.fixture
async def hub() -> AsyncIterator[CanHub]:
    hub = CanHub()
    await hub.start()
    yield hub
    hub.close()


@pytest.fixture
async def client(hub: CanHub) -> AsyncIterator[Client]:
    client = await connect(hub)
    yield client
    client.vanish()


async def connect(hub: CanHub) -> Client:
    return Client(*await asyncio.open_connection("127.0.0.1", hub.port))


async def test_commands_of_an_adapter(hub: CanHub, client: Client) -> None:
    await client.says(b"C\rS6\rO\r", b"\r\r\r")
    await client.says(b"V\rN\rF\r", b"V1013\rN0001\rF00\r")
    await client.says(b"?\r", b"\a")
    await client.says(b"T0106B000107\rT0106B0", b"Z\r")
    await client.says(b"00107\r", b"Z\r")
    assert hub.sent == 2


@pytest.mark.parametrize(
    "line", [b"T0106B00017\r", b"T0106B000207\r", b"TFFFFFFFF0\r", b"T0106B0009001122334455667788\r"]
)
async def test_frame_that_is_none_is_refused(hub: CanHub, client: Client, line: bytes) -> None:
    await client.says(b"O\r" + line, b"\r\a")
    assert hub.sent == 0


async def test_client_that_vanishes_hurts_nobody(hub: CanHub, client: Client) -> None:
    other = await connect(hub)
    await other.says(b"O\r", b"\r")
    await client.says(b"O\r", b"\r")
    other.vanish()
    await client.says(b"T0106B000107\r", b"Z\r")
    await eventually(lambda: hub.clients == 1)


async def test_closed_channel_neither_sends_nor_receives(hub: CanHub, client: Client) -> None:
    await client.says(b"T0106B000107\r", b"\a")
    hub.attach(lambda _id, _data: None)(0x1, b"")
    await client.says(b"O\r", b"\r")


async def test_full_and_bus_off(hub: CanHub, client: Client) -> None:
    send = hub.attach(lambda _id, _data: None)
    await client.says(b"O\r", b"\r")
    hub.full = True
    await client.says(b"T0106B000107\r", b"\a")
    send(0x1, b"\x01")
    await client.says(b"", b"T00000001101\r")
    hub.bus_off = True
    send(0x1, b"\x02")
    await client.says(b"F\r", b"F80\r")


async def test_client_that_does_not_read_in_time_loses_frames(hub: CanHub, client: Client) -> None:
    await client.says(b"O\r", b"\r")
    (served,) = hub._clients
    assert served._transport is not None
    send = hub.attach(lambda _id, _data: None)
    for _ in range(10_000):
        send(0x1, bytes(8))
    assert served._transport.get_write_buffer_size() < 100_000


async def test_nodes_in_this_process_hear_each_other_but_not_themselves(hub: CanHub) -> None:
    heard: list[tuple[str, int]] = []

    def one(can_id: int, _data: bytes) -> None:
        heard.append(("one", can_id))

    def other(can_id: int, _data: bytes) -> None:
        heard.append(("other", can_id))

    send_one, send_other = hub.attach(one), hub.attach(other)
    send_one(0x1, b"")
    send_other(0x2, b"")
    hub.detach(one)
    send_other(0x3, b"")
    assert heard == [("other", 0x1), ("one", 0x2)]
