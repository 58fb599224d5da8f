# SPDX-License-Identifier: Apache-2.0
"""The state of the station, once and as it changes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from msgspec import Struct

from firmware.clock import format_utc
from firmware.contract.messages import DeviceReport, EvseStatus, LinkDetails
from firmware.contract.status import EvseService, LinkFailure
from firmware.version import VERSION
from services.commissioning.api_error import ApiError
from services.commissioning.events import EVENTS, Event
from services.commissioning.http.messages import Answer
from services.commissioning.machine import MachineStatus
from services.commissioning.page_file import PageCertificateInfo
from services.commissioning.site import Access, Call, Route, Site

__all__ = ["ROUTES", "Clock", "Csms", "Device", "Evse", "Link", "Screen", "Status", "status_of", "stream"]


class Csms(Struct, frozen=True):
    """The connection to the CSMS."""

    connected: bool
    registration: str | None
    slot: int | None
    security_profile: int | None
    interface: str | None
    queued_messages: int
    last_contact_s: float | None
    last_failure: LinkFailure | None


class Clock(Struct, frozen=True):
    """The board's clock."""

    utc: str
    is_set: bool
    synchronised: bool


class Link(Struct, frozen=True):
    """A network interface, by its OCPP name."""

    interface: str
    up: bool
    details: LinkDetails


class Screen(Struct, frozen=True):
    screen: int
    page: str


class Evse(Struct, frozen=True):
    """One EVSE: null where the process that knows it does not run. Nothing identifies a driver or a vehicle."""

    evse: int
    connector: int
    status: str | None
    availability: str | None
    transaction_id: str | None
    charging_state: str | None
    phase: str | None
    plugged: bool | None
    locked: bool | None
    contactor_closed: bool | None
    voltage_v: float | None
    current_a: float | None
    power_w: float | None
    offered_w: float | None
    energy_wh: float | None
    soc_percent: float | None
    limit_w: float | None
    faults: list[str]


class Device(Struct, frozen=True):
    """A device of the cabinet; `text` says what is wrong, or what it is."""

    name: str
    ok: bool
    text: str


class Status(Struct, frozen=True):
    """Everything at a glance; `hal` and `service` say whether these processes answer."""

    time: str
    serial_number: str
    firmware_version: str
    hal: bool
    service: bool
    csms: Csms | None
    clock: Clock | None
    evses: list[Evse]
    faults: list[str]
    links: list[Link]
    screens: list[Screen]
    devices: list[Device]
    machine: MachineStatus
    page_certificate: PageCertificateInfo


def status_of(site: Site) -> Status:
    station = site.station
    hal, now = station.hal, site.clock.monotonic()
    return Status(
        time=format_utc(site.clock.utc()),
        serial_number=station.serial_number,
        firmware_version=station.service.firmware_version if station.service else VERSION,
        hal=hal is not None,
        service=station.service is not None,
        csms=_csms(site, now),
        clock=None
        if hal is None
        else Clock(format_utc(hal.clock.utc_s + now - hal.clock.mono_s), hal.clock.is_set, hal.clock.synchronised),
        evses=_evses(site),
        faults=sorted(fault.value for fault in hal.faults) if hal else [],
        links=[Link(name, up, hal.link_details.get(name, LinkDetails())) for name, up in sorted(hal.links.items())]
        if hal
        else [],
        screens=[Screen(each.screen, each.model.page.value) for each in hal.screens] if hal else [],
        devices=[_device(report) for report in site.hal.devices],
        machine=site.machine.status(),
        page_certificate=site.certificate.info,
    )


def _csms(site: Site, now: float) -> Csms | None:
    service = site.station.service
    if service is None:
        return None
    heard = service.last_contact_mono_s
    return Csms(
        connected=service.connected,
        registration=service.registration,
        slot=service.slot,
        security_profile=service.security_profile,
        interface=service.interface,
        queued_messages=service.queued_messages,
        last_contact_s=None if heard is None else round(max(0.0, now - heard), 1),
        last_failure=service.last_failure,
    )


def _evses(site: Site) -> list[Evse]:
    physical = {each.evse: each for each in (site.station.hal.evses if site.station.hal else [])}
    logical = {each.evse: each for each in (site.station.service.evses if site.station.service else [])}
    return [_evse(number, physical.get(number), logical.get(number)) for number in sorted({*physical, *logical})]


def _evse(number: int, physical: EvseStatus | None, logical: EvseService | None) -> Evse:
    reading = physical.reading if physical else None
    connector = physical.connector if physical else logical.connector if logical else 0
    return Evse(
        evse=number,
        connector=connector,
        status=logical.status if logical else None,
        availability=logical.availability if logical else None,
        transaction_id=logical.transaction_id if logical else None,
        charging_state=logical.charging_state if logical else None,
        phase=physical.phase.value if physical else None,
        plugged=physical.plugged if physical else None,
        locked=physical.locked if physical else None,
        contactor_closed=physical.contactor_closed if physical else None,
        voltage_v=reading.voltage_v if reading else None,
        current_a=reading.current_a if reading else None,
        power_w=reading.power_w if reading else None,
        offered_w=reading.offered_w if reading else None,
        energy_wh=reading.energy_wh if reading else None,
        soc_percent=reading.soc_percent if reading else None,
        limit_w=physical.limit_w if physical else None,
        faults=sorted(fault.value for fault in physical.faults) if physical else [],
    )


def _device(report: DeviceReport) -> Device:
    name = f"{report.place}, {report.name}" if report.name else report.place
    faults = ", ".join(fault.value for fault in report.faults)
    ok = report.answers and not report.faults
    known = " ".join(filter(None, (report.state, report.serial_number, report.firmware, report.address)))
    return Device(name, ok, known if ok else f"{faults or report.state}: {report.last_trouble}".strip(": "))


async def _get(call: Call) -> Status:
    with contextlib.suppress(ApiError):  # without the HAL there are none
        await call.site.hal.list_devices()
    return status_of(call.site)


async def _events(call: Call) -> Answer:
    """`status` at first and after changes, `variables` at once when any was set, `session`, `tests`, `end`."""
    return stream(call, EVENTS, lambda: [Event.of("status", status_of(call.site))])


def stream(call: Call, topic: str, first: Callable[[], list[Event]]) -> Answer:
    """Events for as long as the caller may hear them."""
    site, who = call.site, call.who
    site.hub.require_room()
    return Answer(
        content_type="text/event-stream",
        stream=site.hub.stream(topic, first, lambda: site.may_still_read(who)),
    )


ROUTES = [
    Route(
        method="GET",
        path="/api/status",
        access=Access.VIEWER,
        summary="The whole state of the station",
        handler=_get,
        answer=Status,
    ),
    Route(
        method="GET",
        path="/api/events",
        access=Access.VIEWER,
        summary="Server-sent events: status, variables, session, tests, network, end",
        handler=_events,
        stream="text/event-stream",
        events=(Status,),
    ),
]
