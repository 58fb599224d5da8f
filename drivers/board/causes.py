# SPDX-License-Identifier: Apache-2.0
"""A fault with several causes, such as two alarm contacts or a contact and a sensor: present while one of them is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from firmware.contract import Fault

__all__ = ["Causes", "OnFault"]

OnFault: TypeAlias = Callable[[Fault, int | None, bool, str], None]
"""Fault, EVSE (None: the station), whether it is present, detail: the listener of `hal.ports.Board`."""


class Causes:
    def __init__(self, on_fault: OnFault) -> None:
        self._on_fault = on_fault
        self._present: dict[tuple[Fault, int | None], set[str]] = {}

    def of(self, cause: str) -> OnFault:
        """The listener for one cause."""

        def report(fault: Fault, evse: int | None, present: bool, detail: str) -> None:
            causes = self._present.setdefault((fault, evse), set())
            if present:
                causes.add(cause)
            else:
                causes.discard(cause)
            if present or not causes:
                self._on_fault(fault, evse, present, detail)

        return report
