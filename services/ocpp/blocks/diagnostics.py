# SPDX-License-Identifier: Apache-2.0
"""N Diagnostics: log uploads (N01), faults (N07), and the data stored about a customer (N09, N10).

There is one upload at a time. It does not survive a restart: the CSMS is notified that it has failed, and may request
it again. Stored about a customer are entries of the authorization cache and the running transactions; queued
transaction messages are the CSMS's own data and are neither reported nor cleared. A customerIdentifier (C-14) is the
group that the CSMS gave the customer's tokens. Customer certificates are not stored.
"""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from firmware.clock import parse_utc
from firmware.contract import Event
from services.ocpp import signals
from services.ocpp.background import Cancel, Outcome, Report, Task
from services.ocpp.context import DISK_FULL, Block, Context, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.diagnostics.documents import documents, secrets
from services.ocpp.diagnostics.fault_events import FaultEvents
from services.ocpp.diagnostics.period import Period
from services.ocpp.diagnostics.upload import LogUpload, NotUploaded, UploadAttempt, Uploaded
from services.ocpp.id_tokens import is_group, same_token
from services.ocpp.key_values import Key
from services.ocpp.transfer import Kind, Remote, Rules, TransferError, parse

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        CustomerInformationRequest,
        CustomerInformationResponse,
        GetLogRequest,
        GetLogResponse,
        LogStatusNotificationRequest,
        MessageTriggerEnumType,
        NotifyCustomerInformationRequest,
        UploadLogStatusEnumType,
    )

__all__ = ["Diagnostics"]

_log = logging.getLogger(__name__)

_RETRIES = 2
_RETRY_INTERVAL_S = 30.0
"""Where the request does not give them."""
_MAX_DATA_CHARS = 512
"""NotifyCustomerInformationRequest.data"""
_CLEARED = "The customer's data was cleared."
_NO_DATA = "No data about this customer is stored."
_REFERENCES = ("idToken", "customerCertificate", "customerIdentifier")
_FAILURES: dict[Kind, UploadLogStatusEnumType] = {
    "permission": "PermissionDenied",
    "scheme": "NotSupportedOperation",
    "unsupported": "NotSupportedOperation",
    "bad_message": "BadMessage",
}


class _Upload(Struct):
    request_id: int
    task: Task
    announced: bool = False
    """`Uploading` was sent."""


