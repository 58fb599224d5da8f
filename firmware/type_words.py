# SPDX-License-Identifier: Apache-2.0
"""A `msgspec.ValidationError` as a sentence: `network_profile 2, slot: expected a whole number from 1 to 99, got 100`.

The exception has only a text; of this, the place and the kind of the error are used. What was expected is read from the
type, with the `description` of its `Meta` where a pattern would have to be shown. A text is never repeated where any
text may be, because it may be a password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from firmware.words import in_range, kind_of, length, name, not_json, one_of, place, shown

__all__ = ["decode_json", "json_problem", "type_problem"]

_T = TypeVar("_T")

_PLACE: Final = r"(?s)(?P<text>.*?)(?: - at `(?:key` in `)?\$(?P<path>[^`]*)`)?"
_PART: Final = r"\.(?P<key>[^.\[]+)|\[(?P<index>\d+|\.\.\.)\]"
_UNKNOWN: Final = r"(?s)Object contains unknown field `(.*)`"
_MISSING: Final = r"(?s)Object missing required field `(.*)`"
_OF_MSGSPEC: Final = ("Expected ", "Invalid ", "Number out of range")
_ANY_KEY: Final = "..."
_MAX_LISTED: Final = 400


def type_problem(error: msgspec.ValidationError, kind: Any, data: object, *, table: str = "an object") -> str:
    """What is wrong with `data`, which `error` says is not a `kind`; `table` is what its notation calls a group."""
    text, path = _split(str(error))
    info = _meant(inspect.type_info(kind), data)
    for part in path:
        info, data = _inner(info, part), _element(data, part)
        info = _meant(info, data)
    if (missing := re.fullmatch(_MISSING, text)) is not None:
        return f"{place([*path, missing[1]])} is missing, expected {_expected(_inner(info, missing[1]), table)}"
    if (unknown := re.fullmatch(_UNKNOWN, text)) is not None:
        problem = f"unknown key {name(unknown[1])}, expected {one_of(_keys(info), _MAX_LISTED)}"
    elif text.startswith(_OF_MSGSPEC):
        problem = f"expected {_expected(info, table)}{_got(info, data, table)}"
    else:  # the words of a class's own check
        problem = text
    where = place([part for part in path if part != _ANY_KEY])
    return f"{where}: {problem}" if where else problem


def decode_json(text: bytes | str, kind: type[_T]) -> _T:
    """The value in a JSON text; raises `ValueError` with a sentence for a person."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(json_problem(error, kind, text)) from error


def json_problem(error: Exception, kind: Any, text: bytes | str) -> str:
    """What is wrong with a JSON text, of which the decoder for `kind` says `error`."""
    if not isinstance(error, msgspec.ValidationError):
        return not_json(error)
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as worse:
        return not_json(worse)
    return type_problem(error, kind, data)


def _split(text: str) -> tuple[str, list[str | int]]:
    found = re.fullmatch(_PLACE, text)
    assert found is not None
    path: list[str | int] = []
    for part in re.finditer(_PART, found["path"] or ""):
        index = part["index"]
        path.append(part["key"] or (_ANY_KEY if index == _ANY_KEY else int(index)))
    return found["text"], path


def _alternatives(info: inspect.Type) -> Sequence[inspect.Type]:
    if isinstance(info, inspect.Metadata):
        return _alternatives(info.type)
    if isinstance(info, inspect.UnionType):
        return [each for alternative in info.types for each in _alternatives(alternative)]
    return (info,)


def _meant(info: inspect.Type, data: object) -> inspect.Type:
    """Of a union of tagged structs that which the data names."""
    for each in _alternatives(info):
        tag = each.tag if isinstance(each, inspect.StructType) else None
        if tag is not None and isinstance(data, Mapping) and tag in data.values():
            return each
    return info


def _inner(info: inspect.Type, part: str | int) -> inspect.Type:
    """The type of a part of a value."""
    structs = [each for each in _alternatives(info) if isinstance(each, inspect.StructType)]
    tags = tuple(each.tag for each in structs if each.tag is not None and each.tag_field == part)
    if tags:  # the key that says which type of a union it is
        return inspect.LiteralType(tags)
    for each in _alternatives(info):
        if isinstance(each, inspect.StructType):
            for field in each.fields:
                if field.encode_name == part:
                    return field.type
        elif isinstance(each, inspect.ListType | inspect.VarTupleType) and isinstance(part, int):
            return each.item_type
        elif isinstance(each, inspect.TupleType) and isinstance(part, int):
            return each.item_types[part]
        elif isinstance(each, inspect.DictType):
            return each.value_type
    return inspect.AnyType()


def _element(data: object, part: str | int) -> object:
    """The part itself; `...` if it is not known."""
    if isinstance(data, Mapping) and part in data:
        return data[part]
    if isinstance(data, Sequence) and isinstance(part, int) and part < len(data):
        return data[part]
    return ...


def _keys(info: inspect.Type) -> list[str]:
    structs = [each for each in _alternatives(info) if isinstance(each, inspect.StructType)]
    return [field.encode_name for each in structs for field in each.fields] or ["none"]


def _got(info: inspect.Type, value: object, table: str) -> str:
    if value is ...:
        return ""
    harmless = not any(isinstance(each, inspect.StrType | inspect.AnyType) for each in _alternatives(info))
    return f", got {shown(value, table) if harmless else kind_of(value, table)}"


def _expected(info: inspect.Type, table: str) -> str:
    match info:
        case inspect.Metadata(extra_json_schema={"description": str(words)}):
            return words
        case inspect.Metadata():
            return _expected(info.type, table)
        case inspect.UnionType():
            types = [each for each in info.types if not isinstance(each, inspect.NoneType)]
            return " or ".join(dict.fromkeys(_expected(each, table) for each in types))
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return _number("a whole number", info)
        case inspect.FloatType():
            return _number("a number", info)
        case inspect.StrType(min_length=None, max_length=None):
            return "a text"
        case inspect.StrType():
            return f"a text of {length(info.min_length or 0, info.max_length)} characters"
        case inspect.LiteralType():
            return one_of([each if isinstance(each, str) else _plain(each) for each in info.values], _MAX_LISTED)
        case inspect.EnumType():
            return one_of([str(each.value) for each in info.cls], _MAX_LISTED)
        case inspect.TupleType():
            return f"a list of {len(info.item_types)}"
        case inspect.ListType() | inspect.VarTupleType():
            return f"a list of {length(info.min_length, info.max_length)}" if info.min_length else "a list"
        case inspect.DictType() | inspect.StructType():
            return table
        case inspect.CustomType():
            return "a name"
        case _:
            return "another value"


def _plain(value: object) -> str:
    """A value of a `Literal` that is not a text."""
    return kind_of(value) if isinstance(value, bool) or value is None else str(value)


def _number(noun: str, info: inspect.IntType | inspect.FloatType) -> str:
    if info.gt is not None:
        return f"{noun} above {info.gt:.16g}" + ("" if info.le is None else f" and at most {info.le:.16g}")
    return in_range(noun, info.ge, info.le)
