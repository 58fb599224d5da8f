# SPDX-License-Identifier: Apache-2.0
"""TLS of the bench's side (A00.FR.307 to .323, .409 to .426): TLS 1.2 and 1.3, ECDHE-ECDSA, station certificates.

A station's certificate is always requested, and verified if one is sent: a station of security profile 2 sends none.
With `required`, a station without one is refused (A00.FR.407).
"""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from msgspec import Struct

from firmware.clock import format_utc

__all__ = ["PeerCertificate", "TlsSession", "server_context", "session_of"]

_log = logging.getLogger(__name__)
_CIPHERS = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"


class PeerCertificate(Struct, frozen=True):
    """The fields of a station's certificate that the bench uses."""

    common_name: str
    organization: str
    serial_number: str
    not_after: str


class TlsSession(Struct, frozen=True):
    """How a connection is secured; `certificate` is None if the station has sent none."""

    version: str
    cipher: str
    certificate: PeerCertificate | None = None


def server_context(server_file: Path, *, stations_root: str | None = None, required: bool = False) -> ssl.SSLContext:
    """`server_file` holds key and certificate; with `stations_root` (PEM) stations' certificates are requested."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # A00.FR.313, A00.FR.416
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION  # A00.FR.321, A00.FR.424
    context.set_ciphers(_CIPHERS)
    context.load_cert_chain(server_file)
    context.sslobject_class = _LoggingSslObject
    if stations_root is not None:
        context.load_verify_locations(cadata=stations_root)  # A00.FR.403
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


class _LoggingSslObject(ssl.SSLObject):
    """Logs failed handshakes: asyncio drops them silently (A00.FR.408)."""

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            _log.warning("a TLS handshake failed: %s", getattr(error, "verify_message", "") or error.reason or error)
            raise


def session_of(ssl_object: ssl.SSLObject | None) -> TlsSession | None:
    """The session of a connection; None for one without TLS."""
    if ssl_object is None:
        return None
    cipher = ssl_object.cipher()
    peer = ssl_object.getpeercert()
    return TlsSession(ssl_object.version() or "?", cipher[0] if cipher else "?", _peer(peer) if peer else None)


def _peer(found: dict[str, Any]) -> PeerCertificate:
    names = {kind: value for rdn in found.get("subject", ()) for kind, value in rdn}
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), UTC)
    return PeerCertificate(
        common_name=names.get("commonName", ""),
        organization=names.get("organizationName", ""),
        serial_number=found["serialNumber"],
        not_after=format_utc(end.timestamp()),
    )
