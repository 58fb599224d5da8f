# SPDX-License-Identifier: Apache-2.0
"""Why there is no connection to the CSMS: the closed list of causes, each with a text for the engineer, and what
the EV driver is told. `docs/connection-failures.md` explains each.

A text never contains a password, the path or user part of a URL, or a card number. What a peer has sent (a close's
reason, a header, names in a certificate) is not trusted: it becomes one bounded, printable line.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from msgspec import Struct

from firmware.contract import Offline
from firmware.log import redact

if TYPE_CHECKING:
    from firmware.contract.status import FailureKind
    from firmware.factory_settings import NetworkProfile

__all__ = ["Cause", "NoConnection", "peer_text", "place_of", "plain"]

_MAX_PEER_CHARS: Final = 120
_MAX_CHARS: Final = 600

_NUMBER: Final = r"\b(?=\w*\d)\w{8,}\b|\b[0-9A-Fa-f]{8,}\b|\b[0-9A-Fa-f]{2}(?:[ :-][0-9A-Fa-f]{2}){3,}\b"
"""What may be a card number or a token: a long word with a digit, or pairs of hex digits."""


class _Texts(Struct, frozen=True):
    kind: FailureKind
    engineer: str
    """`{place}` is `host:port`, `{host}` the host alone, `{detail}` what the attempt has found."""
    offline: Offline


class Cause(Enum):
    """Why an attempt failed, or why a connection ended without the station's intent."""

    # the profile can't be dialled
    NO_PASSWORD = _Texts(
        "http",
        "not dialled: security profile {detail} needs a BasicAuthPassword, and none is set",
        Offline.SETTINGS,
    )
    SCHEME = _Texts(
        "tls",
        "not dialled: the URL's scheme does not fit the security profile: {detail}",
        Offline.SETTINGS,
    )
    NO_CERTIFICATE = _Texts(
        "tls",
        "not dialled: this station's certificates can't be used: {detail}",
        Offline.SETTINGS,
    )
    BAD_URL = _Texts(
        "unreachable",
        "not dialled: the URL is not valid: {detail}",
        Offline.SETTINGS,
    )
    # the CSMS is not reached
    LINK_DOWN = _Texts("unreachable", "the interface {detail} has no link", Offline.LINK)
    NAME = _Texts("dns", "no address is found for the name {host}: {detail}", Offline.UNREACHABLE)
    PORT_CLOSED = _Texts("refused", "nothing listens at {place}", Offline.UNREACHABLE)
    NO_ROUTE = _Texts("unreachable", "{place} can't be reached: {detail}", Offline.UNREACHABLE)
    NO_ANSWER = _Texts("timeout", "no connection within {detail}: {place} does not answer", Offline.SILENT)
    # TLS
    CSMS_CERTIFICATE = _Texts("tls", "the certificate of {place} is refused: {detail}", Offline.INSECURE)
    TLS_VERSION = _Texts(
        "tls",
        "{place} and this station have no TLS version in common; this station accepts 1.2 and 1.3: {detail}",
        Offline.INSECURE,
    )
    TLS_SUITES = _Texts(
        "tls",
        "the TLS handshake with {place} failed, most likely because there is no cipher suite in common: {detail}",
        Offline.INSECURE,
    )
    TLS_ALERT = _Texts(
        "tls",
        "{place} refused the TLS handshake: {detail}",
        Offline.INSECURE,
    )
    TLS_CLOSED = _Texts(
        "tls",
        "{place} closed the connection during the TLS handshake; it gave no reason: it may refuse the TLS version, the"
        " cipher suites or the certificate of this station, not speak TLS, or have failed",
        Offline.INSECURE,
    )
    TLS_FAILED = _Texts("tls", "the TLS handshake with {place} failed: {detail}", Offline.INSECURE)
    # HTTP and WebSocket
    CREDENTIALS = _Texts(
        "http",
        "{place} does not accept this station's identity or credentials: {detail}",
        Offline.REFUSED,
    )
    REDIRECT = _Texts(
        "http",
        "{place} redirects, which this station does not follow: {detail}",
        Offline.REFUSED,
    )
    HTTP_STATUS = _Texts(
        "http",
        "{place} refused the WebSocket handshake: {detail}",
        Offline.REFUSED,
    )
    NOT_WEBSOCKET = _Texts(
        "http",
        "{place} did not answer with a WebSocket handshake: {detail}",
        Offline.REFUSED,
    )
    SUBPROTOCOL = _Texts(
        "subprotocol",
        "{place} did not agree on the sub-protocol ocpp2.0.1: {detail}",
        Offline.REFUSED,
    )
    CLOSED_IN_HANDSHAKE = _Texts(
        "closed",
        "{place} closed the connection during the handshake, without an answer{detail}",
        Offline.REFUSED,
    )
    # an open connection has ended
    CLOSED = _Texts("closed", "closed by {place} with {detail}", Offline.INTERRUPTED)
    BROKEN = _Texts(
        "closed",
        "the connection to {place} broke off without a closing handshake",
        Offline.INTERRUPTED,
    )
    NO_PONG = _Texts(
        "timeout",
        "no pong in time: {place} did not answer a ping within {detail}",
        Offline.SILENT,
    )
    BAD_FRAME = _Texts(
        "closed",
        "this station closed the connection because of what {place} sent: {detail}",
        Offline.INTERRUPTED,
    )
    READS_NOTHING = _Texts(
        "closed",
        "{place} does not read what this station sends: the connection was dropped",
        Offline.SILENT,
    )
    # the connection is open, the station is not registered
    REJECTED = _Texts(
        "registration",
        "the CSMS answered BootNotification with Rejected{detail}",
        Offline.REJECTED,
    )
    PENDING = _Texts(
        "registration",
        "the CSMS answered BootNotification with Pending{detail}",
        Offline.PENDING,
    )
    NOT_REGISTERED = _Texts(
        "registration",
        "the CSMS did not answer BootNotification as it must: {detail}",
        Offline.REFUSED,
    )

    @property
    def kind(self) -> FailureKind:
        return self.value.kind

    @property
    def for_engineer(self) -> str:
        return self.value.engineer

    @property
    def for_driver(self) -> Offline:
        return self.value.offline


class NoConnection(Struct, frozen=True):
    """One failure: an attempt with the profile in `slot`, or the end of a connection with it."""

    cause: Cause
    slot: int
    place: str = ""
    detail: str = ""

    @classmethod
    def of(cls, cause: Cause, profile: NetworkProfile, detail: str = "") -> NoConnection:
        return cls(cause, profile.slot, place_of(profile.url), detail)

    @property
    def text(self) -> str:
        """One sentence for the engineer."""
        host = self.place.rpartition(":")[0]
        text = self.cause.for_engineer.format(place=self.place, host=host, detail=self.detail)
        return plain(text, _MAX_CHARS)


def place_of(url: str) -> str:
    """`host:port` of the URL, without user, path and query."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme in ("wss", "https") else 80)
    except ValueError:
        return "the URL"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def plain(text: str, limit: int = _MAX_PEER_CHARS) -> str:
    """One line of printable characters without a known secret, cut to `limit`."""
    line = " ".join("".join(each if each.isprintable() else " " for each in redact(text)).split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def peer_text(text: str) -> str:
    """What a peer wrote in its own words, which may name a card or a token."""
    return plain(re.sub(_NUMBER, "***", redact(text)))
