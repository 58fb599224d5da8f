# SPDX-License-Identifier: Apache-2.0
"""What fails again and again is logged when it begins or changes, not each time."""

from __future__ import annotations

import logging

__all__ = ["Trouble"]


class Trouble:
    """One thing that may fail, such as `the modules can't be assigned`."""

    def __init__(self, log: logging.Logger, what: str, level: int = logging.WARNING) -> None:
        self._log = log
        self._what = what
        self._level = level
        self._reason: str | None = None

    def failed(self, error: Exception) -> None:
        """Log the failure, unless it is the same as the last time."""
        if str(error) != self._reason:
            self._reason = str(error)
            self._log.log(self._level, "%s: %s", self._what, self._reason)

    def worked(self) -> None:
        """Log the end of the failure, if there was one."""
        if self._reason is not None:
            self._reason = None
            self._log.info("%s: no longer so", self._what)
