# SPDX-License-Identifier: Apache-2.0
"""The bench's authority: its files, what it signs, and what it refuses to sign."""

from __future__ import annotations

import base64
import socket
import ssl
import stat
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.errors import StorageError
from tools.csms.ca import BenchPki, CsrRefused, check_csr
from tools.csms.tls import server_context

SERIAL = "BW-0001"
ORGANIZATION, COMMON_NAME = NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME
GOOD = ((ORGANIZATION, "Operator"), (COMMON_NAME, SERIAL))
_RSA_SHA256, _RSA_SHA1 = (bytes.fromhex(f"06092a864886f70d0101{end}") for end in ("0b", "05"))
CURVE_KEY = ec.generate_private_key(ec.SECP256R1())


def _builder(names: Sequence[tuple[Any, str]] = GOOD, **how: Any) -> x509.CertificateSigningRequestBuilder:
    subject = x509.Name([x509.NameAttribute(kind, text, **how) for kind, text in names])
    return x509.CertificateSigningRequestBuilder().subject_name(subject)


def _der(names: Sequence[tuple[Any, str]] = GOOD, *, key: Any = CURVE_KEY, **how: Any) -> bytes:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return _builder(names, **how).sign(key, algorithm).public_bytes(Encoding.DER)


def _pem(der: bytes) -> str:
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n"


def _rsa(bits: int) -> Any:
    return rsa.generate_private_key(65537, bits)


@pytest.fixture
def pki(tmp_path: Path) -> BenchPki:
    return BenchPki(tmp_path / "pki", "bench.example")


def test_roots_stay_and_the_rest_is_new_at_each_start(pki: BenchPki, tmp_path: Path) -> None:
    def read() -> list[bytes]:
        return [path.read_bytes() for path in (pki.csms_root, pki.manufacturer_root, pki.server, pki.signer)]

    before = read()
    assert BenchPki(tmp_path / "pki", "bench.example").root_pem == pki.root_pem
    after = read()
    assert after[:2] == before[:2]
    assert [new == old for new, old in zip(after[2:], before[2:], strict=True)] == [False, False]
    files = list((tmp_path / "pki").iterdir())
    assert len(files) == 7
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


