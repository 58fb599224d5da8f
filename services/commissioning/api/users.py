# SPDX-License-Identifier: Apache-2.0
"""The viewer, and tokens for scripts."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from firmware.clock import format_utc
from services.commissioning.accounts import MOST_TOKENS
from services.commissioning.api.session import Password, check_new_password
from services.commissioning.api_error import ApiError
from services.commissioning.events import EVENTS, Event
from services.commissioning.sessions import Role
from services.commissioning.site import Access, Call, Route, Site

__all__ = ["ROUTES", "MadeToken", "NewToken", "TokenInfo", "Users", "ViewerPassword"]

TokenName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9 ._-]{1,32}\Z", description="1 to 32 of letters, digits, blank, dot, dash, underscore"),
]


class TokenInfo(Struct, frozen=True):
    id: str
    name: str
    role: Role
    created: str


class Users(Struct, frozen=True):
    """Who may sign in besides the installer."""

    viewer: bool
    tokens: list[TokenInfo]


class ViewerPassword(Struct, frozen=True, forbid_unknown_fields=True):
    password: Password


class NewToken(Struct, frozen=True, forbid_unknown_fields=True):
    name: TokenName
    role: Role = Role.VIEWER


class MadeToken(Struct, frozen=True):
    """`token` is shown this once: only a hash of it is kept."""

    token: str
    info: TokenInfo


def _users(site: Site) -> Users:
    tokens = [TokenInfo(each.id, each.name, each.role, each.created) for each in site.accounts.tokens]
    return Users(site.accounts.has_viewer, tokens)


async def _get(call: Call) -> Users:
    return _users(call.site)


async def _set_viewer(call: Call) -> Users:
    password = call.body(ViewerPassword).password
    await check_new_password(call.site, password)
    await call.site.accounts.set_password(Role.VIEWER, password)
    _end_viewers(call.site)
    return _users(call.site)


async def _remove_viewer(call: Call) -> Users:
    call.site.accounts.remove_viewer()
    _end_viewers(call.site)
    return _users(call.site)


def _end_viewers(site: Site) -> None:
    site.sessions.close_of(Role.VIEWER.value)
    site.hub.publish(EVENTS, Event.of("session", {}))


async def _make_token(call: Call) -> MadeToken:
    site, asked = call.site, call.body(NewToken)
    if len(site.accounts.tokens) >= MOST_TOKENS:
        raise ApiError(409, "refused", f"there are {MOST_TOKENS} tokens: revoke one first")
    token, secret = site.accounts.add_token(asked.name, asked.role, format_utc(site.clock.utc()))
    return MadeToken(secret, TokenInfo(token.id, token.name, token.role, token.created))


async def _remove_token(call: Call) -> Users:
    if not call.site.accounts.remove_token(call.parameters["id"]):
        raise ApiError(404, "not_found", "there is no such token")
    call.site.hub.publish(EVENTS, Event.of("session", {}))
    return _users(call.site)


ROUTES = [
    Route(
        method="GET",
        path="/api/users",
        access=Access.INSTALLER,
        summary="Whether there is a viewer, and the tokens",
        handler=_get,
        answer=Users,
    ),
    Route(
        method="PUT",
        path="/api/users/viewer",
        access=Access.INSTALLER,
        summary="Let a viewer sign in with this password",
        handler=_set_viewer,
        body=ViewerPassword,
        answer=Users,
    ),
    Route(
        method="DELETE",
        path="/api/users/viewer",
        access=Access.INSTALLER,
        summary="Remove the viewer",
        handler=_remove_viewer,
        answer=Users,
    ),
    Route(
        method="POST",
        path="/api/tokens",
        access=Access.INSTALLER,
        summary="Make a token for scripts, which is shown once",
        handler=_make_token,
        body=NewToken,
        answer=MadeToken,
    ),
    Route(
        method="DELETE",
        path="/api/tokens/{id}",
        access=Access.INSTALLER,
        summary="Revoke a token",
        handler=_remove_token,
        answer=Users,
    ),
]
