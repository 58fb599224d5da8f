# SPDX-License-Identifier: Apache-2.0
"""Modbus frames: a request as bytes, and the reply to it in what a line has received. No I/O.

Source: Modbus application protocol V1.1b3, Modbus over serial line V1.02, Modbus messaging on TCP/IP V1.0b. The PDUs
and the CRC are pymodbus's; its client is not used (`drivers/modbus/bus.py` says why).

A reply is believed only if it has the address, the function and the length that the request asks for, and a good CRC
(RTU) or the request's transaction number (TCP). It is searched for in all that was received since the request, so that
noise before it, the rest of another frame or the echo of the request do no harm.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Protocol

from msgspec import Struct
from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ExceptionResponse, ModbusPDU
from pymodbus.pdu.register_message import (
    ReadHoldingRegistersRequest,
    ReadInputRegistersRequest,
    WriteMultipleRegistersRequest,
)

__all__ = ["DAMAGED", "EXCEPTIONS", "Framing", "Function", "Reply", "Request", "Rtu", "StreamBroken", "Tcp"]

ERROR_FLAG = 0x80
MAX_PDU = 253
DAMAGED = "damaged answers: check baud rate, parity, wiring and termination"
RTU_OVERHEAD = 3
"""Address and CRC."""

EXCEPTIONS = {
    1: "it has no such function",
    2: "it has no such register",
    3: "it does not take this value or count",
    4: "it has failed",
    5: "it needs more time",
    6: "it is busy",
    8: "its memory is damaged",
    10: "the gateway has no path to it",
    11: "it does not answer the gateway",
}
"""The exception codes, in words (application protocol, section 7)."""


class Function(IntEnum):
    READ_HOLDING = 3
    READ_INPUT = 4
    WRITE = 16


class Request(Struct, frozen=True):
    """One transaction with a slave; `values` are 16-bit registers and make it a write."""

    unit: int
    function: Function
    address: int
    count: int = 1
    values: tuple[int, ...] = ()

    @property
    def reply_bytes(self) -> int:
        """Length of the reply's PDU."""
        return 5 if self.function is Function.WRITE else 2 + 2 * self.count


class Reply(Struct, frozen=True):
    """What the slave answered: registers, or an exception's code."""

    registers: tuple[int, ...] = ()
    exception: int = 0


class StreamBroken(Exception):
    """What a TCP connection delivers is no Modbus: it must be closed and opened again."""


class Framing(Protocol):
    """RTU or TCP."""

    def encode(self, request: Request, number: int) -> bytes: ...

    def replies(self, received: bytes, request: Request, number: int) -> Iterator[Reply]:
        """The reply, if it is complete, and others to this request; raises `StreamBroken`."""

    def describe(self, received: bytes, request: Request) -> str:
        """What came instead of a reply, for an electrician; DAMAGED if it was no frame at all."""

    def rest(self, received: bytes) -> bytes:
        """What is kept of `received` when a request begins: the beginning of a frame of which the rest will come."""


_PDUS: dict[Function, type[ModbusPDU]] = {
    Function.READ_HOLDING: ReadHoldingRegistersRequest,
    Function.READ_INPUT: ReadInputRegistersRequest,
    Function.WRITE: WriteMultipleRegistersRequest,
}
_DECODER = DecodePDU(is_server=False)


def _pdu(request: Request, number: int) -> ModbusPDU:
    count, values = (len(request.values), list(request.values)) if request.values else (request.count, None)
    return _PDUS[request.function](
        dev_id=request.unit, transaction_id=number, address=request.address, count=count, registers=values
    )


def _reply_size(head: bytes, request: Request) -> int:
    """Length of the PDU that begins with `head`; 0 if it can't be the reply."""
    if not head:
        return 0
    if head[0] == request.function | ERROR_FLAG:
        return 2
    if head[0] != request.function:
        return 0
    if request.function is Function.WRITE:
        echo = struct.pack(">HH", request.address, len(request.values))
        return request.reply_bytes if head[1:5] == echo[: len(head) - 1] else 0
    return request.reply_bytes if head[1:2] in (b"", bytes([2 * request.count])) else 0


def _decode(pdu: bytes) -> Reply:
    decoded = _DECODER.decode(pdu)
    if isinstance(decoded, ExceptionResponse):
        return Reply(exception=decoded.exception_code)
    return Reply(registers=tuple(decoded.registers) if decoded is not None else ())


class Rtu:
    """Address, PDU, CRC; also over a TCP connection to a serial device server."""

    def __init__(self) -> None:
        self._framer = FramerRTU(_DECODER)

    def encode(self, request: Request, number: int) -> bytes:
        return self._framer.buildFrame(_pdu(request, 0))

    def replies(self, received: bytes, request: Request, number: int) -> Iterator[Reply]:
        start = 0
        while start < len(received) - RTU_OVERHEAD:
            size = _reply_size(received[start + 1 : start + 6], request) if received[start] == request.unit else 0
            end = start + size + RTU_OVERHEAD
            if size and _crc_is_good(received[start:end], size):
                yield _decode(received[start + 1 : start + 1 + size])
                start = end
            else:
                start += 1

    def describe(self, received: bytes, request: Request) -> str:
        if not received:
            return "no answer"
        for start in range(len(received) - RTU_OVERHEAD):
            for size in (2, 5, 2 + received[start + 2]):
                if _crc_is_good(received[start : start + size + RTU_OVERHEAD], size):
                    if received[start] != request.unit:
                        return f"address {received[start]} answers instead"
                    return "the answer is of another request"
        return DAMAGED

    def rest(self, received: bytes) -> bytes:
        return b""


def _crc_is_good(frame: bytes, size: int) -> bool:
    """Whether `frame` is complete, with a PDU of `size` bytes and its CRC (low byte first)."""
    return len(frame) == size + RTU_OVERHEAD and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


class Tcp:
    """MBAP header (transaction number, protocol 0, length, address) and PDU."""

    def __init__(self) -> None:
        self._framer = FramerSocket(_DECODER)

    def encode(self, request: Request, number: int) -> bytes:
        return self._framer.buildFrame(_pdu(request, number))

    def replies(self, received: bytes, request: Request, number: int) -> Iterator[Reply]:
        for their_number, unit, pdu in _frames(received)[0]:
            if their_number == number and unit == request.unit and _reply_size(pdu[:5], request) == len(pdu):
                yield _decode(pdu)

    def describe(self, received: bytes, request: Request) -> str:
        others = {unit for _, unit, _ in _frames(received)[0]} - {request.unit}
        if others:
            return f"address {min(others)} answers instead"
        return "the answer is of another request" if received else "no answer"

    def rest(self, received: bytes) -> bytes:
        return _frames(received)[1]


def _frames(received: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """The complete frames as number, address and PDU, and what follows them; raises `StreamBroken`."""
    found, at = [], 0
    while len(received) - at >= 8:
        number, protocol, length, unit = struct.unpack_from(">HHHB", received, at)
        if protocol != 0 or not 2 <= length <= MAX_PDU + 1:
            raise StreamBroken("what it sends is not Modbus TCP")
        end = at + 6 + length
        if end > len(received):
            break
        found.append((number, unit, received[at + 7 : end]))
        at = end
    return found, received[at:]
