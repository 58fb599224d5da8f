# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for payloads that OCPP's schemas allow and no sensible peer sends."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from hypothesis import strategies as st

from services.ocpp.messages import ACTIONS
from services.ocpp.rpc.validation import schema_folder

__all__ = ["INTEGERS", "MOMENTS", "TEXTS", "calls", "request_of", "response_of"]

_NUMBERS = (
    "",
    "0",
    "1",
    "-1",
    "2147483647",
    "2147483648",
    "-2147483648",
    "1.0",
    "1e9",
    "0x10",
    "²",
    "٣",
    "NaN",
    "9" * 40,
)
_WORDS = (
    "true",
    "TxCtrlr",
    "OCPPCommCtrlr",
    "TxStartPoint",
    "Authorized,EVConnected",
    "Available",
    "2026-13-45T99:00:00Z",
)
_LISTS = ("1,1,1", "1,²", "1,,2", ",", "1, 2", "EVConnected,EVConnected", "Wireless0")
_STRINGS = (
    "x" * 50,
    "x" * 2500,
    "é\u2028😀",
    "a\x00b",
    "a\r\nb: c",
    "../../etc/passwd",
    "$(reboot)",
    "'; DROP TABLE outbox;--",
)
_URLS = (
    "https://files.example/x",
    "ftp://a:b@127.0.0.1:1/%2e%2e/x",
    "https://[::1/",
    "file:///etc/shadow",
    "ws://localhost:1/ocpp",
    "wss://u:p@csms.example:99999/ocpp\n",
    "wss://csms.example/\x7f",
    "ws://[fe80::1%25eth0]/",
)
TEXTS = st.sampled_from((*_NUMBERS, *_WORDS, *_LISTS, *_STRINGS, *_URLS))
MOMENTS = st.sampled_from(
    ("0001-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2027-01-15T08:00:01.5+02:00", "9999-12-31T23:59:59.999999Z")
)
INTEGERS = (0, 1, 1.0, 2, 3, -1, 2**31 - 1, -(2**31))
_IDENTIFIERS = st.text(alphabet="abcXYZ019-_", max_size=36)
_ANYTHING: st.SearchStrategy[Any] = st.sampled_from([None, 1, "x", {"a": [1]}, [[]], 1e308, 10**40])


def _from_schema(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    """Values that a schema allows; knows only the few keywords that OCPP uses."""
    if "$ref" in schema:
        return _from_schema(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "object":
            return _object(schema, definitions)
        case "array":
            least = schema.get("minItems", 0)
            most = max(min(schema.get("maxItems", 3), 3), least)
            return st.lists(_from_schema(schema["items"], definitions), min_size=least, max_size=most)
        case "integer":
            return st.sampled_from([number for number in INTEGERS if number >= schema.get("minimum", -(2**31))])
        case "number":
            return st.floats(-1e9, 1e9, allow_nan=False) | st.sampled_from([0, 1.0, 1e300, -1e300])
        case "boolean":
            return st.booleans()
        case "string" if schema.get("format") == "date-time":
            return MOMENTS
        case "string":
            most = schema.get("maxLength", 1000)
            return st.one_of(TEXTS, _IDENTIFIERS).map(lambda text: text[:most])
        case _:
            return _ANYTHING


def _object(schema: Any, definitions: Any) -> st.SearchStrategy[Any]:
    required = set(schema.get("required", ()))
    members = {
        name: _from_schema(part, definitions) for name, part in schema["properties"].items() if name != "customData"
    }
    return st.fixed_dictionaries(
        {name: member for name, member in members.items() if name in required},
        optional={name: member for name, member in members.items() if name not in required},
    )


@cache
def _of(message: str) -> st.SearchStrategy[Any]:
    schema = json.loads((schema_folder() / f"{message}.json").read_bytes().removeprefix(b"\xef\xbb\xbf"))
    return _from_schema(schema, schema.get("definitions", {}))


def request_of(action: str) -> st.SearchStrategy[Any]:
    """Payloads of a request."""
    return _of(f"{action}Request")


def response_of(action: str) -> st.SearchStrategy[Any]:
    """Payloads of the answer to it."""
    return _of(f"{action}Response")


calls = st.sampled_from(sorted(ACTIONS)).flatmap(lambda action: st.tuples(st.just(action), request_of(action)))
"""Any action, of the CSMS or the station, and a request of it."""
