# SPDX-License-Identifier: Apache-2.0
"""The port: accepts connections up to a number, in all and for one address, and starts TLS on each.

A client that speaks HTTP without TLS is told so in one line; its first byte shows it, which is left for TLS to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections import Counter
from collections.abc import Sequence

from firmware.errors import BaywattError
from services.commissioning.http.connection import Connection, Limits
from services.commissioning.http.messages import Handler, Headers

__all__ = ["PortError", "Server"]

MAX_CONNECTIONS = 48
MAX_OF_ADDRESS = 24
_BACKLOG = 32
_TLS_HANDSHAKE = 0x16
"""The first byte of a TLS record that begins a connection (RFC 8446, 5.1)."""
_STREAM_BYTES = 64 * 1024
_SHUTDOWN_S = 2.0
_NOT_TLS = "this port speaks HTTPS: put https:// before the address\n"
_log = logging.getLogger(__name__)


class PortError(BaywattError):
    """No port can be opened; it may be free later."""


class Server:
    """Serves `handler` at `host` and `port`; 0: any free port. `headers` are those of every answer."""

    def __init__(
        self, handler: Handler, context: ssl.SSLContext, *, headers: Headers = (), limits: Limits | None = None
    ) -> None:
        self._handler = handler
        self._context = context
        self._headers = headers
        self._limits = limits or Limits()
        self._listening: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._clients: Counter[str] = Counter()
        self._refusing = False

    @property
    def port(self) -> int:
        port: int = self._listening[0].getsockname()[1]
        return port

    def listen(self, host: str, ports: Sequence[int]) -> None:
        """Open the first of `ports` that is free; raises `PortError`."""
        for port in ports:
            try:
                self._listening = [_listening(host, port)]
            except OSError as error:
                problem = f"port {port} of {host or 'this host'} can't be used: {error.strerror or error}"
            else:
                return
        raise PortError(problem)

    async def run(self) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                client, peer = await loop.sock_accept(self._listening[0])
            except OSError as error:  # no descriptors left, or the client has already gone
                _log.warning("a connection can't be accepted: %s", error.strerror)
                await asyncio.sleep(0.1)
                continue
            address = str(peer[0]).removeprefix("::ffff:")
            if not self._has_room(address):
                client.close()
                continue
            self._clients[address] += 1
            task = loop.create_task(self._serve(client, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close the port and every connection."""
        for listening in self._listening:
            listening.close()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _has_room(self, address: str) -> bool:
        room = self._clients.total() < MAX_CONNECTIONS and self._clients[address] < MAX_OF_ADDRESS
        if not room and not self._refusing:
            _log.warning("too many connections: one of %s was refused", address)
        self._refusing = not room
        return room

    async def _serve(self, client: socket.socket, address: str) -> None:
        try:
            if await self._begins_with_tls(client):
                await self._serve_tls(client, address)
        except (OSError, TimeoutError, ssl.SSLError) as error:
            _log.debug("%s: no connection: %s", address, error)
        finally:
            self._clients[address] -= 1
            if not self._clients[address]:
                del self._clients[address]

    async def _begins_with_tls(self, client: socket.socket) -> bool:
        """If not, the connection is over."""
        first = None
        try:
            async with asyncio.timeout(self._limits.head_s):
                first = await _first_byte(client)
                if first not in (_TLS_HANDSHAKE, None):
                    await _tell(client)
        finally:
            if first != _TLS_HANDSHAKE:
                client.close()
        return first == _TLS_HANDSHAKE

    async def _serve_tls(self, client: socket.socket, address: str) -> None:
        reader = asyncio.StreamReader(limit=_STREAM_BYTES)
        protocol = asyncio.StreamReaderProtocol(reader)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_accepted_socket(
            lambda: protocol,
            client,
            ssl=self._context,
            ssl_handshake_timeout=self._limits.head_s,
            ssl_shutdown_timeout=_SHUTDOWN_S,
        )
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        connection = Connection(
            reader, writer, self._handler, address=address, headers=self._headers, limits=self._limits
        )
        try:
            await connection.serve()
            with contextlib.suppress(OSError, TimeoutError, ssl.SSLError):
                await writer.wait_closed()
        finally:
            transport.abort()


def _listening(host: str, port: int) -> socket.socket:
    if host == "::" and not socket.has_dualstack_ipv6():
        host = "0.0.0.0"  # a board without IPv6
    listening = socket.create_server(
        (host, port),
        family=socket.AF_INET6 if ":" in host else socket.AF_INET,
        backlog=_BACKLOG,
        dualstack_ipv6=host == "::",
    )
    listening.setblocking(False)
    return listening


async def _first_byte(client: socket.socket) -> int | None:
    """Waits for it and does not take it away; None if the client has left."""
    loop = asyncio.get_running_loop()
    client.setblocking(False)
    readable = asyncio.Event()
    loop.add_reader(client, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(client)
    found = client.recv(1, socket.MSG_PEEK)
    return found[0] if found else None


async def _tell(client: socket.socket) -> None:
    head = (
        f"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(_NOT_TLS)}\r\nConnection: close\r\n\r\n"
    )
    loop = asyncio.get_running_loop()
    client.recv(_STREAM_BYTES)
    await loop.sock_sendall(client, f"{head}{_NOT_TLS}".encode())
