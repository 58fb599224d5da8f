# SPDX-License-Identifier: Apache-2.0
"""Frames of the NXP PN532 on a serial line (UM0701-02, chapters 6 and 7). Pure.

    00  00 FF  LEN LCS  TFI data...  DCS  00

LEN counts TFI and data; LEN + LCS and TFI + data + DCS are 0 modulo 256. TFI is D4 from the host, D5 from the chip.
Each command is first acknowledged, then answered by a frame that begins with the command's code plus one.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from msgspec import Struct

from drivers.card_field import Sighting, identity
from firmware.contract import CardProblem

__all__ = [
    "ACK",
    "WAKE_UP",
    "Answer",
    "Command",
    "Receipt",
    "Splitter",
    "cards_of_type_a",
    "cards_of_type_b",
    "encode",
]

ACK = bytes.fromhex("0000FF00FF00")
"""From the chip: it has a command. From the host: end the running one."""
WAKE_UP = bytes.fromhex("5555" + "00" * 14)
"""Wakes a chip that sleeps; the next command is sent at once after it."""

_START = b"\x00\xff"
_TO_CHIP = 0xD4
_FROM_CHIP = 0xD5
_ERROR = 0x7F
_HAS_ATS = 0x20
_ATQB_BYTES = 12


class Command(Enum):
    """The commands that the driver sends: code and parameters."""

    GET_FIRMWARE_VERSION = (0x02, b"")
    SAM_CONFIGURATION = (0x14, b"\x01\x00\x01")
    """Normal mode, no time-out, IRQ."""
    MAX_RETRIES = (0x32, b"\x05\xff\x01\x01")
    """RFConfiguration, item 5: two looks for a card, then an answer. Without it the chip waits for ever."""
    LIST_TYPE_A = (0x4A, b"\x01\x00")
    """InListPassiveTarget: one card at 106 kbit/s."""
    LIST_TWO_TYPE_A = (0x4A, b"\x02\x00")
    LIST_TYPE_B = (0x4A, b"\x01\x03\x00")
    RELEASE = (0x52, b"\x00")
    """InRelease: let go of all cards."""

    @property
    def code(self) -> int:
        return self.value[0]


class Receipt(Enum):
    """What the chip sends besides answers: it has the command, it lost it, it does not know it."""

    ACK = "ack"
    NACK = "nack"
    ERROR = "error"


class Answer(Struct, frozen=True):
    """The answer to the command with this code."""

    code: int
    data: bytes


def encode(command: Command) -> bytes:
    """The frame of a command."""
    code, parameters = command.value
    body = bytes([_TO_CHIP, code]) + parameters
    return b"\x00" + _START + bytes([len(body), -len(body) & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])


class Splitter:
    """Finds the frames in a stream that may be cut anywhere and contain anything; keeps at most one frame's bytes."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def clear(self) -> None:
        """Forget what came before a new command."""
        self._bytes.clear()

    def feed(self, data: bytes) -> Iterator[Answer | Receipt]:
        """The frames that are complete with `data`; what is not a frame is skipped."""
        self._bytes += data
        while (frame := self._next()) is not None:
            yield frame

    def _next(self) -> Answer | Receipt | None:
        while True:
            start = self._bytes.find(_START)
            if start < 0:
                del self._bytes[: len(self._bytes) - self._bytes.endswith(b"\x00")]
                return None
            del self._bytes[:start]
            if len(self._bytes) < 4:
                return None
            length, check = self._bytes[2:4]
            if (length, check) in _RECEIPTS:
                del self._bytes[:4]
                return _RECEIPTS[length, check]
            if length and (length + check) & 0xFF == 0:
                if len(self._bytes) < 4 + length + 1:
                    return None
                body, total = bytes(self._bytes[4 : 4 + length]), sum(self._bytes[4 : 5 + length])
                frame = _frame(body) if total & 0xFF == 0 else None
                if frame is not None:
                    del self._bytes[: 5 + length]
                    return frame
            del self._bytes[:1]  # no frame: look for another start behind this one


_RECEIPTS = {(0x00, 0xFF): Receipt.ACK, (0xFF, 0x00): Receipt.NACK}


def _frame(body: bytes) -> Answer | Receipt | None:
    if body == bytes([_ERROR]):
        return Receipt.ERROR
    if len(body) >= 2 and body[0] == _FROM_CHIP:
        return Answer(body[1] - 1, body[2:])
    return None


def cards_of_type_a(data: bytes) -> list[Sighting]:
    """The cards of an answer to `LIST_TYPE_A`: count, then of each number, SENS_RES, SEL_RES, UID, and ATS if any."""
    cards: list[Sighting] = []
    rest = data[1:]
    for _ in range(data[0] if data else 0):
        uid = rest[5 : 5 + rest[4]] if len(rest) > 4 else b""
        if not uid or len(uid) < rest[4]:
            return [*cards, CardProblem.UNREADABLE]
        cards.append(identity(uid))
        has_ats = bool(rest[3] & _HAS_ATS)
        rest = rest[5 + len(uid) :]
        if has_ats and rest:
            rest = rest[rest[0] :]  # its length counts itself
    return cards


def cards_of_type_b(data: bytes) -> list[Sighting]:
    """The cards of an answer to `LIST_TYPE_B`: count, number, ATQB, whose bytes 1 to 4 are the identifier (PUPI)."""
    if not data or data[0] == 0:
        return []
    atqb = data[2 : 2 + _ATQB_BYTES]
    return [atqb[1:5].hex().upper() if len(atqb) == _ATQB_BYTES else CardProblem.UNREADABLE]
