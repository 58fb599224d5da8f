# SPDX-License-Identifier: Apache-2.0
"""The certificates that this bench knows, to say whose they are and until when.

GetInstalledCertificateIds names certificates by hashes alone (part 2, CertificateHashDataType). The bench recognises
its own roots, those that it has issued, and those that were installed through it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any

from cryptography import x509
from msgspec import Struct

from firmware.clock import format_utc

__all__ = ["CertificateFacts", "KnownCertificates", "facts_of", "split_chain"]

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ALGORITHMS = ("SHA256", "SHA384", "SHA512")
_MAX_CERTIFICATES = 2000


class CertificateFacts(Struct, frozen=True):
    """What a person wants to know of a certificate."""

    subject: str
    issuer: str
    not_before: str
    not_after: str


def split_chain(text: str) -> list[str]:
    """The PEM blocks of a chain."""
    return _PEM.findall(text)


def facts_of(pem: str) -> CertificateFacts:
    """Raises `ValueError` if it is no certificate."""
    return _facts(x509.load_pem_x509_certificate(pem.encode()))


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    return CertificateFacts(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        format_utc(certificate.not_valid_before_utc.timestamp()),
        format_utc(certificate.not_valid_after_utc.timestamp()),
    )


class KnownCertificates:
    """By algorithm, hash of the issuer's name, and serial number."""

    def __init__(self, pems: Iterable[str]) -> None:
        self._facts: dict[tuple[str, str, str], CertificateFacts] = {}
        for pem in pems:
            self.add(pem)

    def add(self, text: str) -> None:
        """A certificate or a chain; what is no certificate is left out."""
        for pem in split_chain(text):
            try:
                certificate = x509.load_pem_x509_certificate(pem.encode())
                facts = _facts(certificate)
            except ValueError:
                continue
            issuer, serial = certificate.issuer.public_bytes(), f"{certificate.serial_number:x}"
            for algorithm in _ALGORITHMS:
                self._facts[algorithm, hashlib.new(algorithm.lower(), issuer).hexdigest(), serial] = facts
        while len(self._facts) > _MAX_CERTIFICATES * len(_ALGORITHMS):
            del self._facts[next(iter(self._facts))]

    def find(self, hash_data: dict[str, Any]) -> CertificateFacts | None:
        """For a CertificateHashDataType in any spelling of hexadecimal numbers."""
        serial = hash_data["serialNumber"].casefold().lstrip("0")
        return self._facts.get((hash_data["hashAlgorithm"], hash_data["issuerNameHash"].casefold(), serial))
