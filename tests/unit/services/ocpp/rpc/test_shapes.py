# SPDX-License-Identifier: Apache-2.0
"""The quick check of a payload and the schema library agree, whatever is changed at whatever place of a payload."""

from __future__ import annotations

import copy
import math
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given

from services.ocpp.messages import ACTIONS
from services.ocpp.rpc import shapes
from services.ocpp.rpc.validation import _acceptor, _schema, _validator
from tests.support.absurd import calls

MESSAGES = sorted(f"{action}{side}" for action in ACTIONS for side in ("Request", "Response"))
OTHERS: list[Any] = [
    *(None, True, False, 0, 1, -1, 1.5, 2**31 - 1, 2**31, -(2**31), -(2**31) - 1, 2**63, 10**30, 1e300),
    *("", "x" * 20, "x" * 5001, "Accepted", "accepted", "é\u2028😀", "2026-11-23T10:00:00Z", "2026-02-30T10:00:00Z"),
    *([], [None], [[]], {}, {"vendorId": "x"}, {"vendorId": "x" * 256}, {"vendorId": "x", "more": [1]}, {"more": 1}),
    *(math.nan, math.inf, -math.inf),
]


def _full(schema: Any, definitions: Any) -> Any:
    """A payload in which every field is there."""
    if "$ref" in schema:
        return _full(definitions[schema["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in schema:
        return schema["enum"][-1]
    match schema.get("type"):
        case "object":
            return {name: _full(part, definitions) for name, part in schema["properties"].items()}
        case "array":
            return [_full(schema["items"], definitions)] * schema.get("minItems", 1)
        case "integer":
            return int(schema.get("minimum", 7))
        case "number":
            return 7.5
        case "boolean":
            return True
        case "string":
            return "2026-11-23T10:00:00Z" if "format" in schema else "x"
    return {"any": ["thing"]}


def _changed(payload: Any) -> Iterator[Any]:
    """Copies of `payload` with one change each, at each place in turn."""
    for path in _places(payload):
        for other in OTHERS:
            yield _with(payload, path, lambda holder, key, other=other: holder.__setitem__(key, other))
        yield _with(payload, path, lambda holder, key: holder.pop(key))
        yield _with(payload, path, _add_unknown)
        yield _with(payload, path, _repeat)


def _places(node: Any) -> Iterator[list[Any]]:
    for key, child in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield [key]
        yield from ([key, *rest] for rest in _places(child))


def _with(payload: Any, path: list[Any], change: Any) -> Any:
    result = copy.deepcopy(payload)
    holder = result
    for step in path[:-1]:
        holder = holder[step]
    change(holder, path[-1])
    return result


def _add_unknown(holder: Any, key: Any) -> None:
    if isinstance(holder[key], dict):
        holder[key]["noSuchField"] = 1


def _repeat(holder: Any, key: Any) -> None:
    if isinstance(holder[key], list):
        holder[key] *= 1025


@pytest.mark.parametrize("message", MESSAGES)
def test_both_say_the_same_at_each_place(message: str) -> None:
    schema = _schema(message)
    accepts, library = _acceptor(message), _validator(message)
    full = _full(schema, schema.get("definitions", {}))
    assert accepts(full)
    assert library.is_valid(full)
    for payload in _changed(full):
        assert accepts(payload) == library.is_valid(payload), payload


@pytest.mark.parametrize("payload", [None, [], "x", 1, True, [{}]])
def test_what_is_no_object_is_not_accepted(payload: Any) -> None:
    assert not any(_acceptor(message)(payload) for message in MESSAGES)


@given(call=calls)
def test_what_it_accepts_is_valid(call: tuple[str, Any]) -> None:
    message, payload = f"{call[0]}Request", call[1]
    assert not _acceptor(message)(payload) or _validator(message).is_valid(payload)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "string", "pattern": "a"},
        {"type": ["string", "null"]},
        {"type": "string", "format": "uri"},
        {"type": "object", "required": ["a"], "properties": {}},
        {"oneOf": []},
    ],
)
def test_a_word_that_it_does_not_know_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(shapes.UnknownWord):
        shapes.acceptor(schema, is_date_time=bool)


def test_the_schema_library_is_loaded_for_what_is_invalid_only() -> None:
    code = (
        "import sys; from services.ocpp.rpc.peer import RpcPeer; from services.ocpp.message_log import Formatter\n"
        'peer = RpcPeer(); peer.receive(\'[2,"1","ClearCache",{}]\', 0.0)\n'
        "assert 'jsonschema_rs' not in sys.modules\n"
        'peer.receive(\'[2,"2","ClearCache",{"x":1}]\', 0.0)\n'
        "assert 'jsonschema_rs' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
