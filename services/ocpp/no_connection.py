# SPDX-License-Identifier: Apache-2.0
"""Why there is no connection to the CSMS: the closed list of causes, each with a text for the engineer and a sentence
for the EV driver. `docs/connection-failures.md` explains each.

A text never contains a password, the path or user part of a URL, or a card number. What a peer has sent (a close's
reason, a header, names in a certificate) is not trusted: it becomes one bounded, printable line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from firmware.log import redact

if TYPE_CHECKING:
    from firmware.contract.status import FailureKind
    from firmware.factory_settings import NetworkProfile

__all__ = ["Cause", "NoConnection", "peer_text", "place_of", "plain"]

_MAX_PEER_CHARS: Final = 120
_MAX_CHARS: Final = 600

_NUMBER: Final = re.compile(r"\b(?=\w*\d)\w{8,}\b|\b[0-9A-Fa-f]{8,}\b|\b[0-9A-Fa-f]{2}(?:[ :-][0-9A-Fa-f]{2}){3,}\b")
"""What may be a card number or a token: a long word with a digit, or pairs of hex digits."""


class _Texts(NamedTuple):
    kind: FailureKind
    engineer: str
    """`{place}` is `host:port`, `{host}` the host alone, `{detail}` what the attempt has found."""
    driver: str


class Cause(Enum):
    """Why an attempt failed, or why a connection ended without the station's intent."""

    # the profile can't be dialled
    NO_PASSWORD = _Texts(
        "http",
        "not dialled: security profile {detail} needs a BasicAuthPassword, and none is set",
        "This station has no password for the operator's server yet.",
    )
    SCHEME = _Texts(
        "tls",
        "not dialled: the URL's scheme does not fit the security profile: {detail}",
        "This station's settings for a secure connection contradict each other.",
    )
    NO_CERTIFICATE = _Texts(
        "tls",
        "not dialled: this station's certificates can't be used: {detail}",
        "This station's certificates for a secure connection are missing or damaged.",
    )
    BAD_URL = _Texts(
        "unreachable",
        "not dialled: the URL is not valid: {detail}",
        "This station has no valid address of the operator's server.",
    )
    # the CSMS is not reached
    LINK_DOWN = _Texts(
        "unreachable", "the interface {detail} has no link", "This station's network cable or radio has no connection."
    )
    NAME = _Texts(
        "dns", "no address is found for the name {host}: {detail}", "The operator's server can't be found by its name."
    )
    PORT_CLOSED = _Texts("refused", "nothing listens at {place}", "The operator's server is not running.")
    NO_ROUTE = _Texts(
        "unreachable", "{place} can't be reached: {detail}", "There is no way through the network to the operator."
    )
    NO_ANSWER = _Texts(
        "timeout", "no connection within {detail}: {place} does not answer", "The operator's server does not answer."
    )
    # TLS
    CSMS_CERTIFICATE = _Texts(
        "tls", "the certificate of {place} is refused: {detail}", "The operator's server can't prove who it is."
    )
    TLS_VERSION = _Texts(
        "tls",
        "{place} and this station have no TLS version in common; this station accepts 1.2 and 1.3: {detail}",
        "The operator's server is too old for a secure connection with this station.",
    )
    TLS_SUITES = _Texts(
        "tls",
        "the TLS handshake with {place} failed, most likely because there is no cipher suite in common: {detail}",
        "The operator's server and this station can't agree on a secure connection.",
    )
    TLS_ALERT = _Texts(
        "tls",
        "{place} refused the TLS handshake: {detail}",
        "The operator's server refuses a secure connection with this station.",
    )
    TLS_CLOSED = _Texts(
        "tls",
        "{place} closed the connection during the TLS handshake; it gave no reason: it may refuse the TLS version, the"
        " cipher suites or the certificate of this station, not speak TLS, or have failed",
        "The operator's server broke off while a secure connection was made.",
    )
    TLS_FAILED = _Texts(
        "tls", "the TLS handshake with {place} failed: {detail}", "A secure connection to the operator failed."
    )
    # HTTP and WebSocket
    CREDENTIALS = _Texts(
        "http",
        "{place} does not accept this station's identity or credentials: {detail}",
        "The operator's server does not know this station.",
    )
    REDIRECT = _Texts(
        "http",
        "{place} redirects, which this station does not follow: {detail}",
        "The operator's server has another address now.",
    )
    HTTP_STATUS = _Texts(
        "http",
        "{place} refused the WebSocket handshake: {detail}",
        "The operator's server refuses this station.",
    )
    NOT_WEBSOCKET = _Texts(
        "http",
        "{place} did not answer with a WebSocket handshake: {detail}",
        "What answers is not the operator's server.",
    )
    SUBPROTOCOL = _Texts(
        "subprotocol",
        "{place} did not agree on the sub-protocol ocpp2.0.1: {detail}",
        "The operator's server does not speak this station's language.",
    )
    CLOSED_IN_HANDSHAKE = _Texts(
        "closed",
        "{place} closed the connection during the handshake, without an answer{detail}",
        "The operator's server closes the connection at once.",
    )
    # an open connection has ended
    CLOSED = _Texts("closed", "closed by {place} with {detail}", "The operator's server has ended the connection.")
    BROKEN = _Texts(
        "closed",
        "the connection to {place} broke off without a closing handshake",
        "The connection to the operator was interrupted.",
    )
    NO_PONG = _Texts(
        "timeout",
        "no pong in time: {place} did not answer a ping within {detail}",
        "The operator's server has stopped answering.",
    )
    BAD_FRAME = _Texts(
        "closed",
        "this station closed the connection because of what {place} sent: {detail}",
        "The operator's server sends what this station can't read.",
    )
    READS_NOTHING = _Texts(
        "closed",
        "{place} does not read what this station sends: the connection was dropped",
        "The operator's server does not listen to this station.",
    )
    # the connection is open, the station is not registered
    REJECTED = _Texts(
        "registration",
        "the CSMS answered BootNotification with Rejected{detail}",
        "The operator does not accept this station.",
    )
    PENDING = _Texts(
        "registration",
        "the CSMS answered BootNotification with Pending{detail}",
        "The operator has not activated this station yet.",
    )
    NOT_REGISTERED = _Texts(
        "registration",
        "the CSMS did not answer BootNotification as it must: {detail}",
        "The operator's server does not answer this station's registration.",
    )

    @property
    def kind(self) -> FailureKind:
        return self.value.kind

    @property
    def for_engineer(self) -> str:
        return self.value.engineer

    @property
    def for_driver(self) -> str:
        return self.value.driver


@dataclass(frozen=True, slots=True)
class NoConnection:
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
    return plain(_NUMBER.sub("***", redact(text)))
