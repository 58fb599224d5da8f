# SPDX-License-Identifier: Apache-2.0
"""From a request to its route and back: pages and their parts by name, operations by method and path."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import msgspec
from msgspec import Struct

from firmware.type_words import decode_json, type_problem
from firmware.web import LOOK
from firmware.web.web_files import WebFile, WebFiles
from services.commissioning import guard
from services.commissioning.api_error import ApiError
from services.commissioning.audit import AUDIT
from services.commissioning.events import TooManyError
from services.commissioning.http.messages import Answer, Request, as_json, problem
from services.commissioning.site import Call, Route, Site

__all__ = ["App"]

PAGE = Path(__file__).parent / "page"
OPENAPI = Path(__file__).parent / "openapi.json"
_PAGES = {"/": PAGE / "index.html", "/api/openapi.json": OPENAPI}
_ALIASES = {"/favicon.ico": "/look/icon.svg"}
_log = logging.getLogger(__name__)


class App:
    """Answers every request; `names` are those by which this host may be called."""

    def __init__(self, site: Site, routes: Iterable[Route], names: Iterable[str]) -> None:
        self._site = site
        self._names = frozenset(name.lower() for name in names)
        self._files = WebFiles({"static": PAGE, "look": LOOK})
        self._routes = [(tuple(route.path.split("/")[1:]), route) for route in routes]

    async def answer(self, request: Request) -> Answer:
        """Raises `BadRequest`."""
        try:
            guard.check_origin(request, self._names)
            file = self._file(request.target.partition("?")[0])
            if file is not None:
                return _send(file, request)
            route, parameters = self._find(request)
            if not self._site.allowance.take(request.address, self._site.clock.monotonic()):
                raise ApiError(429, "wait", "too many requests: slow down", headers=(("Retry-After", "1"),))
            who = guard.who_calls(request, self._site)
            guard.admit(route, request, self._site, who)
            call = Call(self._site, who, request, parameters, await _body(route, request), _query(route, request))
            return await self._carry_out(route, call)
        except ApiError as error:
            return problem(error.status, error.detail, error=error.error, headers=error.headers, **error.more)

    async def _carry_out(self, route: Route, call: Call) -> Answer:
        try:
            result = await route.handler(call)
        except TooManyError:
            raise ApiError(503, "busy", "too many pages are open: close some") from None
        except OSError as error:
            _log.error("%s: %s: %s", call.who, route.summary, error)
            raise ApiError(507, "storage", f"nothing was changed: {error.strerror or error}") from None
        if route.method != "GET" and route.changes:
            _log.info(
                "audit: %s: %s: %s %s", call.who, route.summary, route.method, call.request.target[:200], extra=AUDIT
            )
        if isinstance(result, Answer):
            return result
        return as_json({} if result is None else result)

    def _file(self, path: str) -> WebFile | None:
        try:
            page = _PAGES.get(path)
            return self._files.find(_ALIASES.get(path, path)) if page is None else self._files.page(page)
        except OSError:
            return None

    def _find(self, request: Request) -> tuple[Route, dict[str, str]]:
        path = request.path
        fitting = [(route, found) for pattern, route in self._routes if (found := _match(pattern, path)) is not None]
        for route, parameters in fitting:
            if route.method == request.method:
                return route, parameters
        if not fitting:
            raise ApiError(404, "not_found", "there is nothing at this address")
        allowed = ", ".join(route.method for route, _ in fitting)
        raise ApiError(405, "method_not_allowed", f"expected {allowed}", headers=(("Allow", allowed),))


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> dict[str, str] | None:
    if len(pattern) != len(path):
        return None
    found = {}
    for wanted, given in zip(pattern, path, strict=True):
        if wanted.startswith("{"):
            found[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return found


async def _body(route: Route, request: Request) -> Struct | None:
    if route.body is None:
        return None
    if (request.header("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(415, "not_json", "send Content-Type: application/json")
    text = await request.read(route.most_bytes)
    try:
        return decode_json(text, route.body)
    except ValueError as error:
        raise ApiError(400, "malformed", str(error)) from None


def _query(route: Route, request: Request) -> Struct | None:
    if route.query is None:
        return None
    query = request.query
    try:
        return msgspec.convert(query, route.query, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, "malformed", f"query: {type_problem(error, route.query, query)}") from None


def _send(file: WebFile, request: Request) -> Answer:
    if request.method not in ("GET", "HEAD"):
        raise ApiError(405, "method_not_allowed", "expected GET", headers=(("Allow", "GET"),))
    if file.is_known_to(request.header("if-none-match")):
        return Answer(304, headers=file.headers)
    return Answer(body=file.body, content_type=file.content_type, headers=file.headers)
