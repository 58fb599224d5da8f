# SPDX-License-Identifier: Apache-2.0
"""The shell's part in security: what a failed attempt to connect is told as, and which certificate comes next."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from firmware import product
from firmware.config import CertificateFiles, FactorySettings, FactoryVariable, NetworkProfile, ServiceConfig
from firmware.contract import BootCause
from firmware.errors import ConfigError
from services.ocpp import network_profiles
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
        service._model.put(keys.BASIC_AUTH_PASSWORD, password)
        shown.append(service._link_settings().basic_auth_password)
        if password.startswith("the-old"):
            service.on_link_up(basic)
    service.on_link_failed(PROFILE, "HTTP 403", "unauthorised")  # of profile 3, where none is shown
    assert service._link_settings().basic_auth_password == "the-new-Password_2"
    service.on_link_failed(basic, "HTTP 401", "unauthorised")
    shown.append(service._link_settings().basic_auth_password)
    service.on_link_up(basic)
    assert shown == ["the-old-Password_1", "the-new-Password_2", "the-old-Password_1"]
    assert service._model.get(keys.BASIC_AUTH_PASSWORD) == "the-old-Password_1"  # A01.FR.04
    assert service.told == ["FailedToAuthenticateAtCsms", "ReconfigurationOfSecurityParameters"]


def test_the_stations_time_knows_of_the_certificate_of_the_csms(service: RecordingService) -> None:
    utc = ManualClock().utc()
    time = service._context("boot", BootCause.POWER_UP, "SN", 0.0).time
    service._tls.period = utc - 86_400.0, utc + 86_400.0
    time.hear("Heartbeat", utc + 90_000.0, 0.0)
    assert time.utc(0.0) == utc
    time.hear("Heartbeat", utc + 80_000.0, 0.0)
    assert time.utc(0.0) == utc + 80_000.0


@pytest.mark.parametrize("kind", ["refused", "timeout", "dns", "unreachable", "protocol"])
def test_a_csms_that_is_away_is_none(service: RecordingService, kind: Any) -> None:
    service.on_link_failed(PROFILE, "gone", kind)
    assert service.told == []


def _two_certificates(service: RecordingService) -> None:
    store, root = service._certificates, Pki()
    store.install_root("CSMSRootCertificate", root.pem, None)
    for _ in range(2):
        store.install_chain(root.sign_request(store.request("SN-1", "O")), None, "SN-1")


def _used(service: RecordingService, profile: NetworkProfile, reason: str, kind: Any) -> list[str]:
    """The certificate of each of five attempts that fail."""
    used = []
    for _ in range(5):
        assert service._certificates.station_file is not None
        used.append(service._certificates.station_file.stem)
        service.on_link_failed(profile, reason, kind)
    return used


def test_two_certificates_take_turns_by_rounds_of_attempts(service: RecordingService) -> None:
    _two_certificates(service)
    used = _used(service, PROFILE, "TLSV1_ALERT_UNKNOWN_CA", "tls")
    assert used == ["renewed", "renewed", "current", "current", "renewed"]  # A02.FR.28


def test_slots_without_client_certificate_do_not_count(service: RecordingService) -> None:
    _two_certificates(service)
    service._booted_profiles[2] = NetworkProfile(slot=2, url="wss://localhost:9/ocpp", security_profile=2)
    service._model.put(keys.NETWORK_CONFIGURATION_PRIORITY, ("1", "2"))
    assert _used(service, service._booted_profiles[2], "HTTP 503", "refused") == ["renewed"] * 5
    used = _used(service, PROFILE, "TLSV1_ALERT_UNKNOWN_CA", "tls")
    assert used == ["renewed", "renewed", "current", "current", "renewed"]


@pytest.mark.parametrize("kind", ["dns", "unreachable"])
def test_an_outage_does_not_cost_the_renewed_certificate(service: RecordingService, kind: str) -> None:
    _two_certificates(service)
    assert _used(service, PROFILE, "gone", kind) == ["renewed"] * 5


def test_an_expired_certificate_is_shown_all_the_same(service: RecordingService) -> None:
    """A00.FR.430: whether it will do is for the CSMS to say."""
    store, root = service._certificates, Pki()
    store.install_root("CSMSRootCertificate", root.pem, None)
    chain = root.sign_request(store.request("SN-1", "O"), days=2)
    store.install_chain(chain, root.now.timestamp(), "SN-1")
    later = (root.now + timedelta(days=9)).timestamp()
    assert not store.has_valid_station_certificate(later)
    assert service._tls(PROFILE) is not None
    assert store.station_file is not None


def test_factory_certificates_are_read_once(tmp_path: Path) -> None:
    root = Pki()
    file = tmp_path / "root.pem"
    file.write_text(root.pem)
    files = CertificateFiles(csms_root=[str(file)])
    first = RecordingService(tmp_path, certificates=files)
    assert first._model.get(keys.SECURITY_PROFILE) == 3  # A00.FR.004: before anything is said
    first._database.close()
    file.unlink()
    again = RecordingService(tmp_path, certificates=files)
    (kept,) = again._certificates.roots("CSMSRootCertificate")
    assert kept.certificate == x509.load_pem_x509_certificate(root.pem.encode())


def test_a_factory_file_that_is_none_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        RecordingService(tmp_path, certificates=CertificateFiles(csms_root=[str(tmp_path / "nowhere.pem")]))


def test_a_slot_that_the_product_has_not_ends_the_start(tmp_path: Path) -> None:
    """Else the priority would be refused at the next start, and nothing dialled any more."""
    with pytest.raises(ConfigError, match=r"slot 7: .* 1 to 6"):
        RecordingService(tmp_path, replace(PROFILE, slot=7))


def test_a_network_profile_of_the_csms_opens_no_way_to_the_loopback(tmp_path: Path) -> None:
    """Else SetNetworkProfile, Reset and GetLog would lead to what listens on the station itself."""
    real = NetworkProfile(slot=1, url="wss://csms.example/ocpp", security_profile=2)
    first = RecordingService(tmp_path, real)
    network_profiles.store(first._key_values, {1: real, 2: replace(PROFILE, slot=2)})
    first._database.commit()
    first._database.close()
    again = RecordingService(tmp_path, real)
    assert again._booted_profiles[2].url == PROFILE.url
    assert not again._transfer_rules().loopback
    again._database.close()
    assert RecordingService(tmp_path / "bench")._transfer_rules().loopback
