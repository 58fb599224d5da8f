# SPDX-License-Identifier: Apache-2.0
"""A page of docs/ names a constant with its value; this looks the constant up."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["in_code"]


def in_code(module: str, name: str, key: str = "") -> Any:
    """The value of a constant, of a field's default, or of a table's entry whose enumeration has a member `key`.

    `module` is a path without its suffix, such as `hal/safety`.
    """
    found: Any = importlib.import_module(module.replace("/", "."))
    for part in name.split("."):
        defaults = getattr(found, "__dataclass_fields__", {})
        found = defaults[part].default if part in defaults else getattr(found, part)
    return {each.name: value for each, value in found.items()}[key] if key else found
