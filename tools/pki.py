# SPDX-License-Identifier: Apache-2.0
"""Certificates for benches, cases and tests, made on the spot: root authorities and what they sign, with ECDSA P-256.

The functions are for certificates that no `Authority` issues: they set the fields that every certificate has.
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import (
    CertificateIssuerPrivateKeyTypes,
    CertificatePublicKeyTypes,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = [
    "Authority",
    "Issued",
    "builder",
    "certificate_name",
    "general_name",
    "is_strong",
    "pem",
    "server_context",
    "use_certificate",
    "write_pair",
]

_ORGANIZATION = "baywatt conformance"


def is_strong(key: object) -> bool:
    """A00.FR.501 to .503: RSA of 2048 bits, or an elliptic curve of 224 bits, or more."""
    return (isinstance(key, rsa.RSAPublicKey) and key.key_size >= 2048) or (
        isinstance(key, ec.EllipticCurvePublicKey) and key.key_size >= 224
    )


class Issued:
    """A certificate with its key."""

    def __init__(
        self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate
    ) -> None:
        self.certificate = certificate
        self.key = key
        self.issuer = issuer

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    @property
    def key_pem(self) -> str:
        return _key_pem(self.key)


def pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _key_pem(key: CertificateIssuerPrivateKeyTypes) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def write_pair(folder: Path, name: str, chain: str, key: CertificateIssuerPrivateKeyTypes) -> tuple[Path, Path]:
    """Write NAME.pem (the chain, as PEM) and NAME.key (mode 0600) into `folder`; returns both paths."""
    chain_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    chain_file.write_text(chain)
    key_file.write_text(_key_pem(key))
    key_file.chmod(0o600)
    return chain_file, key_file


def certificate_name(common_name: str, organization: str | None) -> x509.Name:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        names.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(names)


class Authority:
    """A root authority called `name`, of `organization`, that is signed by `signer` (default: by itself)."""

    issuer: x509.Certificate | None = None

    def __init__(
        self, name: str, organization: str = _ORGANIZATION, *, expired: bool = False, signer: Authority | None = None
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.organization = organization
        subject = certificate_name(name, organization)
        issuer, key = (signer.certificate.subject, signer.key) if signer else (subject, self.key)
        if signer is not None:
            self.issuer = signer.certificate
        start, end = _period(timedelta(days=1), timedelta(hours=-1) if expired else timedelta(days=3650))
        self.certificate: x509.Certificate = (
            builder(subject, issuer, self.key.public_key(), start=start, end=end)
            .add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )

    @classmethod
    def from_pem(cls, text: str) -> Authority:
        """The authority of this `key_and_certificate`; raises `ValueError` when the two do not belong together."""
        authority = cls.__new__(cls)
        authority.certificate = x509.load_pem_x509_certificate(text.encode())
        key = serialization.load_pem_private_key(text.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.certificate.public_key():
            raise ValueError("key and certificate do not belong together")
        authority.key = key
        names = authority.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        authority.organization = str(names[0].value) if names else _ORGANIZATION
        return authority

    @property
    def key_and_certificate(self) -> str:
        """Both in one PEM text, which one file can hold."""
        return _key_pem(self.key) + self.pem

    @property
    def pem(self) -> str:
        return pem(self.certificate)

    def server(self, *hosts: str, expired: bool = False, future: bool = False) -> Issued:
        """A server certificate for `hosts`, names or addresses, by default this machine; `future`: from tomorrow."""
        hosts = hosts or ("localhost", "127.0.0.1")
        subject = certificate_name(hosts[0], self.organization)
        names = [general_name(host) for host in hosts]
        return self._issue(subject, ExtendedKeyUsageOID.SERVER_AUTH, names, expired=expired, future=future)

    def client(self, common_name: str, organization: str) -> Issued:
        """A charging station certificate (A00.FR.403 to .406: O and CN)."""
        return self._issue(certificate_name(common_name, organization), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def firmware_signer(self, *, expired: bool = False) -> Issued:
        """A firmware signing certificate; the authority is a manufacturer root."""
        name = certificate_name("firmware signing", self.organization)
        return self._issue(name, ExtendedKeyUsageOID.CODE_SIGNING, [], expired=expired)

    def sign_request(self, csr_pem: str, *, days: float = 365) -> str:
        """The certificate for a CSR, as PEM; raises `ValueError` when it can't be read or its signature is wrong."""
        request = x509.load_pem_x509_csr(csr_pem.encode())
        if not request.is_signature_valid:
            raise ValueError("the CSR's signature is wrong")
        start, end = _period(timedelta(hours=1), timedelta(days=days))
        unsigned = builder(request.subject, self.certificate.subject, request.public_key(), start=start, end=end)
        return pem(self._sign(unsigned, ExtendedKeyUsageOID.CLIENT_AUTH))

    def _issue(
        self,
        subject: x509.Name,
        usage: x509.ObjectIdentifier,
        names: list[x509.GeneralName],
        *,
        expired: bool = False,
        future: bool = False,
    ) -> Issued:
        key = ec.generate_private_key(ec.SECP256R1())
        start, end = _period(
            timedelta(days=-1) if future else timedelta(days=2),
            timedelta(hours=-1) if expired else timedelta(days=365),
        )
        unsigned = builder(subject, self.certificate.subject, key.public_key(), start=start, end=end)
        if names:
            unsigned = unsigned.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(self._sign(unsigned, usage), key, self.certificate)

    def _sign(self, unsigned: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> x509.Certificate:
        return (
            unsigned.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _period(before: timedelta, after: timedelta) -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - before, now + after


def builder(
    subject: x509.Name, issuer: x509.Name, key: CertificatePublicKeyTypes, *, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    """A certificate for the public `key` without extensions, to be signed."""
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )


def server_context(server: Issued, folder: Path, *, clients: Authority | None = None) -> ssl.SSLContext:
    """The context of an endpoint with TLS 1.2 or newer; with `clients` it requires a certificate of that root.

    It issues no session tickets: each handshake shows the certificates, which a case may have replaced meanwhile.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    use_certificate(context, server, folder)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    return context


def use_certificate(context: ssl.SSLContext, server: Issued, folder: Path) -> None:
    """From the next handshake on the endpoint with this context presents `server`; its files go into `folder`."""
    context.load_cert_chain(*write_pair(folder, str(id(server)), server.pem, server.key))
