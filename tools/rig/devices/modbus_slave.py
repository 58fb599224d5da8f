# SPDX-License-Identifier: Apache-2.0
"""A Modbus line with slaves on it, from the side of the devices; after the Modbus specifications, not after the driver.

The line is a pseudo terminal behind a symbolic link (RTU), or a listening TCP port (Modbus TCP, or RTU as through a
serial device server). On RTU a frame ends with a silence of 3.5 characters (Modbus over serial line, 2.5.1.1): two
requests without a silence between them are one damaged frame. What a master does wrong is logged and kept in
`violations`.

A slave answers wrongly in the ways of `Mischief`; without a `slaves` entry, and with `silent`, it does not answer.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import termios
import time
import tty
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast

__all__ = ["Mischief", "ModbusError", "Registers", "Slave", "SlaveLine", "crc16", "float_registers"]

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
BUSY = 6
CLOSE_TOGETHER_S = 0.005
"""A request this soon after the end of the last transaction is ignored by a device that is pressed."""
REPLY_S = 0.002
TWIN_S = 0.012
_log = logging.getLogger(__name__)

Transport: TypeAlias = Literal["pty", "rtu", "tcp"]


class ModbusError(Exception):
    """The slave answers with an exception."""

    def __init__(self, code: int) -> None:
        super().__init__(f"exception {code}")
        self.code = code


class Registers(Protocol):
    """The registers of a device; both raise `ModbusError`."""

    def read(self, function: int, address: int, count: int) -> list[int]: ...

    def write(self, address: int, values: list[int]) -> None: ...


class Mischief(Enum):
    """What is wrong with an answer."""

    CORRUPT = "a bit is wrong"
    CUT = "the end is missing"
    DOUBLE = "sent twice"
    NOISE = "garbage before and after"
    SPLIT = "byte by byte"
    MERGED = "behind an answer of another device"
    WRONG_ADDRESS = "from another address"
    WRONG_FUNCTION = "of another function"
    LATE = "after the master has given up"
    BUSY = "exception 6"
    LOST = "none"


@dataclass
class Slave:
    """One device on the line, and how it misbehaves.

    Attributes:
        silent: it has no power, or its wires are off.
        mischief: what is wrong with its answers; with `times`, only with so many from now.
        late_s: how late a late answer is.
        twin: a second device with this address, which takes longer to answer.
    """

    registers: Registers
    silent: bool = False
    mischief: Mischief | None = None
    times: int | None = None
    late_s: float = 0.45
    twin: Registers | None = None
    requests: int = 0
    idle_since: float = 0.0

    def misbehave(self, mischief: Mischief | None, times: int | None = None) -> None:
        self.mischief, self.times = mischief, times

    def next_mischief(self) -> Mischief | None:
        if self.times is not None:
            if self.times <= 0:
                return None
            self.times -= 1
        return self.mischief


@dataclass
class _Caller:
    """A master's connection: where replies go, and what has come of the next frame."""

    transport: asyncio.WriteTransport | None
    received: bytes = b""
    end: asyncio.TimerHandle | None = None


