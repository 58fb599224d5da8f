# SPDX-License-Identifier: Apache-2.0
"""How the station reaches the network, as an installer sets it: addresses of Ethernet, the access point of a modem.

`wired_problems` and `cellular_problems` say what is wrong with new settings, field by field. The HAL refuses what has
a problem; whoever asks it can find the same ones before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import Enum
from ipaddress import IPv4Address, IPv4Interface, IPv4Network

from msgspec import Struct, field

__all__ = [
    "TRIAL_S",
    "Addressing",
    "ApnAuthentication",
    "CellularSettings",
    "Network",
    "NetworkInterface",
    "NetworkTrial",
    "NewCellularSettings",
    "WiredSettings",
    "cellular_problems",
    "wired_problems",
]

TRIAL_S = 180.0
"""How long new settings are tried: to find the station at its new address and to sign in there."""
MAX_DNS = 3
MAX_APN_CHARS = 99
"""100 octets encoded, each label with an octet of length (3GPP TS 23.003, 9.1)."""
MAX_NETWORK_IDENTIFIER_CHARS = 62
"""63 octets encoded (3GPP TS 23.003, 9.1.1)."""
MAX_SECRET_CHARS = 64
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
_OPERATOR = re.compile(r"\.mnc[0-9]{3}\.mcc[0-9]{3}\.gprs$", re.IGNORECASE)
_RESERVED = ("rac", "lac", "sgsn", "rnc")
_PIN = re.compile(r"[0-9]{4,8}")
_PRINTABLE = re.compile(r"[\x20-\x7e]*")


class Addressing(str, Enum):
    DHCP = "dhcp"
    FIXED = "fixed"


class ApnAuthentication(str, Enum):
    """APNAuthenticationEnumType of OCPP, in lower case."""

    AUTO = "auto"
    NONE = "none"
    PAP = "pap"
    CHAP = "chap"


class _Part(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class WiredSettings(_Part, frozen=True):
    """IPv4 of an Ethernet interface. With `dhcp` the other fields are empty, but for `dns`: instead of the DHCP
    server's. IPv6 is always automatic."""

    method: Addressing
    address: str = ""
    """With its prefix: `192.0.2.10/24`."""
    gateway: str = ""
    """Empty: none."""
    dns: list[str] = field(default_factory=list)


class CellularSettings(_Part, frozen=True):
    """What a modem uses; secrets are never read back."""

    apn: str
    user: str = ""
    authentication: ApnAuthentication = ApnAuthentication.AUTO
    password_is_set: bool = False
    pin_is_set: bool = False


class NewCellularSettings(_Part, frozen=True):
    """`password` and `pin` of the SIM: null keeps the one that is set, an empty text removes it."""

    apn: str
    user: str = ""
    authentication: ApnAuthentication = ApnAuthentication.AUTO
    password: str | None = None
    pin: str | None = None

    def __repr__(self) -> str:
        """Without the secrets, whoever logs it."""
        return f"NewCellularSettings(apn={self.apn!r})"


class NetworkInterface(_Part, frozen=True):
    """An interface by its OCPP name; `wired` or `cellular` if its settings are known."""

    name: str
    is_cellular: bool = False
    wired: WiredSettings | None = None
    cellular: CellularSettings | None = None
    addresses: list[str] = field(default_factory=list)
    """Those in use, with their prefix."""
    problem: str = ""
    """Why it can't be set here; empty: it can."""


class NetworkTrial(_Part, frozen=True):
    """New settings of an interface that nobody has confirmed; when the time is over, the former ones return."""

    interface: str
    left_s: float


class Network(_Part, frozen=True):
    interfaces: list[NetworkInterface]
    trial: NetworkTrial | None = None


def wired_problems(settings: WiredSettings, *, others: Iterable[str] = ()) -> dict[str, str]:
    """What is wrong, by field; `others`: the addresses of the board's other interfaces, with their prefix."""
    problems = {}
    if len(settings.dns) > MAX_DNS:
        problems["dns"] = f"expected at most {MAX_DNS} servers"
    wrong = next((each for each in settings.dns if not _is_host(each)), None)
    if wrong is not None:
        problems["dns"] = f"expected IPv4 addresses such as 192.0.2.53, got {wrong[:40]!r}"
    if settings.method is Addressing.DHCP:
        problems |= {
            name: "expected nothing: with DHCP the site's server gives it"
            for name in ("address", "gateway")
            if getattr(settings, name)
        }
        return problems
    interface = _interface(settings.address)
    if interface is None:
        problems["address"] = "expected an IPv4 address with its prefix, such as 192.0.2.10/24"
        return problems
    why = _address_problem(interface, others)
    if why:
        problems["address"] = why
    elif settings.gateway:
        why = _gateway_problem(settings.gateway, interface)
        if why:
            problems["gateway"] = why
    return problems


