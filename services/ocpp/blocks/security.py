# SPDX-License-Identifier: Apache-2.0
"""A Security: security events (A04).

An event is queued durably from the moment it happens and leaves, in order, once the CSMS has accepted the station.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from services.ocpp import signals
from services.ocpp.context import Block
from services.ocpp.device_model import keys

if TYPE_CHECKING:
    from services.ocpp.messages import SecurityEventNotificationRequest

__all__ = ["Security"]

_log = logging.getLogger(__name__)


class Security(Block):
    letter = "A"
    asks = ("SecurityEventNotification",)

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        if isinstance(signal, signals.SecurityEvent):
            self._raise(signal, now)

    def _raise(self, event: signals.SecurityEvent, now: float) -> None:
        request: SecurityEventNotificationRequest = {"type": event.type, "timestamp": self.context.time.text(now)}
        if event.tech_info:
            request["techInfo"] = event.tech_info[:255]
        _log.warning("security event %s", event.type)
        offset = self.context.time.provisional_offset(now)
        self.context.outbox.send_kept("SecurityEventNotification", request, clock_offset=offset)

    def settle(self, now: float) -> None:
        """ClockCtrlr.TimeAdjustmentReportingThreshold (part 2, 2.1.32)."""
        step = self.context.time.take_step()
        threshold = self.context.model.find(keys.TIME_ADJUSTMENT_REPORTING_THRESHOLD)
        if step and threshold is not None and abs(step) > threshold:
            self._raise(signals.SecurityEvent("SettingSystemTime", f"{step:+.0f} s"), now)
