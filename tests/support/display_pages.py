# SPDX-License-Identifier: Apache-2.0
"""A model of each page of a display, as the HAL and the OCPP service send them; to be looked at and to be tested."""

from __future__ import annotations

from firmware.contract import (
    Advice,
    Fault,
    Offline,
    Outlet,
    OutletState,
    OutOfService,
    Page,
    PageModel,
    Refusal,
    Step,
    SuspendedBy,
)

__all__ = ["MODELS"]

_FREE = (Outlet(2, OutletState.FREE),)
_BUSY = (Outlet(2, OutletState.CHARGING, 148),)
_CURVE = tuple(float(value) for value in (4, 38, 90, 132, 150, 151, 151, 150, 149, 148, 148, 143, 139, 131, 122, 118))


def _page(page: Page, **fields: object) -> PageModel:
    given = {"evse": 1, "connector": "NACS", "others": _FREE, **fields}
    return PageModel(page=page, **given)  # type: ignore[arg-type]


def _session(page: Page, **fields: object) -> PageModel:
    figures = {
        "soc_percent": 46,
        "power_kw": 148.2,
        "energy_kwh": 21.37,
        "duration_s": 732,
        "offered_kw": 200.0,
        "shared_with": 2,
        "history_kw": _CURVE,
        "history_step_s": 40,
        "started": "2026-11-30T14:05",
        "others": _BUSY,
    }
    return _page(page, **figures, **fields)


MODELS: dict[str, PageModel] = {
    "starting": PageModel(page=Page.STARTING, evse=1),
    "idle": _page(Page.IDLE),
    "idle beside a vehicle": _page(Page.IDLE, others=_BUSY),
    "select": _page(Page.SELECT),
    "authorising": _page(Page.AUTHORISING),
    "rejected": _page(Page.REJECTED, reason=Refusal.NOT_YOURS),
    "plug_in": _page(Page.PLUG_IN),
    "plug_in_again": _page(Page.PLUG_IN_AGAIN),
    "authorised": _page(Page.AUTHORISED, step=Step.VEHICLE),
    "preparing": _page(Page.PREPARING, step=Step.CABLE_CHECK),
    "charging": _session(Page.CHARGING, minutes_to_80=23),
    "charging offline": _session(Page.CHARGING, minutes_to_80=83, offline=Offline.INTERRUPTED),
    "charging at first": _page(Page.CHARGING, power_kw=0.0, energy_kwh=0.0, duration_s=3),
    "suspended": _session(Page.SUSPENDED, suspended_by=SuspendedBy.VEHICLE),
    "suspended by the station": _session(Page.SUSPENDED, suspended_by=SuspendedBy.STATION),
    "stopping": _session(Page.STOPPING),
    "finished": _page(
        Page.FINISHED,
        energy_kwh=34.52,
        duration_s=4520,
        soc_percent=81,
        started="2026-11-30T14:05",
        ended="2026-11-30T15:20",
    ),
    "unavailable": _page(Page.UNAVAILABLE, out_of_service=OutOfService.OPERATOR, since="2026-11-30T08:12"),
    "faulted": _page(Page.FAULTED, faults=(Fault.ISOLATION, Fault.METER), code="CX022", advice=Advice.OTHER_OUTLET),
    "emergency_stop": _page(
        Page.EMERGENCY_STOP, faults=(Fault.EMERGENCY_STOP,), code="CX008", advice=Advice.RELEASE_STOP
    ),
    "offline": _page(Page.OFFLINE, offline=Offline.UNREACHABLE),
}
"""By what is to be seen. Together they have every page, and every field."""
