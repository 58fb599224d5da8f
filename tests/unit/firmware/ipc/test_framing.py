# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firmware.contract.display import Page, PageModel
from firmware.contract.messages import Done, FromClient, FromHal, Greeting, Refused, Request, Role, ScreenShown, Stamped
from firmware.errors import ContractError
from firmware.ipc.framing import MAX_LINE_BYTES, Decoder, LineSplitter, encode

decode_hal: Decoder[FromHal] = Decoder(FromHal)
decode_client: Decoder[FromClient] = Decoder(FromClient)


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line)), st.lists(st.integers(min_value=0)))
def test_lines_do_not_depend_on_how_the_stream_is_cut(lines: list[bytes], places: list[int]) -> None:
    splitter = LineSplitter()
    data = b"".join(line + b"\n" for line in lines)
    assert [line for chunk in cut(data, places) for line in splitter.feed(chunk)] == lines
    assert not splitter.pending


def test_half_a_line_is_pending() -> None:
    splitter = LineSplitter()
    assert list(splitter.feed(b"one\ntw")) == [b"one"]
    assert splitter.pending


def test_the_longest_line_is_64_kib_with_its_newline() -> None:
    assert list(LineSplitter().feed(b"x" * (MAX_LINE_BYTES - 1) + b"\n")) == [b"x" * (MAX_LINE_BYTES - 1)]
    with pytest.raises(ContractError, match="65536"):
        list(LineSplitter().feed(b"x" * MAX_LINE_BYTES + b"\n"))


def test_a_line_that_never_ends_is_refused_before_its_newline() -> None:
    splitter = LineSplitter()
    for _ in range(MAX_LINE_BYTES // 1024 - 1):
        assert list(splitter.feed(b"x" * 1024)) == []
    with pytest.raises(ContractError):
        list(splitter.feed(b"x" * 1024))


def test_good_lines_before_a_bad_one_arrive() -> None:
    lines = LineSplitter().feed(b"good\n" + b"x" * MAX_LINE_BYTES)
    assert next(lines) == b"good"
    with pytest.raises(ContractError):
        next(lines)


def test_messages_survive_the_wire() -> None:
    stamped = Stamped(
        seq=1, mono_s=1.5, utc_s=2.5, event=ScreenShown(screen=1, model=PageModel(page=Page.IDLE, connector="ü\n"))
    )
    for message in (Greeting(version=1, role=Role.SERVICE), stamped, Done(id=7)):
        line = encode(message)
        assert line.count(b"\n") == 1
        assert decode_hal(line) == message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "not JSON: it ends too early"),
        (b"\xff\xfe", "not JSON: invalid character (byte 0)"),
        (b"not json", "not JSON"),
        (b"[]", "expected an object, got an empty list"),
        (b'{"kind":"nonsense"}', "nonsense"),
        (b'{"id":1}', "kind"),
        (b'{"kind":"acknowledge"}', "seq"),
        (b'{"kind":"acknowledge","seq":"1"}', "seq: expected a whole number, got '1'"),
        (b'{"kind":"acknowledge","seq":true}', "seq: expected a whole number, got true"),
        (b'{"kind":"acknowledge","seq":1,"more":2}', "more"),
        (
            b'{"kind":"request","id":1,"command":{"kind":"permit","evse":1,"session":"\xff","lease_s":1}}',
            "not in UTF-8",
        ),
        (
            b'{"kind":"request","id":1,"command":{"kind":"permit","evse":1,"session":"s","lease_s":NaN}}',
            "invalid character",
        ),
        (b'{"kind":"acknowledge","seq":1}{"kind":"acknowledge","seq":2}', "trailing"),
        (b'{"x":' + b"[" * 60_000, "nested too deeply"),
    ],
)
def test_the_problem_of_an_invalid_message_is_described(line: bytes, words: str) -> None:
    with pytest.raises(ContractError) as caught:
        decode_client(line)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_contract_error(line: bytes) -> None:
    try:
        message = decode_client(line)
    except ContractError:
        return
    assert isinstance(message, Greeting | Request) or message.seq is not None


def test_an_invalid_message_of_ours_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="Refused"):
        encode(Refused(id=1, problem="busy", detail="x" * MAX_LINE_BYTES))  # type: ignore[arg-type]
    with pytest.raises(ValueError):
        encode(Greeting(version=1, software="\udcff"))
