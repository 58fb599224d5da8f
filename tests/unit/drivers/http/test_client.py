# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from drivers.http.client import HttpClient, HttpResponse
from firmware.errors import DeviceLost, DeviceRefused, DriverError


class Server:
    """Sends the next of its `answers` for each request, as it is; `then_close` closes the connection after it."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.requests: list[bytes] = []
        self.then_close = False
        self.connections = 0
        self.port = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while self.answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0] or 0)
                self.requests.append(head + await reader.readexactly(length))
                writer.write(self.answers.pop(0))
                if self.then_close:
                    break
            else:
                await reader.read()  # until the client closes
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    await server.start()
    yield server
    server.close()


@pytest.fixture
async def client(server: Server) -> AsyncIterator[HttpClient]:
    client = HttpClient("127.0.0.1", server.port, timeout_s=0.5)
    yield client
    client.close()


async def test_requests_share_a_connection(server: Server, client: HttpClient) -> None:
    server.answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK",
        b"HTTP/1.1 201 Created\r\ncontent-length:0\r\n\r\n",
    ]
    assert await client.request("GET", "/v1/status") == HttpResponse(200, b"OK")
    assert await client.request("PUT", "/v1/settings", b'{"a":1}') == HttpResponse(201, b"")
    assert server.connections == 1
    assert server.requests == [
        b"GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n",
        b"PUT /v1/settings HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n"
        b'Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}',
    ]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\n\r\n", (200, b"abcde")),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", (200, b"until the end")),
        (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", (200, b"x")),
        (b"HTTP/1.1 503\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", (503, b"")),
    ],
)
async def test_every_kind_of_body(
    server: Server, client: HttpClient, answer: bytes, expected: tuple[int, bytes]
) -> None:
    server.then_close = True
    for _ in range(2):  # a connection that was closed is opened again
        server.answers = [answer]
        response = await client.request("GET", "/")
        assert (response.status, response.body) == expected


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"", DeviceLost, "closed the connection before its answer was complete"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", DeviceLost, "closed the connection"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nshort", DeviceLost, "closed the connection"),
        (b"SSH-2.0-dropbear\r\n\r\n", DeviceRefused, "not valid HTTP: it begins with 'SSH-2.0-dropbear"),
        (b"HTTP/1.1 OK\r\n\r\n", DeviceRefused, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", DeviceRefused, "a body of -1 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", DeviceRefused, "a body of 99999999 bytes"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFF\r\n", DeviceRefused, "a body of"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", DeviceRefused, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 200 + b"\r\n", DeviceRefused, "not valid HTTP"),
        (b"x" * 600_000, DeviceRefused, "not valid HTTP"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 600_000, DeviceRefused, "a body of"),
    ],
)
async def test_what_is_no_answer(
    server: Server, client: HttpClient, answer: bytes, error: type[DriverError], text: str
) -> None:
    server.then_close = True
    server.answers = [answer]
    with pytest.raises(error, match=text):
        await client.request("GET", "/")
    server.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK"]
    assert (await client.request("GET", "/")).body == b"OK"


async def test_no_answer_and_nothing_there(server: Server) -> None:
    client = HttpClient("127.0.0.1", server.port, timeout_s=0.05)
    server.answers = [b"HTTP/1.1 200 "]
    with pytest.raises(DeviceLost, match=r"no answer within 0\.05 s"):
        await client.request("GET", "/")
    server.close()
    with pytest.raises(DeviceLost, match="it refuses the connection"):
        await client.request("GET", "/")
