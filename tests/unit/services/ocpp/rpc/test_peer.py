# SPDX-License-Identifier: Apache-2.0
"""One end of an OCPP-J connection: which call waits, what is refused, what is dropped."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from services.ocpp.rpc.codec import encode_call, encode_error, encode_result
from services.ocpp.rpc.peer import CONNECTION_LOST, TIMED_OUT, Answered, CallReceived, Failed, RpcPeer

TIME = {"currentTime": "2026-11-23T10:00:00Z"}
CLEAR = encode_call("c1", "ClearCache", {})


@pytest.fixture
def peer() -> RpcPeer:
    return RpcPeer(timeout_s=30.0)


def _sent(peer: RpcPeer) -> list[list[Any]]:
    return [json.loads(frame) for frame in peer.take_frames()]


def test_a_call_and_its_answer(peer: RpcPeer) -> None:
    assert peer.call("a", "Heartbeat", {}, 0.0) == '[2,"a","Heartbeat",{}]'
    assert peer.busy
    assert peer.receive(encode_result("a", TIME), 1.0) == [Answered("a", "Heartbeat", TIME)]
    assert not peer.busy
    assert peer.next_deadline() is None


def test_only_one_call_is_outstanding(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    with pytest.raises(AssertionError, match="Heartbeat is outstanding"):
        peer.call("b", "Heartbeat", {}, 1.0)


def test_a_callerror_fails_the_call(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    events = peer.receive(encode_error("a", "InternalError", "broken"), 1.0)
    assert events == [Failed("a", "Heartbeat", "InternalError", "broken")]
    assert not peer.busy


def test_an_answer_that_breaks_its_schema_fails_the_call(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    (event,) = peer.receive(encode_result("a", {"currentTime": 5}), 1.0)
    assert isinstance(event, Failed)
    assert (event.code, event.timed_out) == ("TypeConstraintViolation", False)
    assert peer.take_frames() == []


def test_a_plain_answer_that_breaks_its_schema_counts(peer: RpcPeer, caplog: pytest.LogCaptureFixture) -> None:
    sloppy = {"currentTime": "2026-11-23T10:00:00", "serverName": None}
    for number in range(3):
        peer.call("a", "Heartbeat", {}, 0.0)
        assert peer.receive(encode_result("a", sloppy), 1.0) == [Answered("a", "Heartbeat", TIME)]
        assert peer.take_invalid() == "answer of the CSMS to Heartbeat: payload: unknown field serverName"
        if number == 1:
            peer.reset()
    expected = [
        "currentTime: a date-time without a zone is read as UTC",
        "serverName: an unknown field is ignored",
    ]
    prefix = "answer of the CSMS to Heartbeat accepted, though invalid: "
    logged = sorted(record.getMessage().removeprefix(prefix) for record in caplog.records)
    assert logged == sorted(expected * 2), "once a connection"


@pytest.mark.parametrize("frame", ['[3,"a"]', '[3,"a",{"currentTime":', b'[3,"a",{}]'])
def test_a_malformed_answer_fails_the_call(peer: RpcPeer, frame: str | bytes) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    (event,) = peer.receive(frame, 1.0)
    assert isinstance(event, Failed)
    assert peer.take_frames() == []


def test_a_call_times_out_once_and_a_late_answer_is_dropped(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 100.0)
    assert peer.next_deadline() == 130.0
    assert peer.on_time(129.9) == []
    (event,) = peer.on_time(130.0)
    assert isinstance(event, Failed)
    assert (event.code, event.timed_out) == (TIMED_OUT, True)
    assert peer.on_time(131.0) == []
    peer.call("b", "Heartbeat", {}, 131.0)
    assert peer.receive(encode_result("a", TIME), 132.0) == []
    assert peer.busy


def test_a_retry_with_the_same_message_id_is_allowed(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    peer.on_time(30.0)
    peer.call("a", "Heartbeat", {}, 31.0)
    assert peer.receive(encode_result("a", TIME), 32.0) == [Answered("a", "Heartbeat", TIME)]


def test_a_new_time_out_holds_for_later_calls(peer: RpcPeer) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    peer.timeout_s = 5.0
    assert peer.next_deadline() == 30.0
    peer.receive(encode_result("a", TIME), 1.0)
    peer.call("b", "Heartbeat", {}, 1.0)
    assert peer.next_deadline() == 6.0


@pytest.mark.parametrize("frame", [encode_result("x", {}), encode_error("-1", "RpcFrameworkError"), "[3]", "[4]"])
def test_an_unexpected_answer_is_dropped(peer: RpcPeer, frame: str) -> None:
    peer.call("a", "Heartbeat", {}, 0.0)
    assert peer.receive(frame, 1.0) == []
    assert peer.take_frames() == []
    assert peer.busy


def test_calls_cross(peer: RpcPeer) -> None:
    """Part 4, section 4.1.1: a CALL may arrive while ours waits for its answer."""
    peer.call("a", "Heartbeat", {}, 0.0)
    assert peer.receive(CLEAR, 1.0) == [CallReceived("c1", "ClearCache", {})]
    assert peer.answer("c1", {"status": "Accepted"}) == '[3,"c1",{"status":"Accepted"}]'
    assert peer.receive(encode_result("a", TIME), 2.0) == [Answered("a", "Heartbeat", TIME)]


def test_both_sides_may_use_the_same_message_id(peer: RpcPeer) -> None:
    peer.call("1", "Heartbeat", {}, 0.0)
    assert peer.receive(encode_call("1", "ClearCache", {}), 1.0) == [CallReceived("1", "ClearCache", {})]
    assert peer.receive(encode_result("1", TIME), 1.0) == [Answered("1", "Heartbeat", TIME)]


def test_a_call_that_breaks_its_schema_is_refused(peer: RpcPeer) -> None:
    assert peer.receive(encode_call("c", "Reset", {"type": "Now"}), 0.0) == []
    ((kind, message_id, code, _, details),) = _sent(peer)
    assert (kind, message_id, code) == (4, "c", "PropertyConstraintViolation")
    assert details == {"path": "type", "constraint": "enum"}
    assert peer.take_frames() == []


def test_an_unknown_action_is_not_implemented(peer: RpcPeer) -> None:
    assert peer.receive(encode_call("c", "MakeCoffee", {}), 0.0) == []
    assert _sent(peer)[0][:3] == [4, "c", "NotImplemented"]


@pytest.mark.parametrize("action", ["clearcache", "ClearCacheRequest"])
def test_an_action_is_case_sensitive_and_has_no_suffix(peer: RpcPeer, action: str) -> None:
    assert peer.receive(encode_call("c", action, {}), 0.0) == []
    assert _sent(peer)[0][2] == "NotImplemented"


def test_a_known_action_that_the_station_lacks_is_not_supported() -> None:
    peer = RpcPeer(supported={"Reset"})
    assert peer.receive(CLEAR, 0.0) == []
    assert _sent(peer)[0][:3] == [4, "c1", "NotSupported"]


def test_a_message_id_in_use_is_refused_until_it_is_answered(peer: RpcPeer) -> None:
    peer.receive(CLEAR, 0.0)
    assert peer.receive(CLEAR, 0.1) == []
    assert _sent(peer)[0][:3] == [4, "c1", "RpcFrameworkError"]
    peer.refuse("c1", "InternalError")
    assert peer.receive(CLEAR, 0.2) == [CallReceived("c1", "ClearCache", {})]


def test_too_many_open_calls_are_refused(peer: RpcPeer) -> None:
    taken = sum(len(peer.receive(encode_call(str(n), "ClearCache", {}), 0.0)) for n in range(100))
    assert taken == 64
    assert {frame[2] for frame in _sent(peer)} == {"GenericError"}


def test_malformed_frames_are_answered_in_order(peer: RpcPeer) -> None:
    for frame in ("nonsense", '[2,"7","Reset"]', '[9,"8",{}]'):
        assert peer.receive(frame, 0.0) == []
    assert [frame[:3] for frame in _sent(peer)] == [
        [4, "-1", "RpcFrameworkError"],
        [4, "7", "RpcFrameworkError"],
        [4, "8", "MessageTypeNotSupported"],
    ]


def test_endless_malformed_frames_are_not_answered_endlessly(peer: RpcPeer) -> None:
    for _ in range(1000):
        peer.receive("ERROR", 0.0)
    assert len(peer.take_frames()) == 200
    peer.receive(CLEAR, 0.0)
    peer.receive("ERROR", 0.0)
    assert len(peer.take_frames()) == 1


def test_a_reset_ends_the_outstanding_call_and_forgets_the_others(peer: RpcPeer) -> None:
    peer.receive(CLEAR, 0.0)
    peer.receive("nonsense", 0.0)
    peer.call("a", "Heartbeat", {}, 0.0)
    failed = peer.reset()
    assert failed is not None
    assert (failed.message_id, failed.code, failed.timed_out) == ("a", CONNECTION_LOST, False)
    assert (peer.busy, peer.next_deadline(), peer.take_frames(), peer.reset()) == (False, None, [], None)
    assert peer.receive(CLEAR, 1.0) == [CallReceived("c1", "ClearCache", {})], "its message id is free again"


class _PeerMachine(RuleBasedStateMachine):
    """Any input in any order: each call of ours ends exactly once, each of theirs is answered once."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = RpcPeer(timeout_s=10.0)
        self.now = 0.0
        self.made: list[str] = []
        self.ended: list[str] = []

    def _take(self, events: list[Any]) -> None:
        for event in events:
            if isinstance(event, CallReceived):
                self.peer.answer(event.message_id, {"status": "Accepted"})
            else:
                self.ended.append(event.message_id)

    @rule()
    def call(self) -> None:
        if not self.peer.busy:
            self.made.append(str(len(self.made)))
            self.peer.call(self.made[-1], "Heartbeat", {}, self.now)

    @rule(number=st.integers(0, 20), good=st.booleans())
    def result(self, number: int, good: bool) -> None:
        self._take(self.peer.receive(encode_result(str(number), TIME if good else {}), self.now))

    @rule(number=st.integers(-1, 20))
    def error(self, number: int) -> None:
        self._take(self.peer.receive(encode_error(str(number), "GenericError"), self.now))

    @rule(frame=st.text(max_size=20) | st.binary(max_size=20) | st.just(CLEAR) | st.just('[3,"0"'))
    def anything(self, frame: str | bytes) -> None:
        self._take(self.peer.receive(frame, self.now))
        self.peer.take_frames()

    @rule(seconds=st.floats(0.0, 20.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self._take(self.peer.on_time(self.now))

    @rule()
    def reset(self) -> None:
        failed = self.peer.reset()
        self._take([] if failed is None else [failed])

    @invariant()
    def each_call_ends_once(self) -> None:
        outstanding = self.made[-1:] if self.peer.busy else []
        assert self.ended + outstanding == self.made


TestPeerMachine = _PeerMachine.TestCase
