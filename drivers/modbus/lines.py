# SPDX-License-Identifier: Apache-2.0
"""What carries a line's bytes: a serial port or a TCP connection, both on the event loop.

An opened line calls `on_data` with what it receives, and `on_lost` once with the reason when the adapter is unplugged
or the connection ends; not after `close`.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Literal, Protocol, TypeAlias, cast

from msgspec import Struct

__all__ = ["Line", "Rs485", "Serial", "Users", "open_serial", "open_tcp"]

Rs485: TypeAlias = Literal["off", "rts_high", "rts_low"]
READ_BYTES = 1024


class Serial(Struct, frozen=True):
    """How a serial port is set: always 8 data bits (Modbus over serial line, section 2.5.1)."""

    baud: int
    parity: Literal["N", "E", "O"]
    stop_bits: Literal[1, 2]
    rs485: Rs485


class Users(Struct, frozen=True):
    """Whom a line calls."""

    on_data: Callable[[bytes], None]
    on_lost: Callable[[str], None]


class Line(Protocol):
    def write(self, data: bytes) -> None: ...

    def close(self) -> None: ...


def open_serial(path: str, setting: Serial, users: Users) -> Line:
    """Open a serial port for this process alone; raises `OSError` with the reason."""
    import serial
    from serial.rs485 import RS485Settings

    port = serial.Serial(timeout=0, write_timeout=0, exclusive=True)
    try:
        port.port, port.baudrate = path, setting.baud
        # A pseudo terminal has no parity bit: the C library reports that as an error, but not at the first opening.
        port.parity = "N" if Path(path).resolve().is_relative_to("/dev/pts") else setting.parity
        port.stopbits = setting.stop_bits
        port.open()
        if setting.rs485 != "off":  # the kernel then switches the transceiver's direction by RTS (TIOCSRS485)
            high = setting.rs485 == "rts_high"
            port.rs485_mode = RS485Settings(rts_level_for_tx=high, rts_level_for_rx=not high)
    except (ValueError, termios.error) as error:
        port.close()
        raise OSError(f"can't be set as configured: {error}") from error
    except OSError:
        port.close()
        raise
    return _SerialLine(port.fileno(), port.close, users)


class _SerialLine:
    """Reads and writes the descriptor itself: pyserial only opens and sets the port."""

    def __init__(self, descriptor: int, close: Callable[[], None], users: Users) -> None:
        self._descriptor = descriptor
        self._close = close
        self._users = users
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(descriptor, self._read)

    def write(self, data: bytes) -> None:
        try:
            written = os.write(self._descriptor, data)
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if written < len(data):
            self._lose("it takes no more bytes")

    def close(self) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1
            self._close()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(error.strerror or str(error))
            return
        if data:
            self._users.on_data(data)
        else:
            self._lose("the port is gone")

    def _lose(self, reason: str) -> None:
        self.close()
        self._users.on_lost(reason)


async def open_tcp(host: str, port: int, users: Users) -> Line:
    """Connect to a Modbus TCP device or a serial device server; raises `OSError`."""
    loop = asyncio.get_running_loop()
    _, line = await loop.create_connection(lambda: _TcpLine(users), host, port)
    return line


class _TcpLine(asyncio.Protocol):
    def __init__(self, users: Users) -> None:
        self._users = users
        self._transport: asyncio.WriteTransport | None = None
        self._closed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        if not self._closed:
            self._users.on_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed:
            self._closed = True
            self._users.on_lost(str(exc) if exc is not None else "the connection was closed")

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        self._closed = True
        if self._transport is not None:
            self._transport.close()
