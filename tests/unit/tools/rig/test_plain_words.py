# SPDX-License-Identifier: Apache-2.0
"""A wrong operation is refused in plain words, for every field of every operation."""

from __future__ import annotations

import json

import pytest

from tests.support.plain_words import assert_plain
from tools.rig.operations import OPERATIONS, OperationError, parse

WRONG: tuple[object, ...] = (
    None,
    True,
    7,
    -1,
    1.5,
    1e300,
    "nonsense",
    "",
    [],
    {},
    {"nonsense": 1},
    {"soc_percent": "full"},
)


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_wrong_field_is_named_in_plain_words(name: str) -> None:
    refused = 0
    for field in (*OPERATIONS[name].__struct_fields__, "nonsense"):
        for value in WRONG:
            try:
                parse(json.dumps({"op": name, "evse": 1, field: value}).encode())
            except OperationError as error:
                assert_plain(error.detail)
                refused += 1
    assert refused


@pytest.mark.parametrize(
    ("line", "detail"),
    [
        (b"{", "not JSON: it ends too early"),
        (b"[]", "expected an object, got an empty list"),
        (b'{"op": "plug_in", "evse": "one"}', "plug_in: evse: expected a whole number from 1 to 99, got 'one'"),
        (b'{"op": "plug_in"}', "plug_in: evse is missing, expected a whole number from 1 to 99"),
        (
            b'{"op": "plug_in", "evse": 1, "car": {"soc_percent": 101}}',
            "plug_in: car.soc_percent: expected a number from 0 to 100, got 101",
        ),
        (
            b'{"op": "present_card", "uid": "04A1B"}',
            "present_card: uid: expected 1 to 10 bytes as pairs of hexadecimal digits, got a text of 5 characters",
        ),
        (
            b'{"op": "network", "mode": "slow"}',
            "network: mode: expected one of blackhole, close, down, refuse, up, got 'slow'",
        ),
        (b'{"op": "reboot", "evse": 1}', "reboot: unknown key evse, expected none"),
    ],
)
def test_the_sentence(line: bytes, detail: str) -> None:
    with pytest.raises(OperationError) as caught:
        parse(line)
    assert caught.value.detail == detail
