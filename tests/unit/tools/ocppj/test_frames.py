# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.ocppj.frames import BadFrame, Call, Error, Result, decode, encode


@pytest.mark.parametrize(
    "frame",
    [
        Call("1", "Heartbeat", {}),
        Result("1", {"currentTime": "2026-11-23T12:00:00Z"}),
        Error("1", "NotImplemented", "no", {}),
        Error("-1", "RpcFrameworkError", "unreadable", {}),
    ],
)
def test_round_trip(frame: Call | Result | Error) -> None:
    assert decode(encode(frame)) == frame


@pytest.mark.parametrize(
    ("text", "message_id", "code", "answerable"),
    [
        ("", "-1", "RpcFrameworkError", True),
        ("{}", "-1", "RpcFrameworkError", True),
        ("[]", "-1", "RpcFrameworkError", True),
        ('[2,"abc","Heartbeat",{', "abc", "FormatViolation", True),
        ("[" * 100_000, "-1", "RpcFrameworkError", True),
        ('[2,"a","Heartbeat"]', "a", "RpcFrameworkError", True),
        ('[2,"a","Heartbeat",{},1]', "a", "RpcFrameworkError", True),
        ('[2,"a",["Heartbeat"],{}]', "a", "RpcFrameworkError", True),
        ('[2,"a","Heartbeat",[]]', "a", "FormatViolation", True),
        ('[2,7,"Heartbeat",{}]', "-1", "RpcFrameworkError", True),
        (f'[2,"{"x" * 37}","Heartbeat",{{}}]', "-1", "RpcFrameworkError", True),
        ('[5,"a",{}]', "a", "MessageTypeNotSupported", True),
        ('["2","a","Heartbeat",{}]', "a", "MessageTypeNotSupported", True),
        ('[3,"a"]', "a", "RpcFrameworkError", False),
        ('[4,"a","Code"]', "a", "RpcFrameworkError", False),
        ("[4]", "-1", "RpcFrameworkError", False),
        ('[2,"a","Heartbeat",{"customData":NaN}]', "a", "FormatViolation", True),
    ],
)
def test_a_broken_frame_states_the_answer_it_needs(text: str, message_id: str, code: str, answerable: bool) -> None:
    with pytest.raises(BadFrame) as caught:
        decode(text)
    assert (caught.value.message_id, caught.value.code, caught.value.answerable) == (message_id, code, answerable)


def test_a_binary_message_is_no_frame() -> None:
    with pytest.raises(BadFrame):
        decode(b'[2,"1","Heartbeat",{}]')


def test_a_description_is_cut_to_what_the_frame_allows() -> None:
    assert len(json.loads(encode(Error("1", "GenericError", "x" * 1000, {})))[3]) == 255


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(st.text() | _json.map(json.dumps))
def test_any_text_is_a_frame_or_a_bad_frame(text: str) -> None:
    try:
        found: Call | Result | Error | BadFrame = decode(text)
    except BadFrame as bad:
        found = bad
    assert 1 <= len(found.message_id) <= 36
