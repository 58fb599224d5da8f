# SPDX-License-Identifier: Apache-2.0
"""The page's own certificate: made, renewed, replaced, and every odd kind of one refused."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.clock import CLOCK_FLOOR, parse_utc
from firmware.errors import ConfigError
from services.commissioning.certificate import PageCertificate, own_names
from services.commissioning.isolated import ChildError, isolated
from services.commissioning.page_file import PageCertificateInfo, read_first_line
from services.commissioning.page_pem import PrivateKey, check
from tests.support.clock import ManualClock
from tests.support.commissioning import Browser, Served

UTC_S = ManualClock().utc()
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "station.example")])
EC_KEY = ec.generate_private_key(ec.SECP256R1())
WEAK_KEY = rsa.generate_private_key(65537, 1024)
Change = Callable[[x509.CertificateBuilder], x509.CertificateBuilder]


def pem_of(key: PrivateKey | ed25519.Ed25519PrivateKey, password: bytes | None = None) -> str:
    protection = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, protection).decode()


def certificate(
    change: Change = lambda builder: builder, *, key: PrivateKey = EC_KEY, begins: timedelta = timedelta(days=-1)
) -> str:
    now = datetime.fromtimestamp(UTC_S, UTC)
    builder = x509.CertificateBuilder(NAME, NAME, key.public_key(), x509.random_serial_number())
    builder = builder.not_valid_before(now + begins).not_valid_after(now + begins + timedelta(days=30))
    return change(builder).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def with_(extension: x509.ExtensionType, *, critical: bool = False) -> Change:
    return lambda builder: builder.add_extension(extension, critical)


# --- one of our own ---------------------------------------------------------------------------------------------------


async def test_the_first_start_makes_one_for_this_host(tmp_path: Path) -> None:
    page = PageCertificate(tmp_path, ManualClock(), ["charger.example"])
    await page.open()
    info = page.info
    assert info.self_made
    assert set(own_names(["charger.example"])) == set(info.names)
    assert {"charger.example", "localhost", "127.0.0.1", "::1"} <= set(info.names)
    assert (tmp_path / "page.pem").stat().st_mode & 0o777 == 0o600
    leaf = x509.load_pem_x509_certificate((tmp_path / "page.pem").read_bytes())
    key = leaf.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert isinstance(key.curve, ec.SECP256R1)
    again = PageCertificate(tmp_path, ManualClock(), [])
    await again.open()
    assert again.info == info


async def test_a_station_whose_clock_is_not_set_makes_one_that_is_valid_later(tmp_path: Path) -> None:
    page = PageCertificate(tmp_path, ManualClock(utc=0.0), [])
    await page.open()
    assert parse_utc(page.info.not_before) < CLOCK_FLOOR < parse_utc(page.info.not_after)


async def test_one_of_our_own_is_renewed_before_it_ends(tmp_path: Path) -> None:
    page = PageCertificate(tmp_path, ManualClock(), [])
    await page.open()
    before, end = page.info.fingerprint, parse_utc(page.info.not_after)
    later = PageCertificate(tmp_path, ManualClock(utc=end - 86_400.0), [])
    await later.open()
    assert later.info.fingerprint != before


@pytest.mark.parametrize("utc", [4e9, 9e9])
async def test_one_that_was_made_while_the_clock_was_ahead_is_replaced(tmp_path: Path, utc: float) -> None:
    ahead = PageCertificate(tmp_path, ManualClock(utc=utc), [])
    await ahead.open()
    page = PageCertificate(tmp_path, ManualClock(), [])
    await page.open()
    assert page.info.fingerprint != ahead.info.fingerprint
    assert parse_utc(page.info.not_before) < UTC_S
    for clock in (ManualClock(), ManualClock(utc=0.0)):
        again = PageCertificate(tmp_path, clock, [])
        await again.open()
        assert again.info.fingerprint == page.info.fingerprint


async def test_a_damaged_file_is_named_and_kept(tmp_path: Path) -> None:
    (tmp_path / "page.pem").write_text("# {}\nnonsense")
    with pytest.raises(ConfigError, match=r"page\.pem is damaged"):
        await PageCertificate(tmp_path, ManualClock(), []).open()
    assert (tmp_path / "page.pem").read_text() == "# {}\nnonsense"


async def test_a_child_that_dies_is_an_error_and_not_the_end() -> None:
    with pytest.raises(ChildError):
        await isolated(lambda: os._exit(3))
    with pytest.raises(ValueError, match="no"):
        await isolated(_refusing)
    assert await isolated(lambda: b"yes") == b"yes"


def _refusing() -> bytes:
    raise ValueError("no")


# --- uploaded ---------------------------------------------------------------------------------------------------------


def test_a_good_one_is_taken_as_it_is() -> None:
    names = x509.SubjectAlternativeName([x509.DNSName("station.example")])
    content = check(certificate(with_(names)), pem_of(EC_KEY), UTC_S)
    info = read_first_line(content)
    assert (info.subject, info.names, info.self_made) == ("CN=station.example", ["station.example"], False)


@pytest.mark.parametrize(
    ("chain", "key", "says"),
    [
        ("", pem_of(EC_KEY), "no certificate in PEM"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", pem_of(EC_KEY), "no certificate in PEM"),
        ("\0\xff<script>", pem_of(EC_KEY), "no certificate in PEM"),
        (certificate(), "", "no private key in PEM"),
        (certificate(), certificate(), "no private key in PEM"),
        (certificate(), pem_of(EC_KEY, b"secret"), "passphrase"),
        (certificate(), pem_of(ed25519.Ed25519PrivateKey.generate()), "neither RSA nor"),
        (certificate(), pem_of(ec.generate_private_key(ec.SECP256R1())), "not that of the first certificate"),
        (certificate(key=WEAK_KEY), pem_of(WEAK_KEY), "1024 bits, which is too weak"),
        (certificate(begins=timedelta(days=-31)), pem_of(EC_KEY), "has expired"),
        (certificate(begins=timedelta(days=1)), pem_of(EC_KEY), "is not valid yet"),
        (certificate(with_(x509.BasicConstraints(True, None))), pem_of(EC_KEY), "authority's"),
        (
            certificate(with_(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]))),
            pem_of(EC_KEY),
            "another purpose than server authentication",
        ),
        (
            certificate(with_(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"x"), critical=True)),
            pem_of(EC_KEY),
            "critical extension 1.2.3.4",
        ),
        (certificate() + certificate(key=WEAK_KEY), pem_of(EC_KEY), "signed by the one after it"),
        (certificate() * 9, pem_of(EC_KEY), "more than 8 certificates"),
    ],
)
def test_odd_ones_are_refused_with_the_reason(chain: str, key: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        check(chain, key, UTC_S)


async def shown(page: Served) -> str:
    """The fingerprint of the certificate that a new connection is shown."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", page.service.server.port, ssl=context)
    found: bytes = writer.get_extra_info("ssl_object").getpeercert(True)
    writer.close()
    return x509.load_der_x509_certificate(found).fingerprint(hashes.SHA256()).hex()


