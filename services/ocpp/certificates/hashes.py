# SPDX-License-Identifier: Apache-2.0
"""CertificateHashDataType (part 2, 2.6): how OCPP names a certificate, as OCSP does (RFC 6960, 4.1.1).

Pure, but for `cryptography`'s certificate objects.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

__all__ = ["ALGORITHMS", "HashData", "hash_data", "key_bits", "same_serial"]

ALGORITHMS = ("SHA256", "SHA384", "SHA512")


class HashData(Struct, frozen=True):
    """Issuer and serial number of a certificate; hashes in lower-case hexadecimal."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    def matches(self, other: HashData) -> bool:
        """Whether both name the same certificate, in any spelling of hexadecimal numbers."""
        return (
            self.algorithm == other.algorithm
            and self.issuer_name_hash.casefold() == other.issuer_name_hash.casefold()
            and self.issuer_key_hash.casefold() == other.issuer_key_hash.casefold()
            and same_serial(self.serial_number, other.serial_number)
        )


def same_serial(one: str, other: str) -> bool:
    """Hexadecimal serial numbers, whose leading zeros and letters' case do not matter."""
    return one.casefold().lstrip("0") == other.casefold().lstrip("0")


def hash_data(certificate: Certificate, issuer_key: bytes, algorithm: str = "SHA256") -> HashData:
    """The hash data of `certificate`; `issuer_key` are the issuer's `key_bits`. `ValueError`: unknown algorithm."""
    if algorithm not in ALGORITHMS:
        raise ValueError(f"unknown hash algorithm {algorithm!r}")
    digest = algorithm.lower()
    return HashData(
        algorithm,
        hashlib.new(digest, certificate.issuer.public_bytes()).hexdigest(),
        hashlib.new(digest, issuer_key).hexdigest(),
        f"{certificate.serial_number:x}",
    )


def key_bits(certificate: Certificate) -> bytes:
    """The value of the subject public key's bit string, without tag, length and count of unused bits.

    Taken from the certificate's own bytes (version 3; RFC 5280, 4.1): a point that is compressed there is hashed
    compressed.
    """
    fields, _ = _element(certificate.tbs_certificate_bytes)
    for _field in ("version", "serialNumber", "signature", "issuer", "validity", "subject"):
        _, fields = _element(fields)
    key_info, _ = _element(fields)
    _algorithm, rest = _element(key_info)
    bit_string, _ = _element(rest)
    return bit_string[1:]


def _element(der: bytes) -> tuple[bytes, bytes]:
    """The content of the first DER element and the bytes after it; `der` is well formed, as it has been parsed."""
    length, start = der[1], 2
    if length & 0x80:
        start = 2 + (length & 0x7F)
        length = int.from_bytes(der[2:start], "big")
    return der[start : start + length], der[start + length :]
