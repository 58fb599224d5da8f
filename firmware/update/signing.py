# SPDX-License-Identifier: Apache-2.0
"""Who may sign firmware, and whether a signature is valid.

A firmware signing certificate is issued directly by an installed manufacturer root (L01 remarks: no intermediates),
valid now, no authority itself, and made for signing (L01.FR.12). Signatures are over the SHA-256 of the whole file
(L01.FR.09): RSA-PSS with RSA keys (L01.FR.04), ECDSA with elliptic-curve keys. The specification's ECSchnorr is
offered by no common tool or library and is not accepted; the field signs with ECDSA.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.x509.oid import ExtendedKeyUsageOID

from firmware import certificate_rules as rules
from firmware.errors import ImageError

__all__ = ["check_signer", "decode_signature", "load_certificate", "sign_digest", "verify_digest"]

_GOOD_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage)
"""Critical extensions that a signing certificate may have (RFC 5280, 4.2)."""
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

    `utc`, in seconds since 1970, must be within the validity; None skips that check, as long as no clock is set.
    """
    certificate = load_certificate(pem)
    try:
        problem = _problem(certificate, _load_roots(roots), utc)
    except (ValueError, x509.DuplicateExtension, UnsupportedAlgorithm) as error:
        raise ImageError("the signing certificate is malformed") from error
    if problem is not None:
        raise ImageError(f"the signing certificate {problem}")


def _problem(certificate: x509.Certificate, roots: Iterable[x509.Certificate], utc: float | None) -> str | None:
    return (
        rules.critical_problem(certificate, lambda value: isinstance(value, _UNDERSTOOD))
        or rules.end_entity_problem(certificate, ExtendedKeyUsageOID.CODE_SIGNING)
        or rules.key_problem(certificate)
        or _origin_problem(certificate, roots, utc)
        or rules.period_problem(certificate, utc)
    )


def _load_roots(roots: Iterable[bytes]) -> list[x509.Certificate]:
    loaded: list[x509.Certificate] = []
    for pem in roots:
        try:
            loaded += x509.load_pem_x509_certificates(pem)
        except ValueError:
            continue  # an unreadable root
    return loaded


def _origin_problem(certificate: x509.Certificate, roots: Iterable[x509.Certificate], utc: float | None) -> str | None:
    issued = any(_issued_by(certificate, root, utc) for root in roots)
    return None if issued else "comes from no installed manufacturer root"


def _issued_by(certificate: x509.Certificate, root: x509.Certificate, utc: float | None) -> bool:
    return (
        rules.period_problem(root, utc) is None
        and isinstance(certificate.signature_hash_algorithm, _GOOD_HASHES)
        and rules.is_authority(root)
        and rules.is_signed_by(certificate, root)
    )


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
