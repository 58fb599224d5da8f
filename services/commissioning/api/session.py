# SPDX-License-Identifier: Apache-2.0
"""Signing in and out, the first password, and the seat of the one installer who may change things."""

from __future__ import annotations

import logging
from typing import Annotated

from msgspec import Meta, Struct

from services.commissioning import passwords
from services.commissioning.api_error import ApiError
from services.commissioning.audit import AUDIT
from services.commissioning.events import EVENTS, Event
from services.commissioning.http.messages import Answer, as_json
from services.commissioning.passwords import BusyError
from services.commissioning.sessions import ABSOLUTE_S, Role, Session
from services.commissioning.site import Access, Call, Route, Site

__all__ = ["COOKIE", "ROUTES", "Holder", "LogIn", "NewPassword", "SessionInfo", "check_new_password"]

COOKIE = "__Host-baywatt"
"""The prefix makes browsers refuse one without Secure, with a Domain, or for another path (RFC 6265bis, 4.1.3.2)."""
_COOKIE_RULES = "; Path=/; Secure; HttpOnly; SameSite=Strict"
_log = logging.getLogger(__name__)

Password = Annotated[str, Meta(max_length=passwords.MOST_CHARACTERS)]


class Holder(Struct, frozen=True):
    """The installer who has the seat."""

    user: str
    address: str
    since_s: int
    """How long ago the session began."""
    idle_s: int


class SessionInfo(Struct, frozen=True):
    """Whether the caller is signed in, and as whom."""

    signed_in: bool
    user: str | None = None
    role: Role | None = None
    must_change_password: bool = False
    """Nothing else is possible before."""
    csrf_token: str | None = None
    """To be sent as the header `X-CSRF-Token` of every request but GET."""
    left_s: int | None = None
    """Until the session ends if nothing more is requested."""
    has_seat: bool = False
    """Whether this installer may change things."""
    seat: Holder | None = None
    """Who else has the seat."""
    viewer_exists: bool = False
    first_password: bool = False
    """Whether the password is still that of the label; also told to those who are not signed in."""


class LogIn(Struct, frozen=True, forbid_unknown_fields=True):
    user: Annotated[str, Meta(max_length=32)]
    password: Password


class NewPassword(Struct, frozen=True, forbid_unknown_fields=True):
    current: Password
    new: Password


async def _get(call: Call) -> SessionInfo:
    return _info(call.site, call.who.session)


def _info(site: Site, session: Session | None) -> SessionInfo:
    first = site.accounts.must_change
    if session is None:
        return SessionInfo(signed_in=False, first_password=first, viewer_exists=site.accounts.has_viewer)
    now = site.clock.monotonic()
    holder = site.sessions.seat
    return SessionInfo(
        signed_in=True,
        user=session.user,
        role=session.role,
        must_change_password=session.role is Role.INSTALLER and first,
        csrf_token=session.csrf,
        left_s=int(session.left_s(now)),
        has_seat=holder is session,
        seat=holder_of(site, session),
        viewer_exists=site.accounts.has_viewer,
        first_password=first,
    )


def holder_of(site: Site, session: Session | None) -> Holder | None:
    """Who has the seat, if it is not this session."""
    holder, now = site.sessions.seat, site.clock.monotonic()
    if holder is None or holder is session:
        return None
    return Holder(holder.user, holder.address, int(now - holder.began), int(now - holder.used))


async def _log_in(call: Call) -> Answer:
    site, asked, address = call.site, call.body(LogIn), call.who.address
    role = await _checked(call, asked.user, asked.password)
    if call.who.session is not None:
        site.sessions.close(call.who.session)
    browser = call.request.header("user-agent") or ""
    session = site.sessions.open(asked.user, role, address, browser, site.clock.monotonic())
    _log.info("audit: %s from %s: signed in", session.user, address, extra=AUDIT)
    return _with_cookie(site, session)