class Diagnostics(Block):
    letter = "N"
    handles = ("GetLog", "CustomerInformation")
    asks = ("NotifyEvent",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._upload: _Upload | None = None
        self._interrupted: int | None = None
        """requestId of an upload that the last restart ended."""
        self._busy = False
        """Last value sent with `TaskUnderWay`."""
        self._faults = FaultEvents(context)

    def start(self, now: float) -> None:
        self._faults.start()
        self._interrupted = self.context.key_values.get(Key.LOG_UPLOAD)

    def on_call(self, action: Action, request: Any, now: float) -> Any:
        return self._get_log(request, now) if action == "GetLog" else self._customer_information(request, now)

    def settle(self, now: float) -> None:
        busy = self._upload is not None
        if busy != self._busy:
            self._busy = busy
            self.context.emit(signals.TaskUnderWay("log upload", busy))
        self._faults.settle(now)

    # --- N07 -----------------------------------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        self._faults.on_hal_event(event)

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        self._faults.again()

    def on_answer(self, action: Action, request: Any, answer: Any, now: float) -> None:
        self._faults.answered(request, answer)

    # --- N01 -----------------------------------------------------------------------------------------------------

    def _get_log(self, request: GetLogRequest, now: float) -> GetLogResponse:
        problem = self._problem(request, now)
        if problem is not None:
            return {"status": "Rejected", "statusInfo": {"reasonCode": problem}}
        excess = _remote(request).excess(self.context.product.limits)
        if excess is not None:  # C-57: another upload has to wait for this one
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue", "additionalInfo": excess}}
        cancelled = self._upload
        if cancelled is not None:  # N01.FR.12, N01.FR.20
            self.context.tasks.append(Cancel(cancelled.task))
            self._send_final_status("AcceptedCanceled", cancelled.request_id)
        self.context.key_values.put(Key.LOG_UPLOAD, request["requestId"])
        order = self._order(request, now)
        self._upload = _Upload(request["requestId"], self.start_task(order))  # N01.FR.02
        return {"status": "AcceptedCanceled" if cancelled else "Accepted", "filename": order.name}  # N01.FR.01

    def _problem(self, request: GetLogRequest, now: float) -> str | None:
        if self.context.registration.status != "Accepted":  # B02.FR.02: its status could not be sent
            return "CSNotAccepted"
        if self._upload is not None and not self.context.product.features.cancel_log_upload:  # C-57
            return "InvalidMessageSeq"
        try:
            rules = Rules.of(self.context.model.get(keys.FILE_TRANSFER_PROTOCOLS), ())
            parse(request["log"]["remoteLocation"], rules)
        except TransferError as error:
            _log.warning("GetLog refused: %s", error)
            return "InvalidURL"
        period = _period(request)
        ends = [end for end in (period.latest, self.context.time.known_utc(now)) if end is not None]
        if period.oldest is not None and any(period.oldest > end for end in ends):
            return "InvalidValue"  # N01.FR.05: there is no log of that time
        return "NotFound" if request["logType"] == "SecurityLog" and self._is_before_the_log(period) else None

    def _is_before_the_log(self, period: Period) -> bool:
        """N01.FR.05: the period ends before the oldest entry. Diagnostics, more than logs, have no such limit."""
        begins = None if period.latest is None else self.context.security_log.begins()
        return begins is not None and not Period(latest=period.latest).admits(begins[:19])

    def _order(self, request: GetLogRequest, now: float) -> LogUpload:
        security = request["logType"] == "SecurityLog"  # N01.FR.03, N01.FR.04
        identity = re.sub(r"[^A-Za-z0-9.-]", "_", self.context.model.get(keys.IDENTITY))[:48]
        stamp = re.sub(r"[-:]|\.\d+", "", self.context.time.text(now))
        kind, suffix = ("security", "log") if security else ("diagnostics", "tar.gz")
        return LogUpload(
            name=f"{kind}-{identity}-{stamp}-{request['requestId']}.{suffix}",
            security=security,
            remote=_remote(request),
            period=_period(request),
            documents={} if security else documents(self.context, now),
            secrets=secrets(self.context.model),
        )

    def on_task(self, task: Task, report: Report, now: float) -> None:
        upload = self._upload
        if upload is None or task is not upload.task:
            return
        match report:
            case UploadAttempt() if not upload.announced:  # N01.FR.08; once, for the first attempt
                upload.announced = True
                self._send_status("Uploading", upload.request_id)
            case Uploaded():  # N01.FR.09
                self._finish("Uploaded", upload)
            case NotUploaded():  # N01.FR.10
                self._finish(_FAILURES.get(report.kind, "UploadFailure"), upload)
            case Outcome():  # N01.FR.10: the worker raised
                self._finish("UploadFailure", upload)

    def _finish(self, status: UploadLogStatusEnumType, upload: _Upload) -> None:
        self._upload = None
        self.context.key_values.put(Key.LOG_UPLOAD, None)
        self._send_final_status(status, upload.request_id)

    def _send_status(self, status: UploadLogStatusEnumType, request_id: int, *, early: bool = False) -> None:
        request: LogStatusNotificationRequest = {"status": status, "requestId": request_id}  # N01.FR.07
        self.context.outbox.send("LogStatusNotification", request, early=early)

    def _send_final_status(self, status: UploadLogStatusEnumType, request_id: int) -> None:
        """Durable: the CSMS gets the outcome of its request however long it was offline."""
        request: LogStatusNotificationRequest = {"status": status, "requestId": request_id}
        self.context.outbox.send_kept("LogStatusNotification", request)

    # --- F06 -----------------------------------------------------------------------------------------------------

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """Logs are the station's; an evse in the request does not matter (F06.FR.03)."""
        return "Accepted" if message == "LogStatusNotification" else None

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Triggered(message="LogStatusNotification"):
                if self._upload is not None:  # F06.FR.14, N01.FR.13
                    self._send_status("Uploading", self._upload.request_id, early=True)
                else:
                    idle: LogStatusNotificationRequest = {"status": "Idle"}  # F06.FR.15
                    self.context.outbox.send("LogStatusNotification", idle, early=True)
            case signals.Registered():
                self._faults.again()
                self._report_interrupted()

    def _report_interrupted(self) -> None:
        if self._interrupted is not None:
            self._send_final_status("UploadFailure", self._interrupted)  # N01.FR.10: by a restart
            self._interrupted = None
            if self._upload is None:
                self.context.key_values.put(Key.LOG_UPLOAD, None)

    # --- N09, N10 ------------------------------------------------------------------------------------------------

    def _customer_information(self, request: CustomerInformationRequest, now: float) -> CustomerInformationResponse:
        references = sum(name in request for name in _REFERENCES)
        if references != 1:  # N09.FR.09
            code = "TooManyElements" if references else "MissingParam"
            return {"status": "Invalid", "statusInfo": {"reasonCode": code}}
        if not request["report"] and not request["clear"]:  # N09.FR.07, N10.FR.07
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InvalidValue"}}
        if self.context.registration.status != "Accepted":  # N09.FR.03, N10.FR.05
            return {"status": "Rejected", "statusInfo": {"reasonCode": "CSNotAccepted"}}
        if "customerIdentifier" in request and not self.context.product.features.customer_by_identifier:  # C-14
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedParam"}}
        found = self._stored_about(request)
        put_back = self.context.authorization_cache.saved()
        if request["clear"]:
            self._forget(request)
            if not self.context.kept(put_back):
                return {"status": "Rejected", "statusInfo": DISK_FULL}
        nothing = _NO_DATA if "idToken" in request else ""  # N09.FR.06, N10.FR.04; empty: TC_N_62_CS, TC_N_63_CS
        text = "\n".join(found) or nothing
        self._notify(request, text if request["report"] else _CLEARED, now)  # N10.FR.06
        return {"status": "Accepted"}  # N09.FR.02, N10.FR.01

    def _stored_about(self, request: CustomerInformationRequest) -> list[str]:
        """The data stored about a customer, one line each. Tokens are not repeated."""
        cache, found = self.context.authorization_cache, list[str]()
        cached = cache.about(request["idToken"]) if "idToken" in request else []
        if "customerIdentifier" in request:
            cached = cache.about_group(request["customerIdentifier"])
        for info in cached:
            group = info.get("groupIdToken")
            found.append(f"Authorization cache: status {info['status']}")
            found += (
                [f"Authorization cache: expires {info['cacheExpiryDateTime']}"] if "cacheExpiryDateTime" in info else []
            )
            found += [f"Authorization cache: group {group['idToken']}"] if group else []
        for evse in self.context.hal.evses.values():
            if evse.transaction_id is not None and _charges(evse, request):
                found.append(f"Transaction {evse.transaction_id} is running on EVSE {evse.evse}")
        return found

    def _forget(self, request: CustomerInformationRequest) -> None:
        """N10.FR.03, N10.FR.06."""
        if "idToken" in request:
            self.context.authorization_cache.forget(request["idToken"])
        elif "customerIdentifier" in request:
            self.context.authorization_cache.forget_group(request["customerIdentifier"])

    def _notify(self, asked: CustomerInformationRequest, text: str, now: float) -> None:
        """N09.FR.05, N10.FR.03. Cleared data exists only in this report, which is therefore durable."""
        send = self.context.outbox.send_kept if asked["clear"] else self.context.outbox.send
        parts = [text[at : at + _MAX_DATA_CHARS] for at in range(0, len(text), _MAX_DATA_CHARS)] or [""]
        generated = self.context.time.text(now)
        for number, part in enumerate(parts):
            request: NotifyCustomerInformationRequest = {
                "data": part,
                "tbc": number < len(parts) - 1,
                "seqNo": number,
                "generatedAt": generated,
                "requestId": asked["requestId"],
            }
            send("NotifyCustomerInformation", request)


def _remote(request: GetLogRequest) -> Remote:
    return Remote(
        request["log"]["remoteLocation"],
        request.get("retries", _RETRIES),
        float(request.get("retryInterval", _RETRY_INTERVAL_S)),
    )


def _period(request: GetLogRequest) -> Period:
    oldest, latest = request["log"].get("oldestTimestamp"), request["log"].get("latestTimestamp")
    return Period(None if oldest is None else parse_utc(oldest), None if latest is None else parse_utc(latest))


def _charges(evse: Evse, request: CustomerInformationRequest) -> bool:
    """Is the transaction of this EVSE that customer's?"""
    if "customerIdentifier" in request:
        return is_group(evse.group, request["customerIdentifier"])
    return any(same_token(holder, request.get("idToken")) for holder in (evse.id_token, evse.started_by))
