# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest
from ocpp.v201.enums import Action

from tools.ocppj import schemas


def test_both_lists_together_are_the_whole_of_ocpp() -> None:
    both, either = schemas.CSMS_ACTIONS & schemas.STATION_ACTIONS, schemas.CSMS_ACTIONS | schemas.STATION_ACTIONS
    assert both == {"DataTransfer"}
    assert either == {action.value for action in Action}


def test_every_schema_can_be_read() -> None:
    for action in schemas.CSMS_ACTIONS | schemas.STATION_ACTIONS:
        schemas.check(action, "Request", {})
        schemas.check(action, "Response", {})


@pytest.mark.parametrize(
    ("payload", "code", "path", "text"),
    [
        ({}, "OccurrenceConstraintViolation", "", "ResetRequest: type is missing"),
        ({"type": 3}, "TypeConstraintViolation", "type", "ResetRequest: type: expected a text, got a whole number"),
        (
            {"type": "Later"},
            "PropertyConstraintViolation",
            "type",
            "ResetRequest: type: expected one of Immediate, OnIdle",
        ),
        (
            {"type": "OnIdle", "evse": 1},
            "FormatViolation",
            "",
            "ResetRequest: payload: unknown field evse",
        ),
        (
            {"type": "OnIdle", "evseId": 2**31},
            "PropertyConstraintViolation",
            "evseId",
            "ResetRequest: evseId: expected at most 2147483647",
        ),
    ],
)
def test_a_problem_is_named_with_its_place(payload: dict[str, Any], code: str, path: str, text: str) -> None:
    problem = schemas.check("Reset", "Request", payload)
    assert problem is not None
    assert (problem.code, problem.path, str(problem)) == (code, path, text)


def test_an_unknown_action_is_a_problem() -> None:
    problem = schemas.check("../Reset", "Request", {})
    assert problem is not None
    assert problem.code == "NotImplemented"


def test_a_place_in_a_list_has_its_index() -> None:
    value = {"timestamp": "2026-11-23T12:00:00Z", "sampledValue": [{"value": 1.0}, {"value": "1"}]}
    problem = schemas.check("MeterValues", "Request", {"evseId": 1, "meterValue": [value]})
    assert problem is not None
    assert problem.path == "meterValue.0.sampledValue.1.value"


@pytest.mark.parametrize("text", ["2026-11-23T12:00:00Z", "2026-11-23t12:00:00.123z", "2026-11-23T12:00:00+01:00"])
def test_a_date_time_is_one_of_rfc_3339(text: str) -> None:
    assert schemas.check("Heartbeat", "Response", {"currentTime": text}) is None


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2026-11-23T12:00:00", "20261123T120000Z", "2026-11-23", "2026-02-30T12:00:00Z", "0001-01-01T00:00Z"],
)
def test_any_other_date_time_is_a_problem(text: str) -> None:
    problem = schemas.check("Heartbeat", "Response", {"currentTime": text})
    assert problem is not None
    assert (problem.code, problem.path) == ("PropertyConstraintViolation", "currentTime")


def test_enumerations() -> None:
    assert "Blocked" in schemas.enumeration("Authorize", "Response", "AuthorizationStatusEnumType")
