# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: one authority, a CSMS and a station under it, and a stranger; made anew in each folder.

`Trust` is what a station has of them: a store, and the contexts made of it.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from firmware.config import NetworkProfile
from services.ocpp.certificates import CertificateStore
from services.ocpp.csms.tls import CIPHERS, TlsContexts
from tests.support.pki import Pki

__all__ = ["PROFILE_2", "PROFILE_3", "SUITES", "TODAY", "Trust", "contexts", "make_files", "server_context"]

SUITES = tuple(CIPHERS)[:2]
TODAY = datetime.now(UTC)
PROFILE_2 = NetworkProfile(slot=1, url="wss://localhost:1/ocpp", security_profile=2)
PROFILE_3 = NetworkProfile(slot=1, url="wss://localhost:1/ocpp", security_profile=3)


class Trust:
    """A store, and the contexts made of it."""

    def __init__(self, folder: Path) -> None:
        self.root = Pki(now=TODAY)
        self.store = CertificateStore(folder / "certificates")
        self.store.install_root("CSMSRootCertificate", self.root.pem, None)
        self.utc: float | None = TODAY.timestamp()
        self.wildcards = False
        self.contexts = TlsContexts(self.store, SUITES, utc=lambda: self.utc, wildcards=lambda: self.wildcards)
        self.folder = folder

    def server(self, issuer: Pki | None = None, **fields: Any) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*(issuer or self.root).server(self.folder, **fields))
        return context


def contexts(files: Path, folder: Path, *, ca: str = "root") -> TlsContexts:
    """The station's side of TLS, with the authority `ca` and the station certificate of `make_files`."""
    store = CertificateStore(folder)
    store.install_root("CSMSRootCertificate", (files / f"{ca}.pem").read_text(), None)
    store.adopt((files / "station.pem").read_text(), (files / "station.key").read_text())
    return TlsContexts(store, SUITES, utc=lambda: datetime.now(UTC).timestamp())


def make_files(folder: Path) -> Path:
    """Writes root.pem, other-root.pem and NAME.pem with NAME.key for csms (localhost), elsewhere, expired, station."""
    root = ec.generate_private_key(ec.SECP256R1())
    stranger = ec.generate_private_key(ec.SECP256R1())
    _write(folder, "root", _certificate("Test Root", root, "Test Root", root, authority=True), root)
    _write(folder, "other-root", _certificate("Other Root", stranger, "Other Root", stranger, authority=True), stranger)
    for name, host, days in (
        ("csms", "localhost", 10),
        ("elsewhere", "csms.example", 10),
        ("expired", "localhost", -1),
        ("station", "CP001", 10),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, name, _certificate(host, key, "Test Root", root, days=days), key)
    return folder


def server_context(folder: Path, name: str = "csms", *, client_certificates: bool = False) -> ssl.SSLContext:
    """The CSMS's side of TLS, with one of the certificates of `make_files`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    if client_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(folder / "root.pem")
    return context


def _certificate(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    *,
    authority: bool = False,
    days: int = 10,
) -> x509.Certificate:
    end = datetime.now(UTC) + timedelta(days=days)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(end - timedelta(days=20))
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(subject)]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _write(folder: Path, name: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{name}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
