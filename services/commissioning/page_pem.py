# SPDX-License-Identifier: Apache-2.0
"""Makes and checks the content of `page.pem`. Imports `cryptography`: only for a child process (`isolated.py`)."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from firmware.certificate_rules import (
    critical_problem,
    end_entity_problem,
    extension,
    is_signed_by,
    key_problem,
    period_problem,
)
from firmware.clock import CLOCK_FLOOR, format_utc
from services.commissioning.page_file import PageCertificateInfo, first_line

__all__ = ["check", "make"]

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_VALID = timedelta(days=800)
"""Some browsers refuse more than 825 days."""
_EARLY = timedelta(days=1)
_MOST_RSA_BITS = 4096
_MOST_CERTIFICATES = 8
_UNDERSTOOD = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)


def make(names: list[str], utc: float) -> bytes:
    """A self-signed certificate on P-256 for `names` (of hosts, or addresses) from `utc` on."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(utc, UTC).replace(microsecond=0)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"charging station {names[0][:40]}")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLY)
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([_general_name(each) for each in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _content([certificate], key, self_made=True)


def check(chain: str, key: str, utc: float | None) -> bytes:
    """The content for an uploaded chain and its key; raises `ValueError` with what is wrong. `utc` None: no clock."""
    private = _key(key)
    return _content(_chain(chain, private, utc), private, self_made=False)


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _content(chain: list[x509.Certificate], key: PrivateKey, *, self_made: bool) -> bytes:
    leaf = chain[0]
    info = PageCertificateInfo(
        subject=leaf.subject.rfc4514_string(),
        names=_names(leaf),
        not_before=format_utc(leaf.not_valid_before_utc.timestamp()),
        not_after=format_utc(leaf.not_valid_after_utc.timestamp()),
        fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
        self_made=self_made,
    )
    pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return first_line(info) + pem + private


def _names(leaf: x509.Certificate) -> list[str]:
    names = extension(leaf, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _key(pem: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise ValueError("the key has a passphrase: remove it first") from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the key is no private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("the key is neither RSA nor on an elliptic curve")
    return key


def _chain(pem: str, key: PrivateKey, utc: float | None) -> list[x509.Certificate]:
    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise ValueError("the chain is no certificate in PEM") from None
    if len(chain) > _MOST_CERTIFICATES:
        raise ValueError(f"the chain has more than {_MOST_CERTIFICATES} certificates")
    leaf = chain[0]
    wrong = (
        critical_problem(leaf, lambda kind: isinstance(kind, _UNDERSTOOD))
        or key_problem(leaf, most_rsa_bits=_MOST_RSA_BITS)
        or period_problem(leaf, utc, floor=CLOCK_FLOOR)
        or end_entity_problem(leaf, ExtendedKeyUsageOID.SERVER_AUTH)
    )
    if wrong:
        raise ValueError(f"the certificate {wrong}")
    if leaf.public_key() != key.public_key():
        raise ValueError("the key is not that of the first certificate")
    if any(not is_signed_by(lower, upper) for lower, upper in itertools.pairwise(chain)):
        raise ValueError("each certificate must be signed by the one after it")
    return chain
