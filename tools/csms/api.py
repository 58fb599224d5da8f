# SPDX-License-Identifier: Apache-2.0
"""The JSON API. Every error is `{"error": CODE, "detail": TEXT}` with a status of its own.

GET    /api                            what this is: version, addresses, behaviour
GET    /api/lines                      every station in a line: {id, connected, registration, statuses, ...}
GET    /api/stations                   [station, ...];   /api/stations/{id}   one; both with active transactions
POST   /api/stations/{id}/call         {"action", "payload", "raw", "timeout_s"} -> the station's answer
GET    /api/transactions               [summary, ...] the newest first; ?station= ?active=true
GET    /api/transactions/detail        ?station= &id= -> summary, events, series
GET    /api/messages                   ?station= &after= &before= &limit= &max_text=;   /api/messages/{number}   one
GET    /api/tokens                     PUT and DELETE /api/tokens/{id_token}
GET    /api/behaviour                  PUT: how stations are answered
GET    /api/actions                    templates of the requests that can be sent
GET    /api/files                      and /api/firmware: see file_api.py
GET    /api/export/...                 see export.py
GET    /api/stations/{id}/...          variables and certificates: see station_api.py
GET    /api/events                     server-sent events: line, token, behaviour of all; station, transaction,
                                       message, of ?station= or of all
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from aiohttp import web
from msgspec import Struct

from firmware.errors import StorageError
from firmware.type_words import decode_json, type_problem
from tools.csms.back_office import BackOffice
from tools.csms.ca import BenchPki
from tools.csms.feed import Feed
from tools.csms.rpc import Answer, BadAnswer, Busy, LinkLost, NoAnswer, RpcLink
from tools.csms.settings import Behaviour, Settings
from tools.csms.store import MessageRow, Token
from tools.csms.views import shortened
from tools.ocppj import schemas
from tools.ocppj.frames import Result

__all__ = [
    "BACK_OFFICE",
    "FEED",
    "PKI",
    "ROUTES",
    "SETTINGS",
    "WSS",
    "ApiError",
    "CallRequest",
    "as_json",
    "call",
    "errors_as_json",
    "read_body",
    "templates",
]

BACK_OFFICE = web.AppKey("back_office", BackOffice)
FEED = web.AppKey("feed", Feed)
SETTINGS = web.AppKey("settings", Settings)
PKI = web.AppKey("pki", BenchPki)
WSS: web.AppKey[dict[str, int]] = web.AppKey("wss")
"""`port`, if there is one for wss."""

_MAX_READERS = 32
_KEEP_ALIVE_S = 15.0
_MAX_TIMEOUT_S = 600.0

_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ApiError(Exception):
    """An error of the caller, or a failure of the station."""

    def __init__(self, status: int, code: str, detail: str, **more: object) -> None:
        super().__init__(detail)
        self.status = status
        self.body = {"error": code, "detail": detail, **more}


class CallRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """`raw` sends any action and any payload, without a check."""

    action: str
    payload: dict[str, Any] = msgspec.field(default_factory=dict)
    raw: bool = False
    timeout_s: float | None = None


class TokenRequest(Struct, frozen=True, forbid_unknown_fields=True):
    status: str = "Accepted"
    type: str = "ISO14443"
    group_id_token: str | None = None


def as_json(data: Any, status: int = 200) -> web.Response:
    """An answer of the API."""
    return web.Response(body=msgspec.json.encode(data), status=status, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Returns every error of the API as JSON."""
    try:
        return await handler(request)
    except ApiError as error:
        return as_json(error.body, error.status)
    except StorageError as error:
        return as_json({"error": "storage", "detail": str(error)}, 507)
    except web.HTTPException as error:
        if not request.path.startswith("/api") or error.status < 400:
            raise
        return as_json({"error": error.reason.lower().replace(" ", "_"), "detail": str(error.text)}, error.status)


async def read_body(request: web.Request, kind: type[_T]) -> _T:
    """The JSON body of a request. Raises `ApiError`."""
    if request.content_type != "application/json":
        # Another site's form can't send this type without a CORS preflight.
        raise ApiError(415, "not_json", "send Content-Type: application/json")
    try:
        return decode_json(await request.read(), kind)
    except ValueError as error:
        raise ApiError(400, "malformed", str(error)) from None


def _number(request: web.Request, name: str) -> int | None:
    text = request.query.get(name, "")
    if not text:
        return None
    if not text.isdecimal() or len(text) > 15:
        raise ApiError(400, "malformed", f"{name} must be a whole number, not {text[:40]!r}")
    return int(text)


# Stations


