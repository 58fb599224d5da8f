# SPDX-License-Identifier: Apache-2.0
"""Certificates with one thing wrong: an authority that signs whatever a test asks for, at the tests' own date.

Sound certificates at the machine's date come from `tools.pki.Authority`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from tools.pki import builder, certificate_name, general_name, pem, write_pair

__all__ = ["START", "Pki", "name", "pem"]

START = datetime(2027, 1, 15, 8, tzinfo=UTC)
"""The time at which `ManualClock` starts."""


def name(common_name: str, organization: str | None = "Test Operator") -> x509.Name:
    return certificate_name(common_name, organization)


@dataclass
class Pki:
    """An authority. `now` is within the validity of what it signs, and BasicConstraints the only extension."""

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
        unsigned = builder(
            subject, issuer or name(self.common_name), key, start=start, end=start + timedelta(days=days)
        )
        return unsigned.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)

    def sign(self, builder: x509.CertificateBuilder) -> x509.Certificate:
        return builder.sign(self.key, hashes.SHA256())

    def sign_request(
        self,
        csr: str,
        *,
        change: Callable[[x509.CertificateBuilder], x509.CertificateBuilder] = lambda builder: builder,
        subject: x509.Name | None = None,
        **period: Any,
    ) -> str:
        """The certificate for a CSR, as PEM; `change` is applied last."""
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
        unsigned = self.builder(name(host), own.public_key(), **period)
        if alternative is not None:
            dns = host if alternative == "same" else alternative
            names = [general_name(one) for one in ((dns, "127.0.0.1") if dns == "localhost" else (dns,))]
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
        certificate = self.sign(unsigned.add_extension(usage, critical=False))
        return write_pair(folder, "server", pem(certificate) + ("" if self.parent is None else self.pem), own)