def _address_problem(interface: IPv4Interface, others: Iterable[str]) -> str:
    network = interface.network
    if not 8 <= network.prefixlen <= 30:
        return f"expected a prefix of 8 to 30, got {network.prefixlen}"
    if not _is_host(str(interface.ip)):
        return f"{interface.ip} is not an address of a host"
    if interface.ip in (network.network_address, network.broadcast_address):
        which = "network" if interface.ip == network.network_address else "broadcast"
        return f"{interface.ip} is the {which} address of {network}"
    for other in others:
        if (there := _interface(other)) is not None and there.network.overlaps(network):
            return f"{network} overlaps {there.network}, which another interface of the station is in"
    return ""


def _gateway_problem(gateway: str, interface: IPv4Interface) -> str:
    network = interface.network
    if not _is_host(gateway):
        return "expected an IPv4 address such as 192.0.2.1"
    address = IPv4Address(gateway)
    if address == interface.ip:
        return "expected another address than the station's own"
    if address not in network:
        return f"{gateway} can't be reached: it is not in {network}"
    if address in (network.network_address, network.broadcast_address):
        return f"{gateway} is not an address of a host in {network}"
    return ""


def _interface(text: str) -> IPv4Interface | None:
    address, slash, prefix = text.partition("/")
    if not slash or not prefix.isascii() or not prefix.isdigit() or len(prefix) > 2:
        return None
    try:
        return IPv4Interface(f"{IPv4Address(address)}/{prefix}")
    except ValueError:
        return None


def _is_host(text: str) -> bool:
    """Whether it is an IPv4 address that one host can have."""
    try:
        address = IPv4Address(text)
    except ValueError:
        return False
    reserved = address.is_multicast or address.is_loopback or address.is_reserved or address.is_link_local
    return not reserved and address not in IPv4Network("0.0.0.0/8")


def cellular_problems(settings: NewCellularSettings) -> dict[str, str]:
    """What is wrong, by field. A text is not repeated: it may be a secret."""
    problems = {}
    why = _apn_problem(settings.apn)
    if why:
        problems["apn"] = why
    for name in ("user", "password"):
        text = getattr(settings, name) or ""
        if len(text) > MAX_SECRET_CHARS or not _PRINTABLE.fullmatch(text):
            problems[name] = f"expected at most {MAX_SECRET_CHARS} characters of ASCII"
    if settings.pin and not _PIN.fullmatch(settings.pin):
        problems["pin"] = "expected 4 to 8 digits"
    if settings.authentication is ApnAuthentication.NONE and (settings.user or settings.password):
        problems["authentication"] = "expected PAP, CHAP or AUTO, or neither user name nor password"
    if settings.password and not settings.user:
        problems["user"] = "expected a user name beside a password"
    return problems


def _apn_problem(apn: str) -> str:
    """By 3GPP TS 23.003, 9.1: labels of a DNS name, a network identifier and perhaps the operator's."""
    if not apn:
        return "expected the name of an access point, such as internet.example"
    if len(apn) > MAX_APN_CHARS:
        return f"expected at most {MAX_APN_CHARS} characters"
    identifier = _OPERATOR.sub("", apn)
    if not all(_LABEL.fullmatch(label) for label in identifier.split(".")):
        return "expected letters, digits and hyphens, in parts of 1 to 63 characters with dots between them"
    if len(identifier) > MAX_NETWORK_IDENTIFIER_CHARS:
        return f"expected at most {MAX_NETWORK_IDENTIFIER_CHARS} characters before the operator's part"
    if identifier.lower().startswith(_RESERVED):
        return f"expected another beginning than {', '.join(_RESERVED)}, which the network keeps for itself"
    if identifier.lower().split(".")[-1] == "gprs":
        return "expected .mncNNN.mccNNN before .gprs, or another ending"
    return ""
