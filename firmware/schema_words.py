# SPDX-License-Identifier: Apache-2.0
"""A violation of a JSON schema as a sentence: `evse.id: expected a whole number, got a text of 3 characters`.

It names places, kinds, lengths and limits, never a value: a payload may hold a password or an id token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from firmware.words import kind_of, name, one_of, place

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = ["schema_problem"]

_TYPES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a text",
}


def schema_problem(error: jsonschema_rs.ValidationError) -> str:
    """What is wrong, and where in the payload."""
    path = error.instance_path
    kind: Any = error.kind
    if kind.name == "required":
        return f"{place([*path, kind.property])} is missing"
    return f"{place(path) or 'payload'}: {_problem(kind, error.instance)}"


def _problem(kind: Any, value: Any) -> str:
    match kind.name:
        case "additionalProperties":
            return f"unknown field {', '.join(name(each) for each in sorted(kind.unexpected)[:3])}"
        case "type":
            return f"expected {' or '.join(_TYPES[each] for each in kind.types)}, got {kind_of(value)}"
        case "enum":
            return f"expected {one_of(map(str, kind.options))}"
        case "format":
            return "expected a date and time like 2026-01-31T12:00:00Z"
        case "maxLength":
            return f"expected at most {kind.limit} characters, got {len(value)}"
        case "minItems":
            return f"expected at least {_elements(kind.limit)}, got {len(value)}"
        case "maxItems":
            return f"expected at most {_elements(kind.limit)}, got {len(value)}"
        case "minimum":
            return f"expected at least {kind.limit}"
        case "maximum":
            return f"expected at most {kind.limit}"
        case _:
            return "not what its schema allows"


def _elements(count: int) -> str:
    return f"{count} element{'' if count == 1 else 's'}"
