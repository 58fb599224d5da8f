# SPDX-License-Identifier: Apache-2.0
"""How the station reaches the network. The HAL tries new settings, and returns to the former ones unless they are kept
in time: whoever cuts off their own connection with them has not lost the station.
"""

from __future__ import annotations

from firmware.contract.messages import EndNetworkTrial, GetNetwork, NetworkCommand, SetCellular, SetWired
from firmware.contract.network import (
    Network,
    NewCellularSettings,
    WiredSettings,
    cellular_problems,
    wired_problems,
)
from services.commissioning.api_error import ApiError
from services.commissioning.events import EVENTS, Event
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES"]


async def _get(call: Call) -> Network:
    return await call.site.hal.network(GetNetwork())


async def _set_wired(call: Call) -> Network:
    name, settings = call.parameters["interface"], call.body(WiredSettings)
    there = (await _get(call)).interfaces
    others = [address for each in there if each.name != name for address in each.addresses]
    _refuse(wired_problems(settings, others=others))
    return await _change(call, SetWired(name, settings))


async def _set_cellular(call: Call) -> Network:
    settings = call.body(NewCellularSettings)
    _refuse(cellular_problems(settings))
    return await _change(call, SetCellular(call.parameters["interface"], settings))


def _refuse(problems: dict[str, str]) -> None:
    """The HAL would, too, in one sentence for all fields."""
    if problems:
        detail = "; ".join(f"{name}: {why}" for name, why in problems.items())
        raise ApiError(400, "refused", detail, fields=problems)


async def _keep(call: Call) -> Network:
    return await _change(call, EndNetworkTrial(keep=True))


async def _return(call: Call) -> Network:
    return await _change(call, EndNetworkTrial(keep=False))


async def _change(call: Call, command: NetworkCommand) -> Network:
    network = await call.site.hal.network(command)
    call.site.hub.publish(EVENTS, Event.of("network", network))
    return network


ROUTES = [
    Route(
        method="GET",
        path="/api/network",
        access=Access.VIEWER,
        summary="The settings of every network interface, without secrets, and those that are being tried",
        handler=_get,
        answer=Network,
    ),
    Route(
        method="PUT",
        path="/api/network/{interface}/wired",
        access=Access.INSTALLER,
        summary="Try an address, or DHCP, for three minutes; a connection that it cuts may not see the answer",
        handler=_set_wired,
        body=WiredSettings,
        answer=Network,
    ),
    Route(
        method="PUT",
        path="/api/network/{interface}/cellular",
        access=Access.INSTALLER,
        summary="Try an access point for three minutes",
        handler=_set_cellular,
        body=NewCellularSettings,
        answer=Network,
    ),
    Route(
        method="POST",
        path="/api/network/keep",
        access=Access.INSTALLER,
        summary="Keep the settings that are being tried",
        handler=_keep,
        answer=Network,
    ),
    Route(
        method="POST",
        path="/api/network/return",
        access=Access.INSTALLER,
        summary="Return to the settings from before the trial",
        handler=_return,
        answer=Network,
    ),
]
