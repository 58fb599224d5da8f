# SPDX-License-Identifier: Apache-2.0
"""The bytes of a Nextion panel (instruction set of Nextion; ITEAD's NexHardware.cpp has the codes).

To the panel: an instruction in ASCII, then FF FF FF. From the panel: a code, its data, FF FF FF. Some data may hold FF,
so messages with a fixed length are read by their length, and only the others up to the next FF FF FF.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = [
    "END",
    "Code",
    "Connected",
    "CurrentPage",
    "Encoding",
    "Message",
    "Ready",
    "Splitter",
    "Touched",
    "instruction",
    "quoted",
]

END = b"\xff\xff\xff"
Encoding: TypeAlias = Literal["iso-8859-1", "utf-8"]
"""What the panel's project was compiled with."""

_TOUCH, _PAGE, _READY, _COMOK = 0x65, 0x66, 0x88, ord("c")
_LENGTHS = {_TOUCH: [7], _PAGE: [5], 0x67: [9], 0x68: [9], 0x71: [8], 0x00: [4, 6]}
"""Code -> possible lengths with the end; 67 and 68 are coordinates, 71 is a number, 00 00 00 a start. Others: 4."""
_OPEN = (_COMOK, 0x70)
"""Texts, up to their end."""
_MOST = 256
"""The longest message that is waited for: `comok` has some 60 bytes."""


@dataclass(frozen=True, slots=True)
class Touched:
    """A component of a page, pressed or released."""

    page: int
    component: int
    pressed: bool


@dataclass(frozen=True, slots=True)
class CurrentPage:
    """The answer to `sendme`."""

    page: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The answer to `connect`: model, firmware and serial number, if they are given."""

    model: str
    firmware: str
    serial_number: str


@dataclass(frozen=True, slots=True)
class Ready:
    """The panel has started anew."""


@dataclass(frozen=True, slots=True)
class Code:
    """Success (01) or the kind of failure of an instruction, such as 1A for an unknown component."""

    code: int


Message: TypeAlias = Touched | CurrentPage | Connected | Ready | Code


def instruction(text: str, encoding: Encoding = "iso-8859-1") -> bytes:
    """`page 2`, `t0.txt="Free"`: as bytes with their end. What the encoding does not have is replaced."""
    return _encoded(text, encoding).replace(b"\xff", b"?") + END


def quoted(text: str) -> str:
    """A text as the panel reads it: in double quotes, with quotes and backslashes escaped, on one line."""
    line = " ".join(text.split())
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _encoded(text: str, encoding: Encoding) -> bytes:
    """Letters that the encoding lacks lose their marks, typographic signs become plain ones, the rest is `?`."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        plain = "".join(_plain(letter) if ord(letter) > 0xFF else letter for letter in text)
        return plain.encode(encoding, "replace")


_SIGNS = {"–": "-", "’": "'", "“": '"', "”": '"', "…": "...", "œ": "oe", "Œ": "OE", "€": "EUR"}


def _plain(letter: str) -> str:
    found = _SIGNS.get(letter)
    if found is not None:
        return found
    return "".join(part for part in unicodedata.normalize("NFKD", letter) if not unicodedata.combining(part))


class Splitter:
    """Makes messages of the bytes that arrive; garbage is passed over, and never kept for long."""

    def __init__(self) -> None:
        self._buffer = b""

    def clear(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> list[Message]:
        self._buffer += data
        found: list[Message] = []
        while self._buffer and (length := _length(self._buffer)) is not None:
            if length == 0:
                self._buffer = self._buffer[1:]  # no message begins here
                continue
            message, self._buffer = _decoded(self._buffer[: length - len(END)]), self._buffer[length:]
            if message is not None:
                found.append(message)
        self._buffer = self._buffer[-_MOST:]
        return found


def _length(data: bytes) -> int | None:
    """Of the message at the beginning, with its end; 0 if there is none, None if it is not whole yet."""
    code = data[0]
    if code in _OPEN:
        end = data.find(END)
        if end >= 0:
            return end + len(END)
        return None if len(data) < _MOST else 0
    for length in _LENGTHS.get(code, [4]):
        if len(data) < length and _may_end(data, length):
            return None
        if data[length - 3 : length] == END and not (code == _TOUCH and data[3] > 1):
            return length
    return 0


def _may_end(data: bytes, length: int) -> bool:
    """Whether what there is of the end is an end."""
    return END.startswith(data[length - 3 :])


def _decoded(body: bytes) -> Message | None:
    match list(body):
        case [code, page, component, event] if code == _TOUCH and event in (0, 1):
            return Touched(page, component, event == 1)
        case [code, page] if code == _PAGE:
            return CurrentPage(page)
        case [0, 0, 0] | [0x88]:
            return Ready()
        case [code] if code < 0x30:
            return Code(code)
        case [code, *_rest] if code == _COMOK:
            return _connected(body)
    return None


def _connected(body: bytes) -> Connected | None:
    """`comok touch,address,model,firmware,MCU,serial,flash`, in ASCII."""
    word, _, rest = body.decode("ascii", "replace").partition(" ")
    if word != "comok":
        return None
    fields = [field.strip() for field in rest.split(",")] + [""] * 6
    return Connected(fields[2], fields[3], fields[5])
