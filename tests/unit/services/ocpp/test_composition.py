# SPDX-License-Identifier: Apache-2.0
"""What the station is made of: certificates, time, network slots and factory settings as the product wires them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from msgspec.structs import replace

from firmware import product
from firmware.contract import BootCause
from firmware.errors import ConfigError
from firmware.factory_settings import CertificateFiles, FactorySettings, NetworkProfile
from services.ocpp import network_profiles
from services.ocpp.composition import Boot, Composition
from services.ocpp.config import ServiceConfig
from services.ocpp.device_model import keys
from tests.support.clock import ManualClock
from tests.support.pki import Pki

PROFILE = NetworkProfile(slot=1, url="wss://localhost:9/ocpp", security_profile=3)
BOOT = Boot("boot", BootCause.POWER_UP, "SN-1")


def compose(folder: Path, profile: NetworkProfile = PROFILE, **factory: Any) -> Composition:
    config = ServiceConfig(database=str(folder / "station.db"), certificates=str(folder / "certificates"))
    settings = FactorySettings(identity="CP001", network_profile=[profile], **factory)
    return Composition(config, settings, product.load("c7am-400-cc"), clock=ManualClock(), firmware_version="1.0.0")


def test_the_stations_time_knows_of_the_certificate_of_the_csms(tmp_path: Path) -> None:
    utc = ManualClock().utc()
    now = ManualClock().monotonic()
    parts = compose(tmp_path)
    time = parts.context(BOOT).time
    parts.tls.period = utc - 86_400.0, utc + 86_400.0
    time.hear("Heartbeat", utc + 90_000.0, now)
    assert time.utc(now) == utc
    time.hear("Heartbeat", utc + 80_000.0, now)
    assert time.utc(now) == utc + 80_000.0


def test_an_expired_certificate_is_presented_all_the_same(tmp_path: Path) -> None:
    """A00.FR.430: whether to accept it is the CSMS's decision."""
    parts, root = compose(tmp_path), Pki()
    store = parts.certificates
    store.install_root("CSMSRootCertificate", root.pem, None)
    chain = root.sign_request(store.station.request("SN-1", "O"), days=2)
    store.station.install_chain(chain, root.now.timestamp(), "SN-1")
    later = (root.now + timedelta(days=9)).timestamp()
    assert not store.station.has_valid_certificate(later)
    assert parts.tls(PROFILE) is not None
    assert store.station.file is not None


def test_factory_certificates_are_read_once(tmp_path: Path) -> None:
    root = Pki()
    file = tmp_path / "root.pem"
    file.write_text(root.pem)
    files = CertificateFiles(csms_root=[str(file)])
    first = compose(tmp_path, certificates=files)
    assert first.model.get(keys.SECURITY_PROFILE) == 3  # A00.FR.004: before anything is said
    first.database.close()
    file.unlink()
    again = compose(tmp_path, certificates=files)
    (kept,) = again.certificates.roots("CSMSRootCertificate")
    assert kept.certificate == x509.load_pem_x509_certificate(root.pem.encode())


def test_a_missing_factory_certificate_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.pem"):
        compose(tmp_path, certificates=CertificateFiles(csms_root=[str(tmp_path / "nowhere.pem")]))


def test_a_slot_that_the_product_does_not_have_ends_the_start(tmp_path: Path) -> None:
    """Otherwise the next start would refuse the priority, and the station would never dial again."""
    with pytest.raises(ConfigError, match=r"slot 7: .* 1 to 6"):
        compose(tmp_path, replace(PROFILE, slot=7))


def test_an_interface_that_the_board_does_not_have_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"slot 1: there is no network interface Wired3, only Wired0 and Wireless0"):
        compose(tmp_path, replace(PROFILE, interface="Wired3"))


def test_a_network_profile_of_the_csms_opens_no_way_to_the_loopback(tmp_path: Path) -> None:
    """Otherwise SetNetworkProfile, Reset and GetLog would lead to what listens on the station itself."""
    real = NetworkProfile(slot=1, url="wss://csms.example/ocpp", security_profile=2)
    first = compose(tmp_path, real)
    network_profiles.store(first.key_values, {1: real, 2: replace(PROFILE, slot=2)})
    first.database.commit()
    first.database.close()
    again = compose(tmp_path, real)
    assert again.context(BOOT).profiles[2].url == PROFILE.url
    assert not again.transfer_rules().loopback
    again.database.close()
    assert compose(tmp_path / "bench").transfer_rules().loopback
