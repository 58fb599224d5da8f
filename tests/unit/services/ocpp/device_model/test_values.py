# SPDX-License-Identifier: Apache-2.0
"""Formats of part 2, section 2.1.4, to the letter (B05.FR.07), and ranges (B05.FR.08)."""

from __future__ import annotations

import contextlib
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ocpp.device_model.values import Characteristics, DataType, Refusal, Value, parse, to_text

INTEGER = Characteristics(DataType.INTEGER)
DECIMAL = Characteristics(DataType.DECIMAL)
BOOLEAN = Characteristics(DataType.BOOLEAN)
DATE_TIME = Characteristics(DataType.DATE_TIME)
STRING = Characteristics(DataType.STRING, maximum=5)
OPTION = Characteristics(DataType.OPTION_LIST, choices=("A", "B"))
MEMBERS = Characteristics(DataType.MEMBER_LIST, choices=("A", "B", "C"))
SEQUENCE = Characteristics(DataType.SEQUENCE_LIST, choices=("1", "2"), required=True)
PASSWORD = Characteristics(DataType.STRING, maximum=64, format="password", required=True)
ZONE = Characteristics(DataType.STRING, format="time_zone")


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("0", INTEGER, 0),
        ("1234", INTEGER, 1234),
        ("-1234", INTEGER, -1234),
        ("2147483647", INTEGER, 2147483647),
        ("0", DECIMAL, 0.0),
        ("-12.5", DECIMAL, -12.5),
        ("0.123456", DECIMAL, 0.123456),
        ("true", BOOLEAN, True),
        ("false", BOOLEAN, False),
        ("2019-04-12T23:20:50.52Z", DATE_TIME, 1555111250.52),
        ("2019-12-19T16:39:57+01:00", DATE_TIME, 1576769997.0),
        ("2019-12-19t15:39:57z", DATE_TIME, 1576769997.0),
        ("2019-12-19T15:39:57.123456Z", DATE_TIME, 1576769997.123456),
        ("", STRING, ""),
        ("äöüß€", STRING, "äöüß€"),
        ("B", OPTION, "B"),
        ("", MEMBERS, ()),
        ("C,A", MEMBERS, ("C", "A")),
        ("2,1", SEQUENCE, ("2", "1")),
        ("0123456789abcdef", PASSWORD, "0123456789abcdef"),
        ("§$%&/()=?! 0123456", PASSWORD, "§$%&/()=?! 0123456"),
        ("", ZONE, ""),
        ("Europe/Oslo", ZONE, "Europe/Oslo"),
    ],
)
def test_allowed(text: str, kind: Characteristics, value: Value) -> None:
    assert parse(text, kind) == value