def _unknown(station: str) -> ApiError:
    return ApiError(404, "unknown_station", f"{station[:60]} has never connected")


def _described(office: BackOffice, station: str) -> dict[str, Any]:
    record = office.station(station)
    if record is None:
        raise _unknown(station)
    active = office.active_transactions(station)
    return {**msgspec.to_builtins(record), "active_transactions": msgspec.to_builtins(active)}


async def _about(request: web.Request) -> web.Response:
    settings, pki, port = request.app[SETTINGS], request.app[PKI], request.app[WSS].get("port")
    plain = f"ws://{request.host}/ocpp"
    secure = str(request.url.with_scheme("wss").with_port(port).with_path("/ocpp")) if port else None
    about = {
        "csms": "baywatt bench",
        "ocpp": secure if settings.security_profile >= 2 else plain,
        "ocpps": secure,
        "security_profile": settings.security_profile,
        "root": pki.root_pem,
        "manufacturer_root": pki.manufacturer_pem,
        "behaviour": request.app[BACK_OFFICE].behaviour,
        "stations_with_password": sorted(settings.passwords),
    }
    return as_json(about)


async def _stations(request: web.Request) -> web.Response:
    office = request.app[BACK_OFFICE]
    return as_json([_described(office, record.id) for record in office.stations()])


async def _lines(request: web.Request) -> web.Response:
    office = request.app[BACK_OFFICE]
    return as_json([office.line(record) for record in office.stations()])


async def _station(request: web.Request) -> web.Response:
    return as_json(_described(request.app[BACK_OFFICE], request.match_info["station"]))


async def _call(request: web.Request) -> web.Response:
    return as_json(await call(request, await read_body(request, CallRequest)))


async def call(request: web.Request, requested: CallRequest) -> dict[str, Any]:
    """Sends a request to the station that the path names; its answer, with `result` or `call_error`.

    Raises `ApiError`.
    """
    link = _connected(request.app[BACK_OFFICE], request.match_info["station"], raw=requested.raw)
    if not requested.raw:
        _check_call(requested)
    timeout_s = requested.timeout_s or request.app[SETTINGS].call_timeout_s
    if not 0 < timeout_s <= _MAX_TIMEOUT_S:
        raise ApiError(400, "malformed", f"timeout_s must be above 0 and at most {_MAX_TIMEOUT_S:g}")
    try:
        answer = await link.request(requested.action, requested.payload, timeout_s=timeout_s)
    except NoAnswer as error:
        raise ApiError(504, "no_answer", str(error)) from None
    except Busy as error:
        raise ApiError(429, "busy", str(error)) from None
    except LinkLost as error:
        raise ApiError(409, "not_connected", str(error)) from None
    except BadAnswer as error:
        raise ApiError(502, "bad_answer", str(error)) from None
    return _answered(requested.action, answer)


def _connected(office: BackOffice, station: str, *, raw: bool) -> RpcLink:
    record = office.station(station)
    if record is None:
        raise _unknown(station)
    link = office.link(station)
    if not isinstance(link, RpcLink):
        raise ApiError(409, "not_connected", f"{station} is not connected")
    if record.registration == "Rejected" and not raw:
        # B03.FR.03; with `raw` an engineer can break the rule on purpose.
        raise ApiError(409, "rejected", f"{station} was rejected: only raw requests are sent to it")
    return link


def _check_call(requested: CallRequest) -> None:
    if requested.action not in schemas.CSMS_ACTIONS:
        raise ApiError(400, "unknown_action", f"a CSMS does not send {requested.action[:60]!r}")
    problem = schemas.check(requested.action, "Request", requested.payload)
    if problem:
        raise ApiError(422, "schema", str(problem), path=problem.path)


def _answered(action: str, answer: Answer) -> dict[str, Any]:
    frame = answer.frame
    common = {"action": action, "message_id": frame.message_id, "took_ms": answer.took_ms}
    if isinstance(frame, Result):
        return {**common, "result": frame.payload, "problem": answer.problem}
    error = {"code": frame.code, "description": frame.description, "details": frame.details}
    return {**common, "call_error": error}


# Transactions and messages


async def _transactions(request: web.Request) -> web.Response:
    station, active = request.query.get("station"), request.query.get("active")
    found = [
        summary
        for summary in request.app[BACK_OFFICE].transactions()
        if station in (None, "", summary.station) and active in (None, "", str(summary.active).lower())
    ]
    return as_json(found)


async def _transaction(request: web.Request) -> web.Response:
    office = request.app[BACK_OFFICE]
    station, transaction_id = request.query.get("station", ""), request.query.get("id", "")
    summary = office.transaction(station, transaction_id)
    if summary is not None:
        series = office.series(station, transaction_id)
        return as_json({"transaction": summary, "events": office.events(station, transaction_id), "series": series})
    raise ApiError(404, "unknown_transaction", f"{station[:60]} has reported no transaction {transaction_id[:60]!r}")


