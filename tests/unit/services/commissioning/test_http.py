# SPDX-License-Identifier: Apache-2.0
"""The port: what is no TLS, no HTTP, too slow, too long or without end is cut, and the next client is served."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.commissioning.http import server as server_module
from services.commissioning.http.connection import MAX_HEAD_BYTES, Limits
from services.commissioning.http.messages import Answer, Request, as_json
from services.commissioning.http.server import PortError, Server
from tests.support.commissioning import page_pem
from tests.support.sockets import eventually

QUICK = Limits(head_s=0.2, idle_s=0.2, body_s=0.2, write_s=0.2, linger_s=0.2)
PATIENT = Limits(linger_s=0.05)
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Site:
    """A server whose handler echoes, streams, or fails."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        (folder / "page.pem").write_bytes(page_pem())
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(folder / "page.pem")
        self.server = Server(self.answer, context, headers=(("X-Ours", "yes"),), limits=limits)
        self.streams = 0
        self.stream_of: Callable[[], AsyncGenerator[bytes]] = self.ticks

    async def answer(self, request: Request) -> Answer:
        match request.path:
            case ("echo",):
                return Answer(body=await request.read(1000), content_type="text/plain")
            case ("stream",):
                return Answer(stream=self.stream_of())
            case ("fails",):
                raise RuntimeError("a bug")
            case ("header",):
                return as_json(request.header("x-twice"))
            case ("query",):
                return as_json(request.query)
            case _:
                return as_json({"path": request.path, "address": request.address})

    async def ticks(self) -> AsyncGenerator[bytes]:
        self.streams += 1
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            self.streams -= 1

    async def connect(self) -> Talk:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return Talk(*await asyncio.open_connection("127.0.0.1", self.server.port, ssl=context))

    async def ask(self, data: bytes) -> bytes:
        """Everything that comes back until the server closes."""
        talk = await self.connect()
        talk.send(data)
        return await talk.rest()


class Talk:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, bytes]:
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return int(head.split()[1]), await self.reader.readexactly(length)

    async def rest(self) -> bytes:
        async with asyncio.timeout(10.0):
            found = await self.reader.read(1_000_000)
            while more := await self.reader.read(1_000_000):
                found += more
        self.writer.close()
        return found


@asynccontextmanager
async def serving(folder: Path, limits: Limits = PATIENT) -> AsyncIterator[Site]:
    site = Site(folder, limits)
    site.server.listen("127.0.0.1", [0])
    task = asyncio.create_task(site.server.run())
    try:
        yield site
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])
        await site.server.close()


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with serving(tmp_path) as found:
        yield found


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Site]:
    """Its patience ends soon."""
    async with serving(tmp_path, QUICK) as found:
        yield found


async def still_serves(site: Site) -> bool:
    talk = await site.connect()
    talk.send(GET)
    status, _ = await talk.answer()
    talk.writer.close()
    return status == 200


async def plain(site: Site, data: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", site.server.port)
    writer.write(data)
    try:
        async with asyncio.timeout(10.0):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


# --- requests that are none -------------------------------------------------------------------------------------------


async def test_one_connection_carries_many_requests(site: Site) -> None:
    talk = await site.connect()
    talk.send(GET + GET)  # the second is not waited for
    assert [(await talk.answer())[0] for _ in range(2)] == [200, 200]
    talk.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello")
    assert await talk.answer() == (200, b"hello")
    talk.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
    assert await talk.answer() == (200, b"hello")
    talk.send(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + b"GET /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert (await talk.rest()).count(b"HTTP/1.1 200") == 2


async def test_http_on_the_https_port_is_told_so(site: Site) -> None:
    answer = await plain(site, GET)
    assert answer.startswith(b"HTTP/1.1 400")
    assert b"https://" in answer
    assert await still_serves(site)


@pytest.mark.parametrize(
    "data", [b"\x00", b"SSH-2.0-x\r\n", b"\x16\x03\x01\xff\xff" + b"\x01" * 200, b"\x80\x2e\x01\x00\x02"]
)
async def test_what_is_neither_is_closed(site: Site, data: bytes) -> None:
    await plain(site, data)
    assert await still_serves(site)


async def test_tls_before_1_2_is_refused(site: Site) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        await asyncio.open_connection("127.0.0.1", site.server.port, ssl=context)
    assert await still_serves(site)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),  # no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nNo colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /header HTTP/1.1\r\nHost: x\r\nX-Twice: a\r\nX-Twice: b\r\n\r\n", 400),
        (b"GET /query?a=1&a=2 HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /query?a=%ff HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET /query?" + b"&".join(b"k%d=1" % n for n in range(40)) + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\nhello", 400),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nhello", 501),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nLong: " + b"a" * MAX_HEAD_BYTES * 2 + b"\r\n\r\n", 431),
        (b"GET /" + b"a" * MAX_HEAD_BYTES * 4, 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n", 431),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"a" * 1001, 413),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n" + b"a" * 5000, 413),
        (b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1\r\na\r\n" * 2000, 413),
    ],
)
async def test_what_is_wrong_is_answered_and_closed(site: Site, data: bytes, status: int) -> None:
    if b"/header" in data or b"/query" in data:
        data = data.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    answer = await site.ask(data)
    assert int(answer.split()[1]) == status
    assert b"X-Ours: yes" in answer
    assert b'{"error":' in answer
    assert answer.count(b"Content-Length:") == 1
    assert await still_serves(site)


