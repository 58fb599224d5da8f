# SPDX-License-Identifier: Apache-2.0
"""What a certificate must be before the station takes it (A00.FR.501 to .511, A02.FR.06, M05.FR.07).

Everything here judges input of strangers: each function either returns or raises `CertificateError` with one precise
reason, and its time is bounded by the limits below. `utc` is the station's time in seconds since 1970, or None while
nobody has told it: then nothing is decided by dates, save that what ended before this firmware was made has ended.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

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
    "is_signed_by",
    "parse",
    "public_key_of",
]

MAX_CHAIN: Final = 6
"""Certificates in one chain: the longest hierarchies in use have four."""
_EARLY_S: Final = 60.0
"""By so much our clock and the CSMS's may differ at the start of a period (A02.FR.06, note)."""
_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]*-----END CERTIFICATE-----")
_WEAK_DIGESTS = ("md5", "sha1", "md2", "md4")


def parse(pem: str, *, limit: int = MAX_CHAIN) -> list[Certificate]:
    """The certificates in a PEM text, in order."""
    from cryptography import x509

    text = pem.encode()
    if b"PRIVATE KEY" in text:
        raise CertificateError("a private key does not belong into a message")
    blocks = _PEM.findall(text)
    if not blocks:
        raise CertificateError("there is no certificate in PEM format in it")  # A00.FR.507
    if len(blocks) > limit:
        raise CertificateError(f"{len(blocks)} certificates, where at most {limit} may be")
    try:
        with warnings.catch_warnings(action="ignore"):  # of what `check_sound` refuses
            return [x509.load_pem_x509_certificate(block) for block in blocks]
    except (ValueError, TypeError, x509.InvalidVersion) as error:
        raise CertificateError(f"the certificate can't be read: {_brief(error)}") from error


def check_sound(certificate: Certificate) -> None:
    """Version, serial number, key, signature algorithm, and no condition that we would not understand."""
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
    for extension in _extensions(certificate):
        if extension.critical and isinstance(extension.value, beyond_us):
            raise CertificateError(f"critical extension {extension.oid.dotted_string} is not understood")


def _check_digest(certificate: Certificate) -> None:
    """A00.FR.504, A00.FR.506: MD5 and SHA-1 don't sign anything here."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        digest = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise CertificateError("the signature algorithm is not known") from error
    if digest is not None and digest.name in _WEAK_DIGESTS:
        raise CertificateError(f"signed with {digest.name}, which is no longer secure")


def public_key_of(certificate: Certificate) -> Any:
    """The public key, which must be RSA of 2048 bits or an elliptic curve of 224 bits or more (A00.FR.501 to .503)."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise CertificateError("the public key is not of a known kind") from error
    match key:
        case rsa.RSAPublicKey() if not 2048 <= key.key_size <= 8192:
            raise CertificateError(f"an RSA key of {key.key_size} bits is not accepted")
        case ec.EllipticCurvePublicKey() if key.curve.key_size < 224:
            raise CertificateError(f"an elliptic curve of {key.curve.key_size} bits is too small")
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey() | ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey():
            return key
        case _:
            raise CertificateError("the public key is not of an accepted kind")


def check_period(certificate: Certificate, utc: float | None) -> None:
    """A02.FR.06: today is within the validity period."""
    start = certificate.not_valid_before_utc.timestamp()
    end = certificate.not_valid_after_utc.timestamp()
    if end < (CLOCK_FLOOR if utc is None else utc):
        raise CertificateError("the certificate has expired")
    if utc is not None and start > utc + _EARLY_S:
        raise CertificateError("the certificate is not valid yet")


def check_authority(certificate: Certificate) -> None:
    """May it sign certificates (RFC 5280, 4.2.1.3 and 4.2.1.9)?"""
    from cryptography import x509

    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        raise CertificateError("not the certificate of a certificate authority")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        raise CertificateError("its key may not be used to sign certificates")


def check_station(certificate: Certificate, common_name: str) -> None:
    """Subject and purposes of a charging station's certificate (A00.FR.511, .512)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    if not _attribute(certificate, "organizationName"):
        raise CertificateError("the subject has no organization name")  # A00.FR.509
    if _attribute(certificate, "commonName") != [common_name]:
        raise CertificateError("the common name is not this station's serial number")
    constraints = _extension(certificate, x509.BasicConstraints)
    if constraints is not None and constraints.ca:
        raise CertificateError("the certificate of an authority can't be a station's")
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.digital_signature:
        raise CertificateError("its key may not be used for signatures, which TLS needs")
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    allowed = {ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
    if purposes is not None and not allowed.intersection(purposes):
        raise CertificateError("its purposes do not include the authentication of clients")


def check_path(chain: Sequence[Certificate], roots: Sequence[Certificate], utc: float | None) -> list[Certificate]:
    """The chain, leaf first, leads over its intermediates to one of `roots` (RFC 5280, section 6).

    Gives the path without the root, each certificate followed by its issuer, as TLS 1.2 wants it (RFC 5246, 7.4.2).
    """
    current, rest, path = chain[0], list(chain[1:]), [chain[0]]
    for depth in range(MAX_CHAIN):
        root = next((root for root in roots if is_signed_by(current, root)), None)
        if root is not None:
            check_period(root, utc)
            _check_length(root, depth)
            return path
        issuer = next((candidate for candidate in rest if is_signed_by(current, candidate)), None)
        if issuer is None:
            break
        check_sound(issuer)
        check_authority(issuer)
        check_period(issuer, utc)
        _check_length(issuer, depth)
        rest.remove(issuer)
        path.append(issuer)
        current = issuer
    raise CertificateError("it does not lead to an installed CSMS root certificate")


def _check_length(authority: Certificate, below: int) -> None:
    """`below`: authorities between it and the leaf."""
    from cryptography import x509

    constraints = _extension(authority, x509.BasicConstraints)
    if constraints is not None and constraints.path_length is not None and below > constraints.path_length:
        raise CertificateError("the chain is longer than one of its authorities allows")


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether names and signature say so."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _attribute(certificate: Certificate, name: str) -> list[str]:
    from cryptography.x509.oid import NameOID

    oid = {"organizationName": NameOID.ORGANIZATION_NAME, "commonName": NameOID.COMMON_NAME}[name]
    try:
        return [str(value.value) for value in certificate.subject.get_attributes_for_oid(oid)]
    except ValueError as error:
        raise CertificateError("the subject can't be read") from error


def _extensions(certificate: Certificate) -> Any:
    from cryptography import x509

    try:
        return certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise CertificateError(f"its extensions can't be read: {_brief(error)}") from error


def _extension(certificate: Certificate, kind: Any) -> Any:
    return next((found.value for found in _extensions(certificate) if isinstance(found.value, kind)), None)


def _brief(error: Exception) -> str:
    """What the parser says, in a few words and without what the stranger wrote."""
    return re.sub(r"[^A-Za-z0-9 .,:_-]", "", str(error) or type(error).__name__)[:80]
