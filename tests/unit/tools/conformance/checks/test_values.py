# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.conformance.checks.values import ABSENT, PRESENT, Rule, absent_or, any_of, at_least, mismatches, text

PAYLOAD = {
    "eventType": "Ended",
    "seqNo": 3,
    "transactionInfo": {"stoppedReason": "Local"},
    "idToken": {"idToken": "04ab"},
    "eventData": [{"trigger": "Delta"}],
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("eventType", "Ended"),
        ("eventType", ("Updated", "Ended")),
        ("transactionInfo.stoppedReason", absent_or("Local")),
        ("transactionInfo.remoteStartId", absent_or(7)),
        ("transactionInfo.remoteStartId", ABSENT),
        ("idToken", PRESENT),
        ("idToken.idToken", text("04AB")),
        ("seqNo", at_least(3)),
        ("eventData.0.trigger", any_of("Delta", "Alerting")),
        ("seqNo", Rule("odd", lambda value: value % 2 == 1)),
    ],
)
def test_expected_values_are_no_mismatch(path: str, expected: Any) -> None:
    assert mismatches(PAYLOAD, {path: expected}) == []


@pytest.mark.parametrize(
    ("path", "expected", "sentence"),
    [
        ("eventType", "Updated", 'eventType is "Ended", expected "Updated"'),
        ("eventType", ("Updated", "Started"), 'eventType is "Ended", expected one of "Updated", "Started"'),
        ("idToken", ABSENT, 'idToken is {"idToken": "04ab"}, expected absent'),
        ("evse.id", 1, "evse.id is absent, expected 1"),
        ("evse.id", PRESENT, "evse.id is absent, expected present"),
        ("transactionInfo.stoppedReason", absent_or("Remote"), 'is "Local", expected absent or "Remote"'),
        ("seqNo", at_least(4), "seqNo is 3, expected at least 4"),
        ("eventData.1.trigger", "Delta", "eventData.1.trigger is absent"),
        ("idToken.idToken", text("04AC"), 'expected "04AC"'),
    ],
)
def test_a_mismatch_names_path_and_both_values(path: str, expected: Any, sentence: str) -> None:
    (said,) = mismatches(PAYLOAD, {path: expected})
    assert sentence in said


def test_a_path_through_a_value_finds_nothing() -> None:
    assert mismatches({"a": "text"}, {"a.b": ABSENT, "a.0": ABSENT}) == []
