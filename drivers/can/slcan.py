# SPDX-License-Identifier: Apache-2.0
"""A CAN adapter that speaks slcan (LAWICEL ASCII): on a serial port, or a TCP port such as that of the rig's hub.

python-can has such an interface, but it asks the system for each byte by itself (0.6 ms a frame over TCP) and blocks
when it sends or closes. This one reads and writes what is there at once and never waits; it offers what `CanBus` uses
of python-can's `BusABC`.

Lines end with CR. To the adapter: `C` close, `Sn` bit rate, `O` open, `T` + 8 hex digits of id + length + data. From
the adapter: frames in the same form, CR or `Z` CR for what it has accepted, BEL for what it has refused.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import time
from collections import deque
from typing import Final, Protocol
from urllib.parse import urlsplit

import can

__all__ = ["SlcanBus", "parse_line"]

_SPEEDS: Final = {
    10_000: "S0",
    20_000: "S1",
    50_000: "S2",
    100_000: "S3",
    125_000: "S4",
    250_000: "S5",
    500_000: "S6",
    800_000: "S7",
    1_000_000: "S8",
}
_LONGEST_LINE: Final = 64
_READ_SIZE: Final = 65536
_REFUSALS: Final = 5
"""So many refusals in a row, and no frame between them, are no single full buffer: the controller is bus-off, or no
other node acknowledges."""
REFUSING_S: Final = 2.0
"""Neither is a buffer that stays full for so long, whatever is received meanwhile."""
CONNECT_S: Final = 3.0
_EXTENDED = re.compile(rb"T([0-1][0-9A-Fa-f]{7})([0-8])((?:[0-9A-Fa-f]{2})*)")
_OTHERS = (b"t", b"r", b"R")
_ACCEPTED = (b"", b"z", b"Z")


class _Port(Protocol):
    def fileno(self) -> int: ...

    def close(self) -> None: ...


class SlcanBus:
    """`channel`: a serial port such as `/dev/ttyACM0`, or `socket://HOST:PORT`.

    The constructor blocks for up to 3 s; nothing else blocks.
    """

    def __init__(self, channel: str, *, bitrate: int, tty_baudrate: int = 115200) -> None:
        if bitrate not in _SPEEDS:
            raise ValueError(f"slcan has no bit rate of {bitrate} bit/s; it has {', '.join(map(str, _SPEEDS))}")
        self.malformed = 0
        """Lines from the adapter that are neither a frame nor an answer."""
        self._frames: deque[can.Message] = deque()
        self._partial = b""
        self._unsent = b""
        self._refused = 0
        self._refusing_since: float | None = None
        try:
            self._port = _open(channel, tty_baudrate)
        except (OSError, ValueError) as error:
            raise can.CanInitializationError(str(error)) from error
        self._write(f"C\r{_SPEEDS[bitrate]}\rO\r".encode())

    def fileno(self) -> int:
        return self._port.fileno()

    @property
    def refuses(self) -> bool:
        """Whether the adapter has refused the latest frame that it has answered."""
        return self._refusing_since is not None

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        """Send an extended data frame; raises `CanOperationError` at once if the adapter does not take it."""
        self._write(b"T%08X%d%s\r" % (msg.arbitration_id, msg.dlc, msg.data.hex().upper().encode()))

    def shutdown(self) -> None:
        """Close the adapter's channel and the port."""
        try:
            self._write(b"C\r")
        except can.CanOperationError:
            pass  # the adapter is gone
        finally:
            self._port.close()

    def recv(self, timeout: float | None = None) -> can.Message | None:
        """The next frame, if it is there already; raises `CanOperationError` when the adapter is lost."""
        if not self._frames:
            self._read()
        return self._frames.popleft() if self._frames else None

    def _read(self) -> None:
        try:
            read = os.read(self.fileno(), _READ_SIZE)
        except BlockingIOError:
            return
        except OSError as error:
            raise can.CanOperationError(str(error), error.errno) from error
        if not read:
            raise can.CanOperationError("the adapter has closed the connection", errno.ECONNRESET)
        *lines, self._partial = (self._partial + read.replace(b"\a", b"\a\r")).split(b"\r")
        if len(self._partial) > _LONGEST_LINE:
            self._partial = b""
            self.malformed += 1
        for line in lines:
            self._take(line)
        since = self._refusing_since
        if self._refused >= _REFUSALS or (since is not None and time.monotonic() - since >= REFUSING_S):
            raise can.CanOperationError("the adapter refuses every frame: bus-off, or no other node", errno.ENETDOWN)

    def _take(self, line: bytes) -> None:
        frame = parse_line(line)
        if frame is not None:
            self._refused = 0
            self._frames.append(can.Message(arbitration_id=frame[0], data=frame[1], is_extended_id=True, check=False))
        elif line in _ACCEPTED:
            self._refused, self._refusing_since = 0, None
        elif line.endswith(b"\a"):
            self._refused += 1
            self._refusing_since = self._refusing_since or time.monotonic()
        elif not line.startswith(_OTHERS):
            self.malformed += 1

    def _write(self, data: bytes) -> None:
        """Write as much as goes at once; keep the rest of a line, refuse a new line while there is such a rest."""
        try:
            if self._unsent:
                self._unsent = self._unsent[os.write(self.fileno(), self._unsent) :]
            if self._unsent:
                raise can.CanOperationError("the adapter takes no more", errno.ENOBUFS)
            self._unsent = data[os.write(self.fileno(), data) :]
        except BlockingIOError:
            raise can.CanOperationError("the adapter takes no more", errno.ENOBUFS) from None
        except OSError as error:
            raise can.CanOperationError(str(error), error.errno) from error


def parse_line(line: bytes) -> tuple[int, bytes] | None:
    """Id and data of an extended data frame; None for anything else, and for a frame that was cut or merged.

    An adapter may add a time stamp of four digits.
    """
    match = _EXTENDED.fullmatch(line)
    if match is None:
        return None
    size, digits = 2 * int(match[2]), match[3]
    if len(digits) not in (size, size + 4):
        return None
    return int(match[1], 16), bytes.fromhex(digits[:size].decode())


def _open(channel: str, tty_baudrate: int) -> _Port:
    """Raises `OSError` or `ValueError`."""
    if not channel.startswith("socket://"):
        import serial

        port: _Port = serial.Serial(channel, tty_baudrate, timeout=0, write_timeout=0, exclusive=True)
        return port
    url = urlsplit(channel)
    connection = socket.create_connection((url.hostname, url.port), CONNECT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection
