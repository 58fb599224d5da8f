# SPDX-License-Identifier: Apache-2.0
"""A Security: the station's own certificate (A02, A03) and security events (A04).

A security event is stored durably when it happens and sent, in order, once the CSMS has accepted the station; those
that the appendix does not call critical stay in the security log.

A new certificate is requested when the CSMS triggers it, or a month before the present one expires. The pending request
is the private key on disk alone: a CertificateSigned that arrives after a restart is still accepted.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from firmware.contract import Event, Fault, FaultRaised
from firmware.errors import StorageError
from firmware.log import fields
from firmware.message_ids import MessageId
from services.ocpp import signals
from services.ocpp.certificates import CertificateError
from services.ocpp.context import Block, Context, Failure, LinkOrder, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key
from services.ocpp.security_log import Throttle, is_critical

if TYPE_CHECKING:
    from services.ocpp.messages import (
        Action,
        CertificateSignedRequest,
        CertificateSignedResponse,
        MessageTriggerEnumType,
        SecurityEventNotificationRequest,
        SignCertificateRequest,
    )

__all__ = ["Security"]

_log = logging.getLogger(__name__)

_RENEWAL_S = 30 * 86_400.0
"""A03.FR.02: one month."""
_EXPIRY_CHECK_S = 86_400.0
_FIRST_CHECK_S = 30.0
"""From registration to the first check of the expiry, so that the start is not delayed."""


class _Signing(Struct):
    """A signing request for which no certificate has arrived."""

    request: SignCertificateRequest
    resends: int = 0
    resend_at: float | None = None
    lost: bool = False
    """The link went down before the CSMS answered it."""


class Security(Block):
    letter = "A"
    handles = ("CertificateSigned",)
    asks = ("SecurityEventNotification", "SignCertificate")

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._signing: _Signing | None = None
        self._check_at: float | None = None
        self._awaits_trigger = False
        """A02.FR.19, A02.FR.20: no request on the station's own initiative until the CSMS triggers one."""
        self._throttle = Throttle()

    def start(self, now: float) -> None:
        defect = self.context.security_log.check(self.context.key_values.get(Key.SECURITY_LOG))
        if defect is not None:
            self._raise(signals.SecurityEvent(defect.event, defect.text), now)
        for kind in self.context.key_values.get(Key.SECURITY_EVENTS_HELD) or ():
            self._report(signals.SecurityEvent(kind, "more; their count was lost in a restart"), now)
        self._save_held()

    def on_hal_event(self, event: Event, now: float) -> None:
        """The door contact is the cabinet's tamper sensor."""
        if isinstance(event, FaultRaised) and event.fault is Fault.DOOR_OPEN:
            self._raise(signals.SecurityEvent("TamperDetectionActivated", "door open"), now)

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.SecurityEvent():
                self._raise(signal, now)
            case signals.Triggered(message="SignChargingStationCertificate" | "SignCombinedCertificate"):
                self._awaits_trigger = False
                self._request_certificate(combined=signal.message == "SignCombinedCertificate")
            case signals.Connected():
                self._keep_working_certificate(signal.security_profile)
            case signals.Registered():
                self._check_at = min(self._check_at or now + _FIRST_CHECK_S, now + _FIRST_CHECK_S)
                if self._signing is not None and self._signing.lost:
                    self._send_request(self._signing)
            case signals.VariablesChanged():
                if any(change.of(keys.BASIC_AUTH_PASSWORD) for change in signal.changes):  # A01.FR.11, A01.FR.12
                    self._raise(signals.SecurityEvent("ReconfigurationOfSecurityParameters", "BasicAuthPassword"), now)

    # --- A02, A03: requesting a certificate ----------------------------------------------------------------------

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        """A02.FR.02; without ISO 15118 SignV2GCertificate is not implemented."""
        combined = message == "SignCombinedCertificate" and self.context.product.lab.combined_station_certificate
        if message != "SignChargingStationCertificate" and not combined:
            return None
        return "Accepted" if self.context.model.get(keys.ORGANIZATION_NAME) else "Rejected"

    def make_signing_request(self) -> str:
        """A new key pair, and the signing request for a person to have signed. An answer that the CSMS owes fits no
        longer. Raises `CertificateError`, `StorageError`."""
        csr = self._new_request()
        self._signing = None
        return csr

    def _new_request(self) -> str:
        return self.context.certificates.station.request(self._name, self.context.model.get(keys.ORGANIZATION_NAME))

    def _request_certificate(self, *, combined: bool) -> None:
        """Make a new key pair and send the signing request for it."""
        try:
            csr = self._new_request()
        except (CertificateError, StorageError) as error:
            _log.error("no certificate can be requested: %s", error)
            return
        request: SignCertificateRequest = {"csr": csr}
        if not combined:
            request["certificateType"] = "ChargingStationCertificate"  # A02.FR.13
        self._signing = _Signing(request)
        self._send_request(self._signing)

    @property
    def _name(self) -> str:
        """A00.FR.511, B01.FR.11: the serial number, as in the BootNotification."""
        return self.context.serial_number[:25] or self.context.model.get(keys.IDENTITY)

    def _send_request(self, signing: _Signing) -> None:
        signing.lost = False
        signing.resend_at = None
        self.context.outbox.send("SignCertificate", signing.request, early=True)

    def on_answer(self, action: Action, request: Any, answer: Any, now: float) -> None:
        signing = self._signing
        if action != "SignCertificate" or signing is None or request != signing.request:
            return
        if isinstance(answer, Failure):
            signing.lost = answer.code == "offline"
            self._signing = signing if signing.lost else None
        elif answer["status"] == "Accepted":
            self._await_certificate(signing, now)
        else:
            _log.warning("the CSMS rejected the signing request")
            self._signing = None

    def _await_certificate(self, signing: _Signing, now: float) -> None:
        """A02.FR.17 to FR.19: repeat the request a limited number of times, doubling the wait each time."""
        model = self.context.model
        wait, repeats = model.find(keys.CERT_SIGNING_WAIT_MINIMUM), model.find(keys.CERT_SIGNING_REPEAT_TIMES)
        if wait is None or repeats is None:  # AS-3: no back-off; the daily check of the expiry repeats the request
            return
        if signing.resends <= repeats:
            signing.resend_at = now + wait * 2**signing.resends
        else:
            self._signing, self._awaits_trigger = None, True

    def on_call(self, action: Action, request: Any, now: float) -> CertificateSignedResponse:
        return self._certificate_signed(request, now)

    def _certificate_signed(self, request: CertificateSignedRequest, now: float) -> CertificateSignedResponse:
        if request.get("certificateType") == "V2GCertificate":
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedParam"}}
        utc = self.context.time.known_utc(now)
        try:
            self.context.certificates.station.install_chain(request["certificateChain"], utc, self._name)
        except CertificateError as error:  # A02.FR.07, A02.FR.16
            _log.warning("certificate chain refused: %s", error)
            self._signing, self._awaits_trigger = None, True
            self.context.emit(signals.SecurityEvent("InvalidChargingStationCertificate", str(error)))
            return {"status": "Rejected", "statusInfo": error.status_info}
        except StorageError as error:
            _log.error("the certificate could not be stored: %s", error)
            return {"status": "Rejected", "statusInfo": {"reasonCode": "OutOfStorage"}}
        self._signing, self._awaits_trigger = None, False
        self.context.emit(signals.SecurityEvent("ReconfigurationOfSecurityParameters", "station certificate"))
        if self.context.registration.security_profile == 3:  # A02.FR.08
            self.context.link_orders.append(LinkOrder("redial", "new station certificate"))
        return {"status": "Accepted"}

    def _keep_working_certificate(self, security_profile: int) -> None:
        """A02.FR.10, A02.FR.29: of two certificates keep the one that this connection was made with."""
        if security_profile != 3:
            return
        try:
            kept = self.context.certificates.station.settle()
        except StorageError as error:
            _log.error("the other certificate could not be discarded: %s", error)
            return
        if kept == "former":
            self.context.emit(signals.SecurityEvent("DiscardedRenewedClientCertificate"))

    def _check_expiry(self, now: float) -> None:
        """A03.FR.02: request a new certificate one month before the end, and every day from then on."""
        utc, period = self.context.time.known_utc(now), self.context.certificates.station.period()
        signing = self._signing
        backing_off = signing is not None and (signing.resend_at is not None or signing.lost)
        if utc is None or period is None or backing_off or self._awaits_trigger or period[1] - utc >= _RENEWAL_S:
            return
        _log.info("the station certificate expires in %.0f days: requesting a new one", (period[1] - utc) / 86_400)
        if signing is None:
            self._request_certificate(combined=False)
        else:  # for the same key: a certificate that is signed by hand may be ready by now
            self._send_request(signing)

    # --- time -------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        resend_at = self._signing.resend_at if self._signing else None
        deadlines = (self._check_at, resend_at, self._throttle.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: float) -> None:
        for kind, count in self._throttle.due(now):
            self._report(signals.SecurityEvent(kind, f"{count} more"), now)
            self._save_held()
        signing = self._signing
        if signing is not None and signing.resend_at is not None and now >= signing.resend_at:
            signing.resends += 1
            self._send_request(signing)
        if self._check_at is not None and now >= self._check_at:
            self._check_at = now + _EXPIRY_CHECK_S
            if self.context.registration.online:
                self._check_expiry(now)

    # --- A04: security events -----------------------------------------------------------------------------------------

    def _raise(self, event: signals.SecurityEvent, now: float) -> None:
        if self._throttle.admits(event.type, now):
            self._report(event, now)
        else:
            self._save_held()

    def _save_held(self) -> None:
        """A04.FR.02: a restart may lose the count of suppressed events, but not the fact that there were some."""
        self.context.key_values.put(Key.SECURITY_EVENTS_HELD, self._throttle.held or None)

    def _report(self, event: signals.SecurityEvent, now: float) -> None:
        """Write the event into the security log and, if it is critical, send it to the CSMS."""
        _log.warning("security event %s", event.type, extra=fields(message_id=MessageId.SECURITY_EVENT))
        self._write(event.type, event.tech_info, now)
        if not is_critical(event.type):
            return
        request: SecurityEventNotificationRequest = {"type": event.type, "timestamp": self.context.time.text(now)}
        if event.tech_info:
            request["techInfo"] = event.tech_info[:255]
        offset = self.context.time.provisional_offset(now)
        self.context.outbox.send_kept("SecurityEventNotification", request, clock_offset=offset)

    def _write(self, kind: str, tech_info: str, now: float) -> None:
        """A04.FR.04."""
        head = self.context.security_log.record(kind, time=self.context.time.text(now), tech_info=tech_info)
        self.context.key_values.put(Key.SECURITY_LOG, head)

    def settle(self, now: float) -> None:
        """ClockCtrlr.TimeAdjustmentReportingThreshold (part 2, 2.1.32)."""
        step = self.context.time.take_step()
        if step:
            self.context.emit(signals.ClockMoved())
        threshold = self.context.model.find(keys.TIME_ADJUSTMENT_REPORTING_THRESHOLD)
        if step and threshold is not None and abs(step) > threshold:
            self._raise(signals.SecurityEvent("SettingSystemTime", f"{step:+.0f} s"), now)
