# SPDX-License-Identifier: Apache-2.0
"""Which requests are looked at: where they come from, and who sends them.

A browser sends other pages' requests with our cookie only within the same site (SameSite=Strict), but other ports of
this host are the same site. So whatever is not GET must come from a page of ours (`Origin`), and with the session's
CSRF token. A request must name this station as its host: a name that a stranger has pointed at our address (DNS
rebinding) is none of ours.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import urlsplit

from services.commissioning.api.session import COOKIE, holder_of
from services.commissioning.api_error import ApiError
from services.commissioning.http.messages import Request
from services.commissioning.sessions import Role, Session
from services.commissioning.site import Access, Route, Site, Who

__all__ = ["CSRF_HEADER", "HEADERS", "admit", "check_origin", "who_calls"]

CSRF_HEADER = "x-csrf-token"
HEADERS = (
    (
        "Content-Security-Policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cache-Control", "no-store"),
)
"""Of every answer; files have a Cache-Control of their own. No Strict-Transport-Security: with a self-made certificate
it would lock the installer out."""


def check_origin(request: Request, names: frozenset[str]) -> None:
    """Raises `ApiError` for another host, or for a page of another origin. `names` are in lower case."""
    host = request.header("host")
    name = _host_name(f"//{host}")
    if host is None or name is None or not (_is_address(name) or name in names):
        raise ApiError(421, "other_host", "this station has another name: use its address")
    origin = request.header("origin")
    if origin is not None and origin.lower() != f"https://{host.lower()}":
        raise ApiError(403, "other_origin", "a page of another origin may not use this station")
    site = request.header("sec-fetch-site")
    if site not in (None, "same-origin", "none"):
        raise ApiError(403, "other_origin", "a page of another site may not use this station")


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def who_calls(request: Request, site: Site) -> Who:
    """Who sends the request; raises `ApiError` for a token that does not exist."""
    authorization = request.header("authorization")
    if authorization is not None:
        return _by_token(authorization, request, site)
    now, browser = site.clock.monotonic(), request.header("user-agent") or ""
    session = site.sessions.find(_cookie(request), request.address, browser, now)
    if session is None:
        return Who("nobody", None, request.address)
    return Who(session.user, session.role, request.address, session)


def _cookie(request: Request) -> str:
    """Of several cookies of the name, none counts: a neighbour has set another."""
    try:
        pairs = [SimpleCookie(each) for each in (request.header("cookie") or "").split(";")]
    except CookieError:
        return ""
    found = [pair[COOKIE].value for pair in pairs if COOKIE in pair]
    return found[0] if len(found) == 1 else ""


def _by_token(authorization: str, request: Request, site: Site) -> Who:
    scheme, _, secret = authorization.partition(" ")
    now = site.clock.monotonic()
    wait_s = site.failures.addresses.wait_s(request.address, now)
    if wait_s:
        raise ApiError(
            429, "wait", f"try again in {wait_s} s", headers=(("Retry-After", str(wait_s)),), retry_after_s=wait_s
        )
    token = site.accounts.token(secret) if scheme.lower() == "bearer" else None
    if token is None:
        site.failures.failed(request.address, "", now)
        raise ApiError(401, "wrong_token", "this token does not exist, or was revoked")
    return Who(f"token {token.name}", token.role, request.address, token=token.id)


def admit(route: Route, request: Request, site: Site, who: Who) -> None:
    """Raises `ApiError` unless `who` may call the route now."""
    if route.access is Access.ANYONE:
        return
    if who.role is None:
        raise ApiError(401, "not_signed_in", "sign in first")
    if who.session is not None and request.method != "GET":
        given = request.header(CSRF_HEADER) or ""
        if not hmac.compare_digest(given.encode(), who.session.csrf.encode()):
            raise ApiError(403, "csrf", "the CSRF token is missing or of another session")
    if route.access is Access.SIGNED_IN:
        return
    if who.session is not None and who.role is Role.INSTALLER and site.accounts.must_change:
        raise ApiError(403, "password_must_be_changed", "change the password of the label first")
    if route.access is Access.INSTALLER and who.role is not Role.INSTALLER:
        raise ApiError(403, "read_only", "this user may only read")
    needs_seat = route.access is Access.INSTALLER and route.changes and request.method != "GET"
    if needs_seat and who.session is not None:
        _require_seat(site, who.session)


def _require_seat(site: Site, session: Session) -> None:
    """Raises `ApiError` if another installer has it; a free one is taken."""
    if site.sessions.sit(session, site.clock.monotonic()) is not None:
        holder = holder_of(site, session)
        raise ApiError(409, "seat_taken", "another installer is at work: take over first", holder=holder)
