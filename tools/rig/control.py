# SPDX-License-Identifier: Apache-2.0
"""The control socket: one JSON object a line, answered at once and in order, on up to 256 connections.

A line that is no request is answered `bad_request`, and so is one of more than 64 KiB as soon as it is that long; its
rest is skipped. A subscriber that does not read is disconnected.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import msgspec

from tools.rig.operations import NO_ID, ControlRequest, OperationError, Subscribe, parse

__all__ = ["ControlServer"]

MAX_LINE_BYTES = 64 * 1024
MAX_UNSENT_BYTES = 8 * 1024 * 1024
MAX_CLIENTS = 256
_encode = msgspec.json.Encoder().encode
_log = logging.getLogger(__name__)


class ControlServer:
    """Serves `execute`, which carries out an operation and returns the fields of the answer besides `ok`."""

    def __init__(self, execute: Callable[[Any], dict[str, Any]]) -> None:
        self._execute = execute
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: _Client(self), sock=listening)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
        for client in list(self._clients):
            client.close()

    def emit(self, event: dict[str, Any]) -> None:
        """Send an event to every subscriber."""
        line: bytes | None = None
        for client in list(self._clients):
            if client.subscribed:
                line = line or _encode(event) + b"\n"
                client.send(line)

    def joined(self, client: _Client) -> bool:
        if len(self._clients) >= MAX_CLIENTS:
            _log.warning("more than %d connections to the control socket", MAX_CLIENTS)
            return False
        self._clients.add(client)
        return True

    def left(self, client: _Client) -> None:
        self._clients.discard(client)

    def answer(self, client: _Client, line: bytes) -> bytes:
        """Carry out one line; an error becomes the answer."""
        try:
            request = parse(line)
        except OperationError as error:
            return _refusal(error.request_id, error)
        try:
            extra = self._perform(client, request)
        except OperationError as error:
            return _refusal(request.id, error)
        return _encode({"id": request.id, "ok": True, **extra}) + b"\n"

    def _perform(self, client: _Client, request: ControlRequest) -> dict[str, Any]:
        if isinstance(request.operation, Subscribe):
            client.subscribed = True
            return {}
        return self._execute(request.operation)


def _refusal(request_id: msgspec.Raw, error: OperationError) -> bytes:
    return _encode({"id": request_id, "ok": False, "error": error.code, "detail": error.detail}) + b"\n"


class _Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, server: ControlServer) -> None:
        self.subscribed = False
        self._server = server
        self._tail = b""
        self._skipping = False
        """Whether the rest of a line is arriving that was too long and has been answered."""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._server.joined(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        *lines, self._tail = (self._tail + data).split(b"\n")
        for line in lines:
            self._take(line)
            self._skipping = False
        if len(self._tail) >= MAX_LINE_BYTES:
            self._take(self._tail)
            self._tail, self._skipping = b"", True

    def _take(self, line: bytes) -> None:
        """Answer a line, unless it is the rest of one that was too long."""
        if self._skipping or self._transport is None or self._transport.is_closing():
            return
        if len(line) >= MAX_LINE_BYTES:
            self.send(_refusal(NO_ID, OperationError("bad_request", f"a line of more than {MAX_LINE_BYTES} bytes")))
        elif line.strip():
            self.send(self._server.answer(self, line))

    def send(self, line: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.write(line)
        if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            _log.warning("a client of the control socket does not read: disconnected")
            self._transport.abort()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.left(self)
