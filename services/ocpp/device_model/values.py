# SPDX-License-Identifier: Apache-2.0
"""Values of variables: text as OCPP carries it, parsed once into what the code uses.

Formats are those of part 2, section 2.1.4 (primitive data types), checked to the letter: `01`, `+1`, `1e3`, `True` or
a date without a zone are refused (B05.FR.07), as are values outside the characteristics (B05.FR.08).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from enum import Enum

from msgspec import Struct

from firmware.clock import format_utc, parse_utc
from firmware.words import in_range, length, name, one_of

__all__ = ["Characteristics", "DataType", "Refusal", "Value", "empty_value", "parse", "to_text"]

Value = str | int | float | bool | tuple[str, ...] | None
"""None: the attribute has no value yet (an empty text of a type that has no empty value)."""

MAX_TEXT = 2500  # VariableAttributeType.value


class DataType(str, Enum):
    """DataEnumType."""

    STRING = "string"
    DECIMAL = "decimal"
    INTEGER = "integer"
    DATE_TIME = "dateTime"
    BOOLEAN = "boolean"
    OPTION_LIST = "OptionList"
    SEQUENCE_LIST = "SequenceList"
    MEMBER_LIST = "MemberList"


_NUMBERS = (DataType.INTEGER, DataType.DECIMAL)
_LISTS = (DataType.SEQUENCE_LIST, DataType.MEMBER_LIST)
_TEXTS = (DataType.STRING, DataType.OPTION_LIST, *_LISTS)


class Refusal(Exception):
    """Why a value is refused: a standard reason code (appendix) and a text for people, without the value."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(reason, text)
        self.reason = reason
        self.text = text


class Characteristics(Struct, frozen=True):
    """The fixed properties of a variable (VariableCharacteristicsType), by which its text is checked."""

    data_type: DataType
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    format: str | None = None
    required: bool = False

    @property
    def expected(self) -> str:
        """What a text of this variable must be, in words."""
        kind = self.data_type
        if kind is DataType.INTEGER:
            least = -_INT32_MAX if self.minimum is None else self.minimum
            most = _INT32_MAX if self.maximum is None else self.maximum
            return in_range("a whole number", least, most, self.unit or "")
        if kind is DataType.DECIMAL:
            return in_range("a number with at most six decimals", self.minimum, self.maximum, self.unit or "")
        if kind is DataType.STRING:
            return _expected_text(self)
        return _EXPECTED.get(kind, "").format(one_of(self.choices, _MAX_CHOICES) if self.choices else "")


_MAX_CHOICES = 300
_EXPECTED = {
    DataType.BOOLEAN: "true or false",
    DataType.DATE_TIME: "a date and time like 2026-01-31T12:00:00Z",
    DataType.OPTION_LIST: "{}",
    DataType.SEQUENCE_LIST: "members separated by commas, each {}",
    DataType.MEMBER_LIST: "members separated by commas, each {}",
}

_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]{1,6})?")
_IDENTIFIER = re.compile(r"[A-Za-z0-9*\-_=+|@.]+")
_TIME_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4]):[0-5][0-9]")
_NO_TIME_ZONE = r"(posix|right)/.*|posixrules|localtime|Factory"
"""Other files in the folder of time zones: `right/UTC` counts leap seconds, `localtime` depends on the board."""
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")
"""Control characters, and lone surrogates, which can't be encoded."""
_INT32_MAX = 2**31 - 1
_PASSWORD_MIN_LENGTH = 16


def parse(text: str, kind: Characteristics) -> Value:
    """The value of `text`; raises `Refusal`.

    A dateTime becomes seconds since 1970, lists become tuples. An empty text is a value of texts and lists only.
    """
    value = _PARSERS[kind.data_type](text, kind)
    if kind.data_type in _NUMBERS:
        _check_range(value, kind)
    elif kind.data_type in _TEXTS and len(text) > (kind.maximum if kind.maximum is not None else MAX_TEXT):
        most = MAX_TEXT if kind.maximum is None else kind.maximum
        raise Refusal("ValueOutOfRange", f"expected at most {most:g} characters, got {len(text)}")
    if kind.required and not text:
        raise Refusal("InvalidValue", f"can't be empty, expected {kind.expected}")
    return value


def empty_value(data_type: DataType) -> Value:
    """The value of an attribute without a text."""
    if data_type is DataType.STRING:
        return ""
    return () if data_type in _LISTS else None


def to_text(value: Value, data_type: DataType) -> str:
    """`value` as OCPP writes it. Raises `TypeError` for a value of another type."""
    if value is None:
        return ""
    writer, types = _WRITERS[data_type]
    if not isinstance(value, types) or (isinstance(value, bool) and data_type is not DataType.BOOLEAN):
        raise TypeError(f"{type(value).__name__} is not a value of type {data_type.value}")
    return writer(value)


# --- reading ------------------------------------------------------------------------------------------------------


