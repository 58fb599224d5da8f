# SPDX-License-Identifier: Apache-2.0
"""What of a message may be shown.

Hidden are passwords and keys, id tokens and what else is about a person, and the values of variables that are secret or
not this station's. A member that its schema does not know is hidden whatever it holds. Of a payload that breaks its
schema, only the schema's own words, names of this station's device model, date-times and numbers are shown: where a
member is in the wrong place, a secret may be, too. All texts are searched for secrets as those of the other logs
(`firmware/log.py`), and of URLs, user, password and query are hidden.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import Struct

from firmware.log import redact
from services.ocpp.rpc.validation import schema_folder

if TYPE_CHECKING:
    from services.ocpp.device_model.variable import Variable

__all__ = ["HIDDEN", "Redaction"]

HIDDEN: Final = "***"

_ID_TOKEN: Final = "idToken"
"""The name of an object and of the text in it: the object's other members are shown."""
_HIDDEN_MEMBERS: Final = frozenset(
    {
        _ID_TOKEN,
        "additionalIdToken",
        "customerIdentifier",
        "customerCertificate",
        "iso15118CertificateHashData",
        "content",  # a message for a driver
        "data",  # NotifyCustomerInformation; DataTransfer, which may hold anything
        "exiRequest",  # ISO 15118: certificates of a contract
        "exiResponse",
        "password",
        "apnPassword",
        "simPin",
        "key",  # VPNType
    }
)
_VALUES: Final = frozenset({"attributeValue", "value", "actualValue"})
"""Values of variables, where component and variable stand beside or above."""
_PERSONAL: Final = frozenset({"Authorize", "TransactionEvent"})
"""A CALLERROR about one of these may name the card."""
_MAX_NAME: Final = 50
_MAX_INTEGER: Final = 2**63 - 1
_DATE_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:[Zz]|[+-]\d\d:?\d\d)?)?")
_URL: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,20}://)(\S*@)?([^\s?#]*)([?#]\S*)?")


class _Schema(Struct, frozen=True):
    """The names of a message's members, and the values of its enumerations."""

    members: frozenset[str]
    words: frozenset[str]


_UNKNOWN: Final = _Schema(frozenset(), frozenset())


class _View(Struct, frozen=True):
    """How the values at one place of a payload are shown."""

    schema: _Schema
    valid: bool
    values: bool = True
    """Values of variables are shown here."""


class Redaction:
    """Shows payloads of a station with these variables."""

    def __init__(self, variables: Iterable[Variable]) -> None:
        names: set[tuple[str, str]] = set()
        secret: set[tuple[str, str]] = set()
        self._words: set[str] = set()
        for variable in variables:
            component, name = variable.address.component, variable.address.variable
            hidden = variable.secret or not all(each.readable for each in variable.attributes.values())
            (secret if hidden else names).add((component.lower(), name.lower()))
            self._words |= {component, name}
        self._shown = names - secret

    def payload(self, message: str | None, payload: Any, *, valid: bool) -> Any:
        """`payload` of the message, such as `AuthorizeRequest`; None: an unknown one."""
        schema = _UNKNOWN if message is None else _schema(message)
        return self._walk(payload, _View(schema, valid))

    def error(self, action: str, description: str, details: dict[str, Any], *, own: bool) -> dict[str, Any]:
        """Description and details of a CALLERROR; `own`: the station's, which repeats no values."""
        if own:
            return {"description": self.text(description), "details": self._strings(details)}
        shown = bool(action) and action not in _PERSONAL
        return {
            "description": self.text(description) if shown or not description else HIDDEN,
            "details": HIDDEN if details else {},
        }

    @staticmethod
    def text(text: str) -> str:
        """A text of nobody's schema."""
        return redact(_URL.sub(_place, text) if "://" in text else text)

    def _strings(self, details: dict[str, Any]) -> dict[str, str]:
        return {name: self.text(value) for name, value in details.items() if isinstance(value, str)}

    def _walk(self, value: Any, view: _View) -> Any:
        if isinstance(value, dict):
            view = self._view_of(value, view)
            return {name[:_MAX_NAME]: self._member(name, each, view) for name, each in value.items()}
        if isinstance(value, list):
            return [self._walk(each, view) for each in value]
        if isinstance(value, int) and abs(value) > _MAX_INTEGER:
            return HIDDEN  # not to be written as JSON
        if not isinstance(value, str):
            return value
        if value in view.schema.words or value in self._words or _DATE_TIME.fullmatch(value):
            return value
        return self.text(value) if view.valid else HIDDEN

    def _member(self, name: str, value: Any, view: _View) -> Any:
        if name == _ID_TOKEN and isinstance(value, dict):
            return self._walk(value, view)
        if name in _HIDDEN_MEMBERS or name not in view.schema.members or (name in _VALUES and not view.values):
            return HIDDEN
        return self._walk(value, view)

    def _view_of(self, value: dict[str, Any], view: _View) -> _View:
        """Within an object that names a variable, values are shown only if the variable's may be."""
        if "component" not in value and "variable" not in value:
            return view
        pair = _name(value.get("component")), _name(value.get("variable"))
        return _View(view.schema, view.valid, pair in self._shown)


def _name(place: Any) -> str:
    name = place.get("name") if isinstance(place, dict) else None
    return name.lower() if isinstance(name, str) else ""


def _place(url: re.Match[str]) -> str:
    user = f"{HIDDEN}@" if url[2] else ""
    query = f"{url[4][0]}{HIDDEN}" if url[4] else ""
    return f"{url[1]}{user}{url[3]}{query}"


@cache
def _schema(message: str) -> _Schema:
    """Raises `KeyError` for a message that OCPP does not have."""
    try:
        text = (schema_folder() / f"{message}.json").read_bytes()
    except FileNotFoundError:
        raise KeyError(message) from None
    members: set[str] = set()
    words: set[str] = set()
    _collect(msgspec.json.decode(text.removeprefix(b"\xef\xbb\xbf")), members, words)
    return _Schema(frozenset(members), frozenset(words))


def _collect(schema: Any, members: set[str], words: set[str]) -> None:
    if isinstance(schema, list):
        for each in schema:
            _collect(each, members, words)
    elif isinstance(schema, dict):
        members.update(schema.get("properties", ()))
        words.update(each for each in schema.get("enum", ()) if isinstance(each, str))
        for each in schema.values():
            _collect(each, members, words)
