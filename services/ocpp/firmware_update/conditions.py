# SPDX-License-Identifier: Apache-2.0
"""What a firmware update waits for: dates, transactions, and the CSMS's acceptance of a new version."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.ocpp.device_model import keys
from services.ocpp.firmware_update.table import INSTALLING, Stage, Trigger

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.firmware_update.update import Update

__all__ = ["Conditions"]

_SLACK_S = 1.0
"""A CSMS may round its time to whole seconds: its now is then up to a second ahead of ours, and due at once."""


class Conditions:
    """Questions about the station that decide when an update continues."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def accepted(self) -> bool:
        """The CSMS is reached, and has accepted the station or has it wait (B02)."""
        registration = self.context.registration
        return registration.link_up and registration.status in ("Accepted", "Pending")

    @property
    def healthy(self) -> bool:
        """This version reaches the HAL, and the CSMS has accepted it."""
        return self.accepted and self.context.hal.present

    @property
    def charging(self) -> bool:
        return any(evse.transaction_id is not None for evse in self.context.hal.evses.values())

    @property
    def _download_blocked(self) -> bool:
        return self.charging and not self.context.product.lab.download_firmware_during_transaction  # AQ-7

    @property
    def _install_blocked(self) -> bool:
        return self.charging and not self.context.product.features.install_firmware_during_transaction  # C-43

    def trigger(self, update: Update, now: float) -> Trigger | None:
        """What moves the update on in its present stage, if anything does now."""
        match update.stage:
            case Stage.SCHEDULED | Stage.PAUSED:
                return Trigger.DUE if self._may_download(update, now) else Trigger.WAIT
            case Stage.DOWNLOADING:
                return Trigger.BLOCKED if self._download_blocked else None
            case Stage.READY if not self._is_due(update.install_at, now):
                return Trigger.WAIT
            case Stage.READY:
                return None if self._install_blocked else Trigger.DUE
            case Stage.INSTALLED:
                return None if self.charging else Trigger.DUE
        return None

    def close_evses(self, update: Update, now: float) -> bool:
        """L01.FR.07: shall EVSEs that are not in use be Unavailable?"""
        if update.stage is Stage.PROVING:
            return False
        if update.stage is Stage.INSTALLING and self.context.product.features.install_firmware_during_transaction:
            return False  # C-43
        if update.stage in INSTALLING:
            return True
        if self.context.model.find(keys.ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE):  # C-20
            return False
        return update.closed or self._waits_for_transactions(update, now)

    def next_date(self, update: Update, now: float) -> float | None:
        """The monotonic time at which the next date of the update is reached."""
        dates = [update.retrieve_at] if update.install_at is None else [update.retrieve_at, update.install_at]
        left = [date for date in dates if not self._is_due(date, now)]
        return now + min(left) - self.context.time.utc(now) if left else None

    def _may_download(self, update: Update, now: float) -> bool:
        return self._is_due(update.retrieve_at, now) and not self._download_blocked

    def _waits_for_transactions(self, update: Update, now: float) -> bool:
        """Is it time for the whole update, with only transactions in the way? (L01.FR.06, L01.FR.33)"""
        match update.stage:
            case Stage.SCHEDULED | Stage.PAUSED:
                due = self._is_due(update.retrieve_at, now) and self._is_due(update.install_at, now)
                return due and self._download_blocked
            case Stage.READY:
                return self._is_due(update.install_at, now)
            case _:
                return update.stage is Stage.INSTALLED

    def _is_due(self, utc: float | None, now: float) -> bool:
        return utc is None or self.context.time.utc(now) >= utc - _SLACK_S
