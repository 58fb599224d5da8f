# SPDX-License-Identifier: Apache-2.0
"""What is left to do before a new station can be used: found in its state each time, kept nowhere."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from firmware.contract.administration import (
    Certificates,
    GetStation,
    ListCertificates,
    ListProfiles,
    Profile,
    Profiles,
    StationInfo,
    VariableInfo,
)
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "Task", "Wizard", "WizardStep"]


class Task(str, Enum):
    """In the order in which an installer takes them."""

    PASSWORD = "password"
    STATION = "station"
    CSMS = "csms"
    CERTIFICATES = "certificates"
    NETWORK = "network"
    TIME_ZONE = "time_zone"
    CONNECTION = "connection"


class WizardStep(Struct, frozen=True):
    """`text` says in a sentence what is so, or what is missing."""

    step: Task
    done: bool
    text: str


class Wizard(Struct, frozen=True):
    steps: list[WizardStep]
    restart_needed: bool
    """Something that was set counts from the next start."""


async def _get(call: Call) -> Wizard:
    ask = call.site.administration
    station = await ask.ask_for(GetStation(), StationInfo)
    profiles = await ask.ask_for(ListProfiles(), Profiles)
    certificates = await ask.ask_for(ListCertificates(), Certificates)
    variables = await ask.variables()
    used = _used(profiles)
    steps = [
        _password(call),
        WizardStep(Task.STATION, bool(station.next_identity), f"{station.next_identity}, {station.next_product}"),
        _csms(used, station),
        _certificates(used, certificates),
        _network(call, used),
        _time_zone(variables),
        _connection(call),
    ]
    changed = (station.identity, station.product) != (station.next_identity, station.next_product)
    return Wizard(steps, restart_needed=changed)


def _used(profiles: Profiles) -> list[Profile]:
    """Those that are tried, in their order."""
    by_slot = {profile.slot: profile for profile in profiles.profiles}
    return [by_slot[slot] for slot in profiles.priority if slot in by_slot]


def _password(call: Call) -> WizardStep:
    changed = not call.site.accounts.must_change
    return WizardStep(Task.PASSWORD, changed, "your own" if changed else "still that of the label")


def _csms(used: list[Profile], station: StationInfo) -> WizardStep:
    if not used:
        return WizardStep(Task.CSMS, False, "no network profile is in the priority")
    if not station.password_is_set and any(profile.security_profile in (1, 2) for profile in used):
        return WizardStep(Task.CSMS, False, "security profiles 1 and 2 need a password towards the CSMS")
    return WizardStep(Task.CSMS, True, f"{used[0].url}, security profile {used[0].security_profile}")


def _certificates(used: list[Profile], certificates: Certificates) -> WizardStep:
    there = {certificate.use for certificate in certificates.certificates}
    most = max((profile.security_profile for profile in used), default=0)
    if most >= 2 and "csms" not in there:
        return WizardStep(Task.CERTIFICATES, False, "security profiles 2 and 3 need the root certificate of the CSMS")
    if most >= 3 and "station" not in there:
        return WizardStep(Task.CERTIFICATES, False, "security profile 3 needs a certificate of the station")
    count = len(certificates.certificates)
    return WizardStep(Task.CERTIFICATES, True, f"{count} installed" if count else "none needed")


def _network(call: Call, used: list[Profile]) -> WizardStep:
    links = call.site.station.hal.links if call.site.station.hal else {}
    down = [profile.interface for profile in used if not links.get(profile.interface)]
    if down:
        return WizardStep(Task.NETWORK, False, f"{down[0]} is down")
    up = ", ".join(name for name, is_up in sorted(links.items()) if is_up)
    return WizardStep(Task.NETWORK, bool(up), f"{up} up" if up else "no interface is up")


def _time_zone(variables: list[VariableInfo]) -> WizardStep:
    wanted = (each for each in variables if (each.component, each.variable) == ("ClockCtrlr", "TimeZone"))
    found = next(wanted, None)
    value = found.value if found is not None and found.value else ""
    return WizardStep(Task.TIME_ZONE, bool(value), value or "none: displays show UTC")


def _connection(call: Call) -> WizardStep:
    service = call.site.station.service
    if service is None or not service.connected:
        failure = service.last_failure if service else None
        return WizardStep(Task.CONNECTION, False, failure.text if failure else "not connected")
    accepted = service.registration == "Accepted"
    return WizardStep(Task.CONNECTION, accepted, f"connected, {service.registration or 'no answer yet'}")


ROUTES = [
    Route(
        method="GET",
        path="/api/wizard",
        access=Access.VIEWER,
        summary="The steps of the commissioning, and which of them are done",
        handler=_get,
        answer=Wizard,
    ),
]
