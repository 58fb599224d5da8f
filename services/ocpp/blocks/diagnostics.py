# SPDX-License-Identifier: Apache-2.0
"""N Diagnostics: so far only what is asked of it by TriggerMessage.

There are no log uploads over OCPP yet, so none is ever under way and the status is always Idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ocpp import signals
from services.ocpp.context import Block, TriggerAnswer

if TYPE_CHECKING:
    from services.ocpp.messages import LogStatusNotificationRequest, MessageTriggerEnumType

__all__ = ["Diagnostics"]


class Diagnostics(Block):
    letter = "N"

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """The log is the station's; an evse in the request does not matter (F06.FR.03)."""
        return "Accepted" if message == "LogStatusNotification" else None

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Triggered(message="LogStatusNotification"):
                request: LogStatusNotificationRequest = {"status": "Idle"}  # F06.FR.15
                self.context.outbox.send("LogStatusNotification", request, early=True)
