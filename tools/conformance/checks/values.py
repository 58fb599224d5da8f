# SPDX-License-Identifier: Apache-2.0
"""Checking payloads by path: `mismatches(payload, {"evse.id": 1, "idToken": ABSENT})`.

A path is one of `payload.dig`. An expected value is a value; a tuple, list or set of allowed values; `PRESENT`;
`ABSENT`; or a `Rule` such as `text("04AB")`, `absent_or("Local")`, `at_least(3)`. No payload makes a check raise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.conformance.peer.payload import MISSING, Missing, dig, shorten

__all__ = [
    "ABSENT",
    "MISSING",
    "PRESENT",
    "Rule",
    "absent_or",
    "any_of",
    "at_least",
    "mismatches",
    "text",
]


@dataclass(frozen=True)
class Rule:
    """A named predicate on a field; the field may be missing (`MISSING`)."""

    name: str
    holds: Callable[[Any], bool]


PRESENT = Rule("present", lambda value: value is not MISSING)
ABSENT = Rule("absent", lambda value: value is MISSING)


def any_of(*values: Any) -> Rule:
    """One of `values`."""
    return Rule("one of " + ", ".join(_show(value) for value in values), lambda value: value in values)


def absent_or(*values: Any) -> Rule:
    """Left out, or one of `values`."""
    listed = ", ".join(_show(value) for value in values)
    return Rule(f"absent or {listed}", lambda value: value is MISSING or value in values)


def text(wanted: str) -> Rule:
    """The same text in upper or lower case (CiString)."""
    return Rule(_show(wanted), lambda value: isinstance(value, str) and value.casefold() == wanted.casefold())


def at_least(bound: float) -> Rule:
    """A number not below `bound`."""
    return Rule(f"at least {bound:g}", lambda value: isinstance(value, int | float) and value >= bound)


def mismatches(payload: Any, expected: Mapping[str, Any]) -> list[str]:
    """A sentence for each field of `payload` that is not as `expected`; empty if all are."""
    return [
        f"{path} is {_show(found)}, expected {rule.name}"
        for path, rule in ((path, _rule(wanted)) for path, wanted in expected.items())
        if not rule.holds(found := dig(payload, path))
    ]


def _rule(wanted: Any) -> Rule:
    if isinstance(wanted, Rule):
        return wanted
    if isinstance(wanted, tuple | list | set | frozenset):
        return any_of(*wanted)
    return Rule(_show(wanted), lambda value: value == wanted and type(value) is not Missing)


def _show(value: Any) -> str:
    return "absent" if value is MISSING else shorten(json.dumps(value, ensure_ascii=False, default=str), 120)