async def test_an_upload_counts_at_once_and_without_a_restart(page: Served, installer: Browser) -> None:
    answer = await installer.call("PUT", "/api/page-certificate", {"chain": certificate(), "key": pem_of(EC_KEY)})
    assert answer.status == 200
    assert await shown(page) == answer.content["fingerprint"]
    assert (await installer.get("/api/status")).content["page_certificate"]["subject"] == "CN=station.example"


async def test_a_refused_upload_changes_nothing(page: Served, installer: Browser) -> None:
    before = await shown(page)
    answer = await installer.call("PUT", "/api/page-certificate", {"chain": certificate(), "key": "x"})
    assert (answer.status, answer.error) == (400, "certificate_refused")
    big = {"chain": "x" * 40_000, "key": "y"}
    assert (await installer.call("PUT", "/api/page-certificate", big)).error == "malformed"
    assert await shown(page) == before


async def test_a_full_disk_keeps_the_old_one(page: Served, installer: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = await shown(page)
    monkeypatch.setattr("firmware.files.write_new", full)
    answer = await installer.call("PUT", "/api/page-certificate", {"chain": certificate(), "key": pem_of(EC_KEY)})
    assert (answer.status, answer.error) == (507, "storage")
    assert await shown(page) == before


def test_a_host_that_no_certificate_can_name_has_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "Säule 7")
    assert own_names([])[:2] == ["localhost", "127.0.0.1"]


async def test_no_answer_and_no_log_has_the_key(
    page: Served, installer: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    key = pem_of(EC_KEY)
    with caplog.at_level("DEBUG"):
        answer = await installer.call("PUT", "/api/page-certificate", {"chain": certificate(), "key": key})
    secret = key.splitlines()[1]
    assert secret not in str(answer.content)
    assert secret not in caplog.text


def test_the_first_line_says_what_is_in_it() -> None:
    assert isinstance(read_first_line(check(certificate(), pem_of(EC_KEY), None)), PageCertificateInfo)
