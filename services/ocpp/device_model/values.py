# SPDX-License-Identifier: Apache-2.0
"""Values of variables: text as OCPP carries it, parsed once into what the code uses.

Formats are those of part 2, section 2.1.4 (primitive data types), checked to the letter: `01`, `+1`, `1e3`, `True` or
a date without a zone are refused (B05.FR.07), as are values outside the characteristics (B05.FR.08).
"""

from __future__ import annotations

import math
import re
import zoneinfo
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from firmware.clock import format_utc, parse_utc

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


@dataclass(frozen=True, slots=True)
class Characteristics:
    """The fixed properties of a variable (VariableCharacteristicsType), by which its text is checked."""

    data_type: DataType
    unit: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    format: str | None = None
    required: bool = False


_INTEGER = re.compile(r"-?(0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]{1,6})?")
_DATE_TIME = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,3})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_IDENTIFIER = re.compile(r"[A-Za-z0-9*\-_=+|@.]+")
_TIME_OFFSET = re.compile(r"[+-](0[0-9]|1[0-4]):[0-5][0-9]")
_NO_TIME_ZONE = re.compile(r"(posix|right)/.*|posixrules|localtime|Factory")
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
        raise Refusal("ValueOutOfRange", f"at most {kind.maximum or MAX_TEXT:g} characters")
    if kind.required and not text:
        raise Refusal("InvalidValue", "can't be empty")
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
        raise Refusal("InvalidValue", "unprintable characters")
    if kind.format is not None and text:
        _FORMATS[kind.format](text)
    return text


def _integer(text: str, _: Characteristics) -> int:
    if not _INTEGER.fullmatch(text):
        raise Refusal("InvalidValue", "not an integer")
    value = int(text[:12])  # longer is out of range anyway
    if abs(value) > _INT32_MAX or text == "-0":
        raise Refusal("InvalidValue", "not a 32-bit integer")
    return value


def _decimal(text: str, _: Characteristics) -> float:
    if not _DECIMAL.fullmatch(text) or len(text) > 40:
        raise Refusal("InvalidValue", "not a decimal number with at most six places")
    return float(text)


def _boolean(text: str, _: Characteristics) -> bool:
    if text not in {"true", "false"}:
        raise Refusal("InvalidValue", "neither true nor false")
    return text == "true"


def _date_time(text: str, _: Characteristics) -> float:
    try:
        if _DATE_TIME.fullmatch(text):
            return parse_utc(text)
    except ValueError:
        pass
    raise Refusal("InvalidValue", "not an RFC 3339 date and time with a zone and at most three decimals")


def _option(text: str, kind: Characteristics) -> str:
    if text not in kind.choices:
        raise Refusal("InvalidValue", "not in the list of values")
    return text


def _list(text: str, kind: Characteristics) -> tuple[str, ...]:
    members = tuple(text.split(",")) if text else ()
    if any(member not in kind.choices for member in members):
        raise Refusal("InvalidValue", "not in the list of values")
    if len(set(members)) < len(members):
        raise Refusal("InvalidValue", "a value occurs twice")
    return members


def _check_range(value: Value, kind: Characteristics) -> None:
    assert isinstance(value, (int, float))
    if kind.minimum is not None and value < kind.minimum:
        raise Refusal("ValueOutOfRange", f"below {kind.minimum:.16g}")
    if kind.maximum is not None and value > kind.maximum:
        raise Refusal("ValueOutOfRange", f"above {kind.maximum:.16g}")


def _password(text: str) -> None:
    # A00.FR.205 as erratum 2.1 has it: any characters; the upper bound is the variable's maxLimit.
    if len(text) < _PASSWORD_MIN_LENGTH:
        raise Refusal("ValueOutOfRange", f"at least {_PASSWORD_MIN_LENGTH} characters")


def _identifier(text: str) -> None:
    if not _IDENTIFIER.fullmatch(text):
        raise Refusal("InvalidValue", "characters not allowed in an identifier")


def _time_offset(text: str) -> None:
    if not _TIME_OFFSET.fullmatch(text):
        raise Refusal("InvalidValue", "not an offset like +01:00")


def _time_zone(text: str) -> None:
    if _NO_TIME_ZONE.fullmatch(text) or not _has_rules(text):
        raise Refusal("InvalidValue", "not a time zone like Europe/Oslo")


def _has_rules(zone: str) -> bool:
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _name(text: str) -> None:
    """Goes into the subject of a certificate (A00.FR.509)."""
    if text != text.strip():
        raise Refusal("InvalidValue", "leading or trailing blanks")


_FORMATS: dict[str, Callable[[str], None]] = {
    "password": _password,
    "identifier": _identifier,
    "time_offset": _time_offset,
    "time_zone": _time_zone,
    "name": _name,
}

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
