# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from ocpp.v201.enums import Action

from tools.csms import schemas
from tools.csms.api import templates

_FILLED = {
    "$request_id": 1,
    "$transaction": "t1",
    "$now": "2026-11-23T12:00:00Z",
    "$in_an_hour": "2026-11-23T13:00:00Z",
    "$ocpp": "ws://127.0.0.1:9000/ocpp",
}


def _fill(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _fill(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_fill(item) for item in value]
    return _FILLED.get(value, value) if isinstance(value, str) else value


def test_both_lists_together_are_the_whole_of_ocpp() -> None:
    both, either = schemas.CSMS_ACTIONS & schemas.STATION_ACTIONS, schemas.CSMS_ACTIONS | schemas.STATION_ACTIONS
    assert both == {"DataTransfer"}
    assert either == {action.value for action in Action}


def test_every_schema_can_be_read() -> None:
    for action in schemas.CSMS_ACTIONS | schemas.STATION_ACTIONS:
        for side in ("Request", "Response"):
            schemas.check(action, side, {})


@pytest.mark.parametrize("template", templates(), ids=lambda template: f"{template['action']} {template['title']}")
def test_every_template_may_be_sent_as_it_is(template: dict[str, Any]) -> None:
    assert template["action"] in schemas.CSMS_ACTIONS
    assert schemas.check(template["action"], "Request", _fill(template["payload"])) is None


def test_there_is_a_template_for_every_request() -> None:
    assert {template["action"] for template in templates()} == schemas.CSMS_ACTIONS


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        ({}, "OccurrenceConstraintViolation", ""),
        ({"type": 3}, "TypeConstraintViolation", "type"),
        ({"type": "Later"}, "PropertyConstraintViolation", "type"),
        ({"type": "OnIdle", "evse": 1}, "FormatViolation", ""),
    ],
)
def test_a_problem_is_named_with_its_place(payload: dict[str, Any], code: str, path: str) -> None:
    problem = schemas.check("Reset", "Request", payload)
    assert problem is not None
    assert (problem.code, problem.path) == (code, path)


def test_enumerations() -> None:
    assert "Blocked" in schemas.enumeration("Authorize", "Response", "AuthorizationStatusEnumType")
