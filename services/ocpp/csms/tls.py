# SPDX-License-Identifier: Apache-2.0
"""TLS towards the CSMS for security profiles 2 and 3 (A00.FR.308 to .323, .411 to .426).

TLS 1.2 with the product's cipher suites, and TLS 1.3; no compression, no renegotiation; keys and signatures of at
least 112 bits (security level 2). The CSMS's chain has to end at an installed CSMS root, and its certificate has to
contain the host name that we dialled: as DNS name, or, if it has none, as common name (A00.FR.309). A wildcard does not
match unless AllowCSMSTLSWildcards is true.

Validity periods are checked by the station's clock, not by the operating system's: OpenSSL's check of time is off, and
`_CheckedSocket` checks the periods at the end of the handshake, before any HTTP with its password is sent. While the
station does not know the time, only certificates that had expired before this firmware was made are refused.

Contexts are kept, one for each endpoint and security profile, until a certificate changes. Each keeps the session of
its newest connection and offers it once to the next one, so that a reconnection needs no signature from either side,
and no certificates are sent. In a resumed handshake OpenSSL verifies nothing: the chain that was verified when the
session began is kept with it, and its periods and names are checked again, by the present time and rules. This is for
connections that break in silence: after a CSMS has ended the connection, in whatever way, it may come back with another
certificate, so a full handshake is required (`forget_session`).
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from msgspec import Struct

from firmware.clock import CLOCK_FLOOR
from firmware.errors import ConfigError, StorageError
from services.ocpp.certificates.errors import CertificateError

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.certificates.store import CertificateStore

__all__ = [
    "CIPHERS",
    "CertificateRefused",
    "Chain",
    "TlsContexts",
    "check_periods",
    "client_context",
    "forget_session",
    "offered_suites",
]

_log = logging.getLogger(__name__)

CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
"""OpenSSL's names of the suites of A00.FR.319 and A00.FR.422."""
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; Python's `ssl` has no name for it
_CERT_HAS_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_CERT_NOT_YET_VALID: Final = 9
_HOSTNAME_MISMATCH: Final = 62
_WILDCARD: Final = 50  # X509_V_ERR_APPLICATION_VERIFICATION
_RULES: Final = {
    _CERT_HAS_EXPIRED: "it has expired",
    _CERT_NOT_YET_VALID: "it is not valid yet",
    2: "no installed CSMS root has signed it",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    18: "it is self-signed, and no installed CSMS root",  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    19: "its root is not an installed CSMS root",  # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    20: "no installed CSMS root has signed it",  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: "no installed CSMS root has signed it",  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
    _HOSTNAME_MISMATCH: "it is for another host name",
    64: "it is for another address",  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"""Rules by OpenSSL's number of their violation; its own words for the others."""

Certificate: TypeAlias = dict[str, Any]
"""As `getpeercert` decodes it."""
Chain: TypeAlias = list[tuple[bytes, Certificate]]
"""Each certificate as DER, and decoded."""


class CertificateRefused(ssl.SSLCertVerificationError):
    """The peer's certificate breaks a rule. `certificate` is the one that does, where it is known; else the peer's."""

    def __init__(self, why: str, code: int, certificate: Certificate | None = None) -> None:
        super().__init__(1, f"certificate verify failed: {why}")
        self.reason = "CERTIFICATE_VERIFY_FAILED"
        self.verify_message, self.verify_code = why, code
        self.certificate = certificate or {}

    def describe(self) -> str:
        """The rule, and which certificate: `it has expired (certificate of "csms.example", issued by ...)`."""
        if not self.certificate:
            return self.verify_message
        rule = _RULES.get(self.verify_code, self.verify_message)
        names = ", ".join(_names(self.certificate)) or _name(self.certificate.get("subject", ()))
        issuer = _name(self.certificate.get("issuer", ()))
        period = f"valid from {self.certificate.get('notBefore')} to {self.certificate.get('notAfter')}"
        return f'{rule} (certificate of "{names}", issued by "{issuer}", {period})'


class _Session(Struct, frozen=True):
    """What the next handshake with the same host can resume."""

    session: ssl.SSLSession
    host: str | None
    chain: Chain


class TlsContexts:
    """`LinkSettings.tls`: the context for an attempt with a profile. `ciphers` are the product's, by IANA's names;
    `utc` is the station's time, None while it is not known; `wildcards` returns whether a wildcard matches, `fallback`
    whether a replaced root is still trusted for this profile (M05.FR.14 to .16)."""

    def __init__(
        self,
        store: CertificateStore,
        ciphers: Iterable[str],
        *,
        utc: Callable[[], float | None],
        wildcards: Callable[[], bool] = lambda: False,
        fallback: Callable[[NetworkProfile], bool] = lambda _profile: True,
    ) -> None:
        """Raises `ConfigError` for a cipher suite that is not in the specification."""
        self._store = store
        self._utc = utc
        self._wildcards = wildcards
        self._fallback = fallback
        self._contexts: dict[tuple[str, bool, bool], ssl.SSLContext] = {}
        self._made_for = -1
        self.verified_by: tuple[bytes, ...] = ()
        """The CSMS's chain of the newest handshake, as DER; empty where Python does not provide it."""
        self.period: tuple[float, float] | None = None
        """Start and end of the common validity of all certificates of the newest successful handshake."""
        unknown = [name for name in ciphers if name not in CIPHERS]
        if unknown:
            raise ConfigError(f"cipher suites that OCPP does not define: {', '.join(unknown)}")
        self._ciphers = ":".join([*(CIPHERS[name] for name in ciphers), "@SECLEVEL=2"])  # A00.FR.320, A00.FR.501

    def __call__(self, profile: NetworkProfile) -> ssl.SSLContext:
        """Raises `CertificateError` when there is no station certificate for profile 3 (A00.FR.401)."""
        if self._made_for != self._store.generation:
            self._contexts.clear()  # and their sessions: none is resumed after a change of trust
            self._made_for = self._store.generation
        client, fallback = profile.security_profile == 3, self._fallback(profile)
        key = (urlsplit(profile.url).netloc, client, fallback)
        if key not in self._contexts:
            self._contexts[key] = self._make(client=client, fallback=fallback)
        return self._contexts[key]

    def connected(self) -> None:
        """The newest handshake led to a connection: M05.FR.13, a replaced root is no longer needed."""
        roots = self._store.roots("CSMSRootCertificate")
        if not any(root.fallback for root in roots):
            return
        successors = {ssl.PEM_cert_to_DER_cert(root.pem.strip()) for root in roots if not root.fallback}
        if successors.intersection(self.verified_by):
            self._drop_fallback()

    def _drop_fallback(self) -> None:
        try:
            self._store.drop_fallback()
            _log.info("the replaced CSMS root is removed")
        except StorageError as error:  # retried at the next connection
            _log.error("the replaced CSMS root could not be removed: %s", error)

    def _make(self, *, client: bool, fallback: bool) -> ssl.SSLContext:
        context = client_context(self._check)
        context.set_ciphers(self._ciphers)  # A00.FR.319
        # The chain may end at a root that is not self-signed.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for root in self._store.roots("CSMSRootCertificate"):
            if root.fallback and not fallback:
                continue
            try:
                context.load_verify_locations(cadata=root.pem)
            except ssl.SSLError as error:
                _log.error("%s is damaged and ignored: %s", root.path, error.reason)
        if client:
            path = self._store.station.file
            if path is None:
                raise CertificateError("no charging station certificate is installed")
            context.load_cert_chain(path)  # A00.FR.402; if it has expired, the CSMS decides (A00.FR.430)
        return context

    def _check(self, peer: ssl.SSLObject, chain: Chain) -> None:
        self.verified_by = tuple(der for der, _ in chain)
        period = check_periods(peer, chain, self._utc())
        if not self._wildcards() and not _named_literally(peer.getpeercert() or {}, peer.server_hostname or ""):
            why = "only a wildcard of the certificate matches the host name"
            raise CertificateRefused(why, _WILDCARD, peer.getpeercert())
        self.period = period


class _CheckedSocket(ssl.SSLObject):
    """Checks the peer at the end of each handshake, and keeps the session."""

    offered: _Session | None = None
    _checked: Chain | None = None
    """The chain, until the session is kept."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except ssl.SSLCertVerificationError as error:
            raise CertificateRefused(error.verify_message, error.verify_code, _presented(self)) from error
        resumed = self.offered is not None and self.session_reused
        chain = self.offered.chain if self.offered is not None and resumed else _chain_of(self)
        context = self.context
        assert isinstance(context, _Context)
        context.check(self, chain)
        self._checked, self.offered = chain, None

    def read(self, *arguments: Any) -> Any:
        """Keep the session when the first data is read: the tickets of TLS 1.3 come after the handshake."""
        data = super().read(*arguments)
        if self._checked is not None:
            self._keep_session(self._checked)
            self._checked = None
        return data

    def _keep_session(self, chain: Chain) -> None:
        session, context = self.session, self.context
        if session is not None and isinstance(context, _Context):
            context.newest = _Session(session, self.server_hostname, chain)


class _Context(ssl.SSLContext):
    """A context that offers each session once: it is not offered again after a failed handshake, and an eavesdropper
    sees no ticket twice (RFC 8446, C.4)."""

    sslobject_class = _CheckedSocket
    check: Callable[[ssl.SSLObject, Chain], None]
    newest: _Session | None = None

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        kept, self.newest = self.newest, None
        if kept is not None and kept.host != server_hostname:
            kept = None
        offered = session if kept is None else kept.session
        peer = super().wrap_bio(incoming, outgoing, server_side, server_hostname, offered)
        assert isinstance(peer, _CheckedSocket)
        peer.offered = kept
        return peer


def client_context(check: Callable[[ssl.SSLObject, Chain], None]) -> ssl.SSLContext:
    """TLS 1.2 or newer, with host names checked. Periods are left to `check`, which raises what a handshake would."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)  # chain and host name are verified: A00.FR.308, A00.FR.309
    context.check = check
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.313
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # A00.FR.321
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def forget_session(peer: object) -> None:
    """Do not resume this connection's session; `peer` is a transport's `ssl_object`, or None."""
    if isinstance(peer, _CheckedSocket) and isinstance(peer.context, _Context):
        peer.context.newest = None


def _chain_of(peer: ssl.SSLObject) -> Chain:
    """The verified chain; empty before Python 3.13. There is no public way to its decoded form."""
    inner = getattr(peer, "_sslobj", None)
    if inner is None or not hasattr(inner, "get_verified_chain"):
        return []
    return [(ssl.PEM_cert_to_DER_cert(one.public_bytes()), one.get_info()) for one in inner.get_verified_chain() or ()]


def check_periods(peer: ssl.SSLObject, chain: Chain, utc: float | None) -> tuple[float, float]:
    """Start and end of the common validity of all certificates (RFC 5280, 6.1.3 (a)(2), by the station's clock).

    Raises `ssl.SSLCertVerificationError` when one is not valid at `utc`; None: the time is not known.
    """
    certificates = (peer.getpeercert() or {}, *(info for _, info in chain))
    start, latest = max((ssl.cert_time_to_seconds(each["notBefore"]), place) for place, each in enumerate(certificates))
    end, first = min((ssl.cert_time_to_seconds(each["notAfter"]), place) for place, each in enumerate(certificates))
    if end < (CLOCK_FLOOR if utc is None else utc):
        raise CertificateRefused("certificate has expired", _CERT_HAS_EXPIRED, certificates[first])
    if utc is not None and start > utc:
        raise CertificateRefused("certificate is not yet valid", _CERT_NOT_YET_VALID, certificates[latest])
    return start, end


def offered_suites(context: ssl.SSLContext) -> str:
    """The cipher suites that a context offers, by IANA's names."""
    names = {openssl: name for name, openssl in CIPHERS.items()}
    return ", ".join(names.get(one["name"], one["name"]) for one in context.get_ciphers())


def _presented(peer: ssl.SSLObject) -> Certificate | None:
    """The certificate that the peer presented and OpenSSL refused. There is no public way to it."""
    inner = getattr(peer, "_sslobj", None)
    chain = None if inner is None else inner.get_unverified_chain()
    return chain[0].get_info() if chain else None


def _named_literally(leaf: Certificate, host: str) -> bool:
    """Whether the certificate has `host` as a name without a wildcard; OpenSSL has matched the host already."""
    if any(kind == "IP Address" for kind, _ in leaf.get("subjectAltName", ())) and _is_address(host):
        return True
    return any(name.rstrip(".").casefold() == host.rstrip(".").casefold() for name in _names(leaf))


def _names(leaf: Certificate) -> list[str]:
    """The names for which the certificate counts."""
    alternatives = leaf.get("subjectAltName", ())
    names = [value for kind, value in alternatives if kind in ("DNS", "IP Address")]
    if not any(kind == "DNS" for kind, _ in alternatives):  # the common name counts (A00.FR.510)
        names += [value for rdn in leaf.get("subject", ()) for kind, value in rdn if kind == "commonName"]
    return names


def _name(rdns: tuple[tuple[tuple[str, str], ...], ...]) -> str:
    """The common name of a subject or issuer; without one, all that it has."""
    pairs = [pair for rdn in rdns for pair in rdn]
    return ", ".join([value for kind, value in pairs if kind == "commonName"] or [value for _, value in pairs])


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()
