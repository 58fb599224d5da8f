# SPDX-License-Identifier: Apache-2.0
"""The firmware update that is under way, as it lies on disk; owner: firmware management (L)."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from services.ocpp.firmware_update.tasks import Signed

__all__ = ["CANCELLABLE", "IDLE", "INSTALLING", "ON_TRIAL", "RESTARTING", "Stage", "Update"]


class Stage(StrEnum):
    SCHEDULED = "scheduled"
    DOWNLOADING = "downloading"
    PAUSED = "paused"
    VERIFYING = "verifying"
    READY = "ready"
    REBOOT_FIRST = "reboot_first"
    INSTALLING = "installing"
    INSTALLED = "installed"
    ACTIVATING = "activating"
    REBOOTING = "rebooting"
    PROVING = "proving"
    UNDOING = "undoing"


INSTALLING = frozenset({Stage.INSTALLING, Stage.ACTIVATING, Stage.REBOOT_FIRST, Stage.REBOOTING, Stage.UNDOING})
"""Nobody may begin to charge."""
RESTARTING = frozenset({Stage.REBOOT_FIRST, Stage.REBOOTING, Stage.UNDOING})
IDLE = frozenset({Stage.SCHEDULED, Stage.PAUSED, Stage.READY, Stage.INSTALLED})
"""No job of the update runs: one that does is about the slots, and is waited for."""
CANCELLABLE = IDLE | {Stage.DOWNLOADING, Stage.VERIFYING}
"""A slot that is being written is written to its end; one that is not to be booted yet counts for nothing."""
ON_TRIAL = frozenset({Stage.ACTIVATING, Stage.REBOOTING, Stage.PROVING, Stage.UNDOING})
"""The update itself looks after the slots."""


class Update(msgspec.Struct, forbid_unknown_fields=False):
    """The update that is under way, as it lies on disk."""

    request_id: int
    location: str
    retrieve_at: float
    install_at: float | None
    signature: str
    certificate: str
    retries: int
    retry_interval_s: int
    stage: Stage = Stage.SCHEDULED
    slot: str = ""
    """Into which it was installed."""
    boot_id: str = ""
    """In which boot the restart was asked for."""
    restarted: bool = False
    """The restart that this board needs before it can install has been."""
    closed: bool = False
    """It has waited for transactions: EVSEs stay Unavailable until it is over."""

    @property
    def signed(self) -> Signed:
        return Signed(self.signature, self.certificate)
