# SPDX-License-Identifier: Apache-2.0
"""Certificates for cases and benches: root authorities, and what they sign. ECDSA P-256, made on the spot."""

from __future__ import annotations

import ipaddress
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Authority", "Issued", "is_strong", "server_context", "show"]

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
        return _pem(self.certificate)

    @property
    def key_pem(self) -> str:
        return _key_pem(self.key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name: str, organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )


class Authority:
    """A root certificate authority called `name`, of `organization`; it has signed itself, or `signer` has."""

    issuer: x509.Certificate | None = None

    def __init__(
        self, name: str, organization: str = _ORGANIZATION, *, expired: bool = False, signer: Authority | None = None
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.organization = organization
        subject = _name(name, organization)
        issuer, key = (signer.certificate.subject, signer.key) if signer else (subject, self.key)
        if signer is not None:
            self.issuer = signer.certificate
        span = timedelta(hours=-1) if expired else timedelta(days=3650)
        self.certificate: x509.Certificate = (
            _builder(subject, issuer, self.key.public_key(), timedelta(days=1), span)
            .add_extension(x509.BasicConstraints(ca=True, path_length=2), critical=True)
            .add_extension(_usage(authority=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )

    @classmethod
    def restored(cls, kept: str) -> Authority:
        """The authority that `kept` came from; raises `ValueError` when it is none."""
        authority = cls.__new__(cls)
        authority.certificate = x509.load_pem_x509_certificate(kept.encode())
        key = serialization.load_pem_private_key(kept.encode(), None)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != authority.certificate.public_key():
            raise ValueError("key and certificate do not belong together")
        authority.key = key
        names = authority.certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        authority.organization = str(names[0].value) if names else _ORGANIZATION
        return authority

    @property
    def kept(self) -> str:
        """Key and certificate in one PEM text, so that they can't part."""
        return _key_pem(self.key) + self.pem

    @property
    def pem(self) -> str:
        return _pem(self.certificate)

    def server(self, *hosts: str, expired: bool = False, future: bool = False) -> Issued:
        """A server certificate for `hosts`, names or addresses; without any, for this machine.

        `future`: valid from tomorrow on.
        """
        hosts = hosts or ("localhost", "127.0.0.1")
        subject = _name(hosts[0], self.organization)
        names = [_general_name(host) for host in hosts]
        return self._issue(subject, ExtendedKeyUsageOID.SERVER_AUTH, names, expired=expired, future=future)

    def client(self, common_name: str, organization: str) -> Issued:
        """A charging station certificate (A00.FR.403 to 406: O and CN)."""
        return self._issue(_name(common_name, organization), ExtendedKeyUsageOID.CLIENT_AUTH, [])

    def firmware_signer(self, *, expired: bool = False) -> Issued:
        """A firmware signing certificate, of a manufacturer root."""
        name = _name("firmware signing", self.organization)
        return self._issue(name, ExtendedKeyUsageOID.CODE_SIGNING, [], expired=expired)

    def sign_request(self, csr_pem: str, *, days: float = 365) -> str:
        """The certificate for a CSR, as PEM; raises `ValueError` when the CSR is none or its signature is wrong."""
        request = x509.load_pem_x509_csr(csr_pem.encode())
        if not request.is_signature_valid:
            raise ValueError("the CSR's signature is wrong")
        span = timedelta(days=days)
        builder = _builder(request.subject, self.certificate.subject, request.public_key(), timedelta(hours=1), span)
        return _pem(self._sign(builder, ExtendedKeyUsageOID.CLIENT_AUTH))

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
        before = timedelta(days=-1) if future else timedelta(days=2)
        span = timedelta(hours=-1) if expired else timedelta(days=365)
        builder = _builder(subject, self.certificate.subject, key.public_key(), before, span)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return Issued(self._sign(builder, usage), key, self.certificate)

    def _sign(self, builder: x509.CertificateBuilder, usage: x509.ObjectIdentifier) -> x509.Certificate:
        return (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(authority=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .sign(self.key, hashes.SHA256())
        )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Any, before: timedelta, after: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - before)
        .not_valid_after(now + after)
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
    """What an endpoint needs to speak TLS 1.2 or newer; `clients` asks for a station certificate of that root.

    It gives no sessions: each handshake is to show the certificates, which a case may have changed meanwhile.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    show(context, server, folder)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    return context


def show(context: ssl.SSLContext, server: Issued, folder: Path) -> None:
    """From the next handshake on the endpoint with this context presents `server`."""
    chain, key = folder / f"{id(server)}.pem", folder / f"{id(server)}.key"
    chain.write_text(server.pem)
    key.write_text(server.key_pem)
    key.chmod(0o600)
    context.load_cert_chain(chain, key)
