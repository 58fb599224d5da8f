# SPDX-License-Identifier: Apache-2.0
"""The words in which people are told what is wrong with an input: a place in it, what was expected, what came instead.

No text of a library, no notation of a programming language. What may be secret is described, never shown.
`schema_words.py` and `type_words.py` make whole sentences of these.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, time
from typing import Final

__all__ = ["in_range", "kind_of", "length", "name", "not_json", "not_toml", "one_of", "place", "shown"]

_MAX_NAME: Final = 40
_MAX_PLACE: Final = 120
_MAX_LISTED: Final = 110
_UNPRINTABLE: Final = "?"


def place(path: Sequence[str | int]) -> str:
    """`setVariableData 2, component.name`: elements of lists are counted from 1."""
    text, joint = "", ""
    for part in path:
        text += f" {part + 1}" if isinstance(part, int) else joint + name(part)
        joint = ", " if isinstance(part, int) else "."
    return f"{'element' if text.startswith(' ') else ''}{text}"[:_MAX_PLACE]


def name(text: str) -> str:
    """A name that somebody else chose, in bounds and printable."""
    return "".join(char if char.isprintable() else _UNPRINTABLE for char in text[:_MAX_NAME])


def one_of(values: Iterable[str], limit: int = _MAX_LISTED) -> str:
    """`one of A, B, C`; if that is too long, the first ones and how many there are."""
    names = list(values)
    text = ", ".join(names)
    if len(text) > limit:
        text = f"{text[: text.rfind(', ', 0, limit)]} ... ({len(names)} in all)"
    return text if len(names) == 1 else f"one of {text}"


def in_range(noun: str, least: float | None, most: float | None, unit: str = "") -> str:
    """`a whole number from 1 to 99 s`."""
    unit = unit and f" {unit}"
    if least is not None and most is not None:
        return f"{noun} from {least:.16g} to {most:.16g}{unit}"
    if least is not None:
        return f"{noun} of at least {least:.16g}{unit}"
    if most is not None:
        return f"{noun} of at most {most:.16g}{unit}"
    return f"{noun} in{unit}" if unit else noun


def length(least: int, most: int | None) -> str:
    """`1 to 50`, of characters or elements."""
    if most is None:
        return f"at least {least}"
    return f"{least} to {most}" if least else f"at most {most}"


def kind_of(value: object, table: str = "an object") -> str:
    """What a value is, without showing it; `table` is what the notation calls a group of keys."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return "a whole number"
        case float():
            return "a number with decimals" if math.isfinite(value) else "no finite number"
        case str():
            return f"a text of {len(value)} character{'' if len(value) == 1 else 's'}" if value else "an empty text"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case Mapping():
            return table
        case date() | time():
            return "a date or time"
        case _:
            return "something else"


def shown(value: object, table: str = "an object") -> str:
    """The value where it is short and can't be secret: a number or a word was expected."""
    if isinstance(value, str):
        return f"'{name(value)}'"
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e18:
        return f"{value:.16g}"
    return kind_of(value, table)


# --- what a parser says -----------------------------------------------------------------------------------------------


def not_json(error: Exception) -> str:
    """Why a text is not JSON, from the exception of msgspec or json."""
    if isinstance(error, RecursionError):
        return "not JSON: nested too deeply"
    if isinstance(error, UnicodeError):
        return "not JSON: not in UTF-8"
    text = str(error).partition(" - at ")[0].removeprefix("JSON is malformed: ")
    return "not JSON: it ends too early" if "truncated" in text else f"not JSON: {text[0].lower()}{text[1:]}"


_KEYS: Final = r"\(((?:'[^']*',? ?)+)\)"
_CHARACTER: Final = r"(['\"])(\\.*?)\1"
_CHARACTERS: Final = {"\\n": "line break", "\\r": "line break", "\\": "backslash", "\\t": "tab"}


def not_toml(error: Exception) -> str:
    """Why a file is not TOML, from the exception of tomllib: with line and column, if it has them."""
    if isinstance(error, RecursionError):
        return "not TOML: nested too deeply"
    if isinstance(error, UnicodeError):
        return "not TOML: not in UTF-8"
    text = re.sub(_KEYS, lambda keys: ".".join(re.findall("'([^']*)'", keys[1])), str(error))
    text = re.sub(_CHARACTER, lambda found: _CHARACTERS.get(found[2], "control character"), text)
    return f"not TOML: {text[0].lower()}{text[1:]}" if text else "not TOML"
