# SPDX-License-Identifier: Apache-2.0
"""The port of the bench CSMS: stations on `/ocpp/<identity>`, people on `/`, programs on `/api`.

Rules for the browser's side, as there are no accounts: a request must name the host it was meant for (no DNS
rebinding while on loopback), nothing is changed without JSON (no cross-site forms), a page of another origin
gets neither API nor WebSocket, and the page loads nothing from elsewhere.

One `Listener` is one address; security profiles 2 and 3 are a listener with an `ssl.SSLContext`.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, WSMsgType, web

from firmware.clock import Clock, SystemClock
from tools.csms import api
from tools.csms.desk import Desk
from tools.csms.feed import Feed
from tools.csms.files import FileSide, open_files
from tools.csms.rpc import LinkLost
from tools.csms.settings import Settings
from tools.csms.station import Station
from tools.csms.store import Store

__all__ = ["SUBPROTOCOL", "Listener", "Running", "build_app", "running"]

SUBPROTOCOL = "ocpp2.0.1"

_log = logging.getLogger(__name__)
_PAGE = Path(__file__).parent / "page"
# identifierString, without the colon (part 4, 3.1.1), and with the space of the specification's own example.
_IDENTITY = re.compile(r"[A-Za-z0-9*\-_=+|@. ]{1,48}")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Listener:
    """An address to listen on; with `tls` it is wss and https."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True)
class Running:
    """A bench CSMS that accepts connections."""

    desk: Desk
    url: str
    ocpp_url: str
    files: FileSide | None = None