@dataclass
class SlaveLine:
    """A line; `port` is what the driver's option `port` is.

    Args:
        link: of a pseudo terminal, the symbolic link to be made; it exists while the line is plugged in.
        baud: what the devices are set to; a master with another baud rate is not understood.
    """

    transport: Transport = "pty"
    link: Path | None = None
    baud: int | None = None
    slaves: dict[int, Slave] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)
    tcp_port: int = 0
    _fds: tuple[int, ...] = ()
    _server: asyncio.Server | None = None
    _callers: list[_Caller] = field(default_factory=list)
    _timers: set[asyncio.TimerHandle] = field(default_factory=set)

    @property
    def port(self) -> str:
        if self.transport == "pty":
            return str(self.link)
        return f"{self.transport}://127.0.0.1:{self.tcp_port}"

    def add(self, address: int, registers: Registers) -> Slave:
        slave = self.slaves[address] = Slave(registers)
        return slave

    # --- plugging --------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Plug it in; at the same TCP port again, if there was one."""
        loop = asyncio.get_running_loop()
        if self.transport != "pty":
            self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.tcp_port)
            self.tcp_port = self._server.sockets[0].getsockname()[1]
            return
        assert self.link is not None, "a pseudo terminal needs a link"
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._fds = (master, slave)
        self.link.unlink(missing_ok=True)
        self.link.symlink_to(os.ttyname(slave))
        caller = _Caller(None)
        self._callers.append(caller)
        loop.add_reader(master, self._on_terminal, caller)

    def close(self) -> None:
        """Unplug it."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for caller in self._callers:
            if caller.end is not None:
                caller.end.cancel()
            if caller.transport is not None:
                caller.transport.abort()
        self._callers.clear()
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._fds:
            asyncio.get_running_loop().remove_reader(self._fds[0])
            if self.link is not None:
                self.link.unlink(missing_ok=True)
            for descriptor in self._fds:
                os.close(descriptor)
            self._fds = ()

    def babble(self, data: bytes) -> None:
        """Bytes that belong to no answer."""
        for caller in self._callers:
            self._write(caller, data)

    # --- receiving -------------------------------------------------------------------------------------------------

    def _on_terminal(self, caller: _Caller) -> None:
        with suppress(OSError):
            data = os.read(self._fds[0], 4096)
            if self.baud is None or self.baud == _BAUDS.get(termios.tcgetattr(self._fds[1])[4]):
                self.on_bytes(caller, data)

    def attach(self, caller: _Caller) -> None:
        self._callers.append(caller)

    def detach(self, caller: _Caller) -> None:
        if caller in self._callers:
            self._callers.remove(caller)

    def on_bytes(self, caller: _Caller, data: bytes) -> None:
        caller.received = (caller.received + data)[-4096:]
        if self.transport == "tcp":
            self._take_tcp(caller)
            return
        if caller.end is not None:
            caller.end.cancel()
        silence_s = max(0.00175, 3.5 * 11 / (self.baud or 19200))
        caller.end = asyncio.get_running_loop().call_later(silence_s, self._take_rtu, caller)

    def _take_rtu(self, caller: _Caller) -> None:
        frame, caller.received = caller.received, b""
        if len(frame) < 4 or crc16(frame[:-2]) != frame[-2:]:
            self._violated(f"a damaged frame: {frame.hex(' ')}")
            return
        self._on_request(caller, frame[0], frame[1:-2], lambda unit, pdu: _with_crc(bytes([unit]) + pdu))

    def _take_tcp(self, caller: _Caller) -> None:
        while len(caller.received) >= 7:
            number, protocol, length = struct.unpack(">HHH", caller.received[:6])
            if protocol != 0 or not 2 <= length <= 254:
                self._violated(f"not a header of Modbus TCP: {caller.received[:7].hex(' ')}")
                caller.received = b""
                return
            if len(caller.received) < 6 + length:
                return
            unit, pdu = caller.received[6], caller.received[7 : 6 + length]
            caller.received = caller.received[6 + length :]

            def framed(unit: int, pdu: bytes, number: int = number) -> bytes:
                return struct.pack(">HHHB", number, 0, len(pdu) + 1, unit) + pdu

            self._on_request(caller, unit, pdu, framed)

    # --- answering -------------------------------------------------------------------------------------------------

    def _on_request(self, caller: _Caller, unit: int, pdu: bytes, framed: _Framed) -> None:
        slave = self.slaves.get(unit)
        if slave is None or slave.silent:
            return
        now = time.monotonic()
        slave.requests += 1
        if self.transport != "tcp" and now - slave.idle_since < CLOSE_TOGETHER_S:
            self._violated(f"a request to {unit} less than 5 ms after the last")
            return
        mischief = slave.next_mischief()
        if mischief is Mischief.LOST:
            return
        answer = bytes([pdu[0] | 0x80, BUSY]) if mischief is Mischief.BUSY else self._answer(slave.registers, pdu)
        pieces = _spoil(mischief, unit, answer, framed)
        delay = slave.late_s if mischief is Mischief.LATE else REPLY_S
        for piece in pieces:
            self._later(delay, caller, piece, slave)
            delay += 0.0005
        if slave.twin is not None:
            self._later(TWIN_S, caller, framed(unit, self._answer(slave.twin, pdu)), slave)

    def _answer(self, registers: Registers, pdu: bytes) -> bytes:
        function = pdu[0]
        try:
            if function in (3, 4):
                address, count = _exactly(">HH", pdu[1:])
                if not 1 <= count <= 125:
                    raise ModbusError(ILLEGAL_VALUE)
                values = registers.read(function, address, count)
                return struct.pack(f">BB{len(values)}H", function, 2 * len(values), *values)
            if function == 16:
                return self._write_registers(registers, pdu)
            raise ModbusError(ILLEGAL_FUNCTION)
        except ModbusError as error:
            return bytes([function | 0x80, error.code])

    def _write_registers(self, registers: Registers, pdu: bytes) -> bytes:
        if len(pdu) < 6 or len(pdu) != 6 + pdu[5]:
            raise ModbusError(ILLEGAL_VALUE)
        address, count, size = struct.unpack(">HHB", pdu[1:6])
        if not 1 <= count <= 123 or size != 2 * count:
            raise ModbusError(ILLEGAL_VALUE)
        registers.write(address, list(struct.unpack(f">{count}H", pdu[6:])))
        return struct.pack(">BHH", 16, address, count)

    def _later(self, delay: float, caller: _Caller, data: bytes, slave: Slave) -> None:
        def send() -> None:
            self._timers.discard(timer)
            if delay < slave.late_s:  # a master can't know of a late answer
                slave.idle_since = time.monotonic()
            self._write(caller, data)

        timer = asyncio.get_running_loop().call_later(delay, send)
        self._timers.add(timer)

    def _write(self, caller: _Caller, data: bytes) -> None:
        if caller.transport is not None:
            caller.transport.write(data)
        elif self._fds:
            with suppress(BlockingIOError):  # the master does not read
                os.write(self._fds[0], data)

    def _violated(self, what: str) -> None:
        _log.error("Modbus line %s: %s", self.port, what)
        self.violations = [*self.violations[-99:], what]


class _Framed(Protocol):
    """Puts a PDU into a frame."""

    def __call__(self, unit: int, pdu: bytes) -> bytes: ...


class _Connection(asyncio.Protocol):
    def __init__(self, line: SlaveLine) -> None:
        self._line = line
        self._caller = _Caller(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._caller.transport = cast(asyncio.WriteTransport, transport)
        self._line.attach(self._caller)

    def data_received(self, data: bytes) -> None:
        self._line.on_bytes(self._caller, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._line.detach(self._caller)


_BAUDS = {getattr(termios, f"B{each}"): each for each in (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)}


def _spoil(mischief: Mischief | None, unit: int, pdu: bytes, framed: _Framed) -> list[bytes]:
    """The pieces in which the answer is sent."""
    frame = framed(unit, pdu)
    match mischief:
        case Mischief.CORRUPT:
            return [frame[:-3] + bytes([frame[-3] ^ 0x10]) + frame[-2:]]
        case Mischief.CUT:
            return [frame[:-3]]
        case Mischief.DOUBLE:
            return [frame, frame]
        case Mischief.NOISE:
            return [b"\x00\xff" + frame + b"\xfe"]
        case Mischief.SPLIT:
            return [frame[i : i + 1] for i in range(len(frame))]
        case Mischief.MERGED:
            return [framed(unit % 247 + 1, b"\x03\x02\x00\x07") + frame]
        case Mischief.WRONG_ADDRESS:
            return [framed(unit % 247 + 1, pdu)]
        case Mischief.WRONG_FUNCTION:
            return [framed(unit, bytes([pdu[0] ^ 0x07]) + pdu[1:])]
        case _:
            return [frame]


def _exactly(layout: str, data: bytes) -> tuple[int, ...]:
    if len(data) != struct.calcsize(layout):
        raise ModbusError(ILLEGAL_VALUE)
    return struct.unpack(layout, data)


def _with_crc(data: bytes) -> bytes:
    return data + crc16(data)


def crc16(data: bytes) -> bytes:
    """The CRC of Modbus RTU, low byte first: polynomial 0xA001, preset to ones."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")


def float_registers(value: float) -> list[int]:
    """An IEEE float in two registers, high word first."""
    return list(struct.unpack(">HH", struct.pack(">f", value)))
