# SPDX-License-Identifier: Apache-2.0
"""The shell's part in security: what a failed attempt to connect is told as, and which certificate comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from firmware import product
from firmware.config import FactorySettings, FactoryVariable, NetworkProfile, ServiceConfig
from services.ocpp.device_model import keys
from services.ocpp.service import Service
from services.ocpp.signals import SecurityEvent
from tests.support.clock import ManualClock
from tests.support.pki import Pki

PROFILE = NetworkProfile(slot=1, url="wss://localhost:9/ocpp", security_profile=3)
BAD = "InvalidCsmsCertificate: unable to get local issuer certificate"


class RecordingService(Service):
    """Keeps the security events that it would have told the station."""

    def __init__(self, folder: Path, profile: NetworkProfile = PROFILE, **factory: Any) -> None:
        self.told: list[str] = []
        config = ServiceConfig(
            database=str(folder / "station.db"),
            certificates=str(folder / "certificates"),
            hal_socket=str(folder / "hal.sock"),
            status_socket=str(folder / "status.sock"),
        )
        settings = FactorySettings(identity="CP001", network_profile=[profile], **factory)
        super().__init__(config, settings, product.load("c7am-400-cc"), clock=ManualClock(), firmware_version="1.0.0")

    def _report(self, event: SecurityEvent) -> None:
        self.told.append(event.type)


@pytest.fixture
def service(tmp_path: Path) -> RecordingService:
    attempts = FactoryVariable(component="OCPPCommCtrlr", variable="NetworkProfileConnectionAttempts", value="2")
    return RecordingService(tmp_path, variable=[attempts])


def test_repeated_failures_are_one_event(service: RecordingService) -> None:
    for _ in range(5):
        service.on_link_failed(PROFILE, BAD, "tls")
    assert service.told == ["InvalidCsmsCertificate"]  # A00.FR.316, note
    service.on_link_failed(PROFILE, "InvalidTLSVersion: UNSUPPORTED_PROTOCOL", "tls")
    assert service.told[1:] == ["InvalidTLSVersion"]
    service.on_link_up(PROFILE)
    service.on_link_failed(PROFILE, BAD, "tls")
    assert service.told[2:] == ["InvalidCsmsCertificate"]


def test_a_refused_password_is_an_event(service: RecordingService) -> None:
    service.on_link_failed(PROFILE, "HTTP 401", "unauthorised")
    assert service.told == ["FailedToAuthenticateAtCsms"]


def test_a_password_that_the_csms_never_heard_of_is_given_up(service: RecordingService) -> None:
    basic = NetworkProfile(slot=1, url="ws://localhost:9/ocpp", security_profile=1)
    shown = []
    for password in ("the-old-Password_1", "the-new-Password_2"):
        service._parts.model.put(keys.BASIC_AUTH_PASSWORD, password)
        shown.append(service._parts.link_settings().basic_auth_password)
        if password.startswith("the-old"):
            service.on_link_up(basic)
    service.on_link_failed(PROFILE, "HTTP 403", "unauthorised")  # of profile 3, where none is shown
    assert service._parts.link_settings().basic_auth_password == "the-new-Password_2"
    service.on_link_failed(basic, "HTTP 401", "unauthorised")
    shown.append(service._parts.link_settings().basic_auth_password)
    service.on_link_up(basic)
    assert shown == ["the-old-Password_1", "the-new-Password_2", "the-old-Password_1"]
    assert service._parts.model.get(keys.BASIC_AUTH_PASSWORD) == "the-old-Password_1"  # A01.FR.04
    assert service.told == ["FailedToAuthenticateAtCsms", "ReconfigurationOfSecurityParameters"]


@pytest.mark.parametrize("kind", ["refused", "timeout", "dns", "unreachable", "protocol"])
def test_a_csms_that_is_away_is_none(service: RecordingService, kind: Any) -> None:
    service.on_link_failed(PROFILE, "gone", kind)
    assert service.told == []


def _two_certificates(service: RecordingService) -> None:
    store, root = service._parts.certificates, Pki()
    store.install_root("CSMSRootCertificate", root.pem, None)
    for _ in range(2):
        store.install_chain(root.sign_request(store.request("SN-1", "O")), None, "SN-1")


def _used(service: RecordingService, profile: NetworkProfile, reason: str, kind: Any) -> list[str]:
    """The certificate of each of five attempts that fail."""
    used = []
    for _ in range(5):
        assert service._parts.certificates.station_file is not None
        used.append(service._parts.certificates.station_file.stem)
        service.on_link_failed(profile, reason, kind)
    return used


def test_two_certificates_take_turns_by_rounds_of_attempts(service: RecordingService) -> None:
    _two_certificates(service)
    used = _used(service, PROFILE, "TLSV1_ALERT_UNKNOWN_CA", "tls")
    assert used == ["renewed", "renewed", "current", "current", "renewed"]  # A02.FR.28


def test_slots_without_client_certificate_do_not_count(service: RecordingService) -> None:
    _two_certificates(service)
    service._parts._booted_profiles[2] = NetworkProfile(slot=2, url="wss://localhost:9/ocpp", security_profile=2)
    service._parts.model.put(keys.NETWORK_CONFIGURATION_PRIORITY, ("1", "2"))
    assert _used(service, service._parts._booted_profiles[2], "HTTP 503", "refused") == ["renewed"] * 5
    used = _used(service, PROFILE, "TLSV1_ALERT_UNKNOWN_CA", "tls")
    assert used == ["renewed", "renewed", "current", "current", "renewed"]


@pytest.mark.parametrize("kind", ["dns", "unreachable"])
def test_an_outage_does_not_cost_the_renewed_certificate(service: RecordingService, kind: str) -> None:
    _two_certificates(service)
    assert _used(service, PROFILE, "gone", kind) == ["renewed"] * 5
