# SPDX-License-Identifier: Apache-2.0
"""Restart and factory reset."""

from __future__ import annotations

import logging
from typing import Literal

from msgspec import Struct

from firmware.contract.administration import FactoryReset, GetStation, Restart, StationInfo
from services.commissioning.api_error import ApiError
from services.commissioning.audit import AUDIT
from services.commissioning.events import EVENTS, Event
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "ResetRequest", "RestartRequest"]

_log = logging.getLogger(__name__)


class RestartRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`service`: the OCPP service alone, sessions continue; `station`: the board."""

    what: Literal["service", "station"]
    on_idle: bool = False
    """Of the station: wait for the end of the transactions."""


class ResetRequest(Struct, frozen=True, forbid_unknown_fields=True):
    identity: str
    """The station's, as a confirmation."""
    force: bool = False
    """Also while a transaction runs, which is then lost."""


async def _restart(call: Call) -> None:
    asked = call.body(RestartRequest)
    await call.site.administration.ask(Restart(asked.what, asked.on_idle))


async def _factory_reset(call: Call) -> None:
    """The OCPP service first: it may refuse. Then the accounts: the label's password counts again."""
    site, asked = call.site, call.body(ResetRequest)
    station = await site.administration.ask_for(GetStation(), StationInfo)
    if asked.identity != station.identity:
        raise ApiError(400, "not_confirmed", "this is not the identity of the station")
    await site.administration.ask(FactoryReset(asked.force))
    site.accounts.reset()
    site.sessions.close_all()
    _log.warning(
        "audit: %s: reset the station to its factory settings; the label's password counts again", call.who, extra=AUDIT
    )
    site.hub.publish(EVENTS, Event.of("session", {}))


ROUTES = [
    Route(
        method="POST",
        path="/api/restart",
        access=Access.INSTALLER,
        summary="Restart the OCPP service or the board",
        handler=_restart,
        body=RestartRequest,
    ),
    Route(
        method="POST",
        path="/api/factory-reset",
        access=Access.INSTALLER,
        summary="Forget settings, certificates, keys, users and queued messages; this session ends",
        handler=_factory_reset,
        body=ResetRequest,
    ),
]
