# SPDX-License-Identifier: Apache-2.0
"""The sentences about a wrong input."""

from __future__ import annotations

import tomllib
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Struct

from firmware.config import read_toml
from firmware.errors import ConfigError
from firmware.type_words import decode_json, type_problem
from firmware.words import in_range, name, not_json, not_toml, one_of, place
from tests.support.plain_words import assert_plain


class Wheel(Struct, forbid_unknown_fields=True):
    size: Annotated[int, Meta(ge=10, le=24)]
    maker: Annotated[str, Meta(max_length=5)] = ""
    tube: bool | None = None
    pressure: Annotated[float, Meta(gt=0, le=9)] = 1.0
    code: Annotated[str, Meta(pattern="^[a-z]+$", description="small letters")] = "x"
    spokes: tuple[tuple[float, int], ...] = ()
    side: Literal["left", "right"] | Annotated[int, Meta(ge=1)] = "left"


class Cart(Struct, forbid_unknown_fields=True):
    wheel: Annotated[list[Wheel], Meta(min_length=1)]
    notes: dict[str, int] = {}

    def __post_init__(self) -> None:
        if len(self.wheel) > 4:
            raise ValueError("a cart has at most 4 wheels")


WHEEL: dict[str, Any] = {"size": 12}


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({}, "wheel is missing, expected a list of at least 1"),
        ([], "expected an object, got an empty list"),
        ({"wheel": []}, "wheel: expected a list of at least 1, got an empty list"),
        ({"wheel": [WHEEL, 7]}, "wheel 2: expected an object, got 7"),
        ({"wheel": [{}]}, "wheel 1, size is missing, expected a whole number from 10 to 24"),
        ({"wheel": [{"size": 9}]}, "wheel 1, size: expected a whole number from 10 to 24, got 9"),
        ({"wheel": [{"size": "big\n"}]}, "wheel 1, size: expected a whole number from 10 to 24, got 'big?'"),
        ({"wheel": [{"size": 10**400}]}, "wheel 1, size: expected a whole number from 10 to 24, got a whole number"),
        ({"wheel": [WHEEL | {"tube": 1}]}, "wheel 1, tube: expected true or false, got 1"),
        ({"wheel": [WHEEL | {"pressure": 0}]}, "wheel 1, pressure: expected a number above 0 and at most 9, got 0"),
        (
            {"wheel": [WHEEL | {"maker": "secret"}]},
            "wheel 1, maker: expected a text of at most 5 characters, got a text of 6 characters",
        ),
        ({"wheel": [WHEEL | {"code": "S3"}]}, "wheel 1, code: expected small letters, got a text of 2 characters"),
        (
            {"wheel": [WHEEL | {"side": 0}]},
            "wheel 1, side: expected one of left, right or a whole number of at least 1, got 0",
        ),
        ({"wheel": [WHEEL | {"spokes": 3}]}, "wheel 1, spokes: expected a list, got 3"),
        ({"wheel": [WHEEL | {"spokes": [[1.5]]}]}, "wheel 1, spokes 1: expected a list of 2, got a list"),
        (
            {"wheel": [WHEEL | {"spokes": [[1.5, 1], [1.5, "a"]]}]},
            "wheel 1, spokes 2 2: expected a whole number, got 'a'",
        ),
        (
            {"wheel": [WHEEL | {"colour": "red"}]},
            "wheel 1: unknown key colour, expected one of size, maker, tube, pressure, code, spokes, side",
        ),
        ({"wheel": [WHEEL], "notes": {"a": "b"}}, "notes: expected a whole number"),
        ({"wheel": [WHEEL] * 5}, "a cart has at most 4 wheels"),
    ],
)
def test_what_does_not_fit_its_type(data: object, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.convert(data, Cart)
    assert type_problem(caught.value, Cart, data) == sentence
    assert_plain(sentence)


def test_json_of_a_wrong_shape() -> None:
    with pytest.raises(ValueError, match="wheel 1, size: expected a whole number from 10 to 24, got true"):
        decode_json(b'{"wheel": [{"size": true}]}', Cart)


@pytest.mark.parametrize("text", [b"", b"[", b"{]", b"nope", b"\xff", b'"\xff"', b"1e999", b'{"a":1}x', b"[" * 100_000])
def test_what_is_not_json(text: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError, RecursionError)) as caught:
        msgspec.json.decode(text)
    assert_plain(not_json(caught.value))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a = nope", "not TOML: invalid value (at line 1, column 5)"),
        ("[a.b]\n[a.b]", "not TOML: cannot declare a.b twice (at line 2, column 5)"),
        ('a="\n"', "not TOML: illegal character line break (at line 1, column 4)"),
        ('a="\\y"', "not TOML: unescaped backslash in a string (at line 1, column 6)"),
    ],
)
def test_what_is_not_toml(text: str, sentence: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError) as caught:
        tomllib.loads(text)
    assert not_toml(caught.value) == sentence


@pytest.mark.parametrize(
    "text", ["a=\x01", "=", "a=[", "a=" + "9" * 5000, "a=" + "[" * 5000, "a={b=1,b=1}", "a=1\n[a.b]"]
)
def test_a_file_that_is_not_toml_is_one_plain_line(tmp_path: Any, text: str) -> None:
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_toml(tmp_path / "x.toml")
    assert_plain(str(caught.value))


def test_a_place_counts_from_one() -> None:
    assert place(["setVariableData", 1, "component", "name"]) == "setVariableData 2, component.name"
    assert place([0, "x"]) == "element 1, x"
    assert place([]) == ""


def test_bounds() -> None:
    assert name("a\nb" + "c" * 100) == "a?b" + "c" * 37
    assert one_of(["A"]) == "A"
    assert one_of([f"V{number}" for number in range(1000)]).endswith(" ... (1000 in all)")
    assert [in_range("n", *each) for each in ((1, 2), (1, None), (None, 2), (None, None))] == [
        "n from 1 to 2",
        "n of at least 1",
        "n of at most 2",
        "n",
    ]
    assert in_range("n", None, None, "W") == "n in W"
