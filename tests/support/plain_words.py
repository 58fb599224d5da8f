# SPDX-License-Identifier: Apache-2.0
"""Is a text fit for a person: no regular expression, no path of a library, no name of a programming language's type?

And payloads that break an OCPP schema in each way at each place, to make such texts.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from services.ocpp.rpc.validation import schema_folder

__all__ = ["assert_plain", "schema", "valid", "wrong_payloads"]

Path = tuple[str | int, ...]

_NOTATION = re.compile(
    r"\^|\\|\$\.|\(\?|- at|"
    r"(?<!\w)\[|"  # a class of characters; `ItemsPerMessage[GetReport]` is a variable with its instance
    r"\b(int|str|float|bool|dict|tuple|NoneType|None|True|False|Enum|Object|msgspec|Errno|Traceback|Error\()\b|"
    r"_\w+ value|is not of type|codec"
)


def assert_plain(text: str) -> None:
    """Fails with what is not plain in `text`."""
    found = _NOTATION.search(text)
    assert found is None, f"{found[0]!r} in {text!r}"
    assert text.strip(), "an empty text"


@cache
def schema(message: str) -> dict[str, Any]:
    """The schema of `ResetRequest`."""
    read: dict[str, Any] = msgspec.json.decode((schema_folder() / f"{message}.json").read_text(encoding="utf-8-sig"))
    return read


def valid(part: dict[str, Any], root: dict[str, Any]) -> Any:
    """A value with every property that the schema has, except `customData`."""
    part = _resolved(part, root)
    if "enum" in part:
        return part["enum"][0]
    match part.get("type"):
        case "object":
            return {
                name: valid(each, root) for name, each in part.get("properties", {}).items() if name != "customData"
            }
        case "array":
            return [valid(part["items"], root)] * part.get("minItems", 1)
        case "string":
            return "2026-01-31T12:00:00Z" if "format" in part else "x"
        case "boolean":
            return True
        case "integer" | "number":
            return 1
        case None:
            return "anything"
    raise AssertionError(part)


def wrong_payloads(message: str) -> Iterator[tuple[str, Any]]:
    """Where the payload is wrong (the name of the field), and the payload."""
    root = schema(message)
    good = valid(root, root)
    for path, wrong in _wrong_values(root, root):
        if path:
            yield next(part for part in reversed(path) if isinstance(part, str)), _with(good, path, wrong)
    yield "payload", []


_DELETED = object()


def _wrong_values(part: dict[str, Any], root: dict[str, Any], path: Path = ()) -> Iterator[tuple[Path, Any]]:
    part = _resolved(part, root)
    if "type" not in part:  # `data` of DataTransfer: anything
        return
    if path:
        yield path, None
        yield path, {"integer": "7", "number": "7", "string": 7, "boolean": "yes"}.get(part["type"], 7)
    if "enum" in part:
        yield path, "Sometimes"
    if "format" in part:
        yield path, "yesterday"
    if "maxLength" in part:
        yield path, "x" * (part["maxLength"] + 1)
    if part["type"] == "integer":
        yield path, 2**31
        yield path, -(2**31) - 1
        yield path, 1.5
    for limit, beyond in (("minimum", -1), ("maximum", 1)):
        if limit in part:
            yield path, part[limit] + beyond
    if "minItems" in part:
        yield path, []
    if "maxItems" in part:
        yield path, [valid(part["items"], root)] * (part["maxItems"] + 1)
    if part["type"] == "array":
        yield from _wrong_values(part["items"], root, (*path, 0))
    for name, each in part.get("properties", {}).items():
        if name != "customData":
            yield from _wrong_values(each, root, (*path, name))
    for name in part.get("required", ()):
        yield (*path, name), _DELETED
    if part["type"] == "object" and not part.get("additionalProperties", True):
        yield (*path, "nonsense"), 1


def _with(good: Any, path: Path, value: Any) -> Any:
    changed = copy.deepcopy(good)
    inner = changed
    for part in path[:-1]:
        inner = inner[part]
    if value is _DELETED:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def _resolved(part: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        part = root["definitions"][part["$ref"].removeprefix("#/definitions/")]
    return part
