# SPDX-License-Identifier: Apache-2.0
"""The page's own certificate: self-made at the first start, and whatever is uploaded in its place.

One file, `page.pem`: a line of JSON about it, the chain with the leaf first, the key. It is replaced as a whole.
`page_pem.py` makes and checks it, in a child process.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import socket
import ssl
import struct
from functools import partial
from ipaddress import ip_address
from pathlib import Path

import msgspec

from firmware import files
from firmware.clock import CLOCK_CEILING, CLOCK_FLOOR, Clock, parse_utc
from firmware.errors import ConfigError
from services.commissioning.isolated import isolated
from services.commissioning.page_file import PageCertificateInfo, read_first_line

__all__ = ["PageCertificate", "own_names"]

_RENEW_S = 30 * 86_400.0
_SIOCGIFADDR = 0x8915
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,253}")
"""What a certificate can be for; a host may be called otherwise."""


class PageCertificate:
    """The certificate in `folder`, and the TLS context that uses it."""

    def __init__(self, folder: Path, clock: Clock, names: list[str]) -> None:
        self._file = folder / "page.pem"
        self._clock = clock
        self._names = names
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
        self.context.set_ciphers("ECDHE+AESGCM:ECDHE+CHACHA20")
        self.context.set_alpn_protocols(["http/1.1"])
        self._info: PageCertificateInfo | None = None

    @property
    def info(self) -> PageCertificateInfo:
        assert self._info is not None
        return self._info

    async def open(self) -> None:
        """Load the certificate; make one if there is none, or a self-made one ends soon.

        Raises `ConfigError`, `ChildError`, `OSError`.
        """
        try:
            self._load()
        except FileNotFoundError:
            await self.make()
        except (msgspec.DecodeError, ssl.SSLError, UnicodeDecodeError):
            raise ConfigError(f"{self._file} is damaged: remove it, and a new certificate is made") from None
        if self.info.self_made and not self._holds(self.info):
            await self.make()

    def _holds(self, info: PageCertificateInfo) -> bool:
        """Whether it is valid now and for a while; one made while the clock was far ahead is not.

        A clock that is not set decides nothing.
        """
        utc = self._clock.utc()
        return utc < CLOCK_FLOOR or parse_utc(info.not_before) <= utc <= parse_utc(info.not_after) - _RENEW_S

    def _utc(self) -> float:
        """A station whose clock is not set must not make a certificate that has already expired."""
        return min(max(self._clock.utc(), CLOCK_FLOOR), CLOCK_CEILING)

    async def make(self) -> None:
        """Make a self-signed certificate for this host's names and addresses. Raises `ChildError`, `OSError`."""
        self._store(await isolated(partial(_made, own_names(self._names), self._utc())))

    async def replace(self, chain: str, key: str) -> None:
        """Use an uploaded chain, leaf first, and its key without a passphrase.

        Raises `ValueError` with what is wrong, `ChildError`, `OSError`.
        """
        utc = self._clock.utc()
        self._store(await isolated(partial(_checked, chain, key, utc if utc >= CLOCK_FLOOR else None)))

    def _store(self, content: bytes) -> None:
        files.replace(self._file, content)
        self._load()

    def _load(self) -> None:
        info = read_first_line(self._file.read_bytes())
        self.context.load_cert_chain(self._file)
        self._info = info


def _made(names: list[str], utc: float) -> bytes:
    from services.commissioning import page_pem

    return page_pem.make(names, utc)


def _checked(chain: str, key: str, utc: float | None) -> bytes:
    from services.commissioning import page_pem

    return page_pem.check(chain, key, utc)


def own_names(more: list[str]) -> list[str]:
    """The host's names and addresses, without those that hold on one link alone."""
    host = socket.gethostname()
    found = [host, f"{host}.local", "localhost", *more, "127.0.0.1", "::1", *_ipv4_addresses(), *_ipv6_addresses()]
    return list(dict.fromkeys(each for each in found if _NAME.fullmatch(each)))


def _ipv4_addresses() -> list[str]:
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for name in _interfaces():
            with contextlib.suppress(OSError):  # it has none
                request = struct.pack("256s", name.encode()[:15])
                found.append(socket.inet_ntoa(fcntl.ioctl(any_socket, _SIOCGIFADDR, request)[20:24]))
    return found


def _interfaces() -> list[str]:
    """From /sys: the C library asks the kernel over netlink, which the sandbox forbids."""
    try:
        return sorted(os.listdir("/sys/class/net"))
    except OSError:
        return []


def _ipv6_addresses() -> list[str]:
    try:
        lines = Path("/proc/self/net/if_inet6").read_text().splitlines()
    except OSError:
        return []
    found = [ip_address(bytes.fromhex(line.split()[0])) for line in lines]
    return [str(each) for each in found if not each.is_link_local]
