# SPDX-License-Identifier: Apache-2.0
"""The shell's part in security: what a failed attempt to connect is told as, and which certificate comes next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from firmware import product
from firmware.config import CertificateFiles, FactorySettings, FactoryVariable, NetworkProfile, ServiceConfig
from firmware.errors import ConfigError
from services.ocpp.service import Service
from services.ocpp.signals import SecurityEvent
from tests.support.clock import ManualClock
from tests.support.pki import Pki

PROFILE = NetworkProfile(slot=1, url="wss://localhost:9/ocpp", security_profile=3)
BAD = "InvalidCsmsCertificate: unable to get local issuer certificate"


class Told(Service):
    """Keeps the security events that it would have told the station."""

    def __init__(self, folder: Path, **factory: Any) -> None:
        self.told: list[str] = []
        config = ServiceConfig(
            database=str(folder / "station.db"),
            certificates=str(folder / "certificates"),
            hal_socket=str(folder / "hal.sock"),
            status_socket=str(folder / "status.sock"),
        )
        settings = FactorySettings(identity="CP001", network_profile=[PROFILE], **factory)
        super().__init__(config, settings, product.load("c7am-400-cc"), clock=ManualClock(), firmware_version="1.0.0")

    def _report(self, event: SecurityEvent) -> None:
        self.told.append(event.type)


@pytest.fixture
def service(tmp_path: Path) -> Told:
    attempts = FactoryVariable(component="OCPPCommCtrlr", variable="NetworkProfileConnectionAttempts", value="2")
    return Told(tmp_path, variable=[attempts])


def test_repeated_failures_are_one_event(service: Told) -> None:
    for _ in range(5):
        service.on_link_failed(PROFILE, BAD, "tls")
    assert service.told == ["InvalidCsmsCertificate"]  # A00.FR.316, note
    service.on_link_failed(PROFILE, "InvalidTLSVersion: UNSUPPORTED_PROTOCOL", "tls")
    assert service.told[1:] == ["InvalidTLSVersion"]
    service.on_link_up(PROFILE)
    service.on_link_failed(PROFILE, BAD, "tls")
    assert service.told[2:] == ["InvalidCsmsCertificate"]


def test_a_refused_password_is_an_event(service: Told) -> None:
    service.on_link_failed(PROFILE, "HTTP 401", "unauthorised")
    assert service.told == ["FailedToAuthenticateAtCsms"]


@pytest.mark.parametrize("kind", ["refused", "timeout", "dns", "protocol"])
def test_a_csms_that_is_away_is_none(service: Told, kind: Any) -> None:
    service.on_link_failed(PROFILE, "gone", kind)
    assert service.told == []


def test_two_certificates_take_turns_by_rounds_of_attempts(service: Told) -> None:
    store, root = service._certificates, Pki()
    store.install_root("CSMSRootCertificate", root.pem, None)
    for _ in range(2):
        store.install_chain(root.sign_request(store.request("SN-1", "O")), None, "SN-1")
    used = []
    for _ in range(5):
        assert store.station_file is not None
        used.append(store.station_file.stem)
        service.on_link_failed(PROFILE, "TLSV1_ALERT_UNKNOWN_CA", "tls")
    assert used == ["renewed", "renewed", "current", "current", "renewed"]  # A02.FR.28


def test_factory_certificates_are_read_once(tmp_path: Path) -> None:
    root = Pki()
    file = tmp_path / "root.pem"
    file.write_text(root.pem)
    files = CertificateFiles(csms_root=[str(file)])
    Told(tmp_path, certificates=files)._database.close()
    file.unlink()
    again = Told(tmp_path, certificates=files)
    (kept,) = again._certificates.roots("CSMSRootCertificate")
    assert kept.certificate == x509.load_pem_x509_certificate(root.pem.encode())


def test_a_factory_file_that_is_none_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        Told(tmp_path, certificates=CertificateFiles(csms_root=[str(tmp_path / "nowhere.pem")]))
