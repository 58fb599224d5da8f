# SPDX-License-Identifier: Apache-2.0
"""What an operator of a CSMS reads about a wrong message is a sentence with the field, for every field of OCPP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from services.ocpp.messages import ACTIONS
from services.ocpp.rpc.codec import Malformed, decode, encode_call, encode_result
from services.ocpp.rpc.peer import Failed, RpcPeer
from services.ocpp.rpc.validation import Violation, check_request, check_response
from tests.support.plain_words import assert_plain, schema, valid, wrong_payloads
from tools.ocppj import schemas


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_wrong_field_is_named_in_plain_words(action: str) -> None:
    sides: tuple[tuple[schemas.Side, Callable[[str, object], Violation | None]], ...]
    sides = (("Request", check_request), ("Response", check_response))
    for side, check in sides:
        root = schema(f"{action}{side}")
        assert check(action, valid(root, root)) is None
        for field, payload in wrong_payloads(f"{action}{side}"):
            violation = check(action, payload)
            assert violation is not None, (field, payload)
            assert_plain(violation.description)
            assert field in violation.description
            assert len(violation.description) <= 255
            problem = schemas.check(action, side, payload)
            assert problem is not None
            assert_plain(str(problem))


def _get(**entry: Any) -> dict[str, Any]:
    place = {"component": {"name": "A"}, "variable": {"name": "B"}}
    return {"getVariableData": [place, {**place, **entry}]}


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        ([], "payload: expected an object, got an empty list"),
        ({}, "getVariableData is missing"),
        ({**_get(), "more": 1}, "payload: unknown field more"),
        (_get(more=1), "getVariableData 2: unknown field more"),
        (_get(component={}), "getVariableData 2, component.name is missing"),
        ({"getVariableData": []}, "getVariableData: expected at least 1 element, got 0"),
        (_get(component=None), "getVariableData 2, component: expected an object, got null"),
        (_get(component={"name": 12}), "getVariableData 2, component.name: expected a text, got a whole number"),
        (
            _get(component={"name": "A", "evse": {"id": 1.5}}),
            "getVariableData 2, component.evse.id: expected a whole number, got a number with decimals",
        ),
        (
            _get(attributeType="Sometimes"),
            "getVariableData 2, attributeType: expected one of Actual, Target, MinSet, MaxSet",
        ),
        (
            _get(component={"name": "x" * 51}),
            "getVariableData 2, component.name: expected at most 50 characters, got 51",
        ),
        (
            _get(component={"name": "A", "evse": {"id": 2**31}}),
            "getVariableData 2, component.evse.id: expected at most 2147483647",
        ),
    ],
)
def test_the_sentence(payload: Any, text: str) -> None:
    violation = check_request("GetVariables", payload)
    assert violation is not None
    assert violation.description == text


def test_a_list_of_many_values_is_cut() -> None:
    violation = check_request("TriggerMessage", {"requestedMessage": "Coffee"})
    assert violation is not None
    assert violation.description == (
        "requestedMessage: expected one of BootNotification, LogStatusNotification, FirmwareStatusNotification, "
        "Heartbeat, MeterValues ... (11 in all)"
    )


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("[2,nope]", "not JSON: invalid character (byte 7)"),
        ('[2,"7","Reset",{', "not JSON: it ends too early"),
        (b'[2,"7","Reset",{"type":"\xff"}]', "not JSON: not in UTF-8"),
        ('[2,"7","Reset",' + "[" * 100_000, "nested too deeply"),
        ('[2,"7","Reset",1e999]', "not JSON: a number out of range"),
    ],
)
def test_what_is_not_json(frame: str | bytes, text: str) -> None:
    message = decode(frame)
    assert isinstance(message, Malformed)
    assert message.description == text


def test_an_invalid_answer_says_whose_fault_it_is_and_which_field(caplog: pytest.LogCaptureFixture) -> None:
    peer = RpcPeer(timeout_s=30)
    peer.call("7", "Authorize", {}, 0)
    (failed,) = peer.receive(encode_result("7", {"idTokenInfo": {"status": "Perhaps"}}), 1)
    assert isinstance(failed, Failed)
    invalid = peer.take_invalid()
    assert invalid is not None
    assert invalid.startswith("answer of the CSMS to Authorize: idTokenInfo.status: expected one of Accepted, Blocked")
    assert invalid in caplog.text.replace("invalid ", "")
    assert_plain(invalid)


def test_an_invalid_request_says_whose_fault_it_is_and_which_field(caplog: pytest.LogCaptureFixture) -> None:
    peer = RpcPeer(timeout_s=30)
    peer.receive(encode_call("7", "Reset", {"type": "OnIdle", "evseId": "1"}), 0)
    assert peer.take_invalid() == (
        "Reset of the CSMS: TypeConstraintViolation: evseId: expected a whole number, got a text of 1 character"
    )
    assert "Reset of the CSMS refused: TypeConstraintViolation: evseId: expected a whole number" in caplog.text
