# SPDX-License-Identifier: Apache-2.0
"""TCP connections that the default route does not decide on: over a rig's network, or bound to an interface."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import Final

import msgspec

__all__ = ["reach_over", "reach_relay"]

_MAX_RELAY_LINE: Final = 1024
_ADDRESS_S: Final = 6.0
"""One address of several gets this long: an interface may have no way to the IPv6 one."""


async def reach_over(device: str | None, address: tuple[str, int]) -> socket.socket:
    """A connected socket whose packets leave only by the kernel's interface `device`, if given; raises `OSError`.

    Since Linux 5.7 any process may bind a socket that is not bound yet (SO_BINDTODEVICE); before, it needs CAP_NET_RAW.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(*address, type=socket.SOCK_STREAM)
    error: OSError = OSError(errno.EHOSTUNREACH, os.strerror(errno.EHOSTUNREACH))
    for family, kind, protocol, _, target in found:
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setblocking(False)
            if device is not None:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
            async with asyncio.timeout(_ADDRESS_S if len(found) > 1 else None):
                await loop.sock_connect(bound, target)
        except OSError as failed:  # TimeoutError is one
            bound.close()
            error = failed
        except BaseException:
            bound.close()
            raise
        else:
            return bound
    raise error


async def reach_relay(path: str, address: tuple[str, int], interface: str) -> socket.socket:
    """A connection through the network of a rig (`tools/rig/proxy.py`); raises `OSError`."""
    request = {"host": address[0], "port": address[1], "interface": interface}
    loop = asyncio.get_running_loop()
    relay = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        relay.setblocking(False)
        await loop.sock_connect(relay, path)
        await loop.sock_sendall(relay, msgspec.json.encode(request) + b"\n")
        await _hear_relay(relay)
    except BaseException:
        relay.close()
        raise
    return relay


class _RelayAnswer(msgspec.Struct, frozen=True):
    """Empty when the relay has reached the CSMS, else the error that it met."""

    errno: int | None = None
    text: str = ""
    resolver: bool = False
    """The error is a `socket.gaierror`."""


async def _hear_relay(relay: socket.socket) -> None:
    """Wait until the relay has reached the CSMS; raises the error that it met instead."""
    loop, line = asyncio.get_running_loop(), b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is the CSMS's
        read = await loop.sock_recv(relay, 1)
        if not read or len(line) > _MAX_RELAY_LINE:
            raise OSError(errno.ENETDOWN, os.strerror(errno.ENETDOWN))
        line += read
    answer = msgspec.json.decode(line, type=_RelayAnswer)
    if answer.resolver:
        raise socket.gaierror(answer.errno, answer.text)
    if answer.errno is not None:
        raise OSError(answer.errno, answer.text)
    if answer.text:
        raise OSError(answer.text)
