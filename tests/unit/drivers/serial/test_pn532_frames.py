# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.serial.pn532_frames import (
    ACK,
    WAKE_UP,
    Answer,
    Command,
    Receipt,
    Splitter,
    cards_of_type_a,
    cards_of_type_b,
    encode,
)
from firmware.contract import CardProblem

VERSION = bytes.fromhex("0000FF06FAD50332010607E800")
UID7 = "0044 00 07 04A1B2C3D4E580"


@pytest.mark.parametrize(
    ("command", "frame"),
    [
        (Command.GET_FIRMWARE_VERSION, "00 00 FF 02 FE D4 02 2A 00"),
        (Command.SAM_CONFIGURATION, "00 00 FF 05 FB D4 14 01 00 01 16 00"),
        (Command.MAX_RETRIES, "00 00 FF 06 FA D4 32 05 FF 01 01 F4 00"),
        (Command.LIST_TYPE_A, "00 00 FF 04 FC D4 4A 01 00 E1 00"),
        (Command.LIST_TWO_TYPE_A, "00 00 FF 04 FC D4 4A 02 00 E0 00"),
        (Command.LIST_TYPE_B, "00 00 FF 05 FB D4 4A 01 03 00 DE 00"),
        (Command.RELEASE, "00 00 FF 03 FD D4 52 00 DA 00"),
    ],
)
def test_commands(command: Command, frame: str) -> None:
    assert encode(command) == bytes.fromhex(frame)


def test_wake_up() -> None:
    assert bytes.fromhex("55 55 00 00 00 00 00 00 00 00 00 00 00 00 00 00") == WAKE_UP


@pytest.mark.parametrize(
    ("data", "frame"),
    [
        ("00 00 FF 00 FF 00", Receipt.ACK),
        ("00 00 FF FF 00 00", Receipt.NACK),
        ("00 00 FF 01 FF 7F 81 00", Receipt.ERROR),
        ("00 00 FF 06 FA D5 03 32 01 06 07 E8 00", Answer(0x02, bytes.fromhex("32010607"))),
        ("00 00 FF 02 FE D5 15 16 00", Answer(0x14, b"")),
    ],
)
def test_frames_of_the_chip(data: str, frame: Answer | Receipt) -> None:
    assert list(Splitter().feed(bytes.fromhex(data))) == [frame]


def test_acknowledgement_and_answer_in_one_piece_or_byte_by_byte() -> None:
    expected = [Receipt.ACK, Answer(0x02, bytes.fromhex("32010607"))]
    assert list(Splitter().feed(ACK + VERSION)) == expected
    splitter = Splitter()
    assert [frame for byte in ACK + VERSION for frame in splitter.feed(bytes([byte]))] == expected


@pytest.mark.parametrize(
    "noise",
    ["AA", "00", "FF", "0000", "00FF05", "00FF0000", "00FF8080", "0000FF06FAD503320106", "0000FF06FAD50332010607E9"],
    ids=["byte", "zero", "ff", "zeros", "bad length", "empty frame", "long start", "cut frame", "bad checksum"],
)
def test_it_finds_the_next_frame_after_noise(noise: str) -> None:
    splitter = Splitter()
    frames = list(splitter.feed(bytes.fromhex(noise) + VERSION))
    for _ in range(150):  # a start code in the noise may promise up to 255 bytes
        frames += splitter.feed(VERSION)
    assert set(frames) == {Answer(0x02, bytes.fromhex("32010607"))}
    assert len(frames) > 100


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_no_bytes_break_it_or_make_it_grow(chunks: list[bytes]) -> None:
    splitter = Splitter()
    for chunk in chunks:
        list(splitter.feed(chunk))
        assert len(splitter._bytes) <= 260
    splitter.clear()
    assert list(splitter.feed(ACK)) == [Receipt.ACK]


@pytest.mark.parametrize(
    ("data", "cards"),
    [
        ("00", []),
        ("", []),
        ("01 01 0004 08 04 DEADBEEF", ["DEADBEEF"]),
        (f"01 01 {UID7}", ["04A1B2C3D4E580"]),
        ("01 01 0344 20 0A 04A1B2C3D4E5F6A7B8C9 05 75778002", ["04A1B2C3D4E5F6A7B8C9"]),
        ("01 01 0344 20 04 08123456 05 75778002", [CardProblem.NO_IDENTITY]),
        ("02 01 0344 20 04 11223344 05 75778002 02 0004 08 04 DEADBEEF", ["11223344", "DEADBEEF"]),
        ("01 01 0004 08 05 DEADBEEF01", [CardProblem.UNREADABLE]),
        ("01 01 0004 08 04 DEAD", [CardProblem.UNREADABLE]),
        ("01 01", [CardProblem.UNREADABLE]),
        ("FF", [CardProblem.UNREADABLE]),
    ],
)
def test_cards_of_type_a(data: str, cards: list[str]) -> None:
    assert cards_of_type_a(bytes.fromhex(data)) == cards


@pytest.mark.parametrize(
    ("data", "cards"),
    [
        ("00", []),
        ("01 01 50 12345678 00000000 000000 01 00", ["12345678"]),
        ("01 01 50 0812", [CardProblem.UNREADABLE]),
    ],
)
def test_cards_of_type_b(data: str, cards: list[str]) -> None:
    assert cards_of_type_b(bytes.fromhex(data)) == cards


@given(st.binary(max_size=60))
def test_no_list_of_cards_breaks_it(data: bytes) -> None:
    assert len(cards_of_type_a(data)) + len(cards_of_type_b(data)) < 20
