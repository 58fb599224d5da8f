# SPDX-License-Identifier: Apache-2.0
"""The devices of the cabinet, the tests that need no car, and the main switch."""

from __future__ import annotations

from msgspec import Struct

from firmware.contract.messages import DeviceReport, GetSiteLimit, PowerOff, SetSiteLimit, SiteLimit
from services.commissioning.hal import Tests
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "Devices", "NewSiteLimit"]


class Devices(Struct, frozen=True):
    devices: list[DeviceReport]


async def _devices(call: Call) -> Devices:
    return Devices(await call.site.hal.list_devices())


async def _tests(call: Call) -> Tests:
    return call.site.hal.tests


async def _start(call: Call) -> Tests:
    await call.site.hal.start_test(call.parameters["name"])
    return call.site.hal.tests


class NewSiteLimit(Struct, frozen=True, forbid_unknown_fields=True):
    limit_w: float | None
    """What the supply of the site permits; null: as the HAL's settings say."""


async def _site_limit(call: Call) -> SiteLimit:
    return await call.site.hal.site_limit(GetSiteLimit())


async def _set_site_limit(call: Call) -> SiteLimit:
    return await call.site.hal.site_limit(SetSiteLimit(call.body(NewSiteLimit).limit_w))


async def _power_off(call: Call) -> None:
    await call.site.hal.ask(PowerOff())


ROUTES = [
    Route(
        method="GET",
        path="/api/devices",
        access=Access.VIEWER,
        summary="Every device of the cabinet, and what its driver knows of it",
        handler=_devices,
        answer=Devices,
    ),
    Route(
        method="GET",
        path="/api/tests",
        access=Access.VIEWER,
        summary="The hardware tests, and how the last ones ended",
        handler=_tests,
        answer=Tests,
    ),
    Route(
        method="POST",
        path="/api/tests/{name}",
        access=Access.INSTALLER,
        summary="Begin a hardware test; its end is an event `tests`",
        handler=_start,
        answer=Tests,
    ),
    Route(
        method="GET",
        path="/api/site-limit",
        access=Access.VIEWER,
        summary="What the station may deliver in all: now, by the settings, and from the next start",
        handler=_site_limit,
        answer=SiteLimit,
    ),
    Route(
        method="PUT",
        path="/api/site-limit",
        access=Access.INSTALLER,
        summary="Limit what the station may deliver in all, from the next start of the board on",
        handler=_set_site_limit,
        body=NewSiteLimit,
        answer=SiteLimit,
    ),
    Route(
        method="POST",
        path="/api/power-off",
        access=Access.INSTALLER,
        summary="End the sessions, open the contactors, switch the board off",
        handler=_power_off,
    ),
]
