# SPDX-License-Identifier: Apache-2.0
"""Versions of the firmware: `1.4.2`, and `1.4.2-rc3` before it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from firmware.errors import ImageError

__all__ = ["Version"]

_PATTERN = re.compile(r"(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})\.(0|[1-9]\d{0,5})(?:-rc([1-9]\d{0,3}))?", re.ASCII)
_RELEASED = 10**6
"""Greater than the number of any release candidate."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """Ordered by its numbers; a candidate comes before its release."""

    numbers: tuple[int, int, int]
    candidate: int = _RELEASED
    text: str = field(default="", compare=False)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Raises `ImageError` for a version that can't be compared."""
        match = _PATTERN.fullmatch(text)
        if match is None:
            raise ImageError(f"not a version: {text[:40]!r}")
        major, minor, patch, candidate = match.groups()
        numbers = (int(major), int(minor), int(patch))
        return cls(numbers, _RELEASED if candidate is None else int(candidate), text)

    def __str__(self) -> str:
        return self.text
