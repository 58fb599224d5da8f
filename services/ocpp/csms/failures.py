# SPDX-License-Identifier: Apache-2.0
"""What a failed attempt to connect means: which security event it is, and what the next attempt presents.

A password or a station certificate that the CSMS refuses may be one that it does not know yet, or no longer: then the
other one is tried, the password at once (`credentials`), the certificate after a round of attempts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from services.ocpp.no_connection import Cause
from services.ocpp.signals import SecurityEvent

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.csms.credentials import Credentials
    from services.ocpp.csms.dial import LinkSettings
    from services.ocpp.no_connection import NoConnection

__all__ = ["LinkFailures"]

_SECURITY_EVENTS: Final = {
    Cause.CSMS_CERTIFICATE: "InvalidCsmsCertificate",  # A00.FR.310
    Cause.TLS_VERSION: "InvalidTLSVersion",  # A00.FR.316
    Cause.TLS_SUITES: "InvalidTLSCipherSuite",  # A00.FR.323
    Cause.CREDENTIALS: "FailedToAuthenticateAtCsms",
    Cause.NO_PASSWORD: "FailedToAuthenticateAtCsms",
}
_NOT_REACHED: Final = (Cause.NAME, Cause.PORT_CLOSED, Cause.NO_ROUTE)
"""The CSMS has not seen what the station presents."""


class LinkFailures:
    """`alternate` switches between the station's two certificates, if it has two."""

    def __init__(
        self, settings: Callable[[], LinkSettings], credentials: Credentials, alternate: Callable[[], object]
    ) -> None:
        self._settings = settings
        self._credentials = credentials
        self._alternate = alternate
        self._attempts_failed = 0
        """With the certificate in use (A02.FR.28)."""
        self._reported: set[tuple[int, str]] = set()
        """Slots and their security events since the last connection: each is reported once (A00.FR.316)."""

    def connected(self, profile: NetworkProfile) -> SecurityEvent | None:
        """The CSMS has accepted what was presented; the event to report, if that takes back a new password."""
        self._reported.clear()
        self._attempts_failed = 0
        if profile.security_profile in (1, 2) and self._credentials.accepted():
            return SecurityEvent("ReconfigurationOfSecurityParameters", "the former BasicAuthPassword is in use again")
        return None

    def failed(self, profile: NetworkProfile, failure: NoConnection) -> SecurityEvent | None:
        """An attempt failed; the security event to report, if it is one and is new."""
        event = _SECURITY_EVENTS.get(failure.cause)
        if failure.cause in (Cause.CREDENTIALS, Cause.NO_PASSWORD) and profile.security_profile in (1, 2):
            self._credentials.refused()
        if profile.security_profile == 3 and failure.cause not in _NOT_REACHED:
            self._count_attempt()
        if event is None or (profile.slot, event) in self._reported:
            return None
        self._reported.add((profile.slot, event))
        return SecurityEvent(event, failure.text)

    def _count_attempt(self) -> None:
        """A02.FR.28: after all attempts of every slot with one certificate, the other one is tried.

        A CSMS that was not reached has not refused it: an outage must not cost the renewed certificate (A02.FR.10).
        """
        self._attempts_failed += 1
        settings = self._settings()
        slots = sum(profile.security_profile == 3 for profile in settings.profiles)
        if self._attempts_failed >= settings.retry.attempts_per_slot * slots:
            self._attempts_failed = 0
            self._alternate()
