# SPDX-License-Identifier: Apache-2.0
"""A page of docs/ names a constant with its value; this looks the constant up."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec

__all__ = ["in_code"]


def in_code(module: str, name: str, key: str = "") -> Any:
    """The value of a constant, of a field's default, or of a table's entry whose enumeration has a member `key`.

    `module` is a path without its suffix, such as `hal/safety`.
    """
    found: Any = importlib.import_module(module.replace("/", "."))
    for part in name.split("."):
        defaults = _defaults(found)
        found = defaults[part] if part in defaults else getattr(found, part)
    return {each.name: value for each, value in found.items()}[key] if key else found


def _defaults(kind: object) -> dict[str, Any]:
    """The defaults of a dataclass or struct; nothing else has any."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {each.name: each.default for each in msgspec.structs.fields(kind)}
    return {name: each.default for name, each in getattr(kind, "__dataclass_fields__", {}).items()}