async def test_two_lengths_can_not_smuggle_a_request(site: Site) -> None:
    inner = b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n"
    data = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % len(
        inner
    )
    answer = await site.ask(data + inner)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"Content-Length:") == 1


async def test_a_body_that_nobody_reads_ends_the_connection(site: Site) -> None:
    answer = await site.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"a" * 200_000)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"Connection: close" in answer


async def test_a_bug_is_answered_and_logged_and_the_connection_goes_on(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    talk = await site.connect()
    talk.send(b"GET /fails HTTP/1.1\r\nHost: x\r\n\r\n" + GET)
    status, body = await talk.answer()
    assert status == 500
    assert b"a bug" not in body
    assert (await talk.answer())[0] == 200
    assert "a bug" in caplog.text
    talk.writer.close()


async def test_whoever_asks_before_sending_is_told_to_continue(site: Site) -> None:
    talk = await site.connect()
    talk.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert (await talk.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    talk.send(b"hello")
    assert await talk.answer() == (200, b"hello")
    talk.writer.close()


# --- slow and endless -------------------------------------------------------------------------------------------------


async def test_a_client_that_says_nothing_is_closed(quick: Site) -> None:
    assert await plain(quick, b"") == b""
    assert await quick.ask(b"") == b""
    assert await still_serves(quick)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ],
)
async def test_half_a_request_is_answered_in_time(quick: Site, data: bytes) -> None:
    assert (await quick.ask(data)).startswith(b"HTTP/1.1 408")
    assert await still_serves(quick)


async def test_a_request_byte_by_byte_has_the_time_of_one(quick: Site) -> None:
    talk = await quick.connect()

    async def drip() -> None:
        for byte in b"GET / HTTP/1.1\r\nHost: " + b"x" * 10_000:
            talk.send(bytes([byte]))
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    assert (await talk.rest()).startswith(b"HTTP/1.1 408")
    dripping.cancel()
    await asyncio.wait([dripping])


async def test_a_client_that_takes_nothing_is_dropped(quick: Site) -> None:
    async def flood() -> AsyncGenerator[bytes]:
        quick.streams += 1
        try:
            while True:
                yield b"x" * 100_000
        finally:
            quick.streams -= 1

    quick.stream_of = flood
    talk = await quick.connect()
    talk.writer.transport.pause_reading()  # type: ignore[attr-defined]
    talk.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await eventually(lambda: quick.streams == 1)
    await eventually(lambda: quick.streams == 0)
    talk.writer.transport.abort()


async def test_a_stream_ends_with_its_client(site: Site) -> None:
    talk = await site.connect()
    talk.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
    await talk.reader.readuntil(b"tick\n")
    assert site.streams == 1
    talk.writer.close()
    await eventually(lambda: site.streams == 0)


async def test_the_end_of_the_server_ends_its_streams(tmp_path: Path) -> None:
    async with serving(tmp_path) as site:
        talk = await site.connect()
        talk.send(b"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
        await talk.reader.readuntil(b"tick\n")
    assert site.streams == 0
    talk.writer.transport.abort()


async def test_connections_of_one_address_are_bounded(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MAX_OF_ADDRESS", 2)
    held = [await site.connect() for _ in range(2)]
    with pytest.raises((ConnectionError, ssl.SSLError)):
        await site.connect()
    held[0].writer.close()
    await eventually(lambda: site.server._clients.total() == 1)
    assert await still_serves(site)
    held[1].writer.close()


async def test_a_port_that_is_taken_is_named(site: Site) -> None:
    with pytest.raises(PortError, match=f"port {site.server.port} of 127.0.0.1"):
        Server(site.answer, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)).listen("127.0.0.1", [site.server.port])


async def test_the_last_port_is_taken_if_it_is_free(site: Site) -> None:
    other = Server(site.answer, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
    other.listen("127.0.0.1", [site.server.port, 0])
    assert other.port not in (0, site.server.port)
    await other.close()


@pytest.mark.parametrize("both", [True, False])
async def test_all_addresses_also_without_ipv6(tmp_path: Path, both: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not both:
        monkeypatch.setattr("socket.has_dualstack_ipv6", lambda: False)
    site = Site(tmp_path, PATIENT)
    site.server.listen("::", [0])
    task = asyncio.create_task(site.server.run())
    talk = await site.connect()
    talk.send(GET)
    assert b'"address":"127.0.0.1"' in (await talk.answer())[1]
    talk.writer.close()
    task.cancel()
    await asyncio.wait([task])
    await site.server.close()
