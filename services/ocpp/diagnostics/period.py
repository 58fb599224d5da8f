# SPDX-License-Identifier: Apache-2.0
"""The period of a log upload (N01)."""

from __future__ import annotations

from msgspec import Struct

from firmware.clock import format_utc

__all__ = ["Period"]


class Period(Struct, frozen=True):
    """From `oldest` to `latest`, UTC seconds; None: no limit."""

    oldest: float | None = None
    latest: float | None = None

    def admits(self, stamp: str) -> bool:
        """`stamp` is like 2026-11-24T00:00:00."""
        after = self.oldest is None or stamp >= format_utc(self.oldest)[: len(stamp)]
        return after and (self.latest is None or stamp <= format_utc(self.latest)[: len(stamp)])
