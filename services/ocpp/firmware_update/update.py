# SPDX-License-Identifier: Apache-2.0
"""The firmware update in progress, as it is on disk; owner: firmware management (L)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from firmware.clock import parse_utc
from services.ocpp.firmware_update.table import Stage, Trigger
from services.ocpp.firmware_update.tasks import Download, Install, Signed, SlotRequest, Verify
from services.ocpp.transfer import Remote

if TYPE_CHECKING:
    from firmware.update.slots import SlotStatus
    from services.ocpp.background import Order
    from services.ocpp.messages import UpdateFirmwareRequest

__all__ = ["Update"]

_RETRIES = 2
_RETRY_INTERVAL_S = 10
"""Where the request does not give them."""


class Update(msgspec.Struct, forbid_unknown_fields=False):
    """The request, and how far it has come."""

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
    """The slot into which it was installed."""
    boot_id: str = ""
    """The boot in which the stage was entered."""
    restarted: bool = False
    """The board has required a restart before the installation."""
    closed: bool = False
    """It has waited for transactions: EVSEs stay Unavailable until it is over."""

    @classmethod
    def requested(cls, request: UpdateFirmwareRequest, signed: Signed) -> Update:
        firmware = request["firmware"]
        install = firmware.get("installDateTime")
        return cls(
            request_id=request["requestId"],
            location=firmware["location"],
            retrieve_at=parse_utc(firmware["retrieveDateTime"]),
            install_at=None if install is None else parse_utc(install),
            signature=signed.signature,
            certificate=signed.certificate,
            retries=max(0, request.get("retries", _RETRIES)),
            retry_interval_s=max(0, request.get("retryInterval", _RETRY_INTERVAL_S)),
        )

    @property
    def remote(self) -> Remote:
        return Remote(self.location, self.retries, self.retry_interval_s)

    @property
    def last_date(self) -> float:
        """The later of its two dates, seconds since 1970."""
        return self.retrieve_at if self.install_at is None else max(self.retrieve_at, self.install_at)

    def work(self) -> Order | None:
        """The work that begins when the present stage is entered."""
        signed = Signed(self.signature, self.certificate)
        match self.stage:
            case Stage.DOWNLOADING:
                return Download(self.remote)
            case Stage.VERIFYING:
                return Verify(signed)
            case Stage.INSTALLING:
                return Install(signed)
            case Stage.ACTIVATING:
                return SlotRequest("activate", self.slot)
            case Stage.UNDOING:
                return SlotRequest("roll_back")
            case Stage.OVER:
                return SlotRequest("clean")
        return None

    def after_start(self, boot_id: str, slots: SlotStatus | None) -> Trigger:
        """What happened while this process did not run; `slots` None: the board can't say."""
        if self.boot_id == boot_id:
            return Trigger.RESUMED
        if slots is not None and slots.running == self.slot:
            return Trigger.NEW_SLOT_RUNS
        if slots is not None and slots.failed == self.slot:
            return Trigger.NEW_SLOT_FAILED
        return Trigger.OLD_SLOT_RUNS