async def _messages(request: web.Request) -> web.Response:
    limit = min(_number(request, "limit") or 200, 1000)
    after, before = _number(request, "after"), _number(request, "before")
    rows = request.app[BACK_OFFICE].messages(request.query.get("station") or None, after, before=before, limit=limit)
    max_text = _number(request, "max_text")
    return as_json(rows if max_text is None else [shortened(row, max_text) for row in rows])


async def _message(request: web.Request) -> web.Response:
    number = request.match_info["number"]
    row: MessageRow | None = request.app[BACK_OFFICE].message(int(number)) if len(number) < 16 else None
    if row is None:
        raise ApiError(404, "unknown_message", f"there is no message {number[:20]} in the log")
    return as_json(row)


# Tokens and behaviour


async def _tokens(request: web.Request) -> web.Response:
    return as_json(request.app[BACK_OFFICE].tokens())


async def _put_token(request: web.Request) -> web.Response:
    body = await read_body(request, TokenRequest)
    token = Token(request.match_info["id_token"], body.type, body.status, body.group_id_token)
    _check_token(token)
    return as_json(request.app[BACK_OFFICE].put_token(token))


def _check_token(token: Token) -> None:
    choices = {
        "status": (token.status, schemas.enumeration("Authorize", "Response", "AuthorizationStatusEnumType")),
        "type": (token.type, schemas.enumeration("Authorize", "Response", "IdTokenEnumType")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ApiError(422, "malformed", f"{name} must be one of {', '.join(allowed)}")
    if max(len(token.id_token), len(token.group_id_token or "")) > 36:
        raise ApiError(422, "malformed", "an id token has at most 36 characters")


async def _delete_token(request: web.Request) -> web.Response:
    id_token = request.match_info["id_token"]
    if not request.app[BACK_OFFICE].delete_token(id_token):
        raise ApiError(404, "unknown_token", f"there is no token {id_token[:40]}")
    return as_json({"deleted": id_token})


async def _behaviour(request: web.Request) -> web.Response:
    return as_json(request.app[BACK_OFFICE].behaviour)


async def _put_behaviour(request: web.Request) -> web.Response:
    office = request.app[BACK_OFFICE]
    body = await read_body(request, dict[str, Any])
    wanted = {**msgspec.to_builtins(office.behaviour), **body}
    try:
        office.set_behaviour(msgspec.convert(wanted, Behaviour))
    except msgspec.ValidationError as error:
        raise ApiError(422, "malformed", type_problem(error, Behaviour, wanted)) from None
    return as_json(office.behaviour)


@cache
def templates() -> list[dict[str, Any]]:
    """Templates of requests: `{"group", "action", "title", "payload"}`; the page fills in texts like `$name`."""
    text = (Path(__file__).parent / "templates.json").read_bytes()
    return msgspec.json.decode(text, type=list[dict[str, Any]])


async def _actions(_request: web.Request) -> web.Response:
    return as_json(templates())


# Live


async def _events(request: web.Request) -> web.StreamResponse:
    feed = request.app[FEED]
    if len(feed) >= _MAX_READERS:
        raise ApiError(503, "too_many_readers", f"{_MAX_READERS} pages are already open")
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    with feed.subscribe(request.query.get("station") or None) as reader:
        await response.prepare(request)
        await response.write(b"retry: 1000\nevent: hello\ndata: {}\n\n")
        while True:
            try:
                event = await asyncio.wait_for(reader.get(), _KEEP_ALIVE_S)
            except TimeoutError:
                event = b": still here\n\n"
            if event is None:
                return response
            try:
                await response.write(event)
            except ConnectionError:
                return response


ROUTES = [
    web.get("/api", _about),
    web.get("/api/stations", _stations),
    web.get("/api/lines", _lines),
    web.get("/api/stations/{station}", _station),
    web.post("/api/stations/{station}/call", _call),
    web.get("/api/transactions", _transactions),
    web.get("/api/transactions/detail", _transaction),
    web.get("/api/messages", _messages),
    web.get(r"/api/messages/{number:\d+}", _message),
    web.get("/api/tokens", _tokens),
    web.put("/api/tokens/{id_token}", _put_token),
    web.delete("/api/tokens/{id_token}", _delete_token),
    web.get("/api/behaviour", _behaviour),
    web.put("/api/behaviour", _put_behaviour),
    web.get("/api/actions", _actions),
    web.get("/api/events", _events),
]
