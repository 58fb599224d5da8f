# SPDX-License-Identifier: Apache-2.0
"""Changes that the CSMS makes to the model, and the cross-checks before them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec import Struct

from services.ocpp.device_model.keys import Key
from services.ocpp.device_model.values import Refusal, Value
from services.ocpp.device_model.variable import ACTUAL, Address

__all__ = ["Change", "Validator"]

Validator = Callable[[Address, Any, float], "str | Refusal | None"]
"""Checks what the characteristics can't express. Called with the address (names in lower case), the parsed value and
the monotonic time; returns None to accept, else the reason: a text without the value, or a `Refusal` with its own code.
"""


class Change(Struct, frozen=True):
    """A variable that the CSMS has set, to a new value or to the same. Its `repr` never shows the value."""

    address: Address
    value: Any
    attribute: str = ACTUAL
    is_new: bool = True
    """The value differs from the previous one."""
    former: tuple[str, Value] = ("", None)
    """The previous text and value."""

    def __repr__(self) -> str:
        return f"Change({self.address}, {self.attribute!r}, is_new={self.is_new})"

    def of(self, key: Key[Any]) -> bool:
        """Is it the variable of this key, on any EVSE?"""
        return key.names(self.address)
