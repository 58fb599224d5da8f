# SPDX-License-Identifier: Apache-2.0
"""L Firmware management: secure updates (L01), from the request until the new version has been confirmed.

`firmware_update/table.py` has the stages of an update and what moves it between them. This block looks after every
event whether something does, and hands slow work to `firmware_update/workers.py`. Statuses go to the CSMS durably and
in order (L01.FR.01).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec

from firmware.log import fields
from firmware.message_ids import MessageId
from firmware.update.slots import SlotStatus
from services.ocpp import signals
from services.ocpp.background import Cancel, Failed, Outcome, Report, Task
from services.ocpp.context import DISK_FULL, Block, Context, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.firmware_update.conditions import Conditions
from services.ocpp.firmware_update.table import (
    CANCELLABLE,
    ON_TRIAL,
    RESTARTING,
    TRANSITIONS,
    WAITING,
    Stage,
    Trigger,
)
from services.ocpp.firmware_update.tasks import (
    Installed,
    RebootRequired,
    Signed,
    SignerUntrusted,
    SlotRequest,
    SlotsAnswered,
)
from services.ocpp.firmware_update.trial import Trial
from services.ocpp.firmware_update.update import Update
from services.ocpp.key_values import Key
from services.ocpp.restart import Restart

if TYPE_CHECKING:
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

_PATIENCE_S = 30.0
"""How long a restart waits until the CSMS has been notified of it."""
_REPEAT_S = 30.0
"""After this long the board is asked again, to restart or to keep its slot."""


class FirmwareManagement(Block):
    letter = "L"
    handles = ("UpdateFirmware",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._conditions = Conditions(context)
        self._update: Update | None = None
        self._task: Task | None = None
        """The task that runs; there is one at most."""
        self._slots: SlotStatus | None = None
        """What the board has answered last; None before its first answer."""
        self._trial = Trial(context, self._conditions)
        self._restart = self._new_restart()
        self._keep_at = 0.0
        """Not before then is the board asked (again) to keep the slot."""
        self._due_at: float | None = None
        """When the next date of the update is reached."""
        self._waits = False
        """Last value sent with `UpdateWaits`."""
        self._busy = False
        """Last value sent with `TaskUnderWay`."""

    def start(self, now: float) -> None:
        if self.context.firmware is None:
            return
        saved = self.context.key_values.get(Key.FIRMWARE_UPDATE)
        if saved is not None:
            self._update = msgspec.convert(saved, Update)
            _log.info("firmware update %d resumes: %s", self._update.request_id, self._update.stage.value)
        self._trial.begin(now)
        self._task = self.start_task(SlotRequest("status"))

    # --- L01: the request -------------------------------------------------------------------------------------

    def on_call(self, action: Action, request: UpdateFirmwareRequest, now: float) -> UpdateFirmwareResponse:
        checks, firmware = self.context.firmware, request["firmware"]
        certificate, signature = firmware.get("signingCertificate"), firmware.get("signature")
        if checks is None:
            return _answer("Rejected", "UnsupportedRequest", "this station can't be updated over OCPP")
        if self._update is not None and not self._can_cancel(self._update):
            return _answer("Rejected", "FwUpdateInProgress", "an update is in progress")  # L01.FR.27
        if not certificate or not signature:
            return _answer("Rejected", "MissingParam", "signature and signingCertificate are required")  # L01.FR.11
        problem = checks.signer_problem(certificate, self.context.time.known_utc(now))  # L01.FR.21
        if problem is not None:
            self.context.emit(signals.SecurityEvent("InvalidFirmwareSigningCertificate", problem))  # L01.FR.02
            return _answer("InvalidCertificate", "InvalidCertificate", problem)  # L01.FR.22
        problem = checks.location_problem(firmware["location"])
        if problem is not None:
            return _answer("Rejected", "InvalidURL", problem)
        update = Update.requested(request, Signed(signature, certificate))
        problem = self._excess(update, now)
        if problem is not None:
            return _answer("Rejected", "InvalidValue", problem)
        return self._accept(update)

    def _can_cancel(self, update: Update) -> bool:
        """L01.FR.24: an update that has not begun, or else where the product can (C-60)."""
        if update.stage is Stage.SCHEDULED:
            return True
        return self.context.product.features.cancel_firmware_update and update.stage in CANCELLABLE

    def _excess(self, update: Update, now: float) -> str | None:
        """Why this update could keep the station from any other for too long. Without the time no date is too far."""
        limits, utc = self.context.product.limits, self.context.time.known_utc(now)
        if utc is not None and update.last_date > utc + limits.schedule_days * 86_400:
            return f"retrieveDateTime and installDateTime may be at most {limits.schedule_days} days ahead"
        return update.remote.excess(limits)

    def _accept(self, update: Update) -> UpdateFirmwareResponse:
        cancelled, self._update = self._update, update
        self._save()
        if not self.context.kept(lambda: self._put_back(cancelled)):
            return {"status": "Rejected", "statusInfo": DISK_FULL}
        if cancelled is not None:  # L01.FR.24
            if self._task is not None and not isinstance(self._task.order, SlotRequest):  # that is not of the update
                self._cancel_task()
            fetched = cancelled.stage in (Stage.VERIFYING, Stage.READY, Stage.INSTALLED)
            self._send_status("InstallationFailed" if fetched else "DownloadFailed", cancelled.request_id)
        _log.info("firmware update %d accepted", update.request_id)
        return {"status": "Accepted" if cancelled is None else "AcceptedCanceled"}

    # --- the stages -------------------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        if self._slots is not None:
            self._advance(now, self._slots)
        update = self._update
        self._due_at = None if update is None else self._conditions.next_date(update, now)
        waits = self._closes_evses(now)
        if waits != self._waits:
            self._waits = waits
            self.context.emit(signals.UpdateWaits(waits))
        busy = waits or (update is not None and update.stage not in WAITING)
        if busy != self._busy:
            self._busy = busy
            self.context.emit(signals.TaskUnderWay("firmware update", busy))

    def _advance(self, now: float, slots: SlotStatus) -> None:
        update = self._update
        self._look(now, slots)
        if self._may_keep and now >= self._keep_at:
            self._task = self.start_task(SlotRequest("keep"))
        if update is None or (self._task is not None and update.stage is not Stage.DOWNLOADING):
            return
        if update.stage in RESTARTING:
            self._restart.advance(now, ready=not self._conditions.charging, patience_s=_PATIENCE_S)
        elif update.stage is Stage.PROVING:
            if self._trial.failed and not self._conditions.charging:
                self._follow(update, Trigger.UNPROVEN)
        else:
            trigger = self._conditions.trigger(update, now)
            if trigger is not None:
                self._follow(update, trigger)

    def _look(self, now: float, slots: SlotStatus) -> None:
        """Shall the slot that runs be kept? If it is the one of an update; or if no update is about to replace it,
        because the board requires it at every start, or because the update was lost."""
        stage = None if self._update is None else self._update.stage
        required = stage is Stage.PROVING if stage in ON_TRIAL else slots.trial
        settled = not slots.trial and stage not in ON_TRIAL
        self._trial.look(now, slot=slots.running, on_trial=required, settled=settled)

    @property
    def _may_keep(self) -> bool:
        return self._trial.passed and self._task is None

    def _closes_evses(self, now: float) -> bool:
        update = self._update
        if update is None or self._slots is None or not self._conditions.close_evses(update, now):
            return False
        if not update.closed:
            update.closed = True  # also for EVSEs that become available later
            self._save()
        return True

    # --- what the workers report ------------------------------------------------------------------------------

    def on_task(self, task: Task, report: Report, now: float) -> None:
        if task is not self._task:
            return
        if isinstance(report, Outcome):
            self._task = None
        if isinstance(task.order, SlotRequest):
            self._on_slots(task.order, report, now)
        elif self._update is not None:
            self._on_work(self._update, report)

    def _on_work(self, update: Update, report: Report) -> None:
        if isinstance(report, Installed):
            update.slot = report.slot
            self._trial.forget(report.slot)
        if isinstance(report, RebootRequired):
            report = Failed("the board has restarted already") if update.restarted else report
            update.restarted = True
        self._follow(update, type(report), report.reason if isinstance(report, Failed | SignerUntrusted) else "")

    def _on_slots(self, request: SlotRequest, report: Report, now: float) -> None:
        update, is_first = self._update, self._slots is None
        slots = report.status if isinstance(report, SlotsAnswered) else None
        self._slots = slots or self._slots or SlotStatus("")
        if slots is not None and request.action == "keep":
            self._trial.keep(slots.running)
        if is_first:
            if update is not None:
                self._resume(update, slots)
            return
        if slots is None and request.action != "activate":
            self._keep_at = now + _REPEAT_S
        if update is not None and update.stage in ON_TRIAL:
            self._follow(update, type(report), str(self.context.model.get(keys.FIRMWARE_VERSION)))

    def _resume(self, update: Update, slots: SlotStatus | None) -> None:
        """After a start, once the board has answered; `slots` None: it can't say."""
        self._follow(update, update.after_start(self.context.outbox.boot_id, slots))
        if update.stage is Stage.OVER:
            _log.error("the new version did not come up")

    # --- carrying out the table -------------------------------------------------------------------------------

    def _follow(self, update: Update, trigger: Trigger | type[Report], detail: str = "") -> None:
        """Do what the table says; `detail` is for its security event."""
        row = TRANSITIONS[update.stage, trigger]
        if row.stage is not None:
            self._enter(update, row.stage)
        if row.status is not None and (row.stage is not None or row.status != self._last_status(update)):
            self._send_status(row.status, update.request_id)
        if row.security_event:
            self.context.emit(signals.SecurityEvent(row.security_event, detail))

    def _enter(self, update: Update, stage: Stage) -> None:
        update.stage, update.boot_id = stage, self.context.outbox.boot_id
        self._restart = self._new_restart()
        self._cancel_task()
        work = update.work()
        if work is not None:
            self._task = self.start_task(work)
        self._update = None if stage is Stage.OVER else update
        self._save()
        extra = fields(message_id=MessageId.FIRMWARE_UPDATE)
        _log.info("firmware update %d: %s", update.request_id, stage.value, extra=extra)

    def _new_restart(self) -> Restart:
        return Restart(
            self.context,
            "FirmwareUpdate",
            "firmware update",
            queue_is_empty=lambda: not self.context.outbox.durable_count,
            repeat_s=_REPEAT_S,
        )

    def _cancel_task(self) -> None:
        if self._task is not None:
            self.context.tasks.append(Cancel(self._task))
            self._task = None

    def _put_back(self, update: Update | None) -> None:
        self._update = update
        self._save()

    def _save(self) -> None:
        saved = None if self._update is None else msgspec.to_builtins(self._update)
        self.context.key_values.put(Key.FIRMWARE_UPDATE, saved)

    def _send_status(self, status: FirmwareStatusEnumType, request_id: int) -> None:
        """L01.FR.01, L01.FR.10, L01.FR.20: every status, with the id of the request that started the update."""
        self.context.key_values.put(Key.FIRMWARE_STATUS, {"status": status, "requestId": request_id})
        request: FirmwareStatusNotificationRequest = {"status": status, "requestId": request_id}
        self.context.outbox.send_kept("FirmwareStatusNotification", request)

    def _last_status(self, update: Update) -> str | None:
        last = self.context.key_values.get(Key.FIRMWARE_STATUS) or {}
        return last.get("status") if last.get("requestId") == update.request_id else None

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

    def next_deadline(self) -> float | None:
        if self._slots is None:
            return None
        if self._may_keep:
            return self._keep_at
        deadlines = (self._trial.next_deadline(), self._next_of_update())
        return min((each for each in deadlines if each is not None), default=None)

    def _next_of_update(self) -> float | None:
        update = self._update
        if update is None:
            return None
        if update.stage in WAITING:
            return self._due_at
        if self._task is not None or self._conditions.charging:
            return None
        return self._restart.next_deadline()


def _answer(status: UpdateFirmwareStatusEnumType, code: str, why: str) -> UpdateFirmwareResponse:
    return {"status": status, "statusInfo": {"reasonCode": code, "additionalInfo": why[:512]}}
