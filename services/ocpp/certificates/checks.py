# SPDX-License-Identifier: Apache-2.0
"""What a certificate must be before the station takes it (A00.FR.501 to .511, A02.FR.06, M05.FR.07).

Everything here checks untrusted input: each function either returns or raises `CertificateError` with one precise
reason, and its time is bounded by the limits below. `utc` is the station's time in seconds since 1970, or None while
it is unknown: then dates decide nothing, except that a certificate which ended before this firmware was made has
expired. The rules that hold for firmware signers as well are in `firmware/certificate_rules.py`.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from firmware import certificate_rules as rules
from firmware.clock import CLOCK_FLOOR
from services.ocpp.certificates.errors import CertificateError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = [
    "check_authority",
    "check_path",
    "check_period",
    "check_sound",
    "check_station",
    "is_valid",
    "parse",
    "public_key_of",
    "to_pem",
]

MAX_CHAIN: Final = 6
"""Certificates in one chain: the longest hierarchies in use have four."""
_MAX_RSA_BITS: Final = 8192
_EARLY_S: Final = 60.0
"""How far our clock and the CSMS's may differ at the start of a period (A02.FR.06, note)."""
_PEM = rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----"
_WEAK_DIGESTS = ("md5", "sha1", "md2", "md4")


def parse(pem: str, *, limit: int = MAX_CHAIN) -> list[Certificate]:
    """The certificates in a PEM text, in order."""
    from cryptography import x509

    text = pem.encode()
    if b"PRIVATE KEY" in text:
        raise CertificateError("it contains a private key")
    blocks = re.findall(_PEM, text)
    if not blocks:
        raise CertificateError("there is no certificate in PEM format in it")  # A00.FR.507
    if len(blocks) > limit:
        raise CertificateError(f"{len(blocks)} certificates; at most {limit} are allowed")
    try:
        with warnings.catch_warnings(action="ignore"):  # of what `check_sound` refuses
            return [x509.load_pem_x509_certificate(block) for block in blocks]
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise CertificateError(f"the certificate can't be read: {rules.brief(error)}") from error


def to_pem(certificate: Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode()


def check_sound(certificate: Certificate) -> None:
    """Version, serial number, key, signature algorithm, and no condition that this station does not understand."""
    from cryptography import x509

    if certificate.version is not x509.Version.v3:
        raise CertificateError("not an X.509 version 3 certificate")  # A00.FR.507
    with warnings.catch_warnings(action="ignore"):
        serial_number = certificate.serial_number
    if not 0 < serial_number < 1 << 160:
        raise CertificateError("the serial number is not a positive number of at most 20 bytes")  # A00.FR.508
    _check_digest(certificate)
    public_key_of(certificate)
    beyond_us = (x509.UnrecognizedExtension, x509.NameConstraints, x509.PolicyConstraints, x509.InhibitAnyPolicy)
    _refuse(rules.critical_problem(certificate, lambda value: not isinstance(value, beyond_us)))


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise CertificateError(f"the certificate {problem}")


def _check_digest(certificate: Certificate) -> None:
    """A00.FR.504, A00.FR.506: no signatures over MD5 or SHA-1."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise CertificateError("the signature algorithm is not known") from error
    if digest is not None and digest.name in _WEAK_DIGESTS:
        raise CertificateError(f"signed with {digest.name}, which is no longer secure")


def public_key_of(certificate: Certificate) -> Any:
    """The public key; raises if it is weak or of another kind (A00.FR.501 to .503)."""
    _refuse(rules.key_problem(certificate, most_rsa_bits=_MAX_RSA_BITS, edwards=True))
    return certificate.public_key()


def check_period(certificate: Certificate, utc: float | None) -> None:
    """A02.FR.06: today is within the validity period."""
    _refuse(_period_problem(certificate, utc))


def _period_problem(certificate: Certificate, utc: float | None) -> str | None:
    return rules.period_problem(certificate, utc, early_s=_EARLY_S, floor=CLOCK_FLOOR)


def is_valid(certificate: Certificate, utc: float | None) -> bool:
    """Whether `check_period` accepts it."""
    return _period_problem(certificate, utc) is None


def check_authority(certificate: Certificate) -> None:
    """May it sign certificates (RFC 5280, 4.2.1.3 and 4.2.1.9)?"""
    from cryptography import x509

    if not rules.is_authority(certificate):
        raise CertificateError("not the certificate of a certificate authority")
    usage = rules.extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise CertificateError("its key may not be used to sign certificates")


def check_station(certificate: Certificate, common_name: str) -> None:
    """Subject and purposes of a charging station's certificate (A00.FR.511, .512)."""
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if not _attribute(certificate, "organizationName"):
        raise CertificateError("the subject has no organization name")  # A00.FR.509
    if _attribute(certificate, "commonName") != [common_name]:
        raise CertificateError("the common name is not this station's serial number")
    _refuse(rules.end_entity_problem(certificate, ExtendedKeyUsageOID.CLIENT_AUTH))


def check_path(chain: Sequence[Certificate], roots: Sequence[Certificate], utc: float | None) -> list[Certificate]:
    """The chain, leaf first, leads over its intermediates to one of `roots` (RFC 5280, section 6).

    Returns the path without the root, each certificate followed by its issuer, as TLS 1.2 requires (RFC 5246, 7.4.2).
    """
    current, rest, path = chain[0], list(chain[1:]), [chain[0]]
    for depth in range(MAX_CHAIN):
        root = next((root for root in roots if rules.is_signed_by(current, root)), None)
        if root is not None:
            check_period(root, utc)
            _check_length(root, depth)
            return path
        issuer = next((candidate for candidate in rest if rules.is_signed_by(current, candidate)), None)
        if issuer is None:
            break
        check_sound(issuer)
        check_authority(issuer)
        check_period(issuer, utc)
        _check_length(issuer, depth)
        rest.remove(issuer)
        path.append(issuer)
        current = issuer
    raise CertificateError("the chain does not lead to an installed CSMS root certificate")


def _check_length(authority: Certificate, below: int) -> None:
    """`below`: the count of authorities between it and the leaf."""
    from cryptography import x509

    constraints = rules.extension(authority, x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and below > constraints.path_length:
        raise CertificateError("the chain is longer than one of its authorities allows")


def _attribute(certificate: Certificate, name: str) -> list[str]:
    from cryptography.x509.oid import NameOID

    oid = {"organizationName": NameOID.ORGANIZATION_NAME, "commonName": NameOID.COMMON_NAME}[name]
    try:
        return [str(value.value) for value in certificate.subject.get_attributes_for_oid(oid)]
    except ValueError as error:
        raise CertificateError("the subject can't be read") from error
