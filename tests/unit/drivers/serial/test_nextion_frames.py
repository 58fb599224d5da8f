# SPDX-License-Identifier: Apache-2.0
"""Literal bytes of the instruction set."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial.nextion_frames import (
    Code,
    Connected,
    CurrentPage,
    Message,
    Ready,
    Splitter,
    Touched,
    instruction,
    quoted,
)

COMOK = b"comok 1,30601-0,NX4832T035_011R,52,61488,D264B8204F0E1828,16777216\xff\xff\xff"
MESSAGES: list[tuple[bytes, list[Message]]] = [
    (bytes.fromhex("65 00 01 01 FF FF FF"), [Touched(0, 1, True)]),
    (bytes.fromhex("65 02 1F 00 FF FF FF"), [Touched(2, 31, False)]),
    (bytes.fromhex("65 FF FF 01 FF FF FF"), [Touched(255, 255, True)]),
    (bytes.fromhex("66 02 FF FF FF"), [CurrentPage(2)]),
    (bytes.fromhex("66 FF FF FF FF"), [CurrentPage(255)]),
    (bytes.fromhex("88 FF FF FF"), [Ready()]),
    (bytes.fromhex("00 00 00 FF FF FF"), [Ready()]),
    (bytes.fromhex("01 FF FF FF"), [Code(1)]),
    (bytes.fromhex("1A FF FF FF"), [Code(0x1A)]),
    (bytes.fromhex("71 FF FF FF FF FF FF FF"), []),  # the number -1, which nobody asked for
    (bytes.fromhex("71 66 00 00 00 FF FF FF"), []),
    (bytes.fromhex("67 00 7A 00 1E 01 FF FF FF"), []),
    (b"\x70text\xff\xff\xff", []),
    (COMOK, [Connected("NX4832T035_011R", "52", "D264B8204F0E1828")]),
    (b"comok\xff\xff\xff", [Connected("", "", "")]),
]


@pytest.mark.parametrize(("data", "messages"), MESSAGES)
def test_a_message(data: bytes, messages: list[Message]) -> None:
    assert Splitter().feed(data) == messages
    splitter = Splitter()
    assert [message for byte in data for message in splitter.feed(bytes([byte]))] == messages


def test_several_at_once_and_garbage_between() -> None:
    data = bytes.fromhex("66 01 FF FF FF  65 01  66 02 FF FF FF  88 FF FF FF")
    assert Splitter().feed(data) == [CurrentPage(1), CurrentPage(2), Ready()]
    assert Splitter().feed(b"\x24\x41\x42" + bytes.fromhex("FF FF FF 66 03 FF FF FF")) == [CurrentPage(3)]


@given(st.lists(st.binary(max_size=400), max_size=20))
def test_garbage_is_never_kept_for_long(pieces: list[bytes]) -> None:
    splitter = Splitter()
    for piece in pieces:
        splitter.feed(piece)
        assert len(splitter._buffer) <= 256
    splitter.feed(b"\xff\xff\xff" * 3)
    assert CurrentPage(4) in splitter.feed(bytes.fromhex("66 04 FF FF FF") * 3)


@pytest.mark.parametrize(
    ("text", "encoding", "data"),
    [
        ("page 2", "iso-8859-1", b"page 2\xff\xff\xff"),
        (f"t0.txt={quoted('Geprüft: 20 €')}", "iso-8859-1", b't0.txt="Gepr\xfcft: 20 EUR"\xff\xff\xff'),
        (f"t0.txt={quoted('Say “no” – …')}", "iso-8859-1", b't0.txt="Say "no" - ..."\xff\xff\xff'),
        (f"t0.txt={quoted('ÿ')}", "iso-8859-1", b't0.txt="?"\xff\xff\xff'),  # would be FF
        (f"t0.txt={quoted('充电')}", "iso-8859-1", b't0.txt="??"\xff\xff\xff'),
        (f"t0.txt={quoted('充电')}", "utf-8", 't0.txt="充电"'.encode() + b"\xff\xff\xff"),
    ],
)
def test_an_instruction(text: str, encoding: str, data: bytes) -> None:
    assert instruction(text, encoding) == data  # type: ignore[arg-type]


def test_quotes_and_backslashes_are_escaped_and_a_text_is_one_line() -> None:
    assert quoted('a "b" \\ c\r\n d') == '"a \\"b\\" \\\\ c d"'


@given(st.text(max_size=80), st.sampled_from(["iso-8859-1", "utf-8"]))
def test_no_text_holds_an_end(text: str, encoding: str) -> None:
    data = instruction(f"t0.txt={quoted(text)}", encoding)  # type: ignore[arg-type]
    assert data.index(b"\xff") == len(data) - 3
