# SPDX-License-Identifier: Apache-2.0
"""TLS towards the CSMS for security profiles 2 and 3 (A00.FR.308 to .323, .411 to .426).

TLS 1.2 with the product's cipher suites, and TLS 1.3; no compression, no renegotiation; keys and signatures of at
least 112 bits (security level 2). The CSMS's chain has to end at an installed CSMS root, and its certificate has to
name the host that we dialled: as DNS name, or, without any, as common name (A00.FR.309). A wildcard names nobody
unless AllowCSMSTLSWildcards says so.

Validity periods are judged by the station's clock, not by the operating system's: OpenSSL is told to leave time
alone, and `_CheckedSocket` looks at the periods at the end of the handshake, before a byte of HTTP with its password
leaves. While nobody has told the station the time, only what had ended before this firmware was made is refused.

Contexts are kept, one for each endpoint and security profile, until a certificate changes. Each keeps the session of
its newest connection and offers it once to the next one, so that a reconnection costs neither side a signature, nor
the line the certificates. In a resumed handshake OpenSSL verifies nothing: the chain that was verified when the
session began is kept with it, and its periods and names are judged again, by the clock and the rules of today. That is
for lines that break in silence: a CSMS that ends the connection, politely or not, may come back as another, and proves
itself anew (`forget_session`).
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias
from urllib.parse import urlsplit

from firmware.clock import CLOCK_FLOOR
from firmware.errors import ConfigError, StorageError
from services.ocpp.certificates.errors import CertificateError

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.certificates.store import CertificateStore

__all__ = ["CIPHERS", "Chain", "TlsContexts", "check_periods", "client_context", "forget_session"]

_log = logging.getLogger(__name__)

CIPHERS: Final = {
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
}
"""OpenSSL's names of the suites that A00.FR.319 and A00.FR.422 name."""
_NO_CHECK_TIME: Final = 0x200000  # X509_V_FLAG_NO_CHECK_TIME; Python's `ssl` has no name for it
_CERT_HAS_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_CERT_NOT_YET_VALID: Final = 9
_HOSTNAME_MISMATCH: Final = 62

Chain: TypeAlias = list[tuple[bytes, dict[str, Any]]]
"""Each certificate as DER, and in the words of `getpeercert`."""


@dataclass(frozen=True, slots=True)
class _Session:
    """What a later handshake with the same host can build on."""

    session: ssl.SSLSession
    host: str | None
    chain: Chain


class TlsContexts:
    """`LinkSettings.tls`: the context for an attempt with a profile. `ciphers` are the product's, by IANA's names;
    `utc` is the station's time, None while it is not known; `wildcards` says whether a wildcard will do, `fallback`
    whether a root that was replaced still counts for this profile (M05.FR.14 to .16)."""

    def __init__(
        self,
        store: CertificateStore,
        ciphers: Iterable[str],
        *,
        utc: Callable[[], float | None],
        wildcards: Callable[[], bool] = lambda: False,
        fallback: Callable[[NetworkProfile], bool] = lambda _profile: True,
    ) -> None:
        """Raises `ConfigError` for a cipher suite that the specification does not name."""
        self._store = store
        self._utc = utc
        self._wildcards = wildcards
        self._fallback = fallback
        self._contexts: dict[tuple[str, bool, bool], ssl.SSLContext] = {}
        self._made_for = -1
        self.verified_by: tuple[bytes, ...] = ()
        """The CSMS's chain of the newest handshake, as DER; empty when this Python does not tell."""
        self.period: tuple[float, float] | None = None
        """From when until when all the certificates of the newest good handshake are valid."""
        unknown = [name for name in ciphers if name not in CIPHERS]
        if unknown:
            raise ConfigError(f"cipher suites that OCPP does not know: {', '.join(unknown)}")
        self._ciphers = ":".join([*(CIPHERS[name] for name in ciphers), "@SECLEVEL=2"])  # A00.FR.501

    def __call__(self, profile: NetworkProfile) -> ssl.SSLContext:
        """Raises `CertificateError` when profile 3 has no station certificate to show (A00.FR.401)."""
        if self._made_for != self._store.generation:
            self._contexts.clear()  # with their sessions: none outlives the trust that it was made with
            self._made_for = self._store.generation
        client, fallback = profile.security_profile == 3, self._fallback(profile)
        key = (urlsplit(profile.url).netloc, client, fallback)
        if key not in self._contexts:
            self._contexts[key] = self._make(client=client, fallback=fallback)
        return self._contexts[key]

    def connected(self) -> None:
        """The CSMS answered over the connection of the newest handshake: M05.FR.13, a replaced root has had its day."""
        roots = self._store.roots("CSMSRootCertificate")
        if not any(root.fallback for root in roots):
            return
        successors = {ssl.PEM_cert_to_DER_cert(root.pem.strip()) for root in roots if not root.fallback}
        if successors.intersection(self.verified_by):
            self._drop_fallback()

    def _drop_fallback(self) -> None:
        try:
            self._store.drop_fallback()
            _log.info("the CSMS root that was replaced is removed")
        except StorageError as error:  # at the next connection, then
            _log.error("the CSMS root that was replaced could not be removed: %s", error)

    def _make(self, *, client: bool, fallback: bool) -> ssl.SSLContext:
        context = client_context(self._judge)
        context.set_ciphers(self._ciphers)  # A00.FR.319
        # A root that another one has signed is as good an end of the chain as one that has signed itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        for root in self._store.roots("CSMSRootCertificate"):
            if root.fallback and not fallback:
                continue
            try:
                context.load_verify_locations(cadata=root.pem)
            except ssl.SSLError as error:
                _log.error("%s is damaged and not used: %s", root.path, error.reason)
        if client:
            path = self._store.station.file
            if path is None:
                raise CertificateError("no charging station certificate is installed")
            context.load_cert_chain(path)
        return context

    def _judge(self, peer: ssl.SSLObject, chain: Chain) -> None:
        self.verified_by = tuple(der for der, _ in chain)
        period = check_periods(peer, chain, self._utc())
        if not self._wildcards() and not _named_literally(peer.getpeercert() or {}, peer.server_hostname or ""):
            raise _refused("only a wildcard of the certificate fits the host name", _HOSTNAME_MISMATCH)
        self.period = period


