# SPDX-License-Identifier: Apache-2.0
"""OCPP-J frames: every case of part 4, section 4, and other input of a broken or hostile CSMS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.ocpp.rpc.codec import (
    Call,
    CallError,
    CallResult,
    Malformed,
    decode,
    encode_call,
    encode_error,
    encode_result,
)

UUID = "0b7d7c31-6c0f-4c3b-9f0e-3a9a7f0b8f11"
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
_IDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=36)


def test_a_call_on_the_wire() -> None:
    assert encode_call("19223201", "Heartbeat", {}) == '[2,"19223201","Heartbeat",{}]'


def test_an_error_always_has_five_elements_and_at_most_255_characters() -> None:
    assert encode_error("7", "GenericError") == '[4,"7","GenericError","",{}]'
    assert len(json.loads(encode_error("7", "GenericError", "x" * 300))[3]) == 255


@given(_IDS, st.text(st.characters(codec="utf-8")), st.dictionaries(st.text(max_size=5), _JSON))
def test_what_is_encoded_is_decoded(message_id: str, text: str, payload: dict[str, Any]) -> None:
    assert decode(encode_call(message_id, text, payload)) == Call(message_id, text, payload)
    assert decode(encode_result(message_id, payload)) == CallResult(message_id, payload)
    error = CallError(message_id, "GenericError", text[:255], payload)
    assert decode(encode_error(message_id, "GenericError", text, payload)) == error


@given(st.text(st.characters()) | st.binary() | _JSON.map(json.dumps) | st.lists(_JSON, max_size=6).map(json.dumps))
@example('[2,"\ud800","Reset",{')
def test_decoding_never_raises_and_every_refusal_can_be_sent(frame: str | bytes) -> None:
    message = decode(frame)
    if isinstance(message, Malformed):
        assert 0 < len(message.message_id) <= 36
        assert len(message.description) <= 255
        json.loads(encode_error(message.message_id, message.code, message.description))


@pytest.mark.parametrize(
    ("frame", "message_id", "code"),
    [
        # Not JSON, no id: RpcFrameworkError with id "-1" (section 4.2.3).
        ("", "-1", "RpcFrameworkError"),
        ("hello", "-1", "RpcFrameworkError"),
        ("[2,", "-1", "RpcFrameworkError"),
        ('[2, 5, "Reset", {]', "-1", "RpcFrameworkError"),
        ('\ufeff[2,"7","Reset",{}]', "-1", "RpcFrameworkError"),
        # Not JSON, but the id is readable.
        ('[2, "7", "Reset", {"type": NaN}]', "7", "FormatViolation"),
        ('[2, "7", "Reset", {"type": 1e999}]', "7", "FormatViolation"),
        ('[2, "7", "Reset", {"type": "\\ud800"}]', "7", "FormatViolation"),
        ('[2, "7", "Reset", {', "7", "FormatViolation"),
        ('[2,"7","Reset",{"evseId":' + "9" * 5000 + "}]", "7", "FormatViolation"),
        ('[2,"7","Reset",{"type":"\ud800"}]', "7", "FormatViolation"),
        ('[2,"\ud800","Reset",{}]', "-1", "RpcFrameworkError"),
        ('[2, "7", ', "7", "RpcFrameworkError"),
        ('[2,"7","DataTransfer",' + "[" * 200_000, "7", "FormatViolation"),
        ('[2,"7","DataTransfer",' + '{"a":' * 100 + "1" + "}" * 100 + "]", "7", "FormatViolation"),
        ("[" * 200_000, "-1", "RpcFrameworkError"),
        # JSON, but not an RPC message.
        ("{}", "-1", "RpcFrameworkError"),
        ("null", "-1", "RpcFrameworkError"),
        ("[]", "-1", "RpcFrameworkError"),
        ("[2]", "-1", "RpcFrameworkError"),
        ('["2","7","Reset",{}]', "7", "RpcFrameworkError"),
        ('[2.5,"7","Reset",{}]', "7", "RpcFrameworkError"),
        ('[true,"7","Reset",{}]', "7", "RpcFrameworkError"),
        # The message id (section 4.1.4).
        ('[2,7,"Reset",{}]', "-1", "RpcFrameworkError"),
        ('[2,"","Reset",{}]', "-1", "RpcFrameworkError"),
        ('[2,null,"Reset",{}]', "-1", "RpcFrameworkError"),
        (f'[2,"{"x" * 37}","Reset",{{}}]', "-1", "RpcFrameworkError"),
        # Message types of other versions (section 4.4).
        ('[5,"7","NotSupported","",{}]', "7", "MessageTypeNotSupported"),
        ('[6,"7","NotifyPeriodicEventStream",{}]', "7", "MessageTypeNotSupported"),
        ("[1]", "-1", "MessageTypeNotSupported"),
        (f"[{10**60}]", "-1", "MessageTypeNotSupported"),
        # A CALL has four elements, its action is a string, its payload an object.
        ('[2,"7","Reset"]', "7", "RpcFrameworkError"),
        ('[2,"7","Reset",{},{}]', "7", "RpcFrameworkError"),
        ('[2,"7",5,{}]', "7", "RpcFrameworkError"),
        ('[2,"7","Reset",[]]', "7", "FormatViolation"),
        ('[2,"7","Reset","{}"]', "7", "FormatViolation"),
        # Binary frames are no part of OCPP-J.
        (b'[2,"7","Reset",{}]', "7", "RpcFrameworkError"),
        (b"\xff\xfe", "-1", "RpcFrameworkError"),
        (b'[2,"7","Reset",{"type":"\xff"}]', "7", "FormatViolation"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_malformed_request_is_refused_precisely(frame: str | bytes, message_id: str, code: str) -> None:
    message = decode(frame)
    assert isinstance(message, Malformed)
    assert (message.message_id, message.code, message.answerable) == (message_id, code, True)


@pytest.mark.parametrize(
    ("frame", "message_id"),
    [
        ("[3]", "-1"),
        ('[3,null,{"a":1}]', "-1"),
        ("[4]", "-1"),
        ('[3,"7"]', "7"),
        ('[3,"7",[]]', "7"),
        ('[3,"7",{},{}]', "7"),
        ('[3,"7",{"currentTime":', "7"),
        ('[4,"7","GenericError', "7"),
        (b'[3,"7",{}]', "7"),
    ],
)
def test_a_malformed_answer_is_never_answered(frame: str | bytes, message_id: str) -> None:
    message = decode(frame)
    assert isinstance(message, Malformed)
    assert (message.message_id, message.answerable) == (message_id, False)


@pytest.mark.parametrize(
    "frame", ['[2,"7","ClearCache",null]', '[2, "7", "ClearCache", {}]', '\n[2,"7","ClearCache",{}]']
)
def test_null_means_no_payload(frame: str) -> None:
    assert decode(frame) == Call("7", "ClearCache", {})


def test_null_means_no_payload_in_an_answer() -> None:
    assert decode('[3,"7",null]') == CallResult("7", {})


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        ('[4,"7"]', CallError("7", "GenericError", "")),
        ('[4,"7","InternalError"]', CallError("7", "InternalError", "")),
        ('[4,"7",13,null,"x"]', CallError("7", "GenericError", "")),
        ('[4,"7","Odd","text",{"a":1}]', CallError("7", "Odd", "text", {"a": 1})),
    ],
)
def test_an_ill_formed_error_is_still_an_error(frame: str, error: CallError) -> None:
    assert decode(frame) == error


def test_ids_of_36_characters_and_other_scripts_are_valid() -> None:
    assert decode(f'[2,"{UUID}","Reset",{{}}]') == Call(UUID, "Reset", {})
    assert decode('[2,"é漢","Reset",{}]') == Call("é漢", "Reset", {})


def test_an_integer_may_come_with_a_fraction_of_nothing() -> None:
    """A schema accepts 1.0 as an integer, but neither the HAL's contract nor a stored message does."""
    message = decode('[2.0,"7","Reset",{"a":1.0,"b":[-0.0,1E2],"c":1.5,"d":1e300}]')
    assert isinstance(message, Call)
    assert json.dumps(message.payload) == '{"a": 1, "b": [0, 100], "c": 1.5, "d": 1e+300}'


def test_a_large_flat_frame_is_not_deep() -> None:
    frame = encode_call("7", "SetVariables", {"setVariableData": [{"a": [{}]} for _ in range(2000)]})
    assert isinstance(decode(frame), Call)
