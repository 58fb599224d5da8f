# SPDX-License-Identifier: Apache-2.0
"""How an answer of the CSMS is read that breaks its schema, but whose meaning is plain.

An answer that is refused costs more than a request that is: without the one to BootNotification the station stays out
of service, without the one to Authorize an EV driver gets no energy. So an answer is mended, in place, by these rules,
and accepted if it is valid then:

- null, which many serialisers write for an absent field, is absent; so is an object that has required fields and in
  which all are null;
- a field that the schema does not know is ignored;
- a date-time without a zone is UTC, as OCPP recommends (part 2, section 3.1). The forms of ISO 8601 that the libraries
  in the field write are read as well: a blank for the `T`, an offset without colon or minutes, `Z` after an offset of
  zero, and no seconds, which Java leaves out when they are zero;
- a text for people that is too long is cut.

Whatever else is wrong stays refused: a date without a time (which hour is meant?), a value of another type or not in
the enumeration, a required field that is missing. A null in a list is not an absent field. Requests of the CSMS are not
mended: it gets a precise CALLERROR and can correct them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from jsonschema_rs import ValidationError, ValidationErrorKind

from firmware.clock import parse_utc
from firmware.words import place
from services.ocpp.rpc.validation import Violation, response_errors, worst

__all__ = ["Mend", "Rule", "mend_response"]

_ROUNDS: Final = 5
"""One is enough for all but an empty object, which is found when its nulls are gone, and its parents."""
_TEXTS: Final = ("additionalInfo", "content", "reasonCode")
"""Of statusInfo and of a message to the EV driver; nothing is decided by them."""
_DATE_TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?:(:\d\d)(\.\d+)?)?(Z|[+-]00:?00Z|[+-]\d\d(?::?\d\d)?)?",
    re.ASCII | re.IGNORECASE,
)


class Rule(Enum):
    """The rule by which something was read that the schema does not allow; the value is for the log."""

    NULL = "null counts as absent"
    UNKNOWN = "an unknown field is ignored"
    ZONE = "a date-time without a zone is read as UTC"
    DATE_TIME = "a date-time that is not RFC 3339 is read as ISO 8601"
    TEXT = "a text that is too long is cut"


@dataclass(frozen=True, slots=True)
class Mend:
    """What was mended: `field` is such as `idTokenInfo.language1`."""

    rule: Rule
    field: str


def mend_response(action: str, payload: dict[str, Any]) -> tuple[list[Mend], Violation | None]:
    """Mend the payload of the CALLRESULT to `action`: what was mended, and what is still wrong, if anything."""
    mends: list[Mend] = []
    errors = response_errors(action, payload)
    for _ in range(_ROUNDS):
        mended = [mend for error in errors for mend in _mend(payload, error)]
        if not mended:
            break
        mends += mended
        errors = response_errors(action, payload)
    return mends, worst(errors)


def _mend(payload: dict[str, Any], error: ValidationError) -> Iterator[Mend]:
    path, kind, value = error.instance_path, error.kind, error.instance
    if isinstance(kind, ValidationErrorKind.AdditionalProperties):
        for name in kind.unexpected:
            if _remove(payload, [*path, name]):
                yield Mend(Rule.UNKNOWN, place([*path, name]))
    elif value is None or (isinstance(kind, ValidationErrorKind.Required) and _is_blank(value)):
        if _remove(payload, path):
            yield Mend(Rule.NULL, place(path))
    elif isinstance(value, str):
        mended = _mended_text(value, kind, path)
        holder = _holder(payload, path)
        if mended is not None and holder is not None:
            holder[path[-1]], rule = mended
            yield Mend(rule, place(path))


def _is_blank(value: object) -> bool:
    return isinstance(value, dict) and all(each is None for each in value.values())


def _remove(payload: dict[str, Any], path: list[str | int]) -> bool:
    """False if it is no property of an object, or removed already."""
    holder = _holder(payload, path)
    if holder is None:
        return False
    del holder[path[-1]]
    return True


def _holder(payload: dict[str, Any], path: list[str | int]) -> dict[str | int, Any] | None:
    """The object that has the property at the end of the path; None if there is none (any more)."""
    found: Any = payload
    for step in path[:-1]:
        if isinstance(found, dict) and step not in found:
            return None
        found = found[step]
    return found if path and isinstance(found, dict) and path[-1] in found else None


def _mended_text(text: str, kind: ValidationErrorKind, path: list[str | int]) -> tuple[str, Rule] | None:
    match kind:
        case ValidationErrorKind.Format():
            return _date_time(text)
        case ValidationErrorKind.MaxLength() if path[-1] in _TEXTS:
            return text[: kind.limit], Rule.TEXT
    return None


def _date_time(text: str) -> tuple[str, Rule] | None:
    """The same in RFC 3339, if it is plain which moment is meant."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    date, minutes, seconds, fraction, zone = found.groups("")
    if zone.startswith(("+", "-")):
        zone = f"{zone[:3]}:{zone[3:].strip(':Zz') or '00'}"
    plain = f"{date}T{minutes}{seconds or ':00'}{fraction}{zone or 'Z'}"
    try:
        parse_utc(plain)
    except ValueError:
        return None
    return plain, Rule.DATE_TIME if zone else Rule.ZONE
