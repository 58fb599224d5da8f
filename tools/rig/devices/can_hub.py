# SPDX-License-Identifier: Apache-2.0
"""A CAN bus without CAN hardware: an slcan adapter on a TCP port of the loopback, for any number of clients.

A frame from one client reaches every other client whose channel is open, and every simulator in this process. A
simulator attaches with a function and needs neither a socket nor python-can:

    hub = CanHub()
    await hub.start()                       # socket://127.0.0.1:{hub.port}
    send = hub.attach(self.on_frame)        # on_frame(id, data) for frames of others
    send(0x0106B000, b"\\x01")

Faults: `fault` decides for each frame what is delivered in its place and when; `full` and `bus_off` make the adapter
refuse what clients send; `close()` unplugs the adapter and `start()` plugs it in again, at the same port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TypeAlias

__all__ = ["CanHub", "Delivery", "Fault", "Send"]

Send: TypeAlias = Callable[[int, bytes], None]
Delivery: TypeAlias = tuple[float, int, bytes]
"""A frame that is delivered after so many seconds: delay, id, data."""
Fault: TypeAlias = Callable[[int, bytes], Iterable[Delivery]]
"""What is delivered in place of a frame: nothing (lost), the same with a delay (late), twice (doubled), another."""

WAITING_LIMIT = 65536
"""A client that does not read loses frames when so many bytes wait for it, like a full buffer in an adapter."""
LONGEST_LINE = 64


class CanHub:
    """One bus. `sent` counts the frames since the start."""

    def __init__(self) -> None:
        self.port = 0
        self.sent = 0
        self.fault: Fault | None = None
        self.full = False
        """Clients' frames are refused, as by an adapter whose buffer is full; they still receive."""
        self.bus_off = False
        """The adapter's controller has left the bus: clients neither send nor receive."""
        self._nodes: list[Send] = []
        self._clients: set[_Client] = set()
        self._server: asyncio.Server | None = None

    @property
    def channel(self) -> str:
        """What `channel` of a bus is set to."""
        return f"socket://127.0.0.1:{self.port}"

    @property
    def clients(self) -> int:
        """How many have opened the channel."""
        return sum(client.is_open for client in self._clients)

    async def start(self) -> None:
        """Listen on a free port; after `close`, on the same one again."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Client(self), "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Close every connection; clients are refused from now on. Simulators remain attached to each other."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for client in tuple(self._clients):
            client.abort()
        self._clients.clear()

    def attach(self, on_frame: Send) -> Send:
        """Add a node in this process; returns its function to send with."""
        self._nodes.append(on_frame)

        def send(can_id: int, data: bytes) -> None:
            self.pass_on(on_frame, can_id, data)

        return send

    def detach(self, on_frame: Send) -> None:
        self._nodes.remove(on_frame)

    def join(self, client: _Client) -> None:
        self._clients.add(client)

    def leave(self, client: _Client) -> None:
        self._clients.discard(client)

    def pass_on(self, source: object, can_id: int, data: bytes) -> None:
        """Deliver a frame to everyone but its source, through the fault if there is one."""
        self.sent += 1
        if self.fault is None:
            self._deliver(source, can_id, data)
            return
        for delay_s, other_id, other_data in self.fault(can_id, data):
            if delay_s > 0.0:
                asyncio.get_running_loop().call_later(delay_s, self._deliver, source, other_id, other_data)
            else:
                self._deliver(source, other_id, other_data)

    def _deliver(self, source: object, can_id: int, data: bytes) -> None:
        if not self.bus_off:
            line = b"T%08X%d%s\r" % (can_id, len(data), data.hex().upper().encode())
            for client in self._clients:
                if client is not source:
                    client.deliver(line)
        for node in self._nodes:
            if node is not source:
                node(can_id, data)


class _Client(asyncio.Protocol):
    """One connection: the host's side of an adapter."""

    def __init__(self, hub: CanHub) -> None:
        self._hub = hub
        self._transport: asyncio.Transport | None = None
        self._partial = b""
        self.is_open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._hub.join(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._hub.leave(self)

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def deliver(self, line: bytes) -> None:
        transport = self._transport
        if self.is_open and transport is not None and transport.get_write_buffer_size() < WAITING_LIMIT:
            transport.write(line)

    def data_received(self, data: bytes) -> None:
        *lines, partial = (self._partial + data).split(b"\r")
        self._partial = partial if len(partial) <= LONGEST_LINE else b""
        answers = b"".join(self._answer(line) for line in lines)
        if self._transport is not None:
            self._transport.write(answers)

    def _answer(self, line: bytes) -> bytes:
        """Carry out one command; returns CR or BEL, as LAWICEL's manual has it."""
        match line[:1]:
            case b"O" | b"L":
                self.is_open = True
            case b"C":
                self.is_open = False
            case b"T":
                return b"Z\r" if self.is_open and self._transmit(line) else b"\a"
            case b"t" | b"r" | b"R":
                return b"Z\r"
            case b"S" | b"s" | b"Z" | b"Y" | b"":
                pass
            case b"V":
                return b"V1013\r"
            case b"N":
                return b"N0001\r"
            case b"F":
                return b"F80\r" if self._hub.bus_off else b"F00\r"
            case _:
                return b"\a"
        return b"\r"

    def _transmit(self, line: bytes) -> bool:
        try:
            can_id, size, data = int(line[1:9], 16), int(line[9:10]), bytes.fromhex(line[10:].decode("ascii"))
        except ValueError:
            return False
        if size != len(data) or size > 8 or can_id > 0x1FFFFFFF or self._hub.full or self._hub.bus_off:
            return False
        self._hub.pass_on(self, can_id, data)
        return True
