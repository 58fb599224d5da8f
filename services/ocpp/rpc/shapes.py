# SPDX-License-Identifier: Apache-2.0
"""A JSON schema of OCPP as a type of msgspec: whether a payload is valid, in microseconds and little memory.

It knows only the words that the schemas of OCPP 2.0.1 use, and raises `UnknownWord` for another. It accepts nothing
that the schema refuses, and says of what it refuses only that: the reason is the business of a real schema library,
which costs 10 MB when it is first needed (`validation.py`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

__all__ = ["UnknownWord", "acceptor"]

_SILENT: Final = {"$schema", "$id", "additionalItems", "comment", "default", "definitions", "description", "javaType"}
"""Words that refuse nothing: `items` of these schemas is always one schema, for which `additionalItems` means
nothing."""
_WORDS: Final = {
    "array": {"items", "minItems", "maxItems"},
    "boolean": set[str](),
    "integer": {"minimum", "maximum"},
    "number": set[str](),
    "object": {"properties", "required", "additionalProperties"},
    "string": {"maxLength", "enum", "format", "additionalProperties"},
}
_FINITE: Final[Any] = Annotated[float, Meta(ge=-math.nextafter(math.inf, 0), le=math.nextafter(math.inf, 0))]


class UnknownWord(Exception):
    """The schema uses a word that this module doesn't know."""


class _DateTime:
    """Stands for a text of the format `date-time`."""


def acceptor(schema: dict[str, Any], *, is_date_time: Callable[[str], bool]) -> Callable[[object], bool]:
    """A function that returns whether a payload is valid by `schema`. Raises `UnknownWord`."""
    kind = _Builder(schema.get("definitions", {})).type_of(schema)
    date_time = _DateTime()

    def hook(_kind: type, value: Any) -> _DateTime:
        if not isinstance(value, str) or not is_date_time(value):
            raise ValueError
        return date_time

    def accepts(payload: object) -> bool:
        try:
            msgspec.convert(payload, kind, dec_hook=hook)
        except (msgspec.ValidationError, OverflowError, RecursionError):
            return False
        return True

    return accepts


class _Builder:
    """Makes the types of one schema file, each definition once."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = definitions
        self._made: dict[str, Any] = {}

    def type_of(self, schema: dict[str, Any]) -> Any:
        if "$ref" in schema:
            return self._definition(schema["$ref"].removeprefix("#/definitions/"))
        if not schema.keys() - _SILENT:
            return Any
        kind = schema.get("type")
        words = _WORDS.get(kind) if isinstance(kind, str) else None
        if words is None or schema.keys() - _SILENT - {"type"} - words:
            raise UnknownWord(sorted(schema))
        make: Callable[[dict[str, Any]], Any] = getattr(self, f"_{kind}")
        return make(schema)

    def _definition(self, name: str) -> Any:
        if name not in self._made:
            self._made[name] = self.type_of(self._definitions[name])
        return self._made[name]

    def _object(self, schema: dict[str, Any]) -> Any:
        required = set(schema.get("required", ()))
        properties = schema.get("properties", {})
        closed = schema.get("additionalProperties") is False
        if required - properties.keys():
            raise UnknownWord("required, and no property")
        fields: list[Any] = [
            (name, self.type_of(each)) if name in required else (name, self.type_of(each), None)
            for name, each in properties.items()
        ]
        # An optional field has a default that the check never sees: null, if it comes, is refused.
        return msgspec.defstruct("Payload", fields, kw_only=True, forbid_unknown_fields=closed, gc=False)

    def _array(self, schema: dict[str, Any]) -> Any:
        kind: Any = list
        limits = Meta(min_length=schema.get("minItems"), max_length=schema.get("maxItems"))
        return Annotated[kind[self.type_of(schema["items"])], limits]

    def _string(self, schema: dict[str, Any]) -> Any:
        if "enum" in schema:
            return Literal[tuple(schema["enum"])]
        if "format" in schema:
            if schema["format"] != "date-time" or "maxLength" in schema:
                raise UnknownWord("format")
            return _DateTime
        return Annotated[str, Meta(max_length=schema.get("maxLength"))]

    def _integer(self, schema: dict[str, Any]) -> Any:
        least, most = schema.get("minimum"), schema.get("maximum")  # written as -3.0 in some schemas
        return Annotated[
            int, Meta(ge=None if least is None else math.ceil(least), le=None if most is None else math.floor(most))
        ]

    def _number(self, _schema: dict[str, Any]) -> Any:
        return _FINITE

    def _boolean(self, _schema: dict[str, Any]) -> Any:
        return bool
