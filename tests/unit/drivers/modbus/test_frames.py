# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.modbus.frames import Framing, Function, Reply, Request, Rtu, StreamBroken, Tcp

READ = Request(1, Function.READ_HOLDING, 0, 20)
BLOCK = Request(3, Function.READ_HOLDING, 1000, 4)
SELF_TEST = Request(3, Function.WRITE, 8005, values=(0x5445,))
GOOD = bytes.fromhex("03 03 08 48 F4 24 00 00 02 00 47 C9 20")
"""R_F of 500 kOhm: float 0x48F42400, no alarm, true value in Ohm, channel 71."""


def test_requests_of_rtu() -> None:
    assert Rtu().encode(READ, 7) == bytes.fromhex("01 03 00 00 00 14 45 C5")
    assert Rtu().encode(BLOCK, 7) == bytes.fromhex("03 03 03 E8 00 04 C5 9B")
    assert Rtu().encode(SELF_TEST, 7) == bytes.fromhex("03 10 1F 45 00 01 02 54 45 A0 57")
    assert Rtu().encode(Request(1, Function.READ_INPUT, 0x48, 2), 7) == bytes.fromhex("01 04 00 48 00 02 F1 DD")


def test_requests_of_tcp_have_a_number() -> None:
    assert Tcp().encode(READ, 0x1234) == bytes.fromhex("12 34 00 00 00 06 01 03 00 00 00 14")


def reply_in(framing: Framing, received: bytes, request: Request, number: int) -> Reply | None:
    """The first of the replies."""
    return next(framing.replies(received, request, number), None)


def test_reply_of_rtu() -> None:
    assert reply_in(Rtu(), GOOD, BLOCK, 0) == Reply((0x48F4, 0x2400, 0x0002, 0x0047))
    assert reply_in(Rtu(), bytes.fromhex("03 10 1F 45 00 01 16 2A"), SELF_TEST, 0) == Reply()
    assert reply_in(Rtu(), bytes.fromhex("03 83 02 61 31"), BLOCK, 0) == Reply(exception=2)


@pytest.mark.parametrize(
    "received",
    [
        GOOD[:-1],
        GOOD[:4] + b"\x00" + GOOD[5:],
        bytes.fromhex("04 03 08 48 F4 24 00 00 02 00 47 D3 54"),
        bytes.fromhex("03 03 04 48 F4 24 00 94 A1"),
        bytes.fromhex("03 10 1F 45 00 01 16 2A"),
    ],
    ids=["cut", "damaged", "other address", "other length", "other function"],
)
def test_what_is_not_the_reply_is_not_believed(received: bytes) -> None:
    assert reply_in(Rtu(), received, BLOCK, 0) is None


def test_every_reply_is_found() -> None:
    other = bytes.fromhex("03 83 02 61 31")
    found = list(Rtu().replies(GOOD + b"\x00" + other + GOOD[:-1], BLOCK, 0))
    assert found == [Reply((0x48F4, 0x2400, 0x0002, 0x0047)), Reply(exception=2)]


def test_a_write_is_answered_by_its_own_register() -> None:
    other = Request(3, Function.WRITE, 3026, values=(1,))
    assert reply_in(Rtu(), bytes.fromhex("03 10 1F 45 00 01 16 2A"), other, 0) is None


@given(before=st.binary(max_size=40), after=st.binary(max_size=40))
def test_the_reply_is_found_among_anything(before: bytes, after: bytes) -> None:
    assert reply_in(Rtu(), before + GOOD + after, BLOCK, 0) == Reply((0x48F4, 0x2400, 0x0002, 0x0047))


@given(st.binary(max_size=300))
def test_no_bytes_are_too_much(received: bytes) -> None:
    for request in (READ, BLOCK, SELF_TEST):
        reply_in(Rtu(), received, request, 0)
        Rtu().describe(received, request)


def test_what_came_instead_is_described() -> None:
    rtu = Rtu()
    assert rtu.describe(b"", BLOCK) == "no answer"
    other = bytes.fromhex("04 03 08 48 F4 24 00 00 02 00 47 D3 54")
    assert rtu.describe(other, BLOCK) == "address 4 answers instead"
    assert rtu.describe(bytes.fromhex("03 10 1F 45 00 01 16 2A"), BLOCK) == "the answer is of another request"
    assert "check baud rate" in rtu.describe(GOOD[:-1] + b"\x00", BLOCK)


def test_a_reply_of_tcp_has_the_number_of_its_request() -> None:
    late = bytes.fromhex("00 06 00 00 00 07 03 03 04 00 01 00 02")
    reply = bytes.fromhex("00 07 00 00 00 07 03 03 04 48 F4 24 00")
    request = Request(3, Function.READ_HOLDING, 1000, 2)
    assert reply_in(Tcp(), late, request, 7) is None
    assert reply_in(Tcp(), late + reply, request, 7) == Reply((0x48F4, 0x2400))
    assert reply_in(Tcp(), reply[:-1], request, 7) is None
    assert Tcp().rest(late + reply[:9]) == reply[:9]
    assert Tcp().describe(late, request) == "the answer is of another request"
    assert Tcp().describe(late, Request(4, Function.READ_HOLDING, 0, 2)) == "address 3 answers instead"


def test_a_stream_that_is_no_modbus_is_broken() -> None:
    with pytest.raises(StreamBroken):
        reply_in(Tcp(), b"HTTP/1.1 400 Bad Request\r\n", READ, 1)
