# SPDX-License-Identifier: Apache-2.0
"""Frames of a hostile peer: mainly nearly valid ones, because plain garbage is refused at once."""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.ocpp.csms.wire import MAX_FRAME_BYTES
from services.ocpp.messages import ACTIONS
from services.ocpp.rpc.codec import encode_call, encode_result
from services.ocpp.rpc.peer import Answered, CallReceived, Failed, RpcPeer
from services.ocpp.rpc.validation import ErrorCode

TIME = {"currentTime": "2026-11-23T10:00:00Z"}
GOOD = (
    encode_call("c", "Reset", {"type": "OnIdle", "evseId": 1}),
    encode_call("c", "SetVariables", {"setVariableData": [{"attributeValue": "pässword"}]}),
    encode_call("c", "DataTransfer", {"vendorId": "x", "data": [1, {"a": [None, "\\"]}]}),
    encode_result("ours", TIME),
    '[4,"ours","GenericError","it failed",{}]',
)
# Each is JSON, or nearly.
_ODD_NUMBERS = ("2", "3", "-1", "1.0", "-0.0", "1e999", "NaN", "9" * 40, "9" * 5000)
_ODD_TEXTS = ('""', '"\\ud800"', '"\ud800"', '"\x00"', '"\\u0000"', "'c'", '"c', "\ufeff")
_ODD_IDS = tuple(f'"{each}"' for each in ("x" * 36, "x" * 48, "é" * 36))
_ODD_SHAPES = ("", "null", "true", "[]", "{}", "[" * 100, '{"a":1,"a":2}', '{"a":' * 70 + "1" + "}" * 70)
_ODD = st.sampled_from((*_ODD_NUMBERS, *_ODD_TEXTS, *_ODD_IDS, *_ODD_SHAPES))
_PARTS = st.lists(
    st.one_of(
        _ODD,
        st.sampled_from(["2", "3", "4", '"c"', '"ours"', '"Reset"', '{"type":"OnIdle"}', json.dumps(TIME)]),
        st.sampled_from(sorted(ACTIONS)).map(json.dumps),
    ),
    max_size=6,
).map(lambda parts: f"[{','.join(parts)}]")


@st.composite
def _damaged(draw: st.DrawFn) -> str:
    """A good frame with one part replaced."""
    frame = draw(st.sampled_from(GOOD))
    at = draw(st.integers(0, len(frame)))
    end = min(len(frame), at + draw(st.integers(0, 12)))
    return frame[:at] + draw(_ODD | st.text(st.characters(), max_size=4)) + frame[end:]


frames = st.one_of(_damaged(), _PARTS, _damaged().map(lambda frame: frame.encode(errors="surrogatepass")), st.binary())


def check(peer: RpcPeer, frame: str | bytes) -> None:
    """One event or one frame results at most, and the frame is a well-formed CALLERROR."""
    events = peer.receive(frame, 1.0)
    sent = peer.take_frames()
    assert len(events) + len(sent) <= 1
    for event in events:
        assert isinstance(event, CallReceived | Answered | Failed)
    for text in sent:
        kind, message_id, code, description, details = json.loads(text.encode())
        assert kind == 4
        assert 0 < len(message_id) <= 36
        assert code in get_args(ErrorCode)
        assert len(description) <= 255
        assert isinstance(details, dict)


@settings(max_examples=400)
@given(frame=frames)
@example(frame='[2,"\ud800","Reset",{')
@example(frame='[2,"c","Reset",{"type":"OnIdle","evseId":' + "9" * 5000 + "}]")
def test_every_frame_has_one_consequence_at_most(frame: str | bytes) -> None:
    peer = RpcPeer()
    peer.call("ours", "Heartbeat", {}, 0.0)
    check(peer, frame)


@settings(max_examples=60)
@given(flood=st.lists(frames, max_size=40))
def test_after_any_flood_a_call_is_still_heard(flood: list[str | bytes]) -> None:
    peer = RpcPeer()
    for frame in flood:
        check(peer, frame)
    peer.reset()
    for round_ in range(2):  # once as the first of a connection, once after another flood
        call = encode_call(f"good-{round_}", "ClearCache", {})
        assert peer.receive(call, 2.0) == [CallReceived(f"good-{round_}", "ClearCache", {})]
        assert peer.answer(f"good-{round_}", {"status": "Accepted"}) == f'[3,"good-{round_}",{{"status":"Accepted"}}]'
        for frame in flood:
            check(peer, frame)


@pytest.mark.parametrize(
    "inside",
    ["[" * 1000, '{"a":' * 1000, '"' + "\\u0000" * 1000, "9" * 10_000, '{"a":1,' * 1000, '["' + "é" * 1000 + '",'],
    ids=lambda inside: repr(inside)[:12],
)
@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut"])
def test_the_largest_frames(inside: str, whole: bool) -> None:
    """256 KiB of the worst; the WebSocket refuses longer ones (`csms/test_link.py`)."""
    head = '[2,"c","DataTransfer",{"vendorId":"x","data":'
    body = inside * ((MAX_FRAME_BYTES - len(head)) // len(inside.encode()))
    peer = RpcPeer()
    check(peer, head + body + ("}]" if whole else ""))
    check(peer, body)


def test_a_flat_frame_of_the_largest_size_is_validated() -> None:
    data: list[Any] = [{"component": {"name": "A"}, "variable": {"name": "B"}}] * 5000
    frame = encode_call("c", "GetVariables", {"getVariableData": data})
    assert len(frame) < MAX_FRAME_BYTES
    assert len(RpcPeer().receive(frame, 0.0)) == 1
    data[-1] = {"component": {"name": "A"}}
    peer = RpcPeer()
    check(peer, encode_call("c", "GetVariables", {"getVariableData": data}))
