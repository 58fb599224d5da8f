# SPDX-License-Identifier: Apache-2.0
"""What an operator reads when a value is refused says what was expected, for every variable that can be written."""

from __future__ import annotations

from typing import Any

import pytest

from services.ocpp.device_model import DeviceModel, Refusal
from services.ocpp.device_model.requests import set_variables
from services.ocpp.device_model.values import Characteristics, DataType, parse
from services.ocpp.device_model.variable import Attribute, Variable
from tests.support.plain_words import assert_plain

WRONG = (
    "",
    "abc",
    "-1",
    "0",
    "-0",
    "01",
    "1.5",
    "99999999999",
    "9" * 400,
    "x" * 2000,
    "a,a",
    "nonsense,,",
    "yes",
    "\n",
    " ",
)


def put(model: DeviceModel, variable: Variable, attribute: Attribute, value: str) -> dict[str, Any]:
    place = variable.report_of([])
    item = {"component": place["component"], "variable": place["variable"]}
    return set_variables(model, [{**item, "attributeType": attribute.type, "attributeValue": value}], 5.0)[0][0]


@pytest.mark.parametrize("value", WRONG)
def test_every_refusal_of_every_variable_is_plain(model: DeviceModel, value: str) -> None:
    refused = 0
    for variable in model.variables.values():
        for attribute in variable.attributes.values():
            result = put(model, variable, attribute, value)
            if result["attributeStatus"] == "Rejected":
                info = result["attributeStatusInfo"]
                assert_plain(info["additionalInfo"])
                assert len(info["additionalInfo"]) <= 512
                assert len(info["reasonCode"]) <= 20
                refused += 1
    assert refused > 20


_TEXT, _LIST = DataType.STRING, DataType.MEMBER_LIST


@pytest.mark.parametrize(
    ("kind", "text", "reason", "words"),
    [
        (
            Characteristics(DataType.INTEGER, unit="s", minimum=10, maximum=120),
            "300",
            "ValueOutOfRange",
            "expected a whole number from 10 to 120 s, got 300",
        ),
        (
            Characteristics(DataType.INTEGER, minimum=0),
            "99999999999",
            "InvalidValue",
            "expected a whole number from 0 to 2147483647",
        ),
        (
            Characteristics(DataType.DECIMAL, unit="W", maximum=0),
            "0.1",
            "ValueOutOfRange",
            "expected a number with at most six decimals of at most 0 W, got 0.1",
        ),
        (Characteristics(DataType.BOOLEAN), "True", "InvalidValue", "expected true or false"),
        (
            Characteristics(DataType.OPTION_LIST, choices=("A", "B")),
            "C",
            "InvalidValue",
            "expected one of A, B, got 'C'",
        ),
        (
            Characteristics(_LIST, choices=("Authorized", "EVConnected")),
            "Authorized,DataSigned",
            "InvalidValue",
            "'DataSigned' is no member, expected members separated by commas, each one of Authorized, EVConnected",
        ),
        (Characteristics(_LIST, choices=("A", "B")), "A,B,A", "InvalidValue", "'A' occurs twice"),
        (Characteristics(_TEXT, maximum=3), "abcd", "ValueOutOfRange", "expected at most 3 characters, got 4"),
        (
            Characteristics(_TEXT, maximum=64, format="password"),
            "short",
            "ValueOutOfRange",
            "expected 16 to 64 characters, got 5",
        ),
        (
            Characteristics(_TEXT, maximum=48, format="identifier"),
            "CP 1",
            "InvalidValue",
            "expected 1 to 48 of A-Z a-z 0-9 * - _ = + | @ .",
        ),
        (
            Characteristics(_TEXT, format="time_zone"),
            "Oslo",
            "InvalidValue",
            "expected a time zone like Europe/Oslo",
        ),
        (
            Characteristics(DataType.DATE_TIME),
            "tomorrow",
            "InvalidValue",
            "expected a date and time like 2026-01-31T12:00:00Z",
        ),
    ],
)
def test_the_words(kind: Characteristics, text: str, reason: str, words: str) -> None:
    with pytest.raises(Refusal) as caught:
        parse(text, kind)
    assert (caught.value.reason, caught.value.text) == (reason, words)
