# SPDX-License-Identifier: Apache-2.0
"""Answers that break their schema: the plain ones are read, all others stay refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ocpp.rpc.leniency import Rule, mend_response
from services.ocpp.rpc.validation import check_request, check_response

NOW = "2026-11-23T10:00:00Z"
BOOT = {"currentTime": NOW, "interval": 300, "status": "Accepted"}
INFO = {
    "status": "Accepted",
    "cacheExpiryDateTime": NOW,
    "groupIdToken": {"idToken": "G1", "type": "Central", "additionalInfo": [{"additionalIdToken": "x", "type": "y"}]},
    "personalMessage": {"format": "UTF8", "content": "Welcome"},
}


def _mended(action: str, payload: dict[str, Any]) -> tuple[dict[str, Any], set[tuple[Rule, str]]]:
    """The payload as it is read, and what was mended."""
    mends, violation = mend_response(action, payload)
    assert violation is None
    assert check_response(action, payload) is None
    return payload, {(mend.rule, mend.field) for mend in mends}


def _refused(action: str, payload: dict[str, Any]) -> tuple[str, str]:
    """The code and the place of what is wrong."""
    _, violation = mend_response(action, payload)
    assert violation is not None
    return violation.code, violation.details["path"]


def test_a_valid_answer_stays_as_it_is() -> None:
    assert mend_response("BootNotification", dict(BOOT)) == ([], None)


@pytest.mark.parametrize(
    ("written", "read", "rule"),
    [
        ("2026-11-23T10:00:00", "2026-11-23T10:00:00Z", Rule.ZONE),  # datetime.utcnow().isoformat()
        ("2026-11-23T10:00:00.123456", "2026-11-23T10:00:00.123456Z", Rule.ZONE),
        ("2026-11-23 10:00:00.123456", "2026-11-23T10:00:00.123456Z", Rule.ZONE),  # str(datetime.utcnow())
        ("2026-11-23T10:00", "2026-11-23T10:00:00Z", Rule.ZONE),  # LocalDateTime.toString()
        ("2026-11-23T10:00Z", "2026-11-23T10:00:00Z", Rule.DATE_TIME),  # OffsetDateTime.toString()
        ("2026-11-23 10:00:00Z", "2026-11-23T10:00:00Z", Rule.DATE_TIME),
        ("2026-11-23 10:00:00+00:00", "2026-11-23T10:00:00+00:00", Rule.DATE_TIME),  # str(datetime.now(UTC))
        ("2026-11-23T10:00:00+0100", "2026-11-23T10:00:00+01:00", Rule.DATE_TIME),  # strftime("%z")
        ("2026-11-23 10:00:00.5-05", "2026-11-23T10:00:00.5-05:00", Rule.DATE_TIME),  # a timestamptz of PostgreSQL
        ("2026-11-23T10:00:00+00:00Z", "2026-11-23T10:00:00+00:00", Rule.DATE_TIME),  # isoformat() + "Z"
    ],
)
def test_a_plain_date_time_is_read(written: str, read: str, rule: Rule) -> None:
    payload, mends = _mended("BootNotification", {**BOOT, "currentTime": written})
    assert payload == {**BOOT, "currentTime": read}
    assert mends == {(rule, "currentTime")}
    payload, mends = _mended("Authorize", {"idTokenInfo": {"status": "Accepted", "cacheExpiryDateTime": written}})
    assert payload["idTokenInfo"]["cacheExpiryDateTime"] == read
    assert mends == {(rule, "idTokenInfo.cacheExpiryDateTime")}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-23",
        "10:00:00",
        "1795428000",
        "11/23/2026 10:00:00",
        "Mon, 23 Nov 2026 10:00:00 GMT",
        "2026-11-23T10",
        "2026-11-23T10:00.5",
        "2026-11-23T24:00:00",
        "2026-02-30T10:00:00",
        "2026-11-23T10:00:00+01:00Z",
        "2026-11-23T10:00:00 CET",
        "2026-11-23T10:00:00+24:00",
    ],
)
def test_a_date_time_that_is_not_plain_stays_refused(text: str) -> None:
    assert _refused("Heartbeat", {"currentTime": text}) == ("PropertyConstraintViolation", "currentTime")


def test_null_is_absent_at_any_depth() -> None:
    more = [{"additionalIdToken": "x", "type": "y", "customData": None}]
    token = {"idToken": "G1", "type": "Central", "customData": None, "additionalInfo": more}
    sloppy = {
        "idTokenInfo": {**INFO, "groupIdToken": token, "language1": None, "evseId": None},
        "certificateStatus": None,
        "customData": None,
    }
    payload, mends = _mended("Authorize", sloppy)
    assert payload == {"idTokenInfo": INFO}
    assert mends == {
        (Rule.NULL, "certificateStatus"),
        (Rule.NULL, "customData"),
        (Rule.NULL, "idTokenInfo.language1"),
        (Rule.NULL, "idTokenInfo.evseId"),
        (Rule.NULL, "idTokenInfo.groupIdToken.customData"),
        (Rule.NULL, "idTokenInfo.groupIdToken.additionalInfo 1, customData"),
    }


@pytest.mark.parametrize(
    "blank",
    [
        {"statusInfo": {"reasonCode": None, "additionalInfo": None}},
        {"statusInfo": {"reasonCode": None, "customData": {"vendorId": None}}},
        {"statusInfo": {}},
        {"customData": {"vendorId": None, "more": None}},
    ],
)
def test_an_object_of_nulls_is_absent(blank: dict[str, Any]) -> None:
    payload, _ = _mended("BootNotification", {**BOOT, **blank})
    assert payload == BOOT


def test_nulls_that_the_schema_allows_stay() -> None:
    custom = {"vendorId": "com.example", "list": [None, {"x": None}]}
    payload, mends = _mended("BootNotification", {**BOOT, "customData": custom, "statusInfo": None})
    assert payload == {**BOOT, "customData": custom}
    assert mends == {(Rule.NULL, "statusInfo")}


def test_unknown_properties_are_ignored() -> None:
    sloppy = {**BOOT, "message": "hi", "serverVersion": {"a": [1]}, "statusInfo": {"reasonCode": "OK", "text": ""}}
    payload, mends = _mended("BootNotification", sloppy)
    assert payload == {**BOOT, "statusInfo": {"reasonCode": "OK"}}
    assert mends == {(Rule.UNKNOWN, field) for field in ("message", "serverVersion", "statusInfo.text")}


def test_an_answer_that_repeats_the_request_is_an_empty_answer() -> None:
    assert _mended("StatusNotification", {"timestamp": NOW, "connectorStatus": "Available", "evseId": 1})[0] == {}


def test_a_long_text_for_people_is_cut() -> None:
    info = {"reasonCode": "a whole sentence instead of a code", "additionalInfo": "x" * 600}
    payload, mends = _mended("BootNotification", {**BOOT, "statusInfo": info})
    assert payload["statusInfo"] == {"reasonCode": "a whole sentence ins", "additionalInfo": "x" * 512}
    assert mends == {(Rule.TEXT, "statusInfo.reasonCode"), (Rule.TEXT, "statusInfo.additionalInfo")}


@pytest.mark.parametrize(
    ("action", "payload", "code", "path"),
    [
        ("BootNotification", {**BOOT, "interval": "300"}, "TypeConstraintViolation", "interval"),
        ("BootNotification", {**BOOT, "currentTime": 1795428000}, "TypeConstraintViolation", "currentTime"),
        ("BootNotification", {**BOOT, "status": "accepted"}, "PropertyConstraintViolation", "status"),
        ("BootNotification", {**BOOT, "status": None}, "OccurrenceConstraintViolation", ""),
        ("BootNotification", {"currentTime": NOW, "status": "Accepted", "x": 1}, "OccurrenceConstraintViolation", ""),
        ("BootNotification", {**BOOT, "customData": "x", "x": 1}, "TypeConstraintViolation", "customData"),
        ("BootNotification", {**BOOT, "status": {}}, "TypeConstraintViolation", "status"),
        ("Authorize", {"idTokenInfo": None}, "OccurrenceConstraintViolation", ""),
        ("Authorize", {"idTokenInfo": {**INFO, "evseId": [None]}}, "TypeConstraintViolation", "idTokenInfo.evseId[0]"),
        ("Authorize", {"idTokenInfo": {**INFO, "evseId": []}}, "OccurrenceConstraintViolation", "idTokenInfo.evseId"),
        (
            "Authorize",
            {"idTokenInfo": {"status": "Accepted", "groupIdToken": {"idToken": None, "type": "Central"}}},
            "OccurrenceConstraintViolation",
            "idTokenInfo.groupIdToken",
        ),
        (
            "Authorize",
            {"idTokenInfo": {**INFO, "language1": "x" * 9}},
            "PropertyConstraintViolation",
            "idTokenInfo.language1",
        ),
    ],
)
def test_what_is_not_plain_stays_refused(action: str, payload: dict[str, Any], code: str, path: str) -> None:
    assert _refused(action, payload) == (code, path)


def test_a_flood_of_faults_is_refused() -> None:
    tokens = [{"additionalIdToken": "x", "type": "y", "customData": None} for _ in range(1000)]
    group = {"idToken": "G", "type": "Local", "additionalInfo": tokens}
    code, _ = _refused("Authorize", {"idTokenInfo": {**INFO, "groupIdToken": group}})
    assert code == "TypeConstraintViolation"


def test_requests_are_not_mended() -> None:
    for payload in ({"type": "OnIdle", "x": 1}, {"type": "OnIdle", "evseId": None}):
        assert check_request("Reset", payload) is not None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3) | st.sampled_from(["Accepted", NOW, NOW[:-1]]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "idTokenInfo", "customData", "vendorId", "currentTime", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(
    st.sampled_from(["Authorize", "Heartbeat", "StatusNotification"]),
    st.dictionaries(st.text(max_size=12), _JSON) | _JSON,
)
def test_any_answer_is_valid_afterwards_or_refused(action: str, payload: Any) -> None:
    if not isinstance(payload, dict):
        payload = {"idTokenInfo": payload, "currentTime": payload, "customData": payload}
    was_valid = check_response(action, payload) is None
    mends, violation = mend_response(action, payload)
    assert (violation is None) == (check_response(action, payload) is None)
    assert violation is not None or was_valid == (mends == [])
