# SPDX-License-Identifier: Apache-2.0
"""`baywattctl network`: the addresses of Ethernet and the access point of a modem, shown, tried, kept or taken back."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from typing import TypeAlias

from firmware.contract import (
    Addressing,
    ApnAuthentication,
    EndNetworkTrial,
    GetNetwork,
    Network,
    NetworkCommand,
    NetworkInterface,
    NewCellularSettings,
    SetCellular,
    SetWired,
    WiredSettings,
)

__all__ = ["add_network_verbs", "command_of", "listing"]

_Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"
_Maker: TypeAlias = Callable[[argparse.Namespace], NetworkCommand]


def add_network_verbs(network: argparse.ArgumentParser) -> None:
    """`make` of the options is then the command for the HAL."""
    network.set_defaults(make=lambda _: GetNetwork())
    verbs = network.add_subparsers(metavar="WHAT")
    _verb(verbs, "keep", "keep the settings that are being tried", lambda _: EndNetworkTrial(keep=True))
    _verb(verbs, "return", "return to the former settings at once", lambda _: EndNetworkTrial(keep=False))
    dhcp = _verb(verbs, "dhcp", "try DHCP on an Ethernet interface", _dhcp, interface="Wired0")
    fixed = _verb(verbs, "fixed", "try a fixed address on an Ethernet interface", _fixed, interface="Wired0")
    fixed.add_argument("address", metavar="ADDRESS/PREFIX")
    fixed.add_argument("--gateway", default="", metavar="ADDRESS")
    for each in (dhcp, fixed):
        each.add_argument("--dns", action="append", default=[], metavar="ADDRESS", help="up to three times")
    apn = _verb(verbs, "apn", "try an access point of a modem", _apn, interface="Wireless0")
    apn.add_argument("apn", metavar="APN")
    apn.add_argument("--user", default="")
    apn.add_argument("--authentication", choices=[each.value for each in ApnAuthentication], default="auto")
    apn.add_argument("--password", action="store_true", help="read a new one from standard input; otherwise it stays")
    apn.add_argument("--pin", action="store_true", help="read a new PIN from standard input, after the password")


def _verb(verbs: _Verbs, name: str, text: str, make: _Maker, *, interface: str = "") -> argparse.ArgumentParser:
    verb = verbs.add_parser(name, help=text)
    if interface:
        verb.add_argument("interface", metavar="INTERFACE", help=f"such as {interface}")
    verb.set_defaults(make=make)
    return verb


def command_of(options: argparse.Namespace) -> NetworkCommand:
    make: _Maker = options.make
    return make(options)


def _dhcp(options: argparse.Namespace) -> SetWired:
    return SetWired(options.interface, WiredSettings(Addressing.DHCP, dns=options.dns))


def _fixed(options: argparse.Namespace) -> SetWired:
    settings = WiredSettings(Addressing.FIXED, options.address, options.gateway, options.dns)
    return SetWired(options.interface, settings)


def _apn(options: argparse.Namespace) -> SetCellular:
    settings = NewCellularSettings(
        options.apn,
        options.user,
        ApnAuthentication(options.authentication),
        password=_line() if options.password else None,
        pin=_line() if options.pin else None,
    )
    return SetCellular(options.interface, settings)


def _line() -> str:
    """A secret: not on the command line, which every user of the board can read."""
    return sys.stdin.readline().rstrip("\n")


def listing(network: Network) -> str:
    lines = [line for each in network.interfaces for line in _interface(each)]
    if network.trial is not None:
        left = f"{network.trial.left_s:.0f} s"
        lines.append(f"new settings of {network.trial.interface} are tried: `baywattctl network keep` within {left},")
        lines.append("or the former ones return")
    return "\n".join(lines) or "no interface"


def _interface(interface: NetworkInterface) -> list[str]:
    known = {"in use": ", ".join(interface.addresses), "can't be set": interface.problem}
    if interface.wired is not None:
        wired = interface.wired
        known |= {"address": wired.address or wired.method.value, "gateway": wired.gateway, "dns": ", ".join(wired.dns)}
    if interface.cellular is not None:
        cellular = interface.cellular
        secrets = {"password": cellular.password_is_set, "PIN": cellular.pin_is_set}
        known |= {
            "apn": cellular.apn,
            "user": cellular.user,
            "authentication": cellular.authentication.value,
            "set": ", ".join(name for name, is_set in secrets.items() if is_set),
        }
    return [interface.name, *(f"  {name:<16}{value}" for name, value in known.items() if value)]
