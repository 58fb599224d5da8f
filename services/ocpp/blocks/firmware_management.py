# SPDX-License-Identifier: Apache-2.0
"""L Firmware management: so far only what is asked of it by TriggerMessage.

There are no updates over OCPP yet, so none is ever under way and the status is always Idle.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ocpp import signals
from services.ocpp.context import Block, TriggerAnswer

if TYPE_CHECKING:
    from services.ocpp.messages import FirmwareStatusNotificationRequest, MessageTriggerEnumType

__all__ = ["FirmwareManagement"]


class FirmwareManagement(Block):
    letter = "L"

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """Firmware is the station's; an evse in the request does not matter (F06.FR.03)."""
        return "Accepted" if message == "FirmwareStatusNotification" else None

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Triggered(message="FirmwareStatusNotification"):
                request: FirmwareStatusNotificationRequest = {"status": "Idle"}  # F06.FR.16
                self.context.outbox.send("FirmwareStatusNotification", request, early=True)
