# SPDX-License-Identifier: Apache-2.0
"""Which idTokens are the same."""

from __future__ import annotations

from typing import Any

__all__ = ["same_token"]


def same_token(one: Any, other: Any) -> bool:
    """C01.FR.25: equal when idToken (an identifier: case does not matter) and type are."""
    if one is None or other is None:
        return False
    return bool(one["idToken"].casefold() == other["idToken"].casefold() and one["type"] == other["type"])
