# SPDX-License-Identifier: Apache-2.0
"""Reading payloads by path: names of fields and numbers of list entries, with dots (`eventData.0.component.name`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MISSING", "Missing", "dig", "shorten", "value_at"]


class Missing:
    """The value of a field that is not there."""

    def __repr__(self) -> str:
        return "absent"


MISSING = Missing()


def dig(payload: Any, path: str) -> Any:
    """The value at `path`, or `MISSING`."""
    for part in path.split("."):
        if isinstance(payload, Mapping) and part in payload:
            payload = payload[part]
        elif isinstance(payload, list) and part.isdigit() and int(part) < len(payload):
            payload = payload[int(part)]
        else:
            return MISSING
    return payload


def value_at(payload: Any, path: str, default: Any) -> Any:
    """The value at `path`, or `default`."""
    found = dig(payload, path)
    return default if found is MISSING else found


def shorten(line: str, limit: int = 300) -> str:
    """`line`, cut to `limit` characters."""
    return line if len(line) <= limit else line[: limit - 1] + "…"
