# SPDX-License-Identifier: Apache-2.0
"""How a route says no."""

from __future__ import annotations

__all__ = ["ApiError"]


class ApiError(Exception):
    """An answer other than that of the route: its status, a word for programs, a sentence for people."""

    def __init__(
        self, status: int, error: str, detail: str, *, headers: tuple[tuple[str, str], ...] = (), **more: object
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.error = error
        self.detail = detail
        self.headers = headers
        self.more = more
