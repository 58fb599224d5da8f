# SPDX-License-Identifier: Apache-2.0
"""The state of the station as short tables for a terminal, and as JSON. Card numbers and EVCCIDs are in neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from firmware.clock import format_utc
from firmware.contract.messages import EvseStatus, Snapshot
from firmware.contract.status import EvseService, ServiceStatus

__all__ = ["Station", "as_json", "queue", "sessions", "status"]

_HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Station:
    """What each process says; None: it did not answer, and `problems` says why."""

    hal: Snapshot | None
    ocpp: ServiceStatus | None
    problems: list[str]
    mono_s: float
    """When they were asked."""


def as_json(station: Station) -> dict[str, Any]:
    """The messages as they came, without what identifies a person."""
    hal, ocpp = msgspec.to_builtins(station.hal), msgspec.to_builtins(station.ocpp)
    for evse in (hal or {}).get("evses", []):
        evse["evcc_id"] = evse["evcc_id"] and _HIDDEN
    for evse in (ocpp or {}).get("evses", []):
        evse["id_token"] = evse["id_token"] and _HIDDEN
    return {"hal": hal, "ocpp": ocpp, "problems": station.problems}


def status(station: Station) -> str:
    """One line for each thing that there is."""
    return "\n".join(f"{name:<12}{text}" for name, text in _rows(station))


def _rows(station: Station) -> Iterator[tuple[str, str]]:
    hal, ocpp = station.hal, station.ocpp
    parts = [hal.serial_number or "no serial number"] if hal else []
    parts += [f"version {ocpp.firmware_version}"] if ocpp else []
    yield "station", ", ".join(parts) or "?"
    if ocpp:
        yield "CSMS", _connection(ocpp)
        if ocpp.last_contact_mono_s is not None:
            yield "", f"last contact {max(0.0, station.mono_s - ocpp.last_contact_mono_s):.0f} s ago"
        if ocpp.last_failure:
            yield "", f"last failure {ocpp.last_failure.time}: {ocpp.last_failure.text}"
        yield "queue", f"{ocpp.queued_messages} message{'s' if ocpp.queued_messages != 1 else ''}"
    if hal:
        set_by = "synchronised" if hal.clock.synchronised else "not synchronised" if hal.clock.is_set else "not set"
        yield "clock", f"{format_utc(hal.clock.utc_s + station.mono_s - hal.clock.mono_s)}, {set_by}"
        yield "links", ", ".join(_link(hal, name) for name in hal.links) or "none"
        yield "faults", ", ".join(fault.value for fault in hal.faults) or "none of the station"
    for number in _evses(station):
        yield f"EVSE {number}", ", ".join(_evse(*_of(station, number)))


def sessions(station: Station) -> str:
    """The sessions that run, one a line."""
    lines = []
    for number in _evses(station):
        physical, logical = _of(station, number)
        if logical and logical.transaction_id:
            words = [f"EVSE {number}", logical.transaction_id, logical.charging_state or "", *_reading(physical)]
            lines.append(", ".join(filter(None, words)))
    return "\n".join(lines) or "no session"


def queue(station: Station) -> str:
    """How many messages wait for the CSMS, and whether it can be reached."""
    if station.ocpp is None:
        return "?"
    count = station.ocpp.queued_messages
    return f"{count} message{'s' if count != 1 else ''}, {_connection(station.ocpp)}"


def _connection(ocpp: ServiceStatus) -> str:
    if not ocpp.connected:
        return "not connected"
    over = f" over {ocpp.interface}" if ocpp.interface else ""
    registration = ocpp.registration or "not registered"
    return f"connected to slot {ocpp.slot}{over}, security profile {ocpp.security_profile}, {registration}"


def _link(hal: Snapshot, name: str) -> str:
    details = hal.link_details.get(name)
    words = [name, "up" if hal.links[name] else "down"]
    if details is not None:
        words += [details.operator] if details.operator else []
        words += [f"{details.signal_percent} %"] if details.signal_percent is not None else []
        words += ["(default route)"] if details.default else []
    return " ".join(words)


def _evses(station: Station) -> list[int]:
    known = [*(station.hal.evses if station.hal else ()), *(station.ocpp.evses if station.ocpp else ())]
    return sorted({each.evse for each in known})


def _of(station: Station, number: int) -> tuple[EvseStatus | None, EvseService | None]:
    physical = station.hal.evses if station.hal else ()
    logical = station.ocpp.evses if station.ocpp else ()
    return (
        next((each for each in physical if each.evse == number), None),
        next((each for each in logical if each.evse == number), None),
    )


def _evse(physical: EvseStatus | None, logical: EvseService | None) -> Iterator[str]:
    if logical:
        yield logical.status
        if logical.availability != "Operative":
            yield logical.availability
        if logical.transaction_id:
            yield f"session {logical.charging_state or 'authorised'}"
    if physical:
        yield f"phase {physical.phase.value}"
        yield from _reading(physical)
        yield from (f"FAULT {fault.value}" for fault in physical.faults)


def _reading(physical: EvseStatus | None) -> Iterator[str]:
    reading = physical.reading if physical else None
    if reading:
        yield f"{reading.power_w / 1000:.1f} kW"
        yield f"meter {reading.energy_wh / 1000:.2f} kWh"
        if reading.soc_percent is not None:
            yield f"SoC {reading.soc_percent:.0f} %"
