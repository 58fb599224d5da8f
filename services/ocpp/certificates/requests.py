# SPDX-License-Identifier: Apache-2.0
"""Key pairs made on the device, and certificate signing requests for them (A02.FR.02, A02.FR.03).

Keys are ECDSA P-256 (A00.FR.503); `station_keys.py` stores them, and they never leave the station (A02.FR.05).
"""

from __future__ import annotations

from services.ocpp.certificates.errors import CertificateError

__all__ = ["new_key", "signing_request"]


def new_key() -> bytes:
    """A private key as PEM (PKCS #8)."""
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signing_request(key_pem: bytes, common_name: str, organization: str) -> str:
    """A PKCS #10 request (RFC 2986) as PEM; raises `CertificateError` for an impossible subject.

    The subject is the one that the certificate must have: O, the owner (A00.FR.509), and CN, the serial number
    (A00.FR.511).
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
    from cryptography.x509.oid import NameOID

    key = load_pem_private_key(key_pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError("the key is not an elliptic-curve key", "InternalError")
    try:
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
    except ValueError as error:
        raise CertificateError(f"no request can be made for this subject: {error}", "InvalidCSR") from error
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, SHA256())  # A00.FR.506
    return request.public_bytes(Encoding.PEM).decode()
