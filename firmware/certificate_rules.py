# SPDX-License-Identifier: Apache-2.0
"""Rules of X.509 that hold for every certificate the station is given (RFC 5280, A00.FR.501 to .512, L01.FR.12).

A rule returns what is wrong as a predicate, to be put after the certificate's name ("has expired"), or None. Where
firmware signers and the certificates of OCPP differ, the difference is an argument. `utc` is in seconds since 1970.
The `cryptography` package is imported when the first certificate is checked: most starts need none of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, ExtensionType, ObjectIdentifier

__all__ = [
    "brief",
    "critical_problem",
    "end_entity_problem",
    "extension",
    "is_authority",
    "is_signed_by",
    "key_problem",
    "period_problem",
]

_T = TypeVar("_T", bound="ExtensionType")
_LEAST_RSA_BITS: Final = 2048
_LEAST_CURVE_BITS: Final = 224
_PURPOSES: Final = {
    "1.3.6.1.5.5.7.3.1": "server authentication",
    "1.3.6.1.5.5.7.3.2": "client authentication",
    "1.3.6.1.5.5.7.3.3": "code signing",
}
"""Extended key usages (RFC 5280, 4.2.1.12), by their OIDs."""


def extension(certificate: Certificate, kind: type[_T]) -> _T | None:
    """The extension of this kind, or None. Readable if `critical_problem` has found nothing wrong."""
    from cryptography import x509

    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def critical_problem(certificate: Certificate, is_understood: Callable[[ExtensionType], bool]) -> str | None:
    """RFC 5280, 4.2: a certificate with a critical extension that is not understood is refused."""
    from cryptography import x509

    try:
        extensions = certificate.extensions
    except (ValueError, TypeError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        return f"has extensions that can't be read: {brief(error)}"
    for each in extensions:
        if each.critical and not is_understood(each.value):
            return f"has the critical extension {each.oid.dotted_string}, which is not understood"
    return None


def key_problem(certificate: Certificate, *, most_rsa_bits: int | None = None, edwards: bool = False) -> str | None:
    """RSA of 2048 bits or an elliptic curve of 224 bits or more (A00.FR.501, A00.FR.502, A00.FR.503).

    `most_rsa_bits` bounds the time that a check takes; `edwards`: Ed25519 and Ed448 are accepted, too.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "has a public key of an unknown kind"
    match key:
        case rsa.RSAPublicKey() if key.key_size < _LEAST_RSA_BITS:
            return f"has an RSA key of {key.key_size} bits, which is too weak"
        case rsa.RSAPublicKey() if most_rsa_bits is not None and key.key_size > most_rsa_bits:
            return f"has an RSA key of {key.key_size} bits, which is too large"
        case ec.EllipticCurvePublicKey() if key.key_size < _LEAST_CURVE_BITS:
            return f"has a key on an elliptic curve of {key.key_size} bits, which is too weak"
        case rsa.RSAPublicKey() | ec.EllipticCurvePublicKey():
            return None
        case ed25519.Ed25519PublicKey() | ed448.Ed448PublicKey() if edwards:
            return None
        case _:
            return "has a public key of a kind that is not accepted"


def period_problem(
    certificate: Certificate, utc: float | None, *, early_s: float = 0.0, floor: float | None = None
) -> str | None:
    """Whether `utc` is outside the validity period, of which the start may lie `early_s` ahead.

    Without a clock (`utc` None) only a certificate that ended before `floor` is refused.
    """
    earliest = floor if utc is None else utc
    if earliest is not None and certificate.not_valid_after_utc.timestamp() < earliest:
        return "has expired"
    if utc is not None and certificate.not_valid_before_utc.timestamp() > utc + early_s:
        return "is not valid yet"
    return None


def is_authority(certificate: Certificate) -> bool:
    """RFC 5280, 4.2.1.9."""
    from cryptography import x509

    constraints = extension(certificate, x509.BasicConstraints)
    return constraints is not None and constraints.ca


def end_entity_problem(certificate: Certificate, purpose: ObjectIdentifier) -> str | None:
    """Not an authority's, and free to sign for `purpose`: usages that are not restricted are allowed (A00.FR.512)."""
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    usage = extension(certificate, x509.KeyUsage)
    purposes = extension(certificate, x509.ExtendedKeyUsage)
    if is_authority(certificate):
        return "is a certificate authority's"
    if usage is not None and not usage.digital_signature:
        return "has a key that may not be used for signatures"
    if purposes is not None and not {purpose, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.intersection(purposes):
        return f"is for another purpose than {_PURPOSES[purpose.dotted_string]}"
    return None


def is_signed_by(certificate: Certificate, issuer: Certificate) -> bool:
    """Whether names and signature say so."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def brief(error: Exception) -> str:
    """What the parser reports, in a few words and with nothing that the sender of the certificate chose."""
    return re.sub(r"[^A-Za-z0-9 .,:_-]", "", str(error) or type(error).__name__)[:80]
