# SPDX-License-Identifier: Apache-2.0
"""B Provisioning: registration, the device model's messages, network profiles; resets are in `resets.py`.

After a boot only BootNotification leaves until the CSMS has accepted us (B01.FR.08, B02.FR.02).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Raw

from firmware.clock import parse_utc
from firmware.errors import ConfigError
from services.ocpp import network_profiles, signals
from services.ocpp.context import DISK_FULL, Block, Context, Failure, LinkOrder, TriggerAnswer
from services.ocpp.device_model import Refusal, keys, paged, reports, requests
from services.ocpp.key_values import Key
from services.ocpp.no_connection import Cause, NoConnection, peer_text
from services.ocpp.resets import Resets
from services.ocpp.rpc.validation import check_request

if TYPE_CHECKING:
    from services.ocpp.device_model import Address
    from services.ocpp.device_model.variable import ReportData
    from services.ocpp.messages import (
        Action,
        BootNotificationRequest,
        BootNotificationResponse,
        BootReasonEnumType,
        GetBaseReportRequest,
        GetBaseReportResponse,
        GetReportRequest,
        GetReportResponse,
        GetVariableResultType,
        GetVariablesRequest,
        GetVariablesResponse,
        MessageTriggerEnumType,
        NotifyReportRequest,
        ResetEnumType,
        ResetResponse,
        SetNetworkProfileRequest,
        SetNetworkProfileResponse,
        SetVariableResultType,
        SetVariablesRequest,
        SetVariablesResponse,
    )

__all__ = ["Provisioning"]

_log = logging.getLogger(__name__)

_OWN_BOOT_INTERVAL_S = 60.0
"""Between BootNotifications when the CSMS has set no interval (B02.FR.07, B03.FR.05) or has not answered."""

_PART_BYTES = 16 * 1024
"""Of the elements in a part of a report. BytesPerMessage limits what the CSMS sends; and each part waits for the answer
to the one before it."""
_encode = msgspec.json.Encoder().encode
_UNREGISTERED = {"Pending": Cause.PENDING, "Rejected": Cause.REJECTED}

_BOOT_REASON: dict[str, BootReasonEnumType] = {
    "power_up": "PowerUp",
    "local_reset": "LocalReset",
    "watchdog": "Watchdog",
    "requested": "LocalReset",
    "application": "ApplicationReset",
}


class Provisioning(Block):
    letter = "B"
    handles = (
        "GetVariables",
        "SetVariables",
        "GetBaseReport",
        "GetReport",
        "SetNetworkProfile",
        "Reset",
    )
    reads = ("GetVariables",)
    asks = ("BootNotification",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._boot_at: float | None = None
        """When the next BootNotification is due."""
        self._boot_unanswered = False
        self._boot_triggered = False
        """TriggerMessage has requested another BootNotification before the last one was answered."""
        self._slot: int | None = None
        self._reason: BootReasonEnumType = "Unknown"
        self._resets = Resets(context)

    def start(self, now: float) -> None:
        planned = self.context.key_values.get(Key.PLANNED_BOOT)
        self._reason = cast("BootReasonEnumType", planned) or _BOOT_REASON.get(self.context.boot_cause, "Unknown")
        self.context.key_values.put(Key.PLANNED_BOOT, None)
        self.context.model.add_validator(keys.NETWORK_CONFIGURATION_PRIORITY, self._priority_problem)
        self._resets.start()
        _log.info("started: %s", self._reason)
        if self.context.boot_cause != "application":  # A04.FR.01
            kind = "ResetOrReboot" if planned else "StartupOfTheDevice"
            self.context.emit(signals.SecurityEvent(kind, self._reason))

    # --- B01, B02, B03: registration ---------------------------------------------------------------------------

    def on_link_up(self, now: float) -> None:
        """The link to the CSMS is established."""
        registration = self.context.registration
        registration.link_up = True
        self.context.model.put(keys.ACTIVE_NETWORK_PROFILE, registration.slot or 0)
        self._adopt_security_profile(registration.security_profile or 0)
        self.context.emit(signals.Connected(registration.security_profile or 0))
        if registration.slot != self._slot:  # B10.FR.10: perhaps another CSMS
            self._slot, registration.status, self._boot_at = registration.slot, None, None
        if registration.status == "Accepted":
            self._go_online(booted=False, now=now)
        elif self._boot_at is None or now >= self._boot_at:  # else the interval continues (B02.FR.04, B03.FR.02)
            self._send_boot(self._reason)  # B01.FR.01; after a reset, too: B11.FR.04

    def _adopt_security_profile(self, security_profile: int) -> None:
        """A05.FR.06: profiles less secure than a working connection are not used again.

        A slot for an allowed step down (A05.FR.08) remains until a reset lets it be tried; a step up removes it.
        """
        model, profiles = self.context.model, self.context.profiles
        before = model.get(keys.SECURITY_PROFILE)
        model.put(keys.SECURITY_PROFILE, security_profile)
        if security_profile != before:
            what = f"security profile {before} to {security_profile}"
            self.context.emit(signals.SecurityEvent("ReconfigurationOfSecurityParameters", what))
        lower = [slot for slot, profile in profiles.items() if profile.security_profile < security_profile]
        if security_profile <= before:
            lower = [slot for slot in lower if not self._may_change_to(profiles[slot].security_profile)]
        if not lower:
            return
        for slot in lower:
            del profiles[slot]
        network_profiles.store(self.context.key_values, profiles)
        priority = [slot for slot in model.get(keys.NETWORK_CONFIGURATION_PRIORITY) if int(slot) in profiles]
        model.put(keys.NETWORK_CONFIGURATION_PRIORITY, tuple(priority) or (str(self.context.registration.slot),))
        _log.info("security profile %d: less secure network profiles removed", security_profile)

    def on_link_down(self, now: float) -> None:
        registration = self.context.registration
        if registration.online:
            registration.offline_since = now
        registration.link_up = False
        self._boot_unanswered = self._boot_triggered = False
        self.context.emit(signals.WentOffline())

    def _go_online(self, *, booted: bool, now: float) -> None:
        offline_s = now - self.context.registration.offline_since
        self.context.outbox.go_online()
        self.context.emit(signals.Registered(booted, offline_s))

    def _send_boot(self, reason: BootReasonEnumType) -> None:
        if self._boot_unanswered:
            self._boot_triggered |= reason == "Triggered"
            return
        self._boot_at, self._boot_unanswered = None, True
        self.context.outbox.send("BootNotification", self.boot_request(reason), early=True)

    def boot_request(self, reason: BootReasonEnumType) -> BootNotificationRequest:
        """What this station is, in OCPP's words."""
        identity = self.context.product.identity
        return {
            "reason": reason,  # B01.FR.09
            "chargingStation": {
                "model": identity.model,
                "vendorName": identity.vendor_name,
                "serialNumber": self.context.serial_number[:25],
                "firmwareVersion": self.context.model.get(keys.FIRMWARE_VERSION)[:50],
            },
        }

    def on_answer(self, action: Action, request: Any, answer: Any, now: float) -> None:
        again, self._boot_unanswered, self._boot_triggered = self._boot_triggered, False, False
        if isinstance(answer, Failure):
            if answer.code != "offline":
                why = "no answer in time" if answer.code == "timeout" else f"{answer.code} {answer.description}"
                self._not_registered(Cause.NOT_REGISTERED, why, now)
                self._boot_later(0, now, again=again)
            return
        response: BootNotificationResponse = answer
        self.context.time.hear("Heartbeat", parse_utc(response["currentTime"]), now)  # B01.FR.06
        status, interval = response["status"], response["interval"]
        self.context.registration.status = status
        _log.info("registration: %s, interval %d s", status, interval)
        if status == "Accepted":
            if interval > 0:  # B01.FR.04
                self.context.model.put(keys.HEARTBEAT_INTERVAL, interval)
            self._go_online(booted=True, now=now)
        else:
            self._not_registered(_UNREGISTERED[status], _status_info(response), now)
            self._boot_later(interval, now, again=again and status == "Pending")  # B03.FR.02: no boot while rejected
        if status == "Rejected":
            self.context.outbox.forget_early()

    def _not_registered(self, cause: Cause, detail: str, now: float) -> None:
        registration = self.context.registration
        registration.failed(NoConnection(cause, registration.slot or 0, detail=peer_text(detail)), now)

    def _boot_later(self, interval: int, now: float, *, again: bool) -> None:
        """B02.FR.04, B02.FR.08, B03.FR.06; B02.FR.07, B03.FR.05; one triggered meanwhile leaves at once (F06.FR.10)."""
        self._boot_at = now + (interval if interval > 0 else _OWN_BOOT_INTERVAL_S)
        if again:
            self._send_boot("Triggered")

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        if message != "BootNotification":
            return None
        return "Rejected" if self.context.registration.status == "Accepted" else "Accepted"  # F06.FR.17

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Triggered(message="BootNotification"):
                self._send_boot("Triggered")
            case signals.TaskUnderWay():
                self._resets.on_busy_changed(signal.task, now, busy=signal.busy)
            case signals.TransactionChanged():
                self._resets.advance(now)
            case signals.VariablesChanged():
                if any(change.of(keys.TIME_SOURCE) for change in signal.changes):
                    self.context.time.use(tuple(self.context.model.get(keys.TIME_SOURCE)))
                new_password = any(change.of(keys.BASIC_AUTH_PASSWORD) for change in signal.changes)
                if new_password and self.context.registration.security_profile != 3:  # A01.FR.03
                    self.context.link_orders.append(LinkOrder("redial", "new password"))

    # --- B05, B06, B07, B08 ---------------------------------------------------------------------------------------

    def on_call(self, action: Action, request: Any, now: float) -> Any:
        match action:
            case "GetVariables":
                return self._get_variables(request)
            case "SetVariables":
                return self._set_variables(request, now)
            case "GetBaseReport":
                return self._base_report(request, now)
            case "GetReport":
                return self._report(request, now)
            case "SetNetworkProfile":
                return self._set_network_profile(request, now)
            case _:
                return self._resets.handle(request, now)

    def restart(self, kind: ResetEnumType, now: float) -> ResetResponse:
        """A person at the station wants what Reset of the CSMS does."""
        return self._resets.handle({"type": kind}, now, local=True)

    def _get_variables(self, request: GetVariablesRequest) -> GetVariablesResponse:
        data = cast("list[dict[str, Any]]", request["getVariableData"])
        results = requests.get_variables(self.context.model, data)
        return {"getVariableResult": cast("list[GetVariableResultType]", results)}

    def _set_variables(self, request: SetVariablesRequest, now: float) -> SetVariablesResponse:
        data = cast("list[dict[str, Any]]", request["setVariableData"])
        model = self.context.model
        results, changes = requests.set_variables(model, data, now)
        if any(change.is_new for change in changes) and not self.context.commit():
            why = Refusal(DISK_FULL["reasonCode"], DISK_FULL["additionalInfo"])
            results = requests.take_back(model, results, changes, why)
        elif changes:
            self.context.emit(signals.VariablesChanged(tuple(changes)))
        return {"setVariableResult": cast("list[SetVariableResultType]", results)}

    def _base_report(self, request: GetBaseReportRequest, now: float) -> GetBaseReportResponse:
        kind = request["reportBase"]
        if kind == "SummaryInventory" and not self.context.product.features.summary_inventory:
            return {"status": "NotSupported"}  # B07.FR.02, and no report is sent: B07.FR.05
        report = reports.base_report(self.context.model, kind)
        sent = self._send_report(request["requestId"], report, now)
        return {"status": "Accepted" if sent else "Rejected"}  # B07.FR.01

    def _report(self, request: GetReportRequest, now: float) -> GetReportResponse:
        report = reports.custom_report(
            self.context.model,
            request.get("componentCriteria"),
            cast("list[dict[str, Any]] | None", request.get("componentVariable")),
        )
        if not report:
            return {"status": "EmptyResultSet"}  # B08.FR.15
        sent = self._send_report(request["requestId"], report, now)
        return {"status": "Accepted" if sent else "Rejected"}  # B08.FR.01

    def _send_report(self, request_id: int, report: list[ReportData], now: float) -> bool:
        """B07.FR.03, B08.FR.03: the parts, numbered from 0; the response leaves before them.

        Returns False if too many messages are queued; the CSMS may request the report again (B07.FR.13, B08.FR.16).
        """
        model = self.context.model
        elements = [each.json or _encoded(each) for each in report]
        pages = paged(elements, model.get(keys.ITEMS_GET_REPORT), _PART_BYTES)
        if not self.context.outbox.has_room(len(pages)):
            return False
        for number, page in enumerate(pages):
            part: NotifyReportRequest = {
                "requestId": request_id,  # B07.FR.04, B08.FR.04
                "generatedAt": self.context.time.text(now),
                "seqNo": number,  # B07.FR.10, B08.FR.14
                "tbc": number + 1 < len(pages),
                "reportData": cast("Any", Raw(b"[%s]" % b",".join(page))),
            }
            self.context.outbox.send("NotifyReport", Raw(_encode(part)), early=True)
        return True

    # --- B09, B10 -------------------------------------------------------------------------------------------------

    def _set_network_profile(self, request: SetNetworkProfileRequest, now: float) -> SetNetworkProfileResponse:
        slot, data = request["configurationSlot"], request["connectionData"]
        if not 1 <= slot <= self.context.product.limits.network_slots:  # two at least: B09.FR.06
            return _profile_rejected("InvalidConfSlot", "no such configuration slot")  # B09.FR.05
        if not self._may_change_to(data["securityProfile"]):
            return _profile_rejected("NoSecurityDowngrade", "the security profile may not be lowered")  # B09.FR.04
        try:
            profile = network_profiles.parse(slot, data, self.context.product)
        except ConfigError as error:
            return _profile_rejected("InvalidNetworkConf", str(error))  # B09.FR.02
        if str(slot) in self.context.model.get(keys.NETWORK_CONFIGURATION_PRIORITY):
            missing = self._missing_credential({profile.security_profile}, now)
            if missing is not None:  # the next boot would use it: as for NetworkConfigurationPriority
                return _profile_rejected("InvalidNetworkConf", missing)
        key_values = self.context.key_values
        former = key_values.get(Key.NETWORK_PROFILES)
        network_profiles.store(key_values, {**self.context.profiles, slot: profile})
        if not self.context.kept(lambda: key_values.put(Key.NETWORK_PROFILES, former)):
            return {"status": "Failed", "statusInfo": DISK_FULL}  # B09.FR.03
        self.context.profiles[slot] = profile
        return {"status": "Accepted"}  # B09.FR.01

    def _priority_problem(self, _address: Address, slots: tuple[str, ...], now: float) -> str | None:
        """B10.FR.01, B10.FR.02: each slot must hold a usable profile, none with lower security (A05.FR.04)."""
        profiles = self.context.profiles
        unknown = [slot for slot in slots if not slot.isdigit() or int(slot) not in profiles]
        if unknown:
            return f"no profile in slot {', '.join(unknown)}"
        lower = [slot for slot in slots if not self._may_change_to(profiles[int(slot)].security_profile)]
        if lower:
            return f"lower security in slot {', '.join(lower)}"
        for slot in slots:
            try:
                network_profiles.check(profiles[int(slot)], self.context.product)
            except ConfigError as error:  # set by an earlier version of this firmware
                return f"slot {slot}: {error}"
        return self._missing_credential({profiles[int(slot)].security_profile for slot in slots}, now)

    def _missing_credential(self, security_profiles: set[int], now: float) -> str | None:
        """A05.FR.02, A05.FR.03: why a profile more secure than the present one can't be used; or one with a password,
        while the present one has none."""
        highest, current = max(security_profiles), self.context.registration.security_profile or 0
        has_password = current in (1, 2) or self.context.model.get(keys.BASIC_AUTH_PASSWORD)
        if security_profiles & {1, 2} and not has_password:
            return "no BasicAuthPassword is set"
        if highest < 2 or highest <= current:
            return None
        store, utc = self.context.certificates, self.context.time.known_utc(now)
        if not store.has_valid_root("CSMSRootCertificate", utc):
            return "no valid CSMS root certificate is installed"
        if highest == 3 and not store.station.has_valid_certificate(utc):
            return "no valid charging station certificate is installed"
        return None

    def _may_change_to(self, security_profile: int) -> bool:
        """A00.FR.005, B09.FR.31: only from 3 to 2, and only if that is allowed."""
        current = self.context.registration.security_profile or 0
        if security_profile >= current:
            return True
        allowed = self.context.model.find(keys.ALLOW_SECURITY_PROFILE_DOWNGRADE)
        return bool(allowed) and security_profile >= 2  # A05.FR.08, A05.FR.09

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        deadlines = (self._boot_at, self._resets.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def settle(self, now: float) -> None:
        self._resets.settle(now)

    def on_time(self, now: float) -> None:
        if self._boot_at is not None and now >= self._boot_at:
            self._boot_at = None
            if self.context.registration.link_up:
                self._send_boot(self._reason)
        self._resets.advance(now)


def _status_info(response: BootNotificationResponse) -> str:
    """The CSMS's own words about the status, if it has given any."""
    info = response.get("statusInfo")
    return f": {info['reasonCode']} {info.get('additionalInfo') or ''}" if info else ""


def _encoded(element: ReportData) -> bytes:
    """The element as JSON, checked against the schema and kept until its variable changes.

    A report has hundreds of elements that seldom change: to check and encode them each time is most of its cost.
    """
    part = {"requestId": 0, "generatedAt": "2020-01-01T00:00:00Z", "seqNo": 0, "reportData": [element]}
    violation = check_request("NotifyReport", part)
    if violation is not None:
        _log.error("an element of a report breaks its schema: %s", violation.description)
    element.json = _encode(element)
    return element.json


def _profile_rejected(code: str, why: str) -> SetNetworkProfileResponse:
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": why[:512]}}
