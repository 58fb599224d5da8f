# SPDX-License-Identifier: Apache-2.0
"""L Firmware management: secure updates (L01), from the request to the new version's first day at work.

An update goes through the stages of `Stage`, one fact on disk with every step, so that a power cut at any instant
resumes it. `_advance` looks after every event whether the present stage can be left; slow work is a job
(`firmware_update/workers.py`), and its news moves on, too. Across the restart it is the board that knows what
became of the new slot: it is asked first thing in `start`, and an update that was restarting is judged by its answer.

    SCHEDULED -> DOWNLOADING <-> PAUSED;  DOWNLOADING -> VERIFYING -> READY -> INSTALLING -> INSTALLED -> ACTIVATING
    INSTALLING -> REBOOT_FIRST -> INSTALLING on boards that install after a restart, and say so before they begin
    ACTIVATING -> REBOOTING -> PROVING -> (kept: Installed) or UNDOING -> (InstallationFailed)

Statuses go to the CSMS durably and in order (L01.FR.01). The new version is kept only when it has reached the HAL and
the CSMS has accepted it or has it wait; until then the board would go back to the old one.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import msgspec

from firmware.clock import parse_utc
from services.ocpp import signals
from services.ocpp.background import Cancel, Failed, Order, Outcome, Report, Task
from services.ocpp.context import Block, Context, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.firmware_update.tasks import (
    Download,
    Downloaded,
    ImageRefused,
    Install,
    InstallBegun,
    Installed,
    RebootRequired,
    SignerUntrusted,
    SlotRequest,
    SlotsAnswered,
    Verified,
    Verify,
)
from services.ocpp.firmware_update.update import CANCELLABLE, IDLE, INSTALLING, ON_TRIAL, RESTARTING, Stage, Update
from services.ocpp.key_values import Key
from services.ocpp.restart import Restart

if TYPE_CHECKING:
    from firmware.update.slots import SlotStatus
    from services.ocpp.messages import (
        Action,
        FirmwareStatusEnumType,
        FirmwareStatusNotificationRequest,
        MessageTriggerEnumType,
        UpdateFirmwareRequest,
        UpdateFirmwareResponse,
        UpdateFirmwareStatusEnumType,
    )

__all__ = ["FirmwareManagement"]

_log = logging.getLogger(__name__)

_OWN_RETRIES = 2
_OWN_RETRY_INTERVAL_S = 10
"""When the request leaves them to us."""
_PROOF_S = 900.0
"""How long a new version may take to be accepted by the CSMS before the board goes back."""
_PATIENCE_S = 30.0
"""How long a restart waits until the CSMS has been notified of it."""
_REPEAT_S = 30.0
"""After this long the board is asked again, to restart or to keep its slot."""
_SLACK_S = 1.0
"""A CSMS may tell its time in whole seconds: its now is then up to a second ahead of ours, and nothing to wait for."""
_STAGE_OF: dict[type[Order], Stage] = {
    Download: Stage.DOWNLOADING,
    Verify: Stage.VERIFYING,
    Install: Stage.INSTALLING,
}


class FirmwareManagement(Block):
    letter = "L"
    handles = ("UpdateFirmware",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._update: Update | None = None
        self._task: Task | None = None
        """The one that runs."""
        self._known = False
        """The board has told about its slots."""
        self._unclaimed_trial = False
        """The slot that runs is to be kept, and no update of ours is about to do so."""
        self._waits = False
        """What Availability was told last."""
        self._busy = False
        """What resets were told last."""
        self._restart = self._new_restart()
        self._keep_at = 0.0
        """Not before then is the board asked to keep the slot (again)."""
        self._prove_until: float | None = None
        self._due_at: float | None = None
        """When the next date of the update that has not come yet is reached."""

    def start(self, now: float) -> None:
        kept = self.context.key_values.get(Key.FIRMWARE_UPDATE)
        if self.context.firmware is None:
            return
        if kept is not None:
            self._update = msgspec.convert(kept, Update)
            _log.info("firmware update goes on: %s", self._update.stage.value)
        self._ask_slots("status")

    # --- L01: the request -------------------------------------------------------------------------------------

    def on_call(self, action: Action, request: UpdateFirmwareRequest, now: float) -> UpdateFirmwareResponse:
        updates, firmware = self.context.firmware, request["firmware"]
        certificate, signature = firmware.get("signingCertificate"), firmware.get("signature")
        if updates is None:
            return _answer("Rejected", "UnsupportedRequest", "this station can't be updated over OCPP")
        if self._update is not None and not self._can_cancel(self._update):
            return _answer("Rejected", "FwUpdateInProgress", "an update is under way")  # L01.FR.27
        if not certificate or not signature:
            return _answer("Rejected", "MissingParam", "signature and signingCertificate are needed")  # L01.FR.11
        problem = updates.signer_problem(certificate, self.context.time.known_utc(now))  # L01.FR.21
        if problem is not None:
            self.context.emit(signals.SecurityEvent("InvalidFirmwareSigningCertificate", problem))  # L01.FR.02
            return _answer("InvalidCertificate", "InvalidCertificate", problem)  # L01.FR.22
        problem = updates.location_problem(firmware["location"])
        if problem is not None:
            return _answer("Rejected", "InvalidURL", problem)
        return self._accept(request, certificate, signature)

    def _can_cancel(self, update: Update) -> bool:
        """L01.FR.24, where the product can (C-60)."""
        return self.context.product.features.cancel_firmware_update and update.stage in CANCELLABLE

    def _accept(self, request: UpdateFirmwareRequest, certificate: str, signature: str) -> UpdateFirmwareResponse:
        firmware, cancelled = request["firmware"], self._update
        if cancelled is not None:  # L01.FR.24
            self._cancel_task()
            fetched = cancelled.stage in (Stage.VERIFYING, Stage.READY, Stage.INSTALLED)
            self._send("InstallationFailed" if fetched else "DownloadFailed", cancelled.request_id)
        install = firmware.get("installDateTime")
        self._update = Update(
            request_id=request["requestId"],
            location=firmware["location"],
            retrieve_at=parse_utc(firmware["retrieveDateTime"]),
            install_at=None if install is None else parse_utc(install),
            signature=signature,
            certificate=certificate,
            retries=max(0, request.get("retries", _OWN_RETRIES)),
            retry_interval_s=max(0, request.get("retryInterval", _OWN_RETRY_INTERVAL_S)),
        )
        self._keep()
        _log.info("firmware update %d accepted", self._update.request_id)
        return {"status": "Accepted" if cancelled is None else "AcceptedCanceled"}

    # --- the stages -------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        if self._known:
            self._advance(now)
        self._due_at = self._next_date(now)
        waits = self._must_wait(now)
        if waits != self._waits:
            self._waits = waits
            self.context.emit(signals.UpdateWaits(waits))
        busy = waits or (self._update is not None and self._update.stage not in IDLE)
        if busy != self._busy:
            self._busy = busy
            self.context.emit(signals.TaskUnderWay("firmware update", busy))

    def _advance(self, now: float) -> None:
        update = self._update
        if self._may_claim_trial and now >= self._keep_at:
            self._ask_slots("keep")
        if update is None or (update.stage in IDLE and self._task is not None):
            return
        match update.stage:
            case Stage.SCHEDULED | Stage.PAUSED:
                self._advance_download(update, now)
            case Stage.DOWNLOADING if self._download_blocked:
                self._cancel_task()
                self._enter(update, Stage.PAUSED, "DownloadPaused")  # L01.FR.14
            case Stage.READY:
                self._advance_install(update, now)
            case Stage.INSTALLED if not self._charging:  # L01.FR.33
                self._enter(update, Stage.ACTIVATING)
                self._ask_slots("activate", update.slot)
            case Stage.PROVING:
                self._advance_proof(update, now)
            case _ if update.stage in RESTARTING:
                self._advance_restart(now)

    def _advance_download(self, update: Update, now: float) -> None:
        if self._is_due(update.retrieve_at, now) and not self._download_blocked:
            self._enter(update, Stage.DOWNLOADING, "Downloading")
            self._task = self.start_task(Download(update.location, update.retries, update.retry_interval_s))
            return
        why: FirmwareStatusEnumType = "DownloadScheduled" if update.stage is Stage.SCHEDULED else "DownloadPaused"
        if self._last_status(update) != why:
            self._send(why, update.request_id)  # L01.FR.13, L01.FR.14

    def _advance_install(self, update: Update, now: float) -> None:
        if not self._is_due(update.install_at, now):
            if self._last_status(update) != "InstallScheduled":
                self._send("InstallScheduled", update.request_id)  # L01.FR.16
        elif not self._install_blocked:  # L01.FR.05, L01.FR.06
            self._enter(update, Stage.INSTALLING)
            self._task = self.start_task(Install(update.signed))

    def _advance_proof(self, update: Update, now: float) -> None:
        """The new version is good when the HAL is there and the CSMS speaks with it."""
        if self._prove_until is None:
            self._prove_until = now + _PROOF_S
        if self._is_healthy:
            if now >= self._keep_at:
                self._ask_slots("keep")
        elif now >= self._prove_until and not self._charging:
            _log.error("the new version was not accepted by the CSMS within %g s", _PROOF_S)
            self._enter(update, Stage.UNDOING)
            self._ask_slots("roll_back")

    def _advance_restart(self, now: float) -> None:
        """Restart once the CSMS has been notified, or can't be in time; the board is asked until it restarts."""
        self._restart.advance(now, ready=self._task is None and not self._charging, patience_s=_PATIENCE_S)

    def _new_restart(self) -> Restart:
        return Restart(
            self.context,
            "FirmwareUpdate",
            "firmware update",
            queue_is_empty=lambda: not self.context.outbox.durable_count,
            repeat_s=_REPEAT_S,
        )

    @property
    def _may_claim_trial(self) -> bool:
        """Our memory of the update was lost, or this board wants to hear of every start that it went well."""
        judged = self._update is None or self._update.stage not in ON_TRIAL
        return self._unclaimed_trial and judged and self._is_healthy and self._task is None

    # --- what the workers report ------------------------------------------------------------------------------

    def on_task(self, task: Task, report: Report, now: float) -> None:
        update = self._update
        if task is not self._task:
            return
        if isinstance(report, InstallBegun):
            self._on_installing(update)
        if not isinstance(report, Outcome):
            return
        self._task = None
        if isinstance(task.order, SlotRequest):
            self._on_slots(report, now)
        elif update is not None and update.stage is _STAGE_OF[type(task.order)]:
            self._on_work(update, report)

    def _on_installing(self, update: Update | None) -> None:
        """Told when the board begins: a restart that it needs first comes before (L01.FR.15)."""
        if update is not None and update.stage is Stage.INSTALLING and self._last_status(update) != "Installing":
            self._send("Installing", update.request_id)

    def _on_work(self, update: Update, outcome: Outcome) -> None:
        match update.stage, outcome:
            case Stage.DOWNLOADING, Downloaded():
                self._enter(update, Stage.VERIFYING, "Downloaded")
                self._task = self.start_task(Verify(update.signed))
            case Stage.DOWNLOADING, _:
                self._finish(update, "DownloadFailed")  # L01.FR.30
            case Stage.VERIFYING, Verified():
                self._enter(update, Stage.READY, "SignatureVerified")
            case Stage.VERIFYING, Failed():
                self._finish(update, "InvalidSignature")
                self.context.emit(signals.SecurityEvent("InvalidFirmwareSignature", outcome.reason))  # L01.FR.03
            case Stage.INSTALLING, Installed():
                update.slot = outcome.slot
                self._enter(update, Stage.INSTALLED)
            case Stage.INSTALLING, RebootRequired() if not update.restarted:
                update.restarted = True
                self._enter(update, Stage.REBOOT_FIRST, "InstallRebooting")  # L01.FR.15
            case Stage.INSTALLING, SignerUntrusted():
                self._finish(update, "InstallVerificationFailed")
                self.context.emit(signals.SecurityEvent("InvalidFirmwareSigningCertificate", outcome.reason))
            case Stage.INSTALLING, ImageRefused():
                self._finish(update, "InstallVerificationFailed")  # L01.FR.29
            case Stage.INSTALLING, _:
                self._finish(update, "InstallationFailed")

    def _on_slots(self, outcome: Outcome, now: float) -> None:
        if not self._known:
            self._known = True
            self._resume(outcome.status if isinstance(outcome, SlotsAnswered) else None)
            return
        update = self._update
        if update is None or update.stage not in ON_TRIAL:
            self._note_trial(outcome, now)
            return
        match update.stage, outcome:
            case Stage.ACTIVATING, SlotsAnswered():
                self._enter(update, Stage.REBOOTING, "InstallRebooting")  # L01.FR.32 (a)
            case Stage.ACTIVATING, _:
                self._finish(update, "InstallationFailed")
            case Stage.PROVING, SlotsAnswered():
                self._succeed(update)
            case Stage.PROVING, _:
                self._keep_at = now + _REPEAT_S

    def _note_trial(self, outcome: Outcome, now: float) -> None:
        if isinstance(outcome, SlotsAnswered):
            self._unclaimed_trial = outcome.status.trial
        else:
            self._keep_at = now + _REPEAT_S

    def _resume(self, slots: SlotStatus | None) -> None:
        """After a start: what became of the update while we were away? `slots` None: the board can't say."""
        self._unclaimed_trial = slots is not None and slots.trial
        update = self._update
        if update is None:
            return
        restarted = update.boot_id != self.context.outbox.boot_id
        match update.stage:
            case Stage.DOWNLOADING:
                update.stage = Stage.PAUSED
            case Stage.VERIFYING:
                self._task = self.start_task(Verify(update.signed))
            case Stage.INSTALLING:
                self._task = self.start_task(Install(update.signed))
            case Stage.REBOOT_FIRST if restarted:
                self._enter(update, Stage.INSTALLING)
                self._task = self.start_task(Install(update.signed))
            case Stage.ACTIVATING if not restarted or slots is None or update.slot not in (slots.running, slots.failed):
                self._enter(update, Stage.INSTALLED)  # the board may not have noted it
            case Stage.ACTIVATING:
                self._judge(update, slots)
            case Stage.REBOOTING | Stage.PROVING | Stage.UNDOING if restarted:
                self._judge(update, slots)

    def _judge(self, update: Update, slots: SlotStatus | None) -> None:
        """The board has restarted: into the new slot, or, because that one did not come up, into the old."""
        if slots is not None and slots.running == update.slot:
            self._enter(update, Stage.PROVING)
        else:
            _log.error("the new version did not come up")
            self._finish(update, "InstallationFailed")

    # --- what is told and kept --------------------------------------------------------------------------------

    def _succeed(self, update: Update) -> None:
        self._unclaimed_trial = False
        self._finish(update, "Installed")  # L01.FR.28
        version = self.context.model.get(keys.FIRMWARE_VERSION)
        self.context.emit(signals.SecurityEvent("FirmwareUpdated", str(version)))  # L01.FR.31

    def _finish(self, update: Update, status: FirmwareStatusEnumType) -> None:
        self._send(status, update.request_id)
        self._update = None
        self._prove_until = None
        self._keep()
        self._ask_slots("clean")

    def _enter(self, update: Update, stage: Stage, status: FirmwareStatusEnumType | None = None) -> None:
        update.stage = stage
        update.boot_id = self.context.outbox.boot_id
        self._restart = self._new_restart()
        self._keep()
        _log.info("firmware update %d: %s", update.request_id, stage.value)
        if status is not None:
            self._send(status, update.request_id)

    def _keep(self) -> None:
        self.context.key_values.put(
            Key.FIRMWARE_UPDATE, None if self._update is None else msgspec.to_builtins(self._update)
        )

    def _send(self, status: FirmwareStatusEnumType, request_id: int) -> None:
        """L01.FR.01, L01.FR.10, L01.FR.20: every status, with the id of the request that started the update."""
        self.context.key_values.put(Key.FIRMWARE_STATUS, {"status": status, "requestId": request_id})
        request: FirmwareStatusNotificationRequest = {"status": status, "requestId": request_id}
        self.context.outbox.send_kept("FirmwareStatusNotification", request)

    def _last_status(self, update: Update) -> str | None:
        last = self.context.key_values.get(Key.FIRMWARE_STATUS) or {}
        return last.get("status") if last.get("requestId") == update.request_id else None

    def _cancel_task(self) -> None:
        if self._task is not None:
            self.context.tasks.append(Cancel(self._task))
            self._task = None

    def _ask_slots(self, action: Literal["status", "activate", "keep", "roll_back", "clean"], slot: str = "") -> None:
        if self._task is None:
            self._task = self.start_task(SlotRequest(action, slot))

    # --- who has to wait for whom -----------------------------------------------------------------------------

    @property
    def _is_healthy(self) -> bool:
        """The CSMS speaks with this version, if only to have it wait (B02), and so does the HAL."""
        registration = self.context.registration
        return registration.link_up and registration.status in ("Accepted", "Pending") and self.context.hal.present

    @property
    def _charging(self) -> bool:
        return any(evse.transaction_id is not None for evse in self.context.hal.evses.values())

    @property
    def _download_blocked(self) -> bool:
        return self._charging and not self.context.product.lab.download_firmware_during_transaction  # AQ-7

    @property
    def _install_blocked(self) -> bool:
        return self._charging and not self.context.product.features.install_firmware_during_transaction  # C-43

    def _is_due(self, utc: float | None, now: float) -> bool:
        return utc is None or self.context.time.utc(now) >= utc - _SLACK_S

    def _must_wait(self, now: float) -> bool:
        """L01.FR.07: shall EVSEs that are not in use be Unavailable?"""
        update = self._update
        if update is None or not self._known or update.stage is Stage.PROVING:
            return False
        if update.stage is Stage.INSTALLING and self.context.product.features.install_firmware_during_transaction:
            return False  # C-43
        if update.stage in INSTALLING:
            return True
        if self.context.model.find(keys.ALLOW_NEW_SESSIONS_PENDING_FIRMWARE_UPDATE):  # C-20
            return False
        if not update.closed and self._waits_for_transactions(update, now):
            update.closed = True  # whatever becomes available from now on, too
            self._keep()
        return update.closed

    def _waits_for_transactions(self, update: Update, now: float) -> bool:
        """Is it time for the whole update, and only a transaction in the way? (L01.FR.06, L01.FR.33)"""
        match update.stage:
            case Stage.SCHEDULED | Stage.PAUSED:
                due = self._is_due(update.retrieve_at, now) and self._is_due(update.install_at, now)
                return due and self._download_blocked
            case Stage.READY:
                return self._is_due(update.install_at, now)
            case _:
                return update.stage is Stage.INSTALLED

    # --- F06 --------------------------------------------------------------------------------------------------

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """Firmware is the station's; an evse in the request does not matter (F06.FR.03)."""
        return "Accepted" if message == "FirmwareStatusNotification" else None

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Triggered(message="FirmwareStatusNotification"):
                last = self.context.key_values.get(Key.FIRMWARE_STATUS)
                request: FirmwareStatusNotificationRequest = {"status": "Idle"}  # F06.FR.16, L01.FR.25
                if last is not None and last["status"] != "Installed":
                    request = {"status": last["status"], "requestId": last["requestId"]}  # L01.FR.26
                self.context.outbox.send("FirmwareStatusNotification", request, early=True)

    # --- time -------------------------------------------------------------------------------------------------

    def _next_date(self, now: float) -> float | None:
        update = self._update
        dates = () if update is None else (update.retrieve_at, update.install_at)
        left = [date for date in dates if date is not None and not self._is_due(date, now)]
        return now + min(left) - self.context.time.utc(now) if left else None

    def next_deadline(self) -> float | None:
        update = self._update
        if not self._known:
            return None
        if self._may_claim_trial:
            return self._keep_at
        if update is None:
            return None
        match update.stage:
            case Stage.SCHEDULED | Stage.PAUSED | Stage.READY:
                return self._due_at
            case Stage.PROVING if self._task is None and self._is_healthy:
                return self._keep_at
            case Stage.PROVING if self._task is None and not self._charging:
                return self._prove_until
            case _ if update.stage in RESTARTING and not self._charging:
                return self._restart.next_deadline()
        return None


def _answer(status: UpdateFirmwareStatusEnumType, code: str, why: str) -> UpdateFirmwareResponse:
    return {"status": status, "statusInfo": {"reasonCode": code, "additionalInfo": why[:512]}}
