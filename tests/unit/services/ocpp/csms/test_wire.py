# SPDX-License-Identifier: Apache-2.0
"""One WebSocket against a peer that writes its bytes by hand: what comes in which read, and what never ends."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from websockets.frames import Frame, Opcode
from websockets.uri import parse_uri
from websockets.utils import accept_key

from services.ocpp.csms import wire as module
from services.ocpp.csms.wire import Wire

_ANSWER = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "


def _frame(opcode: Opcode, data: bytes, *, fin: bool = True) -> bytes:
    return Frame(opcode, data, fin).serialize(mask=False)


def _text(text: str) -> bytes:
    return _frame(Opcode.TEXT, text.encode())


class _Peer:
    """The CSMS's side of the TCP connection, after its answer to the handshake."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def read(self, count: int) -> bytes:
        async with asyncio.timeout(5.0):
            return await self.reader.readexactly(count)


@contextlib.asynccontextmanager
async def _wire(with_the_answer: bytes = b"") -> AsyncIterator[tuple[Wire, _Peer]]:
    peers: asyncio.Queue[_Peer] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0]
        protocol = b"\r\nSec-WebSocket-Protocol: ocpp2.0.1\r\n\r\n"
        writer.write(_ANSWER + accept_key(key).encode() + protocol + with_the_answer)
        peers.put_nowait(_Peer(reader, writer))

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        wire = Wire(parse_uri(f"ws://127.0.0.1:{port}/ocpp/CP001"), {})
        await asyncio.get_running_loop().create_connection(lambda: wire, "127.0.0.1", port)
        peer = await peers.get()
        try:
            yield wire, peer
        finally:
            wire.abort()
            peer.writer.close()


async def _closed(wire: Wire) -> None:
    async with asyncio.timeout(5.0):
        await wire.closed


async def test_messages_that_come_with_the_handshake_wait_for_the_listener() -> None:
    many = [str(number) for number in range(50)]
    async with _wire(b"".join(map(_text, many))) as (wire, peer):
        await wire.opened
        peer.writer.write(_text("later"))
        received: list[str | bytes] = []
        done = asyncio.Event()

        def listen(message: str | bytes) -> None:
            received.append(message)
            if message == "later":
                done.set()

        wire.listen(listen)
        async with asyncio.timeout(5.0):
            await done.wait()
        assert received == [*many, "later"]


async def test_what_came_before_a_close_is_handed_over() -> None:
    many = [str(number) for number in range(50)]
    async with _wire() as (wire, peer):
        received: list[str | bytes] = []
        wire.listen(received.append)
        peer.writer.write(b"".join(map(_text, many)) + _frame(Opcode.CLOSE, b"\x03\xe8"))
        assert (await peer.read(2))[0] == 0x88  # the echo
        peer.writer.close()
        await _closed(wire)
        assert received == many
        assert wire.protocol.close_rcvd is not None
        assert wire.protocol.close_rcvd.code == 1000


async def test_between_the_messages_of_a_burst_the_loop_goes_on() -> None:
    """And nothing more is read meanwhile, so that memory holds no more than one read."""
    async with _wire() as (wire, peer):
        turns = 0
        seen: list[int] = []

        def turn() -> None:
            nonlocal turns
            turns += 1
            if not wire.closed.done():
                loop.call_soon(turn)

        loop = asyncio.get_running_loop()
        loop.call_soon(turn)
        wire.listen(lambda _: seen.append(turns))
        peer.writer.write(b"".join([_text("x")] * 2000) + _frame(Opcode.CLOSE, b"\x03\xe8"))
        peer.writer.close()
        await _closed(wire)
        assert len(seen) == 2000
        assert max(seen.count(each) for each in set(seen)) <= module._AT_ONCE


async def test_fragments_of_text_and_of_binary_messages() -> None:
    async with _wire() as (wire, peer):
        received: list[str | bytes] = []
        wire.listen(received.append)
        euro = "€".encode()
        peer.writer.write(
            _frame(Opcode.TEXT, euro[:1], fin=False)
            + _frame(Opcode.PING, b"between")
            + _frame(Opcode.CONT, euro[1:])
            + _frame(Opcode.BINARY, b"\xff", fin=False)
            + _frame(Opcode.CONT, b"\xfe")
            + _text("whole")
            + _frame(Opcode.CLOSE, b"\x03\xe8")
        )
        peer.writer.close()
        await _closed(wire)
        assert received == ["€", b"\xff\xfe", "whole"]


async def test_fragments_without_end_take_no_memory() -> None:
    async with _wire() as (wire, peer):
        wire.listen(lambda _: None)
        peer.writer.write(_frame(Opcode.TEXT, b"x", fin=False) + _frame(Opcode.CONT, b"", fin=False) * 100_000)
        peer.writer.write(_frame(Opcode.CLOSE, b"\x03\xe8"))
        peer.writer.close()
        await _closed(wire)
        assert bytes(wire._fragments) == b"x"
        assert not wire._received


async def test_fragments_of_more_than_a_message_may_have_close_with_1009() -> None:
    async with _wire() as (wire, peer):
        received: list[str | bytes] = []
        wire.listen(received.append)
        half = b"x" * (module.MAX_FRAME_BYTES // 2)
        peer.writer.write(_frame(Opcode.TEXT, half, fin=False) + _frame(Opcode.CONT, half + b"x"))
        assert (await peer.read(1)) == b"\x88"
        peer.writer.close()
        await _closed(wire)
        assert (received, wire.protocol.close_sent and wire.protocol.close_sent.code) == ([], 1009)


async def test_after_a_text_that_is_no_utf8_nothing_is_handed_over() -> None:
    async with _wire() as (wire, peer):
        received: list[str | bytes] = []
        wire.listen(received.append)
        peer.writer.write(_text("good") + _frame(Opcode.TEXT, b"\xff") + _text("behind it"))
        peer.writer.close()
        await _closed(wire)
        assert (received, wire.protocol.close_sent and wire.protocol.close_sent.code) == (["good"], 1007)


async def test_what_the_listener_raises_ends_the_connection() -> None:
    async with _wire() as (wire, peer):
        calls = []

        def fail(message: str | bytes) -> None:
            calls.append(message)
            raise ZeroDivisionError

        wire.listen(fail)
        peer.writer.write(_text("1") + _text("2"))
        with pytest.raises(ZeroDivisionError):
            await _closed(wire)
        assert calls == ["1"]


async def test_a_peer_that_closes_and_stays_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CLOSE_TIMEOUT_S", 0.01)
    async with _wire() as (wire, peer):
        wire.listen(lambda _: None)
        peer.writer.write(_frame(Opcode.CLOSE, b"\x03\xe8"))
        await _closed(wire)


async def test_another_pong_than_the_one_that_is_awaited_is_none() -> None:
    async with _wire() as (wire, peer):
        wire.listen(lambda _: None)
        asked = asyncio.ensure_future(wire.answers_ping(0.2))
        assert (await peer.read(1)) == b"\x89"
        peer.writer.write(_frame(Opcode.PONG, b"another"))
        assert not await asked
