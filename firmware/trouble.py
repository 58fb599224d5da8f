# SPDX-License-Identifier: Apache-2.0
"""What fails again and again is logged when it begins or changes, not each time.

Reasons that alternate, or contain a number that does, are no change worth a line: until it works again, each reason is
logged once, and no more than `MOST_REASONS`.
"""

from __future__ import annotations

import logging

from firmware.log import fields
from firmware.message_ids import MessageId

__all__ = ["MOST_REASONS", "Trouble"]

MOST_REASONS = 5


class Trouble:
    """One thing that may fail, such as `the modules can't be assigned`; `device`: whose trouble it is."""

    def __init__(
        self, log: logging.Logger, what: str, level: int = logging.WARNING, *, device: str | None = None
    ) -> None:
        self._log = log
        self._what = what
        self._level = level
        self._device = device
        self._reasons: set[str] = set()

    def failed(self, error: Exception) -> None:
        """Log the failure, unless its reason was logged since it last worked."""
        reason = str(error)
        if reason not in self._reasons and len(self._reasons) < MOST_REASONS:
            self._reasons.add(reason)
            extra = fields(device=self._device, message_id=MessageId.DEVICE_LOST)
            self._log.log(self._level, "%s: %s", self._what, reason, extra=extra)

    def worked(self) -> None:
        """Log the end of the failure, if there was one."""
        if self._reasons:
            self._reasons.clear()
            extra = fields(device=self._device, message_id=MessageId.DEVICE_BACK)
            self._log.info("%s: no longer so", self._what, extra=extra)
