# SPDX-License-Identifier: Apache-2.0
"""Which requests of a station are handled: by its registration, and by whose certificate it has shown."""

from __future__ import annotations

from typing import Any

from tools.csms.back_office import BackOffice
from tools.ocppj.frames import Call

__all__ = ["Admission"]

_REPORTS = {"GetBaseReport": "NotifyReport", "GetReport": "NotifyReport"}
"""What a request to a Pending station allows it to send (B02.FR.09); for TriggerMessage it is in the payload."""


class Admission:
    """The rules for one connection. `certified_as` is the common name of the certificate, if it has shown one."""

    def __init__(self, identity: str, office: BackOffice, certified_as: str | None = None) -> None:
        self._identity = identity
        self._office = office
        self._certified_as = certified_as
        self._requested: set[str] = set()

    def requested(self, action: str, payload: dict[str, Any]) -> None:
        """The CSMS is about to send this request."""
        message = payload.get("requestedMessage") if action == "TriggerMessage" else _REPORTS.get(action)
        if isinstance(message, str):
            self._requested.add(message)

    def booted(self) -> None:
        """A BootNotification was answered: what was requested before no longer counts."""
        self._requested.clear()

    def may_send(self, action: str) -> bool:
        """While Pending a station sends what was requested, while Rejected nothing (B01.FR.10, B03.FR.07).

        A station that never booted here counts as accepted: it may have booted before this bench was started. But if
        it has shown a certificate, its BootNotification first has to prove that the certificate is its own.
        """
        record = self._office.station(self._identity)
        if action == "BootNotification":
            return True
        if self._certified_as not in (None, record.serial_number if record else None):
            return False
        registration = record.registration if record else None
        return registration in (None, "Accepted") or (registration == "Pending" and action in self._requested)

    def wrong_certificate(self, call: Call) -> str | None:
        """The problem if a valid BootNotification names another station than the certificate (B01.FR.11, B01.FR.12)."""
        if call.action != "BootNotification" or self._certified_as is None:
            return None
        serial_number = call.payload["chargingStation"].get("serialNumber")
        if serial_number == self._certified_as:
            return None
        return f"its certificate is for {self._certified_as}, but it booted as {serial_number}"