async def _checked(call: Call, user: str, password: str) -> Role:
    """The role of who knows the password; raises `ApiError`, and counts a wrong one."""
    site, address = call.site, call.who.address
    known = user if user in [role.value for role in Role] else ""
    wait_s = site.failures.wait_s(address, known, site.clock.monotonic())
    if wait_s:
        raise ApiError(
            429,
            "wait",
            f"too many wrong passwords: the next one is looked at in {wait_s} s",
            headers=(("Retry-After", str(wait_s)),),
            retry_after_s=wait_s,
        )
    # Counted before the check: attempts at the same time must not all pass the line above.
    site.failures.failed(address, known, site.clock.monotonic())
    try:
        role = await site.accounts.check(user, password)
    except BusyError:
        raise ApiError(503, "busy", "many passwords wait to be checked: try again in some seconds") from None
    if role is None:
        _log.warning("audit: %s: wrong password for %.32s", address, known or "an unknown user", extra=AUDIT)
        raise ApiError(401, "wrong_password", "user or password is wrong")
    site.failures.succeeded(address, known)
    return role


def _with_cookie(site: Site, session: Session) -> Answer:
    if session.role is Role.INSTALLER:
        site.sessions.sit(session, site.clock.monotonic())
    _tell_everybody(site)
    cookie = f"{COOKIE}={session.id}; Max-Age={int(ABSOLUTE_S)}{_COOKIE_RULES}"
    return as_json(_info(site, session), headers=(("Set-Cookie", cookie),))


def _tell_everybody(site: Site) -> None:
    """Who is signed in, or who has the seat, has changed; streams of ended sessions end."""
    site.hub.publish(EVENTS, Event.of("session", {}))


async def _log_out(call: Call) -> Answer:
    if call.who.session is not None:
        call.site.sessions.close(call.who.session)
        _log.info("audit: %s: signed out", call.who, extra=AUDIT)
        _tell_everybody(call.site)
    return as_json({}, headers=(("Set-Cookie", f"{COOKIE}=; Max-Age=0{_COOKIE_RULES}"),))


async def _change_password(call: Call) -> Answer:
    """The caller's own. Every session of the user ends, and a new one begins here."""
    site, asked, who = call.site, call.body(NewPassword), call.who
    if who.session is None:
        raise ApiError(403, "session_only", "a token has no password")
    await _checked(call, who.name, asked.current)
    await check_new_password(site, asked.new)
    await site.accounts.set_password(who.session.role, asked.new)
    site.sessions.close_of(who.name)
    _log.info("audit: %s: changed the password", who, extra=AUDIT)
    browser = call.request.header("user-agent") or ""
    session = site.sessions.open(who.name, who.session.role, who.address, browser, site.clock.monotonic())
    return _with_cookie(site, session)


async def check_new_password(site: Site, password: str) -> None:
    """Raises `ApiError` for one that is too easy, or the label's."""
    station = (site.station.serial_number, "baywatt", *(role.value for role in Role))
    wrong = passwords.problem(password, known=station)
    try:
        if wrong is None and await site.accounts.is_labels(password):
            wrong = "the password of the label is known to everybody who can open the door"
    except BusyError:
        raise ApiError(503, "busy", "many passwords wait to be checked: try again in some seconds") from None
    if wrong is not None:
        raise ApiError(400, "password_refused", wrong)


async def _take_over(call: Call) -> SessionInfo:
    site, session = call.site, call.who.session
    if session is None:
        raise ApiError(403, "session_only", "a script needs no seat")
    before = site.sessions.seat
    site.sessions.sit(session, site.clock.monotonic(), take_over=True)
    if before is not None and before is not session:
        _log.info("audit: %s: took over from %s at %s", call.who, before.user, before.address, extra=AUDIT)
    _tell_everybody(site)
    return _info(site, session)


ROUTES = [
    Route(
        method="GET",
        path="/api/session",
        access=Access.ANYONE,
        summary="Whether I am signed in, as whom, and who has the seat",
        handler=_get,
        answer=SessionInfo,
    ),
    Route(
        method="POST",
        path="/api/session",
        access=Access.ANYONE,
        summary="Sign in",
        handler=_log_in,
        body=LogIn,
        answer=SessionInfo,
        changes=False,
    ),
    Route(
        method="DELETE",
        path="/api/session",
        access=Access.SIGNED_IN,
        summary="Sign out",
        handler=_log_out,
        changes=False,
    ),
    Route(
        method="POST",
        path="/api/session/password",
        access=Access.SIGNED_IN,
        summary="Change my password; my other sessions end",
        handler=_change_password,
        body=NewPassword,
        answer=SessionInfo,
        changes=False,
    ),
    Route(
        method="POST",
        path="/api/session/seat",
        access=Access.INSTALLER,
        summary="Take the seat, from another installer, too",
        handler=_take_over,
        answer=SessionInfo,
        changes=False,
    ),
]
