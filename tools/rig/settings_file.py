# SPDX-License-Identifier: Apache-2.0
"""Writes settings as TOML, as far as the station's files need it; `firmware.config` reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["to_toml"]


def to_toml(settings: Mapping[str, Any]) -> str:
    """A TOML document; entries of None are left out. Values: strings, numbers, booleans, lists, tables."""
    lines: list[str] = []
    _table(lines, "", settings)
    return "\n".join(lines) + "\n"


def _table(lines: list[str], path: str, table: Mapping[str, Any]) -> None:
    later: list[tuple[str, Any]] = []
    for key, value in table.items():
        if value is None:
            continue
        if isinstance(value, Mapping) or _is_table_list(value):
            later.append((key, value))
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    for key, value in later:
        name = f"{path}.{_key(key)}" if path else _key(key)
        tables = [(f"[{name}]", value)] if isinstance(value, Mapping) else [(f"[[{name}]]", each) for each in value]
        for header, each in tables:
            lines.extend(("", header))
            _table(lines, name, each)


def _is_table_list(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, Mapping) for each in value)


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _string(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, list):
        return "[" + ", ".join(_value(each) for each in value) + "]"
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(each)}" for key, each in value.items() if each is not None)
        return "{" + inner + "}"
    raise TypeError(f"cannot write as TOML: {type(value).__name__}")


def _string(text: str) -> str:
    """JSON's escapes are valid in TOML; DEL, which JSON does not escape, is added."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
