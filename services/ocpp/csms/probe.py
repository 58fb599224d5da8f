# SPDX-License-Identifier: Apache-2.0
"""The way to a CSMS without asking it for anything: name, TCP and TLS, one after the other.

For connection tests, beside the connection that the station has. It dials as `dial` does and fails for the same causes.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TypeAlias

from websockets.exceptions import InvalidURI

from services.ocpp.csms.diagnosis import diagnose
from services.ocpp.csms.dial import address_of, connection_url, tls_options
from services.ocpp.csms.reach import reach_over, reach_relay

if TYPE_CHECKING:
    from firmware.factory_settings import NetworkProfile
    from services.ocpp.csms.dial import LinkSettings

__all__ = ["Passed", "probe"]

Passed: TypeAlias = Callable[[Literal["dns", "tcp", "tls"], str], None]
"""Called after each step, with what was found."""


async def probe(
    settings: LinkSettings, profile: NetworkProfile, dial_via: str | None, *, device: str | None, passed: Passed
) -> None:
    """Go as far as possible, and close. Raises `DialError` for the first step that fails. `dial_via` and `device` are
    those of `dial`."""
    transport: asyncio.BaseTransport | None = None
    tls: ssl.SSLContext | None = None
    try:
        async with asyncio.timeout(settings.open_timeout_s):
            host, port = address_of(connection_url(profile.url, settings.identity))
            connected = await _connect(host, port, profile.interface, dial_via, device, passed)
            try:
                transport, protocol = await asyncio.get_running_loop().create_connection(
                    asyncio.Protocol, sock=connected
                )
            except BaseException:
                connected.close()
                raise
            tls = tls_options(settings, profile).get("ssl")
            if tls is not None:
                assert isinstance(transport, asyncio.Transport)
                transport = await asyncio.get_running_loop().start_tls(transport, protocol, tls, server_hostname=host)
                passed("tls", _secured(transport))
    except (OSError, InvalidURI, ValueError) as error:  # ssl.SSLError is an OSError
        raise diagnose(error, profile, tls, open_timeout_s=settings.open_timeout_s) from error
    finally:
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


async def _connect(
    host: str, port: int, interface: str, dial_via: str | None, device: str | None, passed: Passed
) -> socket.socket:
    if dial_via is not None:
        connected = await reach_relay(dial_via, (host, port), interface)
        passed("dns", f"{host} has an address")
    else:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        passed("dns", f"{host} has the address {', '.join(dict.fromkeys(str(each[4][0]) for each in found))}")
        connected = await reach_over(device, (host, port))
    passed("tcp", f"port {port} accepts connections")
    return connected


def _secured(transport: asyncio.BaseTransport | None) -> str:
    peer = None if transport is None else transport.get_extra_info("ssl_object")
    if not isinstance(peer, ssl.SSLObject):
        return "secured"
    cipher = peer.cipher()
    until = (peer.getpeercert() or {}).get("notAfter", "")
    return f"{peer.version()}, {cipher[0] if cipher else '?'}; the certificate of the CSMS is valid until {until}"
