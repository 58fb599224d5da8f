# SPDX-License-Identifier: Apache-2.0
"""Certificates as tests need them: sound ones, and each with one thing wrong."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["START", "Pki", "name", "pem"]

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
"""Where `ManualClock` starts: what a test calls today."""


def name(common_name: str, organization: str | None = "Test Operator") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()


@dataclass
class Pki:
    """An authority. `now` is the middle of the validity of what it signs."""

    common_name: str = "Test Root"
    now: datetime = START
    parent: Pki | None = None
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate = field(init=False)

    def __post_init__(self) -> None:
        signer = self.parent or self
        self.certificate = self.builder(
            name(self.common_name), self.key.public_key(), issuer=name(signer.common_name), ca=True, days=3650
        ).sign(signer.key, hashes.SHA256())

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def builder(
        self,
        subject: x509.Name,
        key: Any,
        *,
        issuer: x509.Name | None = None,
        ca: bool = False,
        days: float = 365,
        starts: float = -1,
    ) -> x509.CertificateBuilder:
        """`starts` and `days`: from when and how long, in days from `now`."""
        start = self.now + timedelta(days=starts)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or name(self.common_name))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )

    def sign(self, builder: x509.CertificateBuilder, digest: Any = None) -> x509.Certificate:
        return builder.sign(self.key, digest or hashes.SHA256())

    def sign_request(
        self,
        csr: str,
        *,
        change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
        subject: x509.Name | None = None,
        **period: Any,
    ) -> str:
        """The certificate for a CSR, as PEM; `change` has the last word."""
        request = x509.load_pem_x509_csr(csr.encode())
        return pem(self.sign(change(self.builder(subject or request.subject, request.public_key(), **period))))

    def server(
        self,
        folder: Path,
        host: str = "localhost",
        *,
        alternative: str | None = "same",
        key: Any = None,
        **period: Any,
    ) -> tuple[Path, Path]:
        """Files of a server's certificate and key; `alternative` None: the host is only in the common name."""
        own = key or ec.generate_private_key(ec.SECP256R1())
        builder = self.builder(name(host), own.public_key(), **period)
        if alternative is not None:
            dns = host if alternative == "same" else alternative
            names: list[x509.GeneralName] = [x509.DNSName(dns)]
            if dns == "localhost":
                names.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = self.sign(builder.add_extension(usage, critical=False))
        chain, private = folder / "server.pem", folder / "server.key"
        chain.write_text(pem(certificate) + ("" if self.parent is None else self.pem))
        private.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return chain, private
