# SPDX-License-Identifier: Apache-2.0
# mypy: disallow-subclassing-any=False
"""The handlers: one for every request that a station may send, in the order of the specification's blocks.

A handler reads the request as it was on the wire (`self.request_payload`), updates the back office and returns the
answer. A request that needs no decision is only acknowledged; it is in the log of messages.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call_result
from ocpp.v201.enums import Action

from tools.csms.ca import BenchPki, CsrRefused
from tools.csms.rpc import LinkLost, RequestError, RpcLink
from tools.csms.store import Token

__all__ = ["Station"]

_SIGNING_TIMEOUT_S = 30.0
# The library logs whole payloads, passwords among them; the back office keeps the log of messages.
_SILENT = logging.getLogger("tools.csms.library")
_SILENT.setLevel(logging.CRITICAL + 1)

_Handler = TypeVar("_Handler", bound=Callable[..., Any])


# The `ocpp` package has no types: these two say what its decorators do.


def _handles(action: Action) -> Callable[[_Handler], _Handler]:
    # The link has checked the request against its schema, and faster.
    decorator: Callable[[_Handler], _Handler] = on(action, skip_schema_validation=True)
    return decorator


def _follows(action: Action) -> Callable[[_Handler], _Handler]:
    decorator: Callable[[_Handler], _Handler] = after(action)
    return decorator


class Station(ChargePoint):
    """The handlers of one connection; `start` reads requests from the link until it raises `LinkLost`."""

    def __init__(self, link: RpcLink, pki: BenchPki | None = None) -> None:
        super().__init__(link.identity, link, logger=_SILENT)
        self._link = link
        self._office = link.office
        self._pki = pki
        self._signed: dict[str, Any] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def request_payload(self) -> Mapping[str, Any]:
        """The request that is being handled; valid only inside a handler."""
        assert self._link.handling is not None
        return self._link.handling.payload

    # A. Security

    @_handles(Action.security_event_notification)
    def on_security_event(self, **_: Any) -> Any:
        return call_result.SecurityEventNotification()

    @_handles(Action.sign_certificate)
    def on_sign_certificate(self, **_: Any) -> Any:
        try:
            self._signed = self._sign(self.request_payload)
        except CsrRefused as refused:
            self._signed = None
            self._office.note(self._link.identity, f"signing request refused: {refused}")
            return call_result.SignCertificate(
                status="Rejected", status_info={"reason_code": "InvalidCSR", "additional_info": str(refused)}
            )
        return call_result.SignCertificate(status="Accepted")  # A02.FR.11

    def _sign(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The payload of the CertificateSigned that follows. Raises `CsrRefused` (A02.FR.12)."""
        kind = request.get("certificateType", "ChargingStationCertificate")
        if self._pki is None or self._office.behaviour.sign_certificate == "Rejected":
            raise CsrRefused("the bench is set to reject signing requests")
        if kind != "ChargingStationCertificate":
            raise CsrRefused(f"the bench does not sign a {kind}")
        record = self._office.station(self._link.identity)
        serial_number = (record.serial_number if record else None) or self._link.identity
        chain = self._pki.sign(request["csr"], serial_number)
        self._office.know_certificates(chain)
        self._office.note(self._link.identity, f"certificate for {serial_number} signed")
        # A02.FR.14: of the requested type.
        return {"certificateChain": chain, "certificateType": kind}

    @_follows(Action.sign_certificate)
    def send_certificate(self, **_: Any) -> None:
        """A02, step 9: after the answer to the request has been sent."""
        signed, self._signed = self._signed, None
        if signed is not None and self._office.behaviour.sign_certificate != "Silent":
            task = asyncio.create_task(self._send_certificate(signed))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_certificate(self, signed: dict[str, Any]) -> None:
        try:
            await self._link.request("CertificateSigned", signed, timeout_s=_SIGNING_TIMEOUT_S)
        except (LinkLost, RequestError) as error:
            self._office.note(self._link.identity, f"the station did not take the certificate: {error}")

    # B. Provisioning

    @_handles(Action.boot_notification)
    def on_boot_notification(self, **_: Any) -> Any:
        behaviour = self._office.on_boot(self._link.identity, self.request_payload)
        self._link.admission.booted()
        return call_result.BootNotification(
            current_time=self._office.now(), interval=behaviour.heartbeat_interval_s, status=behaviour.boot_status
        )

    @_handles(Action.notify_report)
    def on_notify_report(self, **_: Any) -> Any:
        self._office.on_report(self._link.identity, self.request_payload)
        return call_result.NotifyReport()

    # C. Authorization

    @_handles(Action.authorize)
    def on_authorize(self, **_: Any) -> Any:
        return call_result.Authorize(id_token_info=self._id_token_info())

    def _id_token_info(self) -> dict[str, Any]:
        token: Token = self._office.authorize(self.request_payload["idToken"])
        info: dict[str, Any] = {"status": token.status}
        if token.group_id_token:
            info["group_id_token"] = {"id_token": token.group_id_token, "type": "Central"}
        return info

    # E. Transactions

    @_handles(Action.transaction_event)
    async def on_transaction_event(self, **_: Any) -> Any:
        self._office.on_transaction_event(self._link.identity, self.request_payload)
        await self._office.saved()
        if "idToken" in self.request_payload:
            # E01.FR.11 and .12: the token is checked again, as the station may have relied on old data.
            return call_result.TransactionEvent(id_token_info=self._id_token_info())
        return call_result.TransactionEvent()

    # G. Availability

    @_handles(Action.status_notification)
    def on_status_notification(self, **_: Any) -> Any:
        self._office.on_status(self._link.identity, self.request_payload)
        return call_result.StatusNotification()

    @_handles(Action.heartbeat)
    def on_heartbeat(self, **_: Any) -> Any:
        return call_result.Heartbeat(current_time=self._office.now())

    # H. Reservation

    @_handles(Action.reservation_status_update)
    def on_reservation_status_update(self, **_: Any) -> Any:
        return call_result.ReservationStatusUpdate()

    # J. Metering

    @_handles(Action.meter_values)
    def on_meter_values(self, **_: Any) -> Any:
        self._office.on_meter_values(self._link.identity, self.request_payload)
        return call_result.MeterValues()

    # K. Smart charging

    @_handles(Action.cleared_charging_limit)
    def on_cleared_charging_limit(self, **_: Any) -> Any:
        return call_result.ClearedChargingLimit()

    @_handles(Action.notify_charging_limit)
    def on_notify_charging_limit(self, **_: Any) -> Any:
        return call_result.NotifyChargingLimit()

    @_handles(Action.notify_ev_charging_needs)
    def on_notify_ev_charging_needs(self, **_: Any) -> Any:
        # The bench makes no charging schedules.
        return call_result.NotifyEVChargingNeeds(status="Rejected")

    @_handles(Action.notify_ev_charging_schedule)
    def on_notify_ev_charging_schedule(self, **_: Any) -> Any:
        return call_result.NotifyEVChargingSchedule(status="Accepted")

    @_handles(Action.report_charging_profiles)
    def on_report_charging_profiles(self, **_: Any) -> Any:
        return call_result.ReportChargingProfiles()

    # L. Firmware management

    @_handles(Action.firmware_status_notification)
    def on_firmware_status(self, **_: Any) -> Any:
        self._office.on_progress(self._link.identity, "firmware_status", self.request_payload["status"])
        return call_result.FirmwareStatusNotification()

    @_handles(Action.publish_firmware_status_notification)
    def on_publish_firmware_status(self, **_: Any) -> Any:
        return call_result.PublishFirmwareStatusNotification()

    # M. Certificates

    @_handles(Action.get_15118_ev_certificate)
    def on_get_15118_ev_certificate(self, **_: Any) -> Any:
        return call_result.Get15118EVCertificate(status="Failed", exi_response="")

    @_handles(Action.get_certificate_status)
    def on_get_certificate_status(self, **_: Any) -> Any:
        return call_result.GetCertificateStatus(status="Failed")

    # N. Diagnostics

    @_handles(Action.log_status_notification)
    def on_log_status(self, **_: Any) -> Any:
        self._office.on_progress(self._link.identity, "log_status", self.request_payload["status"])
        return call_result.LogStatusNotification()

    @_handles(Action.notify_customer_information)
    def on_notify_customer_information(self, **_: Any) -> Any:
        return call_result.NotifyCustomerInformation()

    @_handles(Action.notify_event)
    def on_notify_event(self, **_: Any) -> Any:
        self._office.on_events(self._link.identity, self.request_payload)
        return call_result.NotifyEvent()

    @_handles(Action.notify_monitoring_report)
    def on_notify_monitoring_report(self, **_: Any) -> Any:
        self._office.on_monitoring_report(self._link.identity, self.request_payload)
        return call_result.NotifyMonitoringReport()

    # O. Display messages

    @_handles(Action.notify_display_messages)
    def on_notify_display_messages(self, **_: Any) -> Any:
        return call_result.NotifyDisplayMessages()

    # P. Data transfer

    @_handles(Action.data_transfer)
    def on_data_transfer(self, **_: Any) -> Any:
        # P02: the bench knows no vendor.
        return call_result.DataTransfer(status="UnknownVendorId")