class _WebSocketTransport:
    """An aiohttp WebSocket as `rpc.Transport`."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self.closed_as: str | None = None

    async def recv(self) -> str:
        message = await self._socket.receive()
        if message.type is WSMsgType.TEXT:
            text: str = message.data
            return text
        if message.type is WSMsgType.BINARY:
            await self.close(WSCloseCode.UNSUPPORTED_DATA, "OCPP-J is text")
            raise LinkLost(f"a binary frame of {len(message.data)} bytes")
        if message.type is WSMsgType.ERROR:
            code = getattr(message.data, "code", self._socket.close_code) or 1006
            raise LinkLost(f"closed with {int(code)}: {message.data}")
        raise LinkLost(self.closed_as or f"closed with {self._socket.close_code or 'no code'}")

    async def send(self, message: str) -> None:
        try:
            await self._socket.send_str(message)
        except (ConnectionError, RuntimeError) as error:
            raise LinkLost(f"cannot send: {error}") from error

    async def close(self, code: int, reason: str) -> None:
        self.closed_as = self.closed_as or f"closed here: {reason}"
        with contextlib.suppress(ConnectionError, RuntimeError):
            await self._socket.close(code=code, message=reason.encode())


# Stations


async def _on_station(request: web.Request) -> web.StreamResponse:
    settings, desk = request.app[api.SETTINGS], request.app[api.DESK]
    identity = request.match_info["identity"]
    if not _IDENTITY.fullmatch(identity):
        raise web.HTTPNotFound(text="no such charging station\n")
    profile = _security_profile(request, settings, identity)
    if len(desk.links()) >= settings.max_connections:
        raise web.HTTPServiceUnavailable(text="too many connections\n")
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        max_msg_size=settings.max_frame_bytes,
        heartbeat=settings.ping_interval_s or None,
        timeout=2.0,
    )
    await socket.prepare(request)
    if socket.ws_protocol != SUBPROTOCOL:
        # Part 4, 3.2: the handshake is completed without a subprotocol, then the connection closed.
        offered = request.headers.get("Sec-WebSocket-Protocol", "none")
        _log.warning("%s: refused, it offers %.80s and not %s", identity, offered, SUBPROTOCOL)
        await socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=f"only {SUBPROTOCOL}".encode())
        return socket
    await _serve_station(request, identity, socket, profile)
    return socket


async def _serve_station(request: web.Request, identity: str, socket: web.WebSocketResponse, profile: int) -> None:
    desk = request.app[api.DESK]
    transport = _WebSocketTransport(socket)
    station = Station(identity, transport, desk)
    replaced = desk.attach(identity, station, remote=request.remote or "?", security_profile=profile)
    closing = asyncio.create_task(replaced.close(WSCloseCode.POLICY_VIOLATION, "replaced")) if replaced else None
    why = "the connection broke"
    try:
        await station.start()
    except LinkLost as lost:
        why = str(lost)
    finally:
        desk.detach(identity, station, why)
        await transport.close(WSCloseCode.GOING_AWAY, "the bench is done with this connection")
        if closing:
            await closing


def _security_profile(request: web.Request, settings: Settings, identity: str) -> int:
    """0 to 3, or an HTTP error for a wrong password (A00.FR.204 of the CSMS's side)."""
    given = _password(request, identity)
    wanted = settings.passwords.get(identity)
    if wanted is not None and (given is None or not hmac.compare_digest(given.encode(), wanted.encode())):
        _log.warning("%s: refused, wrong password or none", identity)
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="bench CSMS"'})
    if request.secure and request.transport and request.transport.get_extra_info("peercert"):
        return 3
    if given is None:
        return 0
    return 2 if request.secure else 1


def _password(request: web.Request, identity: str) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    try:
        user, password = base64.b64decode(header.removeprefix("Basic "), validate=True).split(b":", 1)
        login, secret = user.decode(), password.decode()
    except (ValueError, binascii.Error):
        raise web.HTTPUnauthorized(text="the Authorization header is no Basic authentication\n") from None
    if login != identity:
        # Part 4, 3.1.1: the identity in the URL is checked against the one of the credentials.
        raise web.HTTPUnauthorized(text="the user name is not the identity in the URL\n")
    return secret


# The page


async def _on_page(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_PAGE / "index.html")


async def _on_icon(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_PAGE / "icon.svg")


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    station = request.path.startswith("/ocpp/")
    origin = request.headers.get("Origin")
    # Some stations' libraries send an Origin, and name the host in it without its port.
    if origin is not None and _authority(origin)[station:] != _authority(f"//{request.host}")[station:]:
        raise web.HTTPForbidden(text="a page of another origin may not use the bench CSMS\n")
    _, host = _authority(f"//{request.host}")
    if not station and _is_loopback(request.app[api.SETTINGS].host) and not _is_loopback(host):
        raise web.HTTPMisdirectedRequest(text=f"{host} is not the host name of the bench CSMS\n")
    return await handler(request)


def _authority(url: str) -> tuple[str, str]:
    """Host with port, and host alone; empty for what is no address."""
    try:
        parts = urlsplit(url)
        return parts.netloc, parts.hostname or ""
    except ValueError:
        return "", ""


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if not request.path.startswith("/ocpp/"):
        response.headers.update(_HEADERS)


# The whole


def build_app(settings: Settings, desk: Desk, feed: Feed, files: FileSide | None = None) -> web.Application:
    """Everything on one port."""
    app = web.Application(middlewares=[_guard, api.errors_as_json], client_max_size=settings.max_frame_bytes * 2)
    app[api.SETTINGS] = settings
    app[api.DESK] = desk
    app[api.FEED] = feed
    app[api.FILES] = files
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/ocpp/{identity}", _on_station)
    app.router.add_get("/", _on_page)
    app.router.add_get("/favicon.ico", _on_icon)
    app.router.add_static("/static", _PAGE)
    if files is not None:
        app.router.add_get("/files/{path:.+}", files.send)
    app.add_routes(api.ROUTES)
    return app


@contextlib.asynccontextmanager
async def running(
    settings: Settings, *, clock: Clock | None = None, listeners: Sequence[Listener] = ()
) -> AsyncIterator[Running]:
    """A bench CSMS from here to the end of the block. Raises `StorageError`, or `OSError` when the port is taken."""
    store = Store(settings.database, settings.limits)
    feed = Feed()
    desk = Desk(store, feed, clock or SystemClock(), settings.behaviour)
    stack = contextlib.AsyncExitStack()
    try:
        files = None
        if settings.files is not None:
            files = await stack.enter_async_context(open_files(settings.files, settings.database.parent))
        runner = web.AppRunner(build_app(settings, desk, feed, files), access_log=None, shutdown_timeout=1.0)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        for listener in listeners or [Listener(settings.host, settings.port)]:
            await web.TCPSite(runner, listener.host, listener.port, ssl_context=listener.tls).start()
        host, port = runner.addresses[0][:2]
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        yield Running(desk, f"http://{authority}/", f"ws://{authority}/ocpp", files)
    finally:
        feed.close()
        await asyncio.gather(*(link.close(WSCloseCode.GOING_AWAY, "the bench ends") for link in desk.links()))
        await stack.aclose()
        store.close()
