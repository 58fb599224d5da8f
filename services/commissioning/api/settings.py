# SPDX-License-Identifier: Apache-2.0
"""Variables, identity, product, network profiles and the test of a connection: all checked by the OCPP service."""

from __future__ import annotations

import logging
from typing import Annotated

from msgspec import Meta, Struct

from firmware.contract.administration import (
    ConnectionTest,
    GetStation,
    ListProfiles,
    NewValue,
    Profile,
    Profiles,
    SetIdentity,
    SetPriority,
    SetProduct,
    SetProfile,
    SetResult,
    SetResults,
    SetVariables,
    StationInfo,
    TestConnection,
    VariableInfo,
)
from services.commissioning.api_error import ApiError
from services.commissioning.audit import AUDIT
from services.commissioning.site import Access, Call, Route

__all__ = ["ROUTES", "AllVariables", "Identity", "NewProfile", "NewValues", "Priority", "Product", "SetValues"]

_log = logging.getLogger(__name__)


class AllVariables(Struct, frozen=True):
    variables: list[VariableInfo]


class VariablesQuery(Struct, frozen=True, forbid_unknown_fields=True):
    component: str | None = None
    """Only variables of this component, in any case."""


class NewValues(Struct, frozen=True, forbid_unknown_fields=True):
    values: Annotated[list[NewValue], Meta(min_length=1, max_length=100)]


class SetValues(Struct, frozen=True):
    """What became of each value, in the order of the request; those that are refused change nothing."""

    results: list[SetResult]


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    identity: str


class Product(Struct, frozen=True, forbid_unknown_fields=True):
    product: str


class NewProfile(Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a configuration slot."""

    url: str
    security_profile: int
    interface: str = "Wired0"
    message_timeout_s: int = 30


class Priority(Struct, frozen=True, forbid_unknown_fields=True):
    slots: list[int]


class TestRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """A stored `slot`, or a `profile` that is not stored; the rest takes the place of the station's own."""

    __test__ = False
    slot: int | None = None
    profile: NewProfile | None = None
    identity: str | None = None
    basic_auth_password: str | None = None
    disturb: bool = False
    """Also where it may end the connection that the station has."""


async def _variables(call: Call) -> AllVariables:
    wanted = call.asked(VariablesQuery).component
    found = await call.site.administration.variables()
    if wanted is not None:
        found = [each for each in found if each.component.lower() == wanted.lower()]
    return AllVariables(found)


async def _set_variables(call: Call) -> SetValues:
    values = call.body(NewValues).values
    results = await call.site.administration.ask_for(SetVariables(values), SetResults)
    outcomes = ", ".join(f"{each.component}.{each.variable} {each.status}" for each in results.results)
    _log.info("audit: %s: variables: %s", call.who, outcomes, extra=AUDIT)
    return SetValues(results.results)


async def _station(call: Call) -> StationInfo:
    return await call.site.administration.ask_for(GetStation(), StationInfo)


async def _set_identity(call: Call) -> StationInfo:
    await call.site.administration.ask(SetIdentity(call.body(Identity).identity))
    return await _station(call)


async def _set_product(call: Call) -> StationInfo:
    await call.site.administration.ask(SetProduct(call.body(Product).product))
    return await _station(call)


async def _profiles(call: Call) -> Profiles:
    return await call.site.administration.ask_for(ListProfiles(), Profiles)


async def _set_profile(call: Call) -> Profiles:
    await call.site.administration.ask(SetProfile(_profile(_slot(call), call.body(NewProfile))))
    return await _profiles(call)


def _slot(call: Call) -> int:
    text = call.parameters["slot"]
    if not (text.isascii() and text.isdecimal() and len(text) <= 3):
        raise ApiError(404, "not_found", "a slot is a number")
    return int(text)


def _profile(slot: int, new: NewProfile) -> Profile:
    return Profile(slot, new.url, new.security_profile, new.interface, new.message_timeout_s)


async def _set_priority(call: Call) -> Profiles:
    await call.site.administration.ask(SetPriority(call.body(Priority).slots))
    return await _profiles(call)


async def _test(call: Call) -> ConnectionTest:
    asked = call.body(TestRequest)
    if (asked.slot is None) == (asked.profile is None):
        raise ApiError(400, "malformed", "expected either `slot` or `profile`")
    command = TestConnection(
        slot=asked.slot,
        profile=_profile(1, asked.profile) if asked.profile else None,
        identity=asked.identity,
        basic_auth_password=asked.basic_auth_password,
        disturb=asked.disturb,
    )
    return await call.site.administration.ask_for(command, ConnectionTest)


ROUTES = [
    Route(
        method="GET",
        path="/api/variables",
        access=Access.VIEWER,
        summary="Every variable, or those of a component; never what can only be written",
        handler=_variables,
        answer=AllVariables,
        query=VariablesQuery,
    ),
    Route(
        method="POST",
        path="/api/variables",
        access=Access.INSTALLER,
        summary="Set values, as SetVariables of the CSMS",
        handler=_set_variables,
        body=NewValues,
        answer=SetValues,
    ),
    Route(
        method="GET",
        path="/api/station",
        access=Access.VIEWER,
        summary="Identity and product, now and from the next start",
        handler=_station,
        answer=StationInfo,
    ),
    Route(
        method="PUT",
        path="/api/station/identity",
        access=Access.INSTALLER,
        summary="Set the identity towards the CSMS, from the next start on",
        handler=_set_identity,
        body=Identity,
        answer=StationInfo,
    ),
    Route(
        method="PUT",
        path="/api/station/product",
        access=Access.INSTALLER,
        summary="Set the product, from the next start on",
        handler=_set_product,
        body=Product,
        answer=StationInfo,
    ),
    Route(
        method="GET",
        path="/api/profiles",
        access=Access.VIEWER,
        summary="The network profiles, their priority, the interfaces",
        handler=_profiles,
        answer=Profiles,
    ),
    Route(
        method="PUT",
        path="/api/profiles/{slot}",
        access=Access.INSTALLER,
        summary="Fill a configuration slot, from the next start on",
        handler=_set_profile,
        body=NewProfile,
        answer=Profiles,
    ),
    Route(
        method="PUT",
        path="/api/priority",
        access=Access.INSTALLER,
        summary="Set the order in which slots are tried, from the next start on",
        handler=_set_priority,
        body=Priority,
        answer=Profiles,
    ),
    Route(
        method="POST",
        path="/api/connection-test",
        access=Access.INSTALLER,
        summary="Try to reach a CSMS, step by step; takes up to a minute",
        handler=_test,
        body=TestRequest,
        answer=ConnectionTest,
        changes=False,
    ),
]
