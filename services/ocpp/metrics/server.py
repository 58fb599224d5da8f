# SPDX-License-Identifier: Apache-2.0
"""Answers `GET /metrics` on 127.0.0.1: one request a connection, a few at once, and nothing else of HTTP.

A port that is taken is logged, and the station works without it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

__all__ = ["MetricsServer"]

REQUEST_S = 5.0
MAX_REQUEST_BYTES = 8 * 1024
MAX_CLIENTS = 4
_log = logging.getLogger(__name__)


class MetricsServer:
    """Serves what `text` returns at the time of the request; None while there is nothing yet."""

    def __init__(self, port: int, text: Callable[[], str | None]) -> None:
        self._port = port
        self._text = text
        self._server: asyncio.Server | None = None
        self._clients = 0

    async def start(self) -> None:
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=MAX_REQUEST_BYTES)
        except OSError as error:
            _log.error("metrics_port %d can't be used: %s: no metrics", self._port, error.strerror)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients += 1
        try:
            async with asyncio.timeout(REQUEST_S):
                if self._clients <= MAX_CLIENTS:
                    writer.write(self._answer(await reader.readuntil(b"\r\n\r\n")))
                    await writer.drain()
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            _log.debug("a client of the metrics went away, or sent no request")
        finally:
            self._clients -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _answer(self, request: bytes) -> bytes:
        method, _, rest = request.partition(b" ")
        if rest.split(b" ")[0].partition(b"?")[0] != b"/metrics":
            return _response("404 Not Found", "only /metrics\n")
        if method != b"GET":
            return _response("405 Method Not Allowed", "only GET\n")
        text = self._text()
        return _response("503 Service Unavailable", "starting\n") if text is None else _response("200 OK", text)


def _response(status: str, text: str) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
