# SPDX-License-Identifier: Apache-2.0
"""One attempt to connect to a CSMS: URL, credentials, TLS, WebSocket handshake, and the cause of a failure.

Security profiles (block A, A00): 0 no authentication, for the laboratory; 1 HTTP Basic over `ws:`; 2 HTTP Basic over
`wss:`; 3 client certificate over `wss:`. A URL whose scheme belongs to another profile is not dialled (`A00.FR.001`):
a typing error must not send a password unencrypted.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote, urlsplit

from msgspec import Struct, field
from websockets.exceptions import InvalidHandshake, InvalidURI
from websockets.uri import parse_uri

from firmware.errors import BaywattError
from firmware.factory_settings import NetworkProfile
from firmware.log import register_secret
from services.ocpp.csms.diagnosis import DialError, diagnose
from services.ocpp.csms.policy import RetryRules
from services.ocpp.csms.reach import reach_over, reach_relay
from services.ocpp.csms.wire import SUBPROTOCOL, Wire
from services.ocpp.no_connection import Cause, plain

__all__ = ["LinkSettings", "address_of", "connection_url", "dial", "tls_options"]

_NEXT_ADDRESS_S: Final = 0.25
"""When the next of several addresses is tried beside one that does not answer (RFC 8305)."""


class LinkSettings(Struct, frozen=True, kw_only=True):
    """How to connect; read again before each attempt.

    `profiles` are in order of NetworkConfigurationPriority. `tls` returns the context for one attempt with security
    profile 2 or 3 (`services.ocpp.csms.tls`). Password and identity never appear in `repr`.
    """

    identity: str
    profiles: tuple[NetworkProfile, ...]
    basic_auth_password: str | None = None
    ping_interval_s: float = 20.0
    """WebSocketPingInterval; 0 or less: no pings."""
    pong_timeout_s: float = 10.0
    open_timeout_s: float = 20.0
    retry: RetryRules = field(default_factory=RetryRules)
    tls: Callable[[NetworkProfile], ssl.SSLContext] | None = None

    def __repr__(self) -> str:
        return f"LinkSettings(slots={[profile.slot for profile in self.profiles]})"


def connection_url(url: str, identity: str) -> str:
    """The endpoint URL with the percent-encoded identity as last part of the path (part 4, section 3.1.1).

    A slash at the end is not doubled. User and password are removed from the URL: credentials have their own variables.
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, path=f"{parts.path.rstrip('/')}/{quote(identity, safe='*=@')}").geturl()


async def dial(
    settings: LinkSettings, profile: NetworkProfile, dial_via: str | None = None, *, device: str | None = None
) -> Wire:
    """An open WebSocket with subprotocol `ocpp2.0.1`. Raises `DialError`, and then leaves no connection open
    (A00.FR.311).

    `dial_via`: a Unix socket that takes the place of the network on a rig. It receives host, port and interface in a
    line of JSON, answers with a line that says whether it is connected, and then relays the bytes.
    `device`: the kernel's network interface that the connection is bound to, whatever the default route is.
    """
    tls = tls_options(settings, profile).get("ssl")
    try:
        async with asyncio.timeout(settings.open_timeout_s):
            wire = await _open(settings, profile, tls, dial_via=dial_via, device=device)
    except (OSError, InvalidHandshake, InvalidURI, ValueError) as error:  # ssl.SSLError is an OSError
        raise diagnose(error, profile, tls, open_timeout_s=settings.open_timeout_s) from error
    if wire.protocol.subprotocol != SUBPROTOCOL:  # part 4, section 3.2: the CSMS then closes, but not all do
        wire.abort()
        raise DialError(Cause.SUBPROTOCOL, "it selected none")
    _detect_dead_peers(wire.transport)
    return wire


async def _open(
    settings: LinkSettings,
    profile: NetworkProfile,
    tls: ssl.SSLContext | None,
    *,
    dial_via: str | None,
    device: str | None,
) -> Wire:
    url = connection_url(profile.url, settings.identity)
    uri, headers = parse_uri(url), _headers(settings, profile)
    reached = None
    if dial_via is not None:
        reached = await reach_relay(dial_via, address_of(url), profile.interface)
    elif device is not None:
        reached = await reach_over(device, address_of(url))
    way: dict[str, Any] = {"host": uri.host, "port": uri.port}
    if reached is not None:
        way = {"sock": reached}
    elif not _is_literal(uri.host):
        way["happy_eyeballs_delay"] = _NEXT_ADDRESS_S
    wire = Wire(uri, headers)
    try:
        await asyncio.get_running_loop().create_connection(
            lambda: wire, ssl=tls, server_hostname=None if tls is None else uri.host, **way
        )
    except BaseException:
        if reached is not None:
            reached.close()
        raise
    try:
        await wire.opened
    except BaseException:
        wire.abort()
        raise
    return wire


def _is_literal(host: str) -> bool:
    """Whether there is one address, and so nothing to race for (RFC 8305).

    An attempt that is given up within asyncio's race leaves its socket to the garbage collector (CPython 3.11).
    """
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def address_of(url: str) -> tuple[str, int]:
    """Host and port; raises `InvalidURI` or `ValueError`."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise InvalidURI(url, "no host")
    return parts.hostname, parts.port or (443 if parts.scheme == "wss" else 80)


def _headers(settings: LinkSettings, profile: NetworkProfile) -> dict[str, str]:
    """HTTP Basic with the identity as user name (A00.FR.202, A00.FR.203, A00.FR.204), for profiles 1 and 2."""
    if profile.security_profile not in (1, 2):
        return {}
    if settings.basic_auth_password is None:
        raise DialError(Cause.NO_PASSWORD, str(profile.security_profile))
    credentials = base64.b64encode(f"{settings.identity}:{settings.basic_auth_password}".encode()).decode()
    register_secret(credentials)  # a server may send it back in unexpected places, which error texts then repeat
    return {"Authorization": f"Basic {credentials}"}


def tls_options(settings: LinkSettings, profile: NetworkProfile) -> dict[str, ssl.SSLContext]:
    """The context of an attempt as `ssl`; empty without TLS. Raises `DialError` where it must not be dialled."""
    scheme = profile.url.partition(":")[0]
    if (scheme == "wss") != (profile.security_profile >= 2):  # A00.FR.001, A00.FR.312
        raise DialError(Cause.SCHEME, f"{scheme} with security profile {profile.security_profile}")
    if scheme != "wss":
        return {}
    if settings.tls is None:
        raise DialError(Cause.NO_CERTIFICATE, "none are configured")
    try:
        return {"ssl": settings.tls(profile)}
    except (OSError, BaywattError) as error:
        raise DialError(Cause.NO_CERTIFICATE, plain(str(error))) from error


def _detect_dead_peers(transport: asyncio.Transport) -> None:
    """TCP keep-alive: even with pings off, a peer that has vanished is noticed within a few minutes."""
    connected = transport.get_extra_info("socket")
    if connected is None or connected.family == socket.AF_UNIX:
        return
    for level, option, value in (
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
        (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
        (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 20),
        (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
        (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 120_000),
    ):
        connected.setsockopt(level, option, value)
