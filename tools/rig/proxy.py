# SPDX-License-Identifier: Apache-2.0
"""The network between station and CSMS: a tunnel for each connection, which can be taken down in several ways.

The OCPP service connects through a Unix socket (`BAYWATT_DIAL_VIA`): it sends one line, `{"host": .., "port": ..,
"interface": "Wired0"}`, and receives one. `{}`: the tunnel is open, and from then on bytes flow to that address
unchanged, TLS included. Else the line has the error of the attempt to connect, `{"errno": 111, "text": ".."}`, with
`"resolver": true` if it is one of `getaddrinfo`, and the connection ends: the station sees the cause that it would see
without this network.

Modes, for each interface
- `up`: bytes flow.
- `down`: established tunnels are cut, for new ones the network is unreachable; the link itself is reported down.
- `refuse`: new tunnels are refused as by a closed port, established ones continue.
- `blackhole`: what either side sends is dropped, new tunnels are accepted and lead nowhere. A tunnel that lost bytes
  stays dead when the network comes back, as if an address translator on the way had forgotten it.
In addition, `close` ends established tunnels with a clean FIN to both sides, and a latency delays each direction.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import struct
from collections import deque
from typing import Literal, TypeAlias

import msgspec

from firmware.type_words import json_problem

__all__ = ["Mode", "Network"]

Mode: TypeAlias = Literal["up", "down", "refuse", "blackhole"]

MAX_REQUEST_BYTES = 1024
MAX_TEXT_CHARS = 400
REQUEST_S = 5.0
DIAL_S = 30.0
MAX_HELD_BYTES = 4 * 1024 * 1024
_RESET = struct.pack("ii", 1, 0)
_log = logging.getLogger(__name__)


class _Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host: str
    port: int
    interface: str = "Wired0"


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """To the request. Without fields: the tunnel is open."""

    errno: int | None = None
    text: str = ""
    resolver: bool = False


_decode = msgspec.json.Decoder(_Request)
_REFUSED: dict[Mode, int] = {"down": errno.ENETUNREACH, "refuse": errno.ECONNREFUSED}


class _Interface:
    """How one interface treats its tunnels."""

    def __init__(self) -> None:
        self.mode: Mode = "up"
        self.latency_s = 0.0
        self.tunnels: set[_Tunnel] = set()


class Network:
    """All interfaces of the station, and the tunnels through them."""

    def __init__(self, interfaces: list[str]) -> None:
        self._interfaces = {name: _Interface() for name in interfaces}

    def protocol(self) -> asyncio.Protocol:
        """For `create_unix_server`: the station's end of a new tunnel."""
        return _StationEnd(self)

    def set_mode(self, mode: Mode, interface: str | None) -> None:
        for each in self._chosen(interface):
            each.mode = mode
            for tunnel in list(each.tunnels):
                tunnel.mode_changed()

    def set_latency(self, latency_s: float, interface: str | None) -> None:
        """Delay each direction by `latency_s` seconds."""
        for each in self._chosen(interface):
            each.latency_s = latency_s

    def close_established(self, interface: str | None) -> None:
        """End every connection cleanly."""
        for tunnel in self._tunnels(interface):
            tunnel.close()

    def cut(self) -> None:
        """The station has no power: data on the way is lost."""
        for tunnel in self._tunnels(None):
            tunnel.abort()

    def find(self, interface: str) -> _Interface | None:
        return self._interfaces.get(interface)

    def _chosen(self, interface: str | None) -> list[_Interface]:
        return list(self._interfaces.values()) if interface is None else [self._interfaces[interface]]

    def _tunnels(self, interface: str | None) -> list[_Tunnel]:
        return [tunnel for each in self._chosen(interface) for tunnel in each.tunnels]


class _Tunnel:
    """One connection of the station: its own end, and the far end once it is connected."""

    def __init__(self, station: _StationEnd, interface: _Interface) -> None:
        self.interface = interface
        self.station = station
        self.far: _FarEnd | None = None
        self._dead = interface.mode == "blackhole"
        self._dialling: asyncio.Task[None] | None = None
        self._early = b""
        interface.tunnels.add(self)

    @property
    def drops_data(self) -> bool:
        return self._dead or self.interface.mode == "blackhole"

    def dial(self, request: _Request, early: bytes) -> None:
        """Connect the far end; `early` are bytes that came with the station's request."""
        if not self._dead:
            self._early = early
            # Further bytes wait in the station's socket until the far end is connected.
            self.station.pause_reading()
            self._dialling = asyncio.get_running_loop().create_task(self._dial(request))

    async def _dial(self, request: _Request) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(DIAL_S):
                await loop.create_connection(lambda: _FarEnd(self), request.host, request.port)
        except (OSError, TimeoutError, ValueError, OverflowError) as error:
            _log.debug("%s:%d: %s", request.host, request.port, error)
            if self.drops_data:
                self._dead = True
            else:
                self.station.refuse(error, self.interface.latency_s)
                self._forget()

    def connected(self, far: _FarEnd) -> None:
        self.far = far
        if self.drops_data:
            self._dead = True
        else:
            self.station.answer(_Answer(), self.interface.latency_s)
        early, self._early = self._early, b""
        if early:
            self.forward(self.station, early)
        self.station.resume_reading()

    def forward(self, source: _End, data: bytes) -> None:
        """Pass on bytes from one end to the other, or drop them."""
        target = self.far if source is self.station else self.station
        if self.drops_data or target is None:
            self._dead = True
        else:
            target.send(data, self.interface.latency_s)

    def ended(self, source: _End) -> None:
        """One end has closed: close the other too, unless the network drops that as well."""
        target = self.far if source is self.station else self.station
        if target is None or target.gone:
            self._forget()
        elif self.drops_data:
            self._dead = True
        else:
            target.finish(self.interface.latency_s)
            self._forget()

    def mode_changed(self) -> None:
        """A lost link aborts the tunnel; the rest of a dead one ends when the network is back."""
        mode = self.interface.mode
        if mode == "down" or (mode == "up" and self._dead and self._one_end_gone):
            self.abort()
        elif mode == "blackhole":
            dropped = [end.drop_late() for end in (self.station, self.far) if end is not None]
            self._dead = self._dead or any(dropped)

    @property
    def _one_end_gone(self) -> bool:
        return self.station.gone or (self.far is not None and self.far.gone)

    def close(self) -> None:
        for end in (self.station, self.far):
            if end is not None:
                end.finish(0.0)
        self._forget()

    def abort(self) -> None:
        for end in (self.station, self.far):
            if end is not None:
                end.abort()
        self._forget()

    def _forget(self) -> None:
        self.interface.tunnels.discard(self)
        if self._dialling is not None and self.far is None:
            self._dialling.cancel()


