# SPDX-License-Identifier: Apache-2.0
"""Each way to break a schema gets its error code of part 4, table 8."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from services.ocpp.messages import ACTIONS
from services.ocpp.rpc import validation
from services.ocpp.rpc.validation import check_request, check_response

COMPONENT = {"name": "OCPPCommCtrlr"}
VARIABLE = {"name": "HeartbeatInterval"}


def _get(**entry: Any) -> dict[str, Any]:
    return {"getVariableData": [{"component": COMPONENT, "variable": VARIABLE, **entry}]}


def _local_time(text: str) -> dict[str, Any]:
    return {"currentTime": text}


def test_a_valid_payload_has_no_violation() -> None:
    assert check_request("GetVariables", _get()) is None
    assert check_response("Heartbeat", _local_time("2026-11-23T10:00:00.123Z")) is None


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_every_action_has_both_schemas(action: str) -> None:
    for check in (check_request, check_response):
        violation = check(action, {"noSuchField": 1})
        assert violation is not None
        assert violation.code in ("FormatViolation", "OccurrenceConstraintViolation")


@pytest.mark.parametrize(
    ("payload", "code", "path"),
    [
        ([], "FormatViolation", ""),
        (None, "FormatViolation", ""),
        ({**_get(), "more": 1}, "FormatViolation", ""),
        (_get(more=1), "FormatViolation", "getVariableData[0]"),
        ({}, "OccurrenceConstraintViolation", ""),
        ({"getVariableData": []}, "OccurrenceConstraintViolation", "getVariableData"),
        (_get(component={}), "OccurrenceConstraintViolation", "getVariableData[0].component"),
        ({"getVariableData": None}, "TypeConstraintViolation", "getVariableData"),
        (_get(component={"name": 12}), "TypeConstraintViolation", "getVariableData[0].component.name"),
        (_get(attributeType=1), "TypeConstraintViolation", "getVariableData[0].attributeType"),
        (_get(component={"name": "A", "evse": {"id": True}}), "TypeConstraintViolation", None),
        (_get(component={"name": "A", "evse": {"id": 1.5}}), "TypeConstraintViolation", None),
        (_get(attributeType="Sometimes"), "PropertyConstraintViolation", "getVariableData[0].attributeType"),
        (_get(component={"name": "x" * 51}), "PropertyConstraintViolation", "getVariableData[0].component.name"),
        (_get(component={"name": "A", "evse": {"id": 2**31}}), "PropertyConstraintViolation", None),
        (_get(component={"name": "A", "evse": {"id": -(10**30)}}), "PropertyConstraintViolation", None),
    ],
)
def test_each_kind_of_violation(payload: Any, code: str, path: str | None) -> None:
    violation = check_request("GetVariables", payload)
    assert violation is not None
    assert violation.code == code
    if path is not None:
        assert violation.details["path"] == path


def test_the_most_severe_of_several_violations_is_reported() -> None:
    payload = {"getVariableData": [{"component": {"name": "x" * 51}, "variable": {"name": 5}}, {}]}
    violation = check_request("GetVariables", payload)
    assert violation is not None
    assert violation.code == "OccurrenceConstraintViolation"


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-23T10:00:00Z",
        "2026-11-23T10:00:00+05:30",
        "2026-11-23T10:00:00.123456789Z",
        "2024-02-29T00:00:00-08:00",
        "2026-11-23t10:00:00z",
        "2016-12-31T23:59:60Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-23:59",
    ],
)
def test_date_times_that_are(text: str) -> None:
    """In answers and requests, at any place."""
    assert check_response("Heartbeat", _local_time(text)) is None
    log = {"remoteLocation": "https://files.example/", "oldestTimestamp": text, "latestTimestamp": text}
    assert check_request("GetLog", {"logType": "SecurityLog", "requestId": 1, "log": log}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "2026-11-23T10:00:00",
        "2026-11-23 10:00:00Z",
        "2026-02-30T10:00:00Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T23:59:60Z",
        "2026-11-23T10:00:00+0100",
        "२०२६-11-23T10:00:00Z",
    ],
)
def test_date_times_that_are_not(text: str) -> None:
    violation = check_response("Heartbeat", _local_time(text))
    assert violation is not None
    assert violation.code == "PropertyConstraintViolation"


def test_texts_name_no_values() -> None:
    secret = "correct-horse-battery-staple"
    for payload in (_get(attributeType=secret), _get(component={"name": secret * 3}), _get(component=secret)):
        violation = check_request("GetVariables", payload)
        assert violation is not None
        assert secret not in repr(violation)


def test_descriptions_fit_a_callerror() -> None:
    violation = check_request("GetVariables", {**_get(), **{f"unexpected{n}": n for n in range(100)}})
    assert violation is not None
    assert len(violation.description) <= 255


def test_an_unknown_action_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        check_request("MakeCoffee", {})


def test_the_package_with_the_schemas_is_not_imported() -> None:
    code = (
        "import sys; from services.ocpp.rpc.validation import check_request; check_request('ClearCache', {});"
        "sys.exit(any(name == 'ocpp' or name.startswith('ocpp.') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_compiled_once() -> None:
    assert validation._validator("ClearCacheRequest") is validation._validator("ClearCacheRequest")