def _string(text: str, kind: Characteristics) -> str:
    if _UNPRINTABLE.search(text):
        raise Refusal("InvalidValue", "expected a text without control characters")
    if kind.format is not None and text:
        check, _ = _FORMATS[kind.format]
        if not check(text):
            raise _unfit(kind)
    if kind.format == "password" and 0 < len(text) < _PASSWORD_MIN_LENGTH:
        # A00.FR.205 as erratum 2.1 has it: any characters; the upper bound is the variable's maxLimit.
        raise Refusal("ValueOutOfRange", f"expected {kind.expected}, got {len(text)}")
    return text


def _unfit(kind: Characteristics) -> Refusal:
    return Refusal("InvalidValue", f"expected {kind.expected}")


def _integer(text: str, kind: Characteristics) -> int:
    if not _INTEGER.fullmatch(text):
        raise _unfit(kind)
    value = int(text[:12])  # longer is out of range anyway
    if abs(value) > _INT32_MAX or text == "-0":
        raise _unfit(kind)
    return value


def _decimal(text: str, kind: Characteristics) -> float:
    if not _DECIMAL.fullmatch(text) or len(text) > 40:
        raise _unfit(kind)
    return float(text)


def _boolean(text: str, kind: Characteristics) -> bool:
    if text not in {"true", "false"}:
        raise _unfit(kind)
    return text == "true"


def _date_time(text: str, kind: Characteristics) -> float:
    try:
        return parse_utc(text)
    except ValueError:
        raise _unfit(kind) from None


def _option(text: str, kind: Characteristics) -> str:
    if text not in kind.choices:
        raise Refusal("InvalidValue", f"expected {kind.expected}, got '{name(text)}'")
    return text


def _list(text: str, kind: Characteristics) -> tuple[str, ...]:
    members = tuple(text.split(",")) if text else ()
    for number, member in enumerate(members):
        if member not in kind.choices:
            raise Refusal("InvalidValue", f"'{name(member)}' is no member, expected {kind.expected}")
        if member in members[:number]:
            raise Refusal("InvalidValue", f"'{member}' occurs twice")
    return members


def _check_range(value: Value, kind: Characteristics) -> None:
    assert isinstance(value, (int, float))
    below = kind.minimum is not None and value < kind.minimum
    if below or (kind.maximum is not None and value > kind.maximum):
        raise Refusal("ValueOutOfRange", f"expected {kind.expected}, got {value:.16g}")


def _expected_text(kind: Characteristics) -> str:
    least = _PASSWORD_MIN_LENGTH if kind.format == "password" else int(kind.required or kind.format == "identifier")
    characters = length(least, int(MAX_TEXT if kind.maximum is None else kind.maximum))
    words = "a text of {} characters" if kind.format is None else _FORMATS[kind.format][1]
    return words.format(characters)


def _is_time_zone(text: str) -> bool:
    return not re.fullmatch(_NO_TIME_ZONE, text) and _has_rules(text)


def _has_rules(zone: str) -> bool:
    import zoneinfo  # only a request to set TimeZone needs it

    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


_FORMATS: dict[str, tuple[Callable[[str], object], str]] = {
    "password": (lambda text: True, "{} characters"),
    "identifier": (_IDENTIFIER.fullmatch, "{} of A-Z a-z 0-9 * - _ = + | @ ."),
    "time_offset": (_TIME_OFFSET.fullmatch, "an offset from UTC like +01:00"),
    "time_zone": (_is_time_zone, "a time zone like Europe/Oslo"),
    "name": (lambda text: text == text.strip(), "{} characters without blanks at either end"),
}
"""The check of a format and its words; `name` goes into the subject of a certificate (A00.FR.509)."""

_PARSERS: dict[DataType, Callable[[str, Characteristics], Value]] = {
    DataType.STRING: _string,
    DataType.INTEGER: _integer,
    DataType.DECIMAL: _decimal,
    DataType.BOOLEAN: _boolean,
    DataType.DATE_TIME: _date_time,
    DataType.OPTION_LIST: _option,
    DataType.SEQUENCE_LIST: _list,
    DataType.MEMBER_LIST: _list,
}


# --- writing ------------------------------------------------------------------------------------------------------


def _decimal_text(value: float) -> str:
    if not math.isfinite(value):
        raise TypeError("not a finite number")
    text = f"{value:.6f}".rstrip("0")
    text += "0" if text.endswith(".") else ""
    return "0.0" if text == "-0.0" else text


def _plain(value: Value) -> str:
    """`str()` of a string enum would be its Python name."""
    return str.__str__(value) if isinstance(value, str) else str(value)


_WRITERS: dict[DataType, tuple[Callable[..., str], type | tuple[type, ...]]] = {
    DataType.STRING: (_plain, str),
    DataType.INTEGER: (_plain, int),
    DataType.DECIMAL: (_decimal_text, (int, float)),
    DataType.BOOLEAN: (lambda value: "true" if value else "false", bool),
    DataType.DATE_TIME: (format_utc, (int, float)),
    DataType.OPTION_LIST: (_plain, str),
    DataType.SEQUENCE_LIST: (",".join, tuple),
    DataType.MEMBER_LIST: (",".join, tuple),
}
