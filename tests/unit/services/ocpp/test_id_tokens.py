# SPDX-License-Identifier: Apache-2.0
"""When two tokens or groups are the same."""

from __future__ import annotations

from services.ocpp.id_tokens import is_group, same_token, token_key
from services.ocpp.messages import IdTokenType

CARD: IdTokenType = {"idToken": "04A1B2", "type": "ISO14443"}


def test_identifiers_are_case_insensitive() -> None:
    lower: IdTokenType = {"idToken": "04a1b2", "type": "ISO14443"}
    assert same_token(CARD, lower)  # C01.FR.25
    assert token_key(CARD) == token_key(lower)


def test_tokens_of_two_types_differ() -> None:
    assert not same_token(CARD, {"idToken": "04A1B2", "type": "ISO15693"})


def test_a_token_that_is_not_given_equals_none() -> None:
    assert not same_token(CARD, None)
    assert not same_token(None, CARD)
    assert not same_token(None, None)


def test_a_group_by_its_identifier_whatever_its_type() -> None:
    group: IdTokenType = {"idToken": "Fleet", "type": "Central"}
    assert is_group(group, "fleet")
    assert not is_group(group, "fleets")
    assert not is_group(None, "fleet")
