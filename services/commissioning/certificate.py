# SPDX-License-Identifier: Apache-2.0
"""The page's own certificate: self-made at the first start, and whatever is uploaded in its place.

One file, `page.pem`: a line of JSON about it, the chain with the leaf first, the key. It is replaced as a whole. The
line spares every start the import of the `cryptography` package, which takes 10 MB.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import socket
import ssl
import struct
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import msgspec
from msgspec import Struct

from firmware import files
from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, Clock, format_utc, parse_utc
from firmware.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.x509 import Certificate, GeneralName

    PrivateKey: TypeAlias = EllipticCurvePrivateKey | RSAPrivateKey

__all__ = ["BadCertificate", "PageCertificate", "PageCertificateInfo", "own_names"]

MOST_BYTES = 32 * 1024
_VALID = timedelta(days=800)
"""Some browsers refuse more than 825 days."""
_RENEW_S = 30 * 86_400.0
_EARLY = timedelta(days=1)
_SIOCGIFADDR = 0x8915
_COMMENT = b"# "


class BadCertificate(Exception):
    """Why a certificate can't be used, as a sentence."""


class PageCertificateInfo(Struct, frozen=True):
    """The certificate that browsers are shown; `fingerprint` is SHA-256 of its leaf, hexadecimal."""

    subject: str
    names: list[str]
    not_before: str
    not_after: str
    fingerprint: str
    self_made: bool


class PageCertificate:
    """The certificate in `folder`, and the TLS context that uses it."""

    def __init__(self, folder: Path, clock: Clock, names: list[str]) -> None:
        self._file = folder / "page.pem"
        self._clock = clock
        self._names = names
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self.context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        self.context.set_alpn_protocols(["http/1.1"])
        self._info: PageCertificateInfo | None = None

    @property
    def info(self) -> PageCertificateInfo:
        assert self._info is not None
        return self._info

    def open(self) -> None:
        """Load the certificate; make one if there is none, or a self-made one ends soon.

        Raises `ConfigError`, `OSError`.
        """
        try:
            first, _, _ = self._file.read_bytes().partition(b"\n")
            info = msgspec.json.decode(first.removeprefix(_COMMENT), type=PageCertificateInfo)
            self.context.load_cert_chain(self._file)
        except FileNotFoundError:
            self.make()
        except (msgspec.DecodeError, ssl.SSLError):
            raise ConfigError(f"{self._file} is damaged: remove it, and a new certificate is made") from None
        else:
            self._info = info
            if info.self_made and self._ends_soon(info):
                self.make()

    def _ends_soon(self, info: PageCertificateInfo) -> bool:
        return parse_utc(info.not_after) - self._clock.utc() < _RENEW_S

    def make(self) -> None:
        """Make a self-signed certificate for this host's names and addresses."""
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        names = own_names(self._names)
        # A station whose clock is not set must not make a certificate that has already expired.
        now = datetime.fromtimestamp(min(max(self._clock.utc(), CLOCK_FLOOR), CLOCK_CEILING), UTC).replace(
            microsecond=0
        )
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "charging station " + names[0][:40])])
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
        self._store([certificate], key, self_made=True)

    def replace(self, chain: str, key: str) -> None:
        """Use an uploaded chain, leaf first, and its key without a passphrase. Raises `BadCertificate`, `OSError`."""
        self._store(_checked_chain(chain, key_of := _checked_key(key), self._clock.utc()), key_of, self_made=False)

    def _store(self, chain: list[Certificate], key: PrivateKey, *, self_made: bool) -> None:
        from cryptography.hazmat.primitives import hashes, serialization

        leaf = chain[0]
        info = PageCertificateInfo(
            subject=leaf.subject.rfc4514_string(),
            names=_names_in(leaf),
            not_before=format_utc(leaf.not_valid_before_utc.timestamp()),
            not_after=format_utc(leaf.not_valid_after_utc.timestamp()),
            fingerprint=leaf.fingerprint(hashes.SHA256()).hex(),
            self_made=self_made,
        )
        pem = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in chain)
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.replace(self._file, _COMMENT + msgspec.json.encode(info) + b"\n" + pem + private)
        self.context.load_cert_chain(self._file)
        self._info = info


def own_names(more: list[str]) -> list[str]:
    """The host's names and addresses, without those of single links."""
    host = socket.gethostname()
    found = [host, f"{host}.local", "localhost", *more, "127.0.0.1", "::1", *_ipv4_addresses(), *_ipv6_addresses()]
    return list(dict.fromkeys(each for each in found if each))


def _ipv4_addresses() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):  # it has none
                request = struct.pack("256s", name.encode()[:15])
                found.append(socket.inet_ntoa(fcntl.ioctl(any_socket, _SIOCGIFADDR, request)[20:24]))
    return found


def _ipv6_addresses() -> list[str]:
    try:
        lines = Path("/proc/self/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    found = [ip_address(bytes.fromhex(line.split()[0])) for line in lines]
    return [str(each) for each in found if not each.is_link_local]


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names_in(leaf: Certificate) -> list[str]:
    from cryptography import x509

    from firmware.certificate_rules import extension

    names = extension(leaf, x509.SubjectAlternativeName)
    if names is None:
        return []
    return [*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))]


def _checked_key(pem: str) -> PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric import ec, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(pem.encode(), None)
    except TypeError:
        raise BadCertificate("the key has a passphrase: remove it first") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate("the key is no private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise BadCertificate("the key is neither RSA nor on an elliptic curve")
    return key


def _checked_chain(pem: str, key: PrivateKey, utc: float) -> list[Certificate]:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    from firmware.certificate_rules import (
        critical_problem,
        end_entity_problem,
        is_signed_by,
        key_problem,
        period_problem,
    )

    try:
        chain = x509.load_pem_x509_certificates(pem.encode())
    except ValueError:
        raise BadCertificate("the chain is no certificate in PEM") from None
    leaf = chain[0]
    understood = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    wrong = (
        critical_problem(leaf, lambda kind: isinstance(kind, understood))
        or key_problem(leaf, most_rsa_bits=4096)
        or period_problem(leaf, utc if utc >= CLOCK_FLOOR else None, floor=CLOCK_FLOOR)
        or end_entity_problem(leaf, ExtendedKeyUsageOID.SERVER_AUTH)
    )
    if wrong:
        raise BadCertificate(f"the certificate {wrong}")
    if leaf.public_key() != key.public_key():
        raise BadCertificate("the key is not that of the first certificate")
    if any(not is_signed_by(lower, upper) for lower, upper in itertools.pairwise(chain)):
        raise BadCertificate("each certificate must be signed by the one after it")
    return chain
