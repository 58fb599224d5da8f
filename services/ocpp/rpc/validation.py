# SPDX-License-Identifier: Apache-2.0
"""Payloads against the JSON schemas of OCPP 2.0.1, and the error code of part 4, table 8, for what is wrong.

The schema files are those of the installed package `ocpp`, which is found but not imported (its import costs some
200 ms). What checks a message is made when the message first appears: a type of msgspec that accepts what is valid
(`shapes.py`). Only for what it does not accept, the schema library is loaded, and has the last word: it costs 10 MB,
which a station whose CSMS keeps to the schemas never needs. Texts name places and limits, never values: a payload may
hold a password or an id token.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from msgspec import Struct, field

from firmware.clock import parse_utc
from firmware.schema_words import schema_problem
from services.ocpp.rpc import shapes

if TYPE_CHECKING:
    import jsonschema_rs

__all__ = [
    "ErrorCode",
    "Violation",
    "check_request",
    "check_response",
    "response_errors",
    "schema_folder",
    "worst",
]

ErrorCode = Literal[
    "FormatViolation",
    "GenericError",
    "InternalError",
    "MessageTypeNotSupported",
    "NotImplemented",
    "NotSupported",
    "OccurrenceConstraintViolation",
    "PropertyConstraintViolation",
    "ProtocolError",
    "RpcFrameworkError",
    "SecurityError",
    "TypeConstraintViolation",
]
"""Part 4, table 8."""

_MAX_DESCRIPTION: Final = 255
_MAX_ERRORS: Final = 50
_MAX_PATH: Final = 200
_INTEGER_LIMIT: Final = 2**31

# In order of severity: of several errors in a payload the first of this list is reported, because later ones are often
# its consequences (a value of a wrong type is not in the enumeration either).
_CODES: Final[dict[str, ErrorCode]] = {
    "additionalProperties": "FormatViolation",
    "required": "OccurrenceConstraintViolation",
    "minItems": "OccurrenceConstraintViolation",
    "maxItems": "OccurrenceConstraintViolation",
    "type": "TypeConstraintViolation",
    "enum": "PropertyConstraintViolation",
    "format": "PropertyConstraintViolation",
    "maxLength": "PropertyConstraintViolation",
    "minimum": "PropertyConstraintViolation",
    "maximum": "PropertyConstraintViolation",
}
_SEVERITY: Final = {kind: rank for rank, kind in enumerate(_CODES)}


class Violation(Struct, frozen=True):
    """Why a payload is refused: the content of a CALLERROR (part 4, section 4.2.3)."""

    code: ErrorCode
    description: str
    details: dict[str, Any] = field(default_factory=dict)


def check_request(action: str, payload: object) -> Violation | None:
    """What is wrong with the payload of a CALL, if anything. Raises `KeyError` for an unknown action."""
    return _check(f"{action}Request", payload)


def check_response(action: str, payload: object) -> Violation | None:
    """What is wrong with the payload of the CALLRESULT to `action`, if anything. Raises `KeyError` as above."""
    return _check(f"{action}Response", payload)


def response_errors(action: str, payload: object) -> list[jsonschema_rs.ValidationError]:
    """All that is wrong with it, in no order; of more than 50 errors some are missing."""
    return _errors(_validator(f"{action}Response"), payload)


def worst(errors: list[jsonschema_rs.ValidationError]) -> Violation | None:
    """The most severe error, if there is any."""
    if not errors:
        return None
    return _violation(min(errors, key=lambda error: _SEVERITY.get(error.kind.name, len(_SEVERITY))))


@cache
def schema_folder() -> Path:
    """The folder of the schema files; raises `RuntimeError` if the package is missing."""
    spec = importlib.util.find_spec("ocpp")
    if spec is None or spec.origin is None:
        raise RuntimeError("package ocpp is not installed")
    return Path(spec.origin).parent / "v201" / "schemas"


def _check(message: str, payload: object) -> Violation | None:
    if _acceptor(message)(payload):
        return None
    validator = _validator(message)
    return None if validator.is_valid(payload) else worst(_errors(validator, payload))


def _errors(validator: jsonschema_rs.Draft6Validator, payload: object) -> list[jsonschema_rs.ValidationError]:
    return list(islice(validator.iter_errors(payload), _MAX_ERRORS))


@cache
def _acceptor(message: str) -> Callable[[object], bool]:
    try:
        return shapes.acceptor(_schema(message), is_date_time=_is_date_time)
    except shapes.UnknownWord:  # a newer schema: the library decides
        return lambda _payload: False


@cache
def _validator(message: str) -> jsonschema_rs.Draft6Validator:
    import jsonschema_rs

    return jsonschema_rs.Draft6Validator(_schema(message), validate_formats=True, formats={"date-time": _is_date_time})


def _schema(message: str) -> Any:
    path = schema_folder() / f"{message}.json"
    try:
        schema = msgspec.json.decode(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except FileNotFoundError:
        raise KeyError(message) from None
    _bound_integers(schema)
    return schema


def _bound_integers(schema: Any) -> None:
    """An OCPP integer has 32 bits (part 2, section 2.1.4); the schemas omit this, and a database needs a limit."""
    if isinstance(schema, list):
        for item in schema:
            _bound_integers(item)
    elif isinstance(schema, dict):
        if schema.get("type") == "integer":
            schema.setdefault("minimum", -_INTEGER_LIMIT)
            schema.setdefault("maximum", _INTEGER_LIMIT - 1)
        for item in schema.values():
            _bound_integers(item)


def _is_date_time(text: str) -> bool:
    try:
        parse_utc(text)
    except ValueError:
        return False
    return True


def _violation(error: jsonschema_rs.ValidationError) -> Violation:
    kind = error.kind.name
    path = _path(error.instance_path)
    code = _CODES.get(kind, "FormatViolation")
    if kind == "type" and not path:
        code = "FormatViolation"  # not an object, so not a payload of any action
    return Violation(code, schema_problem(error)[:_MAX_DESCRIPTION], {"path": path, "constraint": kind})


def _path(parts: list[str | int]) -> str:
    """`setVariableData[0].component.name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")[:_MAX_PATH]