@pytest.mark.parametrize(
    ("kind", "texts"),
    [
        (
            INTEGER,
            ["", "01", "+1", "-0", "1.0", "1e3", " 1", "1 ", "abc", "true", "٣", "2147483648", "9" * 5000, "1\n"],
        ),
        (DECIMAL, ["", "1.", ".5", "1e3", "+1", "01.5", "1,5", "0.1234567", "NaN", "Infinity", "1.0\n", "9" * 41]),
        (BOOLEAN, ["", "True", "TRUE", "1", "yes", "true "]),
        (
            DATE_TIME,
            [
                "",
                "2019-04-12",
                "2019-04-12T23:20:50",
                "2019-04-12 23:20:50Z",
                "2019-04-12T23:20Z",
                "2019-13-12T23:20:50Z",
                "2019-04-12T25:20:50Z",
                "2019-04-12T23:20:50+0100",
                "2019-W15-5T23:20:50Z",
                "now",
            ],
        ),
        (STRING, ["123456", "a\x00b", "a\nb", "\ud800"]),
        (OPTION, ["", "C", "a", "A,B", " A"]),
        (MEMBERS, ["D", "A,,B", "A,", ",A", "A,A", "A, B", "a"]),
        (SEQUENCE, ["", "1,3", "1,1"]),
        (PASSWORD, ["", "0123456789abcde", "x" * 65, "0123456789abcde\n"]),
        (ZONE, ["Mars/Olympus", "../../etc/passwd", "/etc/passwd", "Europe/", "+01:00", "localtime", "right/UTC"]),
    ],
)
def test_refused(kind: Characteristics, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(Refusal):
            parse(text, kind)


@pytest.mark.parametrize(("text", "allowed"), [("59", False), ("60", True), ("120", True), ("121", False)])
def test_limits(text: str, allowed: bool) -> None:
    kind = Characteristics(DataType.INTEGER, minimum=60, maximum=120)
    if allowed:
        assert parse(text, kind) == int(text)
    else:
        with pytest.raises(Refusal) as refused:
            parse(text, kind)
        assert refused.value.reason == "ValueOutOfRange"


def test_a_refusal_never_repeats_the_value() -> None:
    """Its text goes into logs and answers, and the value may be a password."""
    with pytest.raises(Refusal) as refused:
        parse("hunter2", PASSWORD)
    assert "hunter2" not in refused.value.text


@pytest.mark.parametrize(("name", "allowed"), [("identifier", True), ("time_offset", False), ("name", True)])
def test_formats(name: str, allowed: bool) -> None:
    kind = Characteristics(DataType.STRING, format=name)
    if allowed:
        assert parse("CP-001@x", kind) == "CP-001@x"
    else:
        with pytest.raises(Refusal):
            parse("CP-001@x", kind)
    bad = {"identifier": "a:b", "time_offset": "+25:00", "name": " a"}[name]
    with pytest.raises(Refusal):
        parse(bad, kind)


class State(str, Enum):
    FREE = "Available"


@pytest.mark.parametrize(
    ("value", "data_type", "text"),
    [
        (5, DataType.INTEGER, "5"),
        (True, DataType.BOOLEAN, "true"),
        (0.1 + 0.2, DataType.DECIMAL, "0.3"),
        (400000, DataType.DECIMAL, "400000.0"),
        (-0.0000001, DataType.DECIMAL, "0.0"),
        (1e20, DataType.DECIMAL, "100000000000000000000.0"),
        (("a", "b"), DataType.MEMBER_LIST, "a,b"),
        (State.FREE, DataType.OPTION_LIST, "Available"),
        (1555111250.52, DataType.DATE_TIME, "2019-04-12T23:20:50.520Z"),
        (None, DataType.INTEGER, ""),
    ],
)
def test_writing(value: Value, data_type: DataType, text: str) -> None:
    assert to_text(value, data_type) == text


@pytest.mark.parametrize(
    ("value", "data_type"),
    [
        ("5", DataType.INTEGER),
        (True, DataType.INTEGER),
        (1.5, DataType.INTEGER),
        (1, DataType.BOOLEAN),
        (["a"], DataType.MEMBER_LIST),
        (float("nan"), DataType.DECIMAL),
        (5, DataType.STRING),
    ],
)
def test_writing_the_wrong_type_is_a_bug(value: Value, data_type: DataType) -> None:
    with pytest.raises(TypeError):
        to_text(value, data_type)


@given(st.integers(-(2**31) + 1, 2**31 - 1))
def test_integers_survive(value: int) -> None:
    assert parse(to_text(value, DataType.INTEGER), INTEGER) == value


@given(st.floats(-1e9, 1e9))
def test_decimals_survive_to_six_places(value: float) -> None:
    assert parse(to_text(value, DataType.DECIMAL), DECIMAL) == pytest.approx(value, abs=1e-6)


@given(st.text(), st.sampled_from([INTEGER, DECIMAL, BOOLEAN, DATE_TIME, STRING, OPTION, MEMBERS, SEQUENCE, PASSWORD]))
def test_a_text_is_parsed_or_refused(text: str, kind: Characteristics) -> None:
    with contextlib.suppress(Refusal):
        parse(text, kind)
