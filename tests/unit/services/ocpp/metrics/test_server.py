# SPDX-License-Identifier: Apache-2.0
"""The endpoint: one path, and whatever else a client sends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from services.ocpp.metrics import MetricsServer, server


@pytest.fixture
def port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        number: int = found.getsockname()[1]
        return number


@pytest.fixture
async def running(port: int) -> AsyncIterator[MetricsServer]:
    metrics = MetricsServer(port, lambda: "baywatt_up 1\n")
    await metrics.start()
    yield metrics
    await metrics.close()


async def ask(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


@pytest.mark.usefixtures("running")
async def test_the_figures(port: int) -> None:
    answer = await ask(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert b"Content-Length: 13" in head
    assert body == b"baywatt_up 1\n"


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET / HTTP/1.1", b"404"),
        (b"GET /metrics/../x HTTP/1.1", b"404"),
        (b"POST /metrics HTTP/1.1", b"405"),
        (b"GET /metrics?x=1 HTTP/1.0", b"200"),
        (b"\xff\x00", b"404"),
        (b"", b"404"),
    ],
)
async def test_other_requests(port: int, request_line: bytes, status: bytes) -> None:
    assert (await ask(port, request_line + b"\r\n\r\n")).split(b" ")[1] == status


@pytest.mark.usefixtures("running")
async def test_a_request_without_end_is_cut_off(port: int) -> None:
    assert await ask(port, b"GET /metrics HTTP/1.1\r\n" + b"x" * 100_000) == b""
    assert b"200 OK" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")


@pytest.mark.usefixtures("running")
async def test_clients_that_say_nothing_do_not_stay(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "REQUEST_S", 0.05)
    silent = [asyncio.create_task(ask(port, b"GET /metrics")) for _ in range(server.MAX_CLIENTS)]
    assert await asyncio.gather(*silent) == [b""] * server.MAX_CLIENTS
    assert b"200 OK" in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")


async def test_before_the_station_has_started(port: int) -> None:
    metrics = MetricsServer(port, lambda: None)
    await metrics.start()
    assert b" 503 " in await ask(port, b"GET /metrics HTTP/1.1\r\n\r\n")
    await metrics.close()


@pytest.mark.usefixtures("running")
async def test_a_port_that_is_taken_stops_nothing(port: int, caplog: pytest.LogCaptureFixture) -> None:
    second = MetricsServer(port, lambda: "")
    await second.start()
    await second.close()
    assert f"metrics_port {port} can't be used: " in caplog.text