class _End(asyncio.Protocol):
    """One socket of a tunnel; delays what it sends by the latency."""

    def __init__(self) -> None:
        self.tunnel: _Tunnel | None = None
        self.gone = False
        self._transport: asyncio.Transport | None = None
        self._late: deque[tuple[float, bytes | None]] = deque()
        self._late_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def send(self, data: bytes, latency_s: float) -> None:
        self._queue(data, latency_s)

    def finish(self, latency_s: float) -> None:
        """Close cleanly after everything that was sent before."""
        self._queue(None, latency_s)

    def _queue(self, data: bytes | None, latency_s: float) -> None:
        if latency_s <= 0.0 and not self._late:
            self._put(data)
            return
        now = asyncio.get_running_loop().time()
        self._late.append((now + latency_s, data))
        self._late_bytes += len(data or b"")
        if self._late_bytes > MAX_HELD_BYTES:
            self._let_other_read(False)
        self._arm()

    def _arm(self) -> None:
        if self._timer is None and self._late:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self._send_due)

    def _send_due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now + 0.001:
            _, data = self._late.popleft()
            self._late_bytes -= len(data or b"")
            self._put(data)
        if self._late_bytes <= MAX_HELD_BYTES:
            self._let_other_read(True)
        self._arm()

    def drop_late(self) -> bool:
        """Drop delayed bytes; returns whether there were any."""
        dropped = bool(self._late)
        self._late.clear()
        self._late_bytes = 0
        return dropped

    def _put(self, data: bytes | None) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if data is None:
            self._transport.close()
        else:
            self._transport.write(data)

    def abort(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.drop_late()
        if self._transport is not None:
            self._transport.abort()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def pause_reading(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def _let_other_read(self, may: bool) -> None:
        tunnel = self.tunnel
        if tunnel is None:
            return
        other = tunnel.far if self is tunnel.station else tunnel.station
        if other is not None:
            (other.resume_reading if may else other.pause_reading)()

    def pause_writing(self) -> None:
        self._let_other_read(False)

    def resume_writing(self) -> None:
        self._let_other_read(True)

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            self.tunnel.forward(self, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.gone = True
        if self.tunnel is not None:
            self.tunnel.ended(self)


class _FarEnd(_End):
    """The TCP connection to the CSMS."""

    def __init__(self, tunnel: _Tunnel) -> None:
        super().__init__()
        self.tunnel = tunnel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        assert self.tunnel is not None
        self.tunnel.connected(self)

    def abort(self) -> None:
        """With a reset, so that the CSMS does not take it for an orderly end."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        super().abort()


class _StationEnd(_End):
    """The station's end: first a line with the address, then bytes."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network
        self._head = b""
        self._limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._limit = asyncio.get_running_loop().call_later(REQUEST_S, self.abort)

    def data_received(self, data: bytes) -> None:
        if self.tunnel is not None:
            super().data_received(data)
            return
        self._head += data
        line, newline, rest = self._head.partition(b"\n")
        if newline:
            self._open(line, rest)
        elif len(line) > MAX_REQUEST_BYTES:
            self.abort()

    def answer(self, answer: _Answer, latency_s: float) -> None:
        """The line that the station waits for before it sends anything."""
        self.send(msgspec.json.encode(answer) + b"\n", latency_s)

    def refuse(self, error: Exception, latency_s: float) -> None:
        """The far end can't be reached. `error` has no number if a name has several addresses that all failed."""
        number = errno.ETIMEDOUT if isinstance(error, TimeoutError) else getattr(error, "errno", None)
        text = (getattr(error, "strerror", None) or str(error))[:MAX_TEXT_CHARS]
        self.answer(_Answer(number, text, resolver=isinstance(error, socket.gaierror)), latency_s)
        self.finish(latency_s)

    def _open(self, line: bytes, rest: bytes) -> None:
        if self._limit is not None:
            self._limit.cancel()
        try:
            request = _decode.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("invalid dial request: %s", json_problem(error, _Request, line))
            self.abort()
            return
        interface = self._network.find(request.interface)
        refused = errno.ENODEV if interface is None else _REFUSED.get(interface.mode)
        if interface is None or refused is not None:
            self.refuse(OSError(refused, ""), 0.0)
            return
        self.tunnel = _Tunnel(self, interface)
        self.tunnel.dial(request, rest)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._limit is not None:
            self._limit.cancel()
        super().connection_lost(exc)
