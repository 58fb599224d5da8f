# SPDX-License-Identifier: Apache-2.0
"""Who may sign firmware, and whether a signature is good.

A firmware signing certificate is issued directly by an installed manufacturer root (L01 remarks: no intermediates),
valid now, no authority itself, and made for signing (L01.FR.12). Signatures are over the SHA-256 of the whole file
(L01.FR.09): RSA-PSS with RSA keys (L01.FR.04), ECDSA with elliptic-curve keys. The specification's ECSchnorr is
offered by no common tool or library and is not taken; what the field signs with is ECDSA.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware.errors import ImageError

__all__ = ["check_signer", "decode_signature", "load_certificate", "sign_digest", "verify_digest"]

_T = TypeVar("_T", bound=x509.ExtensionType)
_LEAST_RSA_BITS = 2048
_LEAST_EC_BITS = 224
_PURPOSES = {ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}
_GOOD_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)
"""What a certificate may insist on (RFC 5280, 4.2)."""
_SHA256 = Prehashed(hashes.SHA256())


def load_certificate(pem: bytes) -> x509.Certificate:
    """Exactly one certificate in PEM; raises `ImageError`."""
    try:
        certificates = x509.load_pem_x509_certificates(pem)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ImageError("the signing certificate can't be read") from error
    if len(certificates) != 1:
        raise ImageError("one signing certificate, without a chain, is expected")
    return certificates[0]


def check_signer(pem: bytes, roots: Iterable[bytes], *, utc: float | None) -> None:
    """Is this a firmware signing certificate of one of the manufacturer roots (PEM)? Raises `ImageError` if not.

    `utc` is the time to judge validity by, in seconds since 1970; None leaves it out, as long as no clock is set.
    """
    certificate = load_certificate(pem)
    try:
        _check_purpose(certificate)
        _check_key(certificate)
        if not any(_issued_by(certificate, root, utc) for root in _load_roots(roots)):
            raise ImageError("the signing certificate comes from no installed manufacturer root")
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise ImageError("the signing certificate is malformed") from error
    if not _valid(certificate, utc):
        raise ImageError("the signing certificate has expired, or is not valid yet")


def _load_roots(roots: Iterable[bytes]) -> list[x509.Certificate]:
    loaded: list[x509.Certificate] = []
    for pem in roots:
        try:
            loaded += x509.load_pem_x509_certificates(pem)
        except ValueError:
            continue  # a damaged root vouches for nobody
    return loaded


def _issued_by(certificate: x509.Certificate, root: x509.Certificate, utc: float | None) -> bool:
    if not _valid(root, utc) or not isinstance(certificate.signature_hash_algorithm, _GOOD_HASHES):
        return False
    constraints = _extension(root, x509.BasicConstraints)
    if constraints is None or not constraints.ca:
        return False
    try:
        certificate.verify_directly_issued_by(root)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _valid(certificate: x509.Certificate, utc: float | None) -> bool:
    if utc is None:
        return True
    now = datetime.fromtimestamp(utc, UTC)
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _check_purpose(certificate: x509.Certificate) -> None:
    constraints = _extension(certificate, x509.BasicConstraints)
    usage = _extension(certificate, x509.KeyUsage)
    purposes = _extension(certificate, x509.ExtendedKeyUsage)
    if any(each.critical and not isinstance(each.value, _UNDERSTOOD) for each in certificate.extensions):
        raise ImageError("the signing certificate has a critical extension that is not understood")
    if constraints is not None and constraints.ca:
        raise ImageError("the signing certificate is an authority's")
    if usage is not None and not usage.digital_signature:
        raise ImageError("the signing certificate is not for signatures")
    if purposes is not None and not _PURPOSES.intersection(purposes):
        raise ImageError("the signing certificate is for another purpose")


def _check_key(certificate: x509.Certificate) -> None:
    key = certificate.public_key()
    strong = (isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= _LEAST_EC_BITS
    )
    if not strong:
        raise ImageError("the signing certificate's key is too weak, or of another kind")


def _extension(certificate: x509.Certificate, kind: type[_T]) -> _T | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None


def decode_signature(text: str) -> bytes:
    """The bytes of a signature in Base64, as OCPP carries it; raises `ImageError`."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError("the signature is not Base64") from error


def verify_digest(certificate: x509.Certificate, signature: bytes, digest: bytes) -> None:
    """Is `signature` that of this certificate's key over the SHA-256 `digest`? Raises `ImageError` if not."""
    key = certificate.public_key()
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, PSS(MGF1(hashes.SHA256()), PSS.AUTO), _SHA256)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, digest, ec.ECDSA(_SHA256))
        else:
            raise ImageError("the signing certificate's key is of another kind")
    except (InvalidSignature, ValueError) as error:
        raise ImageError("the signature is not this certificate's over this image") from error


def sign_digest(key: object, digest: bytes) -> bytes:
    """The signature of an RSA or elliptic-curve private key over a SHA-256; raises `ImageError` for other keys."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, PSS(MGF1(hashes.SHA256()), PSS.DIGEST_LENGTH), _SHA256)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(digest, ec.ECDSA(_SHA256))
    raise ImageError("only RSA and elliptic-curve keys sign firmware")
