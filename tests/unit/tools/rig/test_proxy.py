# SPDX-License-Identifier: Apache-2.0
"""The modes of the network, with an echo server on the loopback interface."""

from __future__ import annotations

import asyncio
import errno
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.sockets import eventually
from tools.rig.proxy import Network
from tools.rig.sockets import listen_unix


class Echo:
    """The far end: sends everything back, and records how connections ended."""

    def __init__(self) -> None:
        self.writers: list[asyncio.StreamWriter] = []
        self.received = b""
        self.ends: list[str] = []
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            while data := await reader.read(65536):
                self.received += data
                writer.write(data)
            self.ends.append("clean")
        except ConnectionResetError:
            self.ends.append("reset")
        finally:
            writer.close()

    def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self.writers:
            writer.close()


class Bed:
    """Connects through the network to the echo server."""

    def __init__(self, path: Path, echo: Echo, neighbour: Echo, network: Network) -> None:
        self.path = path
        self.echo = echo
        self.network = network
        self.open: list[asyncio.StreamWriter] = []
        self._neighbour = neighbour

    async def dial(
        self, *, interface: str = "Wired0", host: str = "127.0.0.1", port: int | None = None, early: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        self.open.append(writer)
        head = {"host": host, "port": port or self.echo.port, "interface": interface}
        writer.write(json.dumps(head).encode() + b"\n" + early)
        return reader, writer

    async def talking(self, interface: str = "Wired0") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection that has carried data in both directions."""
        reader, writer = await self.dial(interface=interface, early=b"hello")
        assert await answer(reader) == {}
        assert await reader.readexactly(5) == b"hello"
        return reader, writer

    async def silent(self, reader: asyncio.StreamReader) -> bool:
        """Whether nothing arrives, not even the end, after anything on the way has had the time to."""
        await self._let_bytes_arrive()
        try:
            async with asyncio.timeout(0.0):
                await reader.read(1)
        except TimeoutError:
            return True
        return False

    async def _let_bytes_arrive(self) -> None:
        """More round trips past the network than a byte has hops through it, there and back."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._neighbour.port)
        for _ in range(10):
            writer.write(b"x")
            await reader.readexactly(1)
        writer.close()


@pytest.fixture
async def bed(tmp_path: Path) -> AsyncIterator[Bed]:
    echo, neighbour, network = Echo(), Echo(), Network(["Wired0", "Wireless0"])
    await echo.start()
    await neighbour.start()
    server = await asyncio.get_running_loop().create_unix_server(
        network.protocol, sock=listen_unix(tmp_path / "network.sock")
    )
    bed = Bed(tmp_path / "network.sock", echo, neighbour, network)
    yield bed
    for writer in bed.open:
        writer.close()
    network.cut()
    server.close()
    echo.stop()
    neighbour.stop()
    await asyncio.sleep(0)


async def answer(reader: asyncio.StreamReader) -> dict[str, Any]:
    """What the network answers to a request."""
    async with asyncio.timeout(5.0):
        found: dict[str, Any] = json.loads(await reader.readline())
    return found


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the end of a connection, of either kind."""
    try:
        async with asyncio.timeout(5.0):
            return await reader.read(1) == b""
    except ConnectionResetError:
        return True


async def test_bytes_flow_both_ways_whole_and_in_order(bed: Bed) -> None:
    reader, writer = await bed.dial(early=b"first")
    payload = bytes(range(256)) * 8192
    sending = asyncio.create_task(_send(writer, payload))
    assert await answer(reader) == {}
    async with asyncio.timeout(10.0):
        assert await reader.readexactly(5 + len(payload)) == b"first" + payload
    await sending


async def _send(writer: asyncio.StreamWriter, payload: bytes) -> None:
    writer.write(payload)
    await writer.drain()


async def test_either_end_sees_that_the_other_closed(bed: Bed) -> None:
    _, writer = await bed.talking()
    writer.close()
    await eventually(lambda: bed.echo.ends == ["clean"])
    reader, _ = await bed.talking()
    bed.echo.writers[-1].close()
    assert await ended(reader)


@pytest.mark.parametrize(
    ("host", "port", "number", "resolver"),
    [
        ("127.0.0.1", 1, errno.ECONNREFUSED, False),
        ("255.255.255.255", 9, errno.ENETUNREACH, False),  # no TCP to a broadcast address
        ("csms.invalid", 9, socket.EAI_NONAME, True),
    ],
)
async def test_what_can_not_be_reached_gives_the_error(
    bed: Bed, host: str, port: int, number: int, resolver: bool
) -> None:
    reader, _ = await bed.dial(host=host, port=port)
    found = await answer(reader)
    assert (found["errno"], found.get("resolver", False)) == (number, resolver)
    assert await ended(reader)


async def test_a_name_whose_addresses_all_refuse_gives_their_errors(bed: Bed) -> None:
    """asyncio gives them as text, unless they are alike."""
    reader, _ = await bed.dial(host="localhost", port=1)
    found = await answer(reader)
    assert found.get("errno") == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in found["text"]
    assert await ended(reader)


@pytest.mark.parametrize(
    "line",
    [
        b"rubbish\n",
        b"{}\n",
        b'{"host":"127.0.0.1","port":"x"}\n',
        b"x" * 5000,
    ],
)
async def test_an_invalid_request_is_closed(bed: Bed, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(bed.path))
    bed.open.append(writer)
    writer.write(line)
    assert await ended(reader)


@pytest.mark.parametrize(
    "line",
    [
        b'{"host":"127.0.0.1","port":99999999}\n',
        b'{"host":"\\u0000","port":80}\n',
        b'{"host":"127.0.0.1","port":80,"interface":"Wired7"}\n',
    ],
)
async def test_an_address_that_does_not_exist_is_refused(bed: Bed, line: bytes) -> None:
    reader, writer = await asyncio.open_unix_connection(str(bed.path))
    bed.open.append(writer)
    writer.write(line)
    assert await answer(reader) != {}
    assert await ended(reader)


async def test_down_cuts_and_refuses_until_up(bed: Bed) -> None:
    reader, _ = await bed.talking()
    bed.network.set_mode("down", None)
    assert await ended(reader)
    await eventually(lambda: bed.echo.ends == ["reset"])
    reader, _ = await bed.dial()
    assert (await answer(reader))["errno"] == errno.ENETUNREACH
    assert await ended(reader)
    bed.network.set_mode("up", None)
    await bed.talking()


async def test_refuse_leaves_what_is_established(bed: Bed) -> None:
    reader, writer = await bed.talking()
    bed.network.set_mode("refuse", None)
    writer.write(b"still here")
    assert await reader.readexactly(10) == b"still here"
    refused, _ = await bed.dial()
    assert (await answer(refused))["errno"] == errno.ECONNREFUSED
    assert await ended(refused)


async def test_blackhole_drops_data_of_established_and_new(bed: Bed) -> None:
    reader, writer = await bed.talking()
    bed.network.set_mode("blackhole", None)
    writer.write(b"lost")
    bed.echo.writers[0].write(b"lost too")
    new, new_writer = await bed.dial()
    new_writer.write(b"anyone?")
    assert await bed.silent(reader)
    assert await bed.silent(new)
    assert bed.echo.received == b"hello"


async def test_blackhole_drops_an_end_too(bed: Bed) -> None:
    _, writer = await bed.talking()
    other, _ = await bed.talking()
    bed.network.set_mode("blackhole", None)
    writer.close()
    bed.echo.writers[1].close()
    assert await bed.silent(other)
    assert bed.echo.ends == ["clean"], "the one that it closed itself, not the one that the station closed"
    bed.network.set_mode("up", None)
    await eventually(lambda: bed.echo.ends == ["clean", "reset"])
    assert await ended(other)


async def test_connection_that_lost_bytes_stays_dead_and_an_idle_one_lives(bed: Bed) -> None:
    lossy, lossy_writer = await bed.talking()
    idle, idle_writer = await bed.talking()
    bed.network.set_mode("blackhole", None)
    lossy_writer.write(b"lost")
    assert await bed.silent(lossy)
    bed.network.set_mode("up", None)
    lossy_writer.write(b"late")
    idle_writer.write(b"fine")
    assert await idle.readexactly(4) == b"fine"
    assert await bed.silent(lossy)


async def test_close_is_clean_for_both_and_new_ones_are_accepted(bed: Bed) -> None:
    reader, _ = await bed.talking()
    bed.network.close_established(None)
    assert await reader.read() == b""
    await eventually(lambda: bed.echo.ends == ["clean"])
    await bed.talking()


async def test_latency_delays_and_keeps_the_order(bed: Bed) -> None:
    reader, writer = await bed.talking()
    bed.network.set_latency(0.05, None)
    loop = asyncio.get_running_loop()
    start = loop.time()
    for part in (b"1", b"2", b"3"):
        writer.write(part)
        await asyncio.sleep(0)
    assert await reader.readexactly(3) == b"123"
    assert loop.time() - start >= 0.1
    writer.write(b"4")
    bed.network.set_latency(0.0, None)
    writer.write(b"5")
    assert await reader.readexactly(2) == b"45"


async def test_interfaces_are_independent(bed: Bed) -> None:
    wired, _ = await bed.talking("Wired0")
    wireless, wireless_writer = await bed.talking("Wireless0")
    bed.network.set_mode("down", "Wired0")
    assert await ended(wired)
    wireless_writer.write(b"ok")
    assert await wireless.readexactly(2) == b"ok"


async def test_power_cut_leaves_nothing(bed: Bed) -> None:
    reader, _ = await bed.talking()
    bed.network.cut()
    assert await ended(reader)
    await eventually(lambda: bed.echo.ends == ["reset"])