def test_of_two_first_starts_one_makes_the_roots(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        roots = list(pool.map(lambda _: BenchPki(tmp_path / "pki", "127.0.0.1").root_pem, range(8)))
    assert len(set(roots)) == 1
    assert BenchPki(tmp_path / "pki", "127.0.0.1").root_pem == roots[0]


@pytest.mark.parametrize("content", ["", "no PEM", "\xff"])
def test_a_damaged_root_is_reported_and_not_replaced(pki: BenchPki, tmp_path: Path, content: str) -> None:
    keeper = tmp_path / "pki" / "csms-root.key"
    keeper.write_text(content)
    with pytest.raises(StorageError, match=r"csms-root\.key"):
        BenchPki(tmp_path / "pki", "127.0.0.1")
    assert keeper.read_text() == content


def test_a_key_of_another_certificate_is_reported(pki: BenchPki, tmp_path: Path) -> None:
    keeper, other = tmp_path / "pki" / "csms-root.key", tmp_path / "pki" / "manufacturer-root.pem"
    keeper.write_text(keeper.read_text().partition("-----BEGIN CERT")[0] + other.read_text())
    with pytest.raises(StorageError, match="do not belong together"):
        BenchPki(tmp_path / "pki", "127.0.0.1")


def test_the_server_is_named_after_the_host_and_this_machine(pki: BenchPki) -> None:
    certificate = x509.load_pem_x509_certificate(pki.server.read_bytes())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.root_pem.encode()))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["bench.example", "localhost"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    (common_name,) = certificate.subject.get_attributes_for_oid(COMMON_NAME)
    assert common_name.value == "bench.example"  # A00.FR.510


def test_a_server_on_every_address_is_named_after_this_machine(tmp_path: Path) -> None:
    certificate = x509.load_pem_x509_certificate(BenchPki(tmp_path, "0.0.0.0").server.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert socket.gethostname() in names.get_values_for_type(x509.DNSName)
    assert "0.0.0.0" not in [str(address) for address in names.get_values_for_type(x509.IPAddress)]


def test_suites_and_versions(pki: BenchPki) -> None:
    context = server_context(pki.server, stations_root=pki.root_pem)
    below_1_3 = [suite["name"] for suite in context.get_ciphers() if suite["protocol"] != "TLSv1.3"]
    assert below_1_3 == ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_station_gets_a_station_certificate_whatever_it_requests(pki: BenchPki) -> None:
    request = _builder().add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    csr = request.sign(CURVE_KEY, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
    certificate = x509.load_pem_x509_certificate(pki.sign(csr, SERIAL).encode())
    certificate.verify_directly_issued_by(x509.load_pem_x509_certificate(pki.root_pem.encode()))
    assert [(value.oid, value.value) for value in certificate.subject] == list(GOOD)
    spki = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert certificate.public_key().public_bytes(*spki) == CURVE_KEY.public_key().public_bytes(*spki)
    extensions = certificate.extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]


@pytest.mark.parametrize(
    "csr",
    [
        _pem(_der()),
        _pem(_der(key=_rsa(2048))),
        _pem(_der()).replace("\n", "\r\n"),
        "Subject: a text before it\n" + _pem(_der()),
        _pem(_der(_type=_ASN1Type.BMPString)),
        _pem(_der(((COMMON_NAME, SERIAL), (ORGANIZATION, "Ä & Ö"), (NameOID.COUNTRY_NAME, "DE")))),
    ],
    ids=["P-256", "RSA", "CRLF", "text before it", "BMPString", "other order"],
)
def test_valid_requests(csr: str) -> None:
    check_csr(csr, SERIAL)


def _broken_signature() -> bytes:
    der = bytearray(_der())
    der[-1] ^= 1
    return bytes(der)


@pytest.mark.parametrize(
    ("csr", "why"),
    [
        (_pem(_broken_signature()), "signature is wrong"),
        (_pem(_der().replace(b"BW-0001", b"BW-0002")), "signature is wrong"),
        (_pem(_der(((ORGANIZATION, "Operator"), (COMMON_NAME, "BW-0002")))), "common name"),
        (_pem(_der(((ORGANIZATION, "Operator"), (COMMON_NAME, SERIAL), (COMMON_NAME, "BW-0002")))), "common name"),
        (_pem(_der(((ORGANIZATION, "Operator"), (COMMON_NAME, SERIAL + "\0")))), "common name"),
        (_pem(_der(((ORGANIZATION, "Operator"),))), "common name"),
        (_pem(_der(((COMMON_NAME, SERIAL),))), "organization"),
        (_pem(_der(key=_rsa(1024))), "key is too weak"),
        (_pem(_der(key=ec.generate_private_key(ec.SECP192R1()))), "key is too weak"),
        (_pem(_der(key=ed25519.Ed25519PrivateKey.generate())), "another kind"),
        (_pem(_der(key=_rsa(2048)).replace(_RSA_SHA256, _RSA_SHA1)), "sha1"),
        (_pem(_der().replace(b"Operator", b"\xff" * 8)), "can't be read"),
        (_pem(_der()[:-3]), "can't be read"),
        (_pem(b""), "can't be read"),
        (base64.b64encode(_der()).decode(), "can't be read"),
        (_pem(_der()).replace("CERTIFICATE REQUEST", "CERTIFICATE"), "can't be read"),
        ("", "can't be read"),
        ("\ud800", "can't be read"),
        ("\0" * 5500, "can't be read"),
    ],
)
def test_no_certificate_for_anything_else(pki: BenchPki, csr: str, why: str) -> None:
    with pytest.raises(CsrRefused, match=why):
        pki.sign(csr, SERIAL)
