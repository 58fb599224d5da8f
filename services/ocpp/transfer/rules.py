# SPDX-License-Identifier: Apache-2.0
"""Which URLs the station accepts from a CSMS, and where they may lead; no I/O.

- Only the schemes of the product file. All others (`file:`, `gopher:`, ...) are refused before anything happens.
- A URL is ASCII without spaces and control characters, and has a host. Its path has no `..` and no line ends.
- No connection goes to a link-local, multicast or unspecified address, whichever name resolves to it; one to the
  station itself (loopback) only where the rules allow it.
- A redirect obeys all of this, never leaves TLS, and never leads nearer to the station than the URL before it: not
  from the internet into a private network, not from there to the loopback.
- Credentials are sent only to the origin they were given for, and are in no text made here.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from enum import IntEnum
from typing import Final, Literal
from urllib.parse import unquote, urljoin, urlsplit

from msgspec import Struct

from firmware.errors import BaywattError

__all__ = ["DEFAULT_RULES", "Kind", "Place", "Reach", "Rules", "TransferError", "check_name", "parse", "redirected"]

Kind = Literal[
    "scheme",
    "refused",
    "not_found",
    "too_large",
    "stalled",
    "broken",
    "tls",
    "permission",
    "unsupported",
    "bad_message",
]

_MAX_URL_CHARS: Final = 2048
_PORTS: Final = {"https": 443, "http": 80, "ftp": 21}
_URL: Final = r"[\x21-\x7e]+"
_HOST: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})"
_ALMOST_ADDRESS: Final = r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\.?"
"""127.1 and 0x7f.1: not names, but addresses to some libraries, which would not check whether they are allowed."""
_NAME: Final = r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}"
_CONTROL: Final = r"[\x00-\x1f\x7f]"


class TransferError(BaywattError):
    """A file could not be transferred. `kind` is the class of failure, `text` the details, without secrets.

    `scheme`: this station does not accept the URL, or its address. `refused`: no connection, or the server's refusal.
    `unsupported`: the server can't do it at all. `bad_message`: it did not understand the request. `too_large`: more
    than the limit, or than the disk has room for. `stalled`: nothing, or too little, was transferred in time.
    `broken`: the connection, the data, or the station's own disk. `not_found`, `permission`, `tls`: as named.
    """

    def __init__(self, kind: Kind, text: str) -> None:
        super().__init__(f"{kind}: {text}")
        self.kind: Kind = kind
        self.text = text


class Rules(Struct, frozen=True, kw_only=True):
    """What a transfer may do. `schemes` in lower case; `loopback`: connections to the station itself are allowed."""

    schemes: frozenset[str] = frozenset({"https", "ftp"})
    loopback: bool = True
    stall_s: float = 30.0
    """An attempt ends when no byte is transferred for this long."""
    slowest: tuple[int, float] = (4096, 60.0)
    """Least number of bytes in a number of seconds: a trickle is a stall, too."""
    intervals_s: tuple[float, float] = (1.0, 86_400.0)
    """The shortest and the longest time from the start of one attempt to the start of the next, whatever the request
    says: an interval of 0 must not become a burst of attempts at a server that refuses them."""

    @classmethod
    def of(cls, protocols: Iterable[str], csms_urls: Iterable[str]) -> Rules:
        """By FileTransferProtocols; the loopback is allowed only on a bench, where the CSMS is there, too."""
        schemes = frozenset(name.lower() for name in protocols) & frozenset(_PORTS)
        return cls(schemes=schemes, loopback=any(_is_loopback_name(url) for url in csms_urls))

    def interval_s(self, requested_s: float) -> float:
        """From the start of one attempt to the start of the next."""
        shortest, longest = self.intervals_s
        return min(max(shortest, requested_s), longest)


DEFAULT_RULES: Final = Rules()


class Place(Struct, frozen=True):
    """An accepted URL. Its text is fit for a log: without credentials, and without the query, which may hold some."""

    scheme: str
    host: str
    port: int
    path: str
    """As in the URL, percent-encoded, with its slash."""
    query: str = ""
    user: str | None = None
    password: str | None = None

    @property
    def url(self) -> str:
        """For an HTTP library: everything but the credentials."""
        return f"{self._origin()}{self.path}{'?' if self.query else ''}{self.query}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self._origin()}{self.path}"

    def __repr__(self) -> str:
        return f"Place({self})"

    def _origin(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def parse(url: str, rules: Rules = DEFAULT_RULES) -> Place:
    """The place that a URL names; raises `TransferError` of kind `scheme` for one that is not accepted."""
    if len(url) > _MAX_URL_CHARS or not re.fullmatch(_URL, url):
        raise TransferError("scheme", "not a URL: too long, or with characters that are not allowed")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise TransferError("scheme", "not a URL") from None
    scheme = parts.scheme.lower()
    if scheme not in rules.schemes or scheme not in _PORTS:
        raise TransferError("scheme", f"{scheme[:20] or 'no scheme'} is not one of {', '.join(sorted(rules.schemes))}")
    named = re.fullmatch(_HOST, host) and not re.fullmatch(_ALMOST_ADDRESS, host)
    if port == 0 or not (_is_address(host) or named):
        raise TransferError("scheme", "not a URL: no valid host or port")
    _check_path(parts.path)
    user = None if parts.username is None else _credential(parts.username)
    password = None if parts.password is None else _credential(parts.password)
    return Place(scheme, host, port or _PORTS[scheme], parts.path or "/", parts.query, user, password)


def redirected(place: Place, location: str, rules: Rules) -> Place:
    """Where an HTTP redirect leads; raises `TransferError`. Credentials are kept only for the same origin."""
    try:
        target = parse(urljoin(place.url, location), rules)
    except ValueError:
        raise TransferError("broken", "redirected to something that is not a URL") from None
    if target.scheme not in ("http", "https") or (place.scheme, target.scheme) == ("https", "http"):
        raise TransferError("scheme", f"redirected from {place.scheme} to {target.scheme}")
    user, password = (place.user, place.password) if target.origin == place.origin else (None, None)
    return Place(target.scheme, target.host, target.port, target.path, target.query, user, password)


def check_name(name: str) -> None:
    """Raises `ValueError` unless `name` is a plain file name, with no part of a path, a URL or an FTP command."""
    if not re.fullmatch(_NAME, name):
        raise ValueError(f"not a plain file name: {name[:60]!r}")


class _Nearness(IntEnum):
    LOOPBACK = 0
    PRIVATE = 1
    GLOBAL = 2


class Reach:
    """The addresses that one transfer may connect to; each is checked after its name was resolved."""

    def __init__(self, rules: Rules) -> None:
        self._floor = _Nearness.LOOPBACK if rules.loopback else _Nearness.PRIVATE
        self._nearest = _Nearness.GLOBAL

    def allows(self, address: str) -> bool:
        """Whether a connection may go there. Remembers how near it is."""
        nearness = _nearness(address)
        if nearness is None or nearness < self._floor:
            return False
        self._nearest = min(self._nearest, nearness)
        return True

    def redirect(self) -> None:
        """The next address comes from the server that was reached, not from the CSMS: it may be no nearer."""
        self._floor = max(self._floor, self._nearest)
        self._nearest = _Nearness.GLOBAL


def _nearness(address: str) -> _Nearness | None:
    """None: no address of a file server."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    if ip.is_loopback:
        return _Nearness.LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return None
    return _Nearness.GLOBAL if ip.is_global else _Nearness.PRIVATE


def _check_path(path: str) -> None:
    decoded = unquote(path)
    if re.search(_CONTROL, decoded):
        raise TransferError("scheme", "not a URL: control characters in its path")
    if any(part == ".." for part in decoded.replace("\\", "/").split("/")):
        raise TransferError("scheme", "a path with ..")


def _credential(text: str) -> str:
    decoded = unquote(text)
    if re.search(_CONTROL, decoded):  # it would end the line of an FTP command or an HTTP header
        raise TransferError("scheme", "not a URL: control characters in its credentials")
    return decoded


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _is_loopback_name(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)
