# SPDX-License-Identifier: Apache-2.0
"""Failed attempts to connect: the security events that they are reported as, and what the next attempt presents."""

from __future__ import annotations

from pathlib import Path

import pytest

from firmware import product
from firmware.factory_settings import FactorySettings, FactoryVariable, NetworkProfile
from services.ocpp.composition import Composition
from services.ocpp.config import ServiceConfig
from services.ocpp.csms.failures import LinkFailures
from services.ocpp.device_model import keys
from services.ocpp.no_connection import Cause, NoConnection
from tests.support.clock import ManualClock
from tests.support.pki import Pki

PROFILE = NetworkProfile(slot=1, url="wss://localhost:9/ocpp", security_profile=3)
WITHOUT_CLIENT_CERTIFICATE = NetworkProfile(slot=2, url="wss://localhost:9/ocpp", security_profile=2)


class Attempts:
    """Attempts to connect with the parts of a station, and the security events that they lead to."""

    def __init__(self, folder: Path, *profiles: NetworkProfile) -> None:
        config = ServiceConfig(database=str(folder / "station.db"), certificates=str(folder / "certificates"))
        attempts = FactoryVariable(component="OCPPCommCtrlr", variable="NetworkProfileConnectionAttempts", value="2")
        settings = FactorySettings(identity="CP001", network_profile=list(profiles), variable=[attempts])
        self.parts = Composition(
            config, settings, product.load("c7am-400-cc"), clock=ManualClock(), firmware_version="1.0.0"
        )
        self.certificates = self.parts.certificates
        self._failures = LinkFailures(
            self.parts.link_settings, self.parts.credentials, self.certificates.station.alternate
        )
        self.reported: list[str] = []

    @property
    def password(self) -> str | None:
        """The one that the next attempt presents."""
        return self.parts.link_settings().basic_auth_password

    def fails(self, profile: NetworkProfile, cause: Cause) -> None:
        event = self._failures.failed(profile, NoConnection.of(cause, profile))
        self.reported += [] if event is None else [event.type]

    def succeeds(self, profile: NetworkProfile) -> None:
        event = self._failures.connected(profile)
        self.reported += [] if event is None else [event.type]


@pytest.fixture
def attempts(tmp_path: Path) -> Attempts:
    return Attempts(tmp_path, PROFILE)


def test_repeated_failures_are_one_event(attempts: Attempts) -> None:
    for _ in range(5):
        attempts.fails(PROFILE, Cause.CSMS_CERTIFICATE)
    assert attempts.reported == ["InvalidCsmsCertificate"]  # A00.FR.316, note
    attempts.fails(PROFILE, Cause.TLS_VERSION)
    assert attempts.reported[1:] == ["InvalidTLSVersion"]
    attempts.succeeds(PROFILE)
    attempts.fails(PROFILE, Cause.CSMS_CERTIFICATE)
    assert attempts.reported[2:] == ["InvalidCsmsCertificate"]


def test_a_refused_password_is_an_event(attempts: Attempts) -> None:
    attempts.fails(PROFILE, Cause.CREDENTIALS)
    assert attempts.reported == ["FailedToAuthenticateAtCsms"]


def test_a_password_that_the_csms_does_not_know_is_dropped(attempts: Attempts) -> None:
    basic = NetworkProfile(slot=1, url="ws://localhost:9/ocpp", security_profile=1)
    shown = []
    for password in ("the-old-Password_1", "the-new-Password_2"):
        attempts.parts.model.put(keys.BASIC_AUTH_PASSWORD, password)
        shown.append(attempts.password)
        if password.startswith("the-old"):
            attempts.succeeds(basic)
    attempts.fails(PROFILE, Cause.CREDENTIALS)  # of profile 3, where none is presented
    assert attempts.password == "the-new-Password_2"
    attempts.fails(basic, Cause.CREDENTIALS)
    shown.append(attempts.password)
    attempts.succeeds(basic)
    assert shown == ["the-old-Password_1", "the-new-Password_2", "the-old-Password_1"]
    assert attempts.parts.model.get(keys.BASIC_AUTH_PASSWORD) == "the-old-Password_1"  # A01.FR.04
    assert attempts.reported == ["FailedToAuthenticateAtCsms", "ReconfigurationOfSecurityParameters"]


EVENTS = {
    Cause.CSMS_CERTIFICATE: "InvalidCsmsCertificate",
    Cause.TLS_VERSION: "InvalidTLSVersion",
    Cause.TLS_SUITES: "InvalidTLSCipherSuite",
    Cause.CREDENTIALS: "FailedToAuthenticateAtCsms",
    Cause.NO_PASSWORD: "FailedToAuthenticateAtCsms",
}


@pytest.mark.parametrize("cause", Cause)
def test_which_cause_is_which_security_event(attempts: Attempts, cause: Cause) -> None:
    attempts.fails(PROFILE, cause)
    assert attempts.reported == ([EVENTS[cause]] if cause in EVENTS else [])


def _two_certificates(attempts: Attempts) -> None:
    store, root = attempts.certificates, Pki()
    store.install_root("CSMSRootCertificate", root.pem, None)
    for _ in range(2):
        store.station.install_chain(root.sign_request(store.station.request("SN-1", "O")), None, "SN-1")


def _used(attempts: Attempts, profile: NetworkProfile, cause: Cause) -> list[str]:
    """The certificate used in each of five failing attempts."""
    used = []
    for _ in range(5):
        assert attempts.certificates.station.file is not None
        used.append(attempts.certificates.station.file.stem)
        attempts.fails(profile, cause)
    return used


def test_two_certificates_alternate_by_rounds_of_attempts(attempts: Attempts) -> None:
    _two_certificates(attempts)
    used = _used(attempts, PROFILE, Cause.TLS_ALERT)
    assert used == ["renewed", "renewed", "current", "current", "renewed"]  # A02.FR.28


def test_slots_without_client_certificate_do_not_count(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path, PROFILE, WITHOUT_CLIENT_CERTIFICATE)
    _two_certificates(attempts)
    assert _used(attempts, WITHOUT_CLIENT_CERTIFICATE, Cause.HTTP_STATUS) == ["renewed"] * 5
    used = _used(attempts, PROFILE, Cause.TLS_ALERT)
    assert used == ["renewed", "renewed", "current", "current", "renewed"]


@pytest.mark.parametrize("cause", [Cause.NAME, Cause.PORT_CLOSED, Cause.NO_ROUTE])
def test_an_outage_does_not_cost_the_renewed_certificate(attempts: Attempts, cause: Cause) -> None:
    _two_certificates(attempts)
    assert _used(attempts, PROFILE, cause) == ["renewed"] * 5
