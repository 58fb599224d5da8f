# SPDX-License-Identifier: Apache-2.0
"""A connection profile of NetworkManager, and what an installer sets of it. Pure.

Everything else of a profile (metric, auto-connect, IPv6, its uuid) stays as it is. Source: NetworkManager's reference
of settings, version 1.42: `connection`, `ipv4`, `gsm`, `ppp`.

A modem's authentication is a matter of `ppp`: ModemManager may use what is not refused there, or none with `noauth`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from ipaddress import IPv4Interface
from typing import Any, TypeAlias
from uuid import uuid4

from dbus_fast import Variant

from drivers.net.objects import plain
from firmware.contract import Addressing, ApnAuthentication, CellularSettings, NewCellularSettings, WiredSettings

__all__ = [
    "Profile",
    "cellular_of",
    "new_cellular",
    "new_wired",
    "wired_of",
    "with_cellular",
    "with_secrets",
    "with_wired",
]

Profile: TypeAlias = dict[str, dict[str, Variant]]
"""a{sa{sv}}: setting, property."""
_DUPLICATE_MS = 3000
"""How long a fixed address is probed for another host that has it (RFC 5227), before it is used."""
_REFUSE = ("refuse-eap", "refuse-pap", "refuse-chap", "refuse-mschap", "refuse-mschapv2")
_ALLOWED = {ApnAuthentication.PAP: "refuse-pap", ApnAuthentication.CHAP: "refuse-chap"}


def new_wired(interface: str) -> Profile:
    """A profile for an interface that has none."""
    profile = _new(f"baywatt {interface}", "802-3-ethernet", metric=100)
    profile["connection"]["interface-name"] = Variant("s", interface)
    return profile


def new_cellular() -> Profile:
    """A profile for a modem that has none."""
    return _new("baywatt modem", "gsm", metric=700)


def _new(name: str, kind: str, *, metric: int) -> Profile:
    ways = {"method": Variant("s", "auto"), "route-metric": Variant("x", metric)}
    connection = {
        "id": Variant("s", name),
        "uuid": Variant("s", str(uuid4())),
        "type": Variant("s", kind),
        "autoconnect": Variant("b", True),
    }
    return {"connection": connection, kind: {}, "ipv4": dict(ways), "ipv6": dict(ways)}


# --- Ethernet -------------------------------------------------------------------------------------------------------


def with_wired(profile: Profile, settings: WiredSettings) -> Profile:
    gone = ("address-data", "addresses", "gateway", "dns", "dns-data", "ignore-auto-dns", "dad-timeout", "method")
    ipv4 = {name: value for name, value in profile.get("ipv4", {}).items() if name not in gone}
    if settings.dns:
        ipv4["dns"] = Variant("au", [_number(each) for each in settings.dns])
        ipv4["ignore-auto-dns"] = Variant("b", True)
    if settings.method is Addressing.DHCP:
        return {**profile, "ipv4": {**ipv4, "method": Variant("s", "auto")}}
    own = IPv4Interface(settings.address)
    address = {"address": Variant("s", str(own.ip)), "prefix": Variant("u", own.network.prefixlen)}
    ipv4 |= {
        "method": Variant("s", "manual"),
        "address-data": Variant("aa{sv}", [address]),
        "dad-timeout": Variant("i", _DUPLICATE_MS),
    }
    if settings.gateway:
        ipv4["gateway"] = Variant("s", settings.gateway)
    return {**profile, "ipv4": ipv4}


def wired_of(profile: Profile) -> WiredSettings | None:
    """None: it is set in a way that this station does not offer, such as shared or switched off."""
    ipv4 = plain(profile.get("ipv4", {}))
    dns = [socket.inet_ntoa(struct.pack("=I", each)) for each in ipv4.get("dns") or []]
    match ipv4.get("method"):
        case "auto" | None:
            return WiredSettings(Addressing.DHCP, dns=dns)
        case "manual" if ipv4.get("address-data"):
            first = ipv4["address-data"][0]
            address = f"{first.get('address')}/{first.get('prefix')}"
            return WiredSettings(Addressing.FIXED, address, ipv4.get("gateway") or "", dns)
    return None


def _number(address: str) -> int:
    """As NetworkManager has addresses: in network order, read in that of this machine."""
    (number,) = struct.unpack("=I", socket.inet_aton(address))
    return int(number)


# --- modem ----------------------------------------------------------------------------------------------------------


def with_secrets(profile: Profile, secrets: Mapping[str, Mapping[str, Variant]]) -> Profile:
    """A profile that is read has no secrets; one that is written without them loses them."""
    found = {name: {**profile.get(name, {}), **values} for name, values in secrets.items()}
    return {**profile, **found}


def with_cellular(profile: Profile, settings: NewCellularSettings) -> Profile:
    """`profile` with its secrets."""
    gsm = {name: value for name, value in profile.get("gsm", {}).items() if name not in ("apn", "username")}
    gsm["apn"] = Variant("s", settings.apn)
    gsm.pop("auto-config", None)  # would find an access point by the operator instead
    if settings.user:
        gsm["username"] = Variant("s", settings.user)
    for name, secret in (("password", settings.password), ("pin", settings.pin)):
        if secret == "":
            gsm.pop(name, None)
        elif secret is not None:
            gsm[name] = Variant("s", secret)
            gsm[f"{name}-flags"] = Variant("u", 0)
    if not settings.user:  # nobody's password
        gsm.pop("password", None)
    changed = {**profile, "gsm": gsm, "ppp": _ppp(profile.get("ppp", {}), settings.authentication)}
    return changed if changed["ppp"] else {name: each for name, each in changed.items() if name != "ppp"}


def _ppp(known: dict[str, Variant], authentication: ApnAuthentication) -> dict[str, Variant]:
    ppp = {name: value for name, value in known.items() if name not in (*_REFUSE, "noauth")}
    if authentication is ApnAuthentication.AUTO:
        return ppp
    refused = [name for name in _REFUSE if name != _ALLOWED.get(authentication)]
    return {
        **ppp,
        "noauth": Variant("b", authentication is ApnAuthentication.NONE),
        **{name: Variant("b", True) for name in refused},
    }


def cellular_of(profile: Profile, secrets: Mapping[str, Mapping[str, Any]]) -> CellularSettings | None:
    """None: it has no access point."""
    gsm, ppp = plain(profile.get("gsm", {})), plain(profile.get("ppp", {}))
    if not gsm.get("apn"):
        return None
    allowed = [name for name in _REFUSE if not ppp.get(name, False)]
    return CellularSettings(
        apn=gsm["apn"],
        user=gsm.get("username") or "",
        authentication=_authentication(allowed),
        password_is_set=bool(plain(secrets.get("gsm", {}).get("password"))),
        pin_is_set=bool(plain(secrets.get("gsm", {}).get("pin"))),
    )


def _authentication(allowed: list[str]) -> ApnAuthentication:
    if not allowed:
        return ApnAuthentication.NONE
    found = next((each for each, name in _ALLOWED.items() if allowed == [name]), None)
    return found or ApnAuthentication.AUTO