class _CheckedSocket(ssl.SSLObject):
    """Has the last word at the end of each handshake, and takes care of the session."""

    offered: _Session | None = None
    _proved: Chain | None = None
    """The chain, until the session is taken."""

    def do_handshake(self) -> None:
        super().do_handshake()
        resumed = self.offered is not None and self.session_reused
        chain = self.offered.chain if self.offered is not None and resumed else _chain_of(self)
        context = self.context
        assert isinstance(context, _Context)
        context.judge(self, chain)
        self._proved, self.offered = chain, None

    def read(self, *arguments: Any) -> Any:
        """The first that is read ends the wait: the tickets of TLS 1.3 come after the handshake."""
        data = super().read(*arguments)
        if self._proved is not None:
            self._take_session(self._proved)
            self._proved = None
        return data

    def _take_session(self, chain: Chain) -> None:
        session, context = self.session, self.context
        if session is not None and isinstance(context, _Context):
            context.newest = _Session(session, self.server_hostname, chain)


class _Context(ssl.SSLContext):
    """A context that offers each session once: a handshake that fails with it is not tried again with it, and who
    watches the line sees no ticket twice (RFC 8446, C.4)."""

    sslobject_class = _CheckedSocket
    judge: Callable[[ssl.SSLObject, Chain], None]
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


def client_context(judge: Callable[[ssl.SSLObject, Chain], None]) -> ssl.SSLContext:
    """TLS 1.2 or newer, host names checked, periods left to `judge`, which raises what a handshake would."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.judge = judge
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.313
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # A00.FR.321
    context.verify_flags |= ssl.VerifyFlags(_NO_CHECK_TIME)
    return context


def forget_session(peer: object) -> None:
    """The next handshake builds on none of this connection's; `peer` is a transport's `ssl_object`, or None."""
    if isinstance(peer, _CheckedSocket) and isinstance(peer.context, _Context):
        peer.context.newest = None


def _chain_of(peer: ssl.SSLObject) -> Chain:
    """The verified chain, as DER and in words. Python has no public way to the latter, nor any at all before 3.13."""
    inner = getattr(peer, "_sslobj", None)
    if inner is None or not hasattr(inner, "get_verified_chain"):
        return []
    return [(ssl.PEM_cert_to_DER_cert(one.public_bytes()), one.get_info()) for one in inner.get_verified_chain() or ()]


def check_periods(peer: ssl.SSLObject, chain: Chain, utc: float | None) -> tuple[float, float]:
    """From when until when all the certificates are valid (RFC 5280, 6.1.3 (a)(2), by the station's clock).

    Raises `ssl.SSLCertVerificationError` when one is not at `utc`; None: nobody knows the time.
    """
    certificates = (peer.getpeercert() or {}, *(info for _, info in chain))
    start = max(ssl.cert_time_to_seconds(certificate["notBefore"]) for certificate in certificates)
    end = min(ssl.cert_time_to_seconds(certificate["notAfter"]) for certificate in certificates)
    if end < (CLOCK_FLOOR if utc is None else utc):
        raise _refused("certificate has expired", _CERT_HAS_EXPIRED)
    if utc is not None and start > utc:
        raise _refused("certificate is not yet valid", _CERT_NOT_YET_VALID)
    return start, end


def _named_literally(leaf: dict[str, Any], host: str) -> bool:
    """OpenSSL has matched the host already; was there a name in it that is not a pattern?"""
    alternatives = leaf.get("subjectAltName", ())
    names = [value for kind, value in alternatives if kind in ("DNS", "IP Address")]
    if not any(kind == "DNS" for kind, _ in alternatives):
        names += [value for rdn in leaf.get("subject", ()) for kind, value in rdn if kind == "commonName"]
    if any(kind == "IP Address" for kind, _ in alternatives) and _is_address(host):
        return True
    return any(name.rstrip(".").casefold() == host.rstrip(".").casefold() for name in names)


def _is_address(host: str) -> bool:
    return ":" in host or host.replace(".", "").isdigit()


def _refused(why: str, code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, f"certificate verify failed: {why}")
    error.reason = "CERTIFICATE_VERIFY_FAILED"
    error.verify_message, error.verify_code = why, code
    return error
