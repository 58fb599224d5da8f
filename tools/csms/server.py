# SPDX-License-Identifier: Apache-2.0
"""The ports of the bench CSMS: stations on `/ocpp/<identity>`, people on `/`, programs on `/api`.

Rules for browsers, as there are no accounts: a request must name the host it was meant for (no DNS rebinding while on
loopback), nothing is changed without JSON (no cross-site forms), a page of another origin has no access to API and
WebSocket, and the page loads nothing from elsewhere.

Page and API use plain HTTP, on the first port. Security profiles 2 and 3 have a second port with TLS, for stations
only; `Settings.security_profile` is the minimum that a station needs.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import hmac
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from aiohttp import WSCloseCode, WSMsgType, web

from firmware.clock import Clock, SystemClock
from firmware.web import LOOK
from tools.csms import api, export, file_api, station_api
from tools.csms.admission import Admission
from tools.csms.back_office import BackOffice, Link
from tools.csms.ca import BenchPki
from tools.csms.feed import Feed
from tools.csms.file_access import keep, kept
from tools.csms.files import FileSide, open_files
from tools.csms.rpc import LinkLost, RpcLink
from tools.csms.settings import Settings, address
from tools.csms.station import Station
from tools.csms.store import Store
from tools.csms.tls import PeerCertificate, TlsSession, server_context, session_of
from tools.web_guard import authority, is_loopback

__all__ = ["SUBPROTOCOL", "Running", "build_app", "running"]

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
class Running:
    """A bench CSMS that accepts connections; `ocpp_url` is the address for stations of the required profile."""

    office: BackOffice
    url: str
    ocpp_url: str
    pki: BenchPki
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
    settings, office = request.app[api.SETTINGS], request.app[api.BACK_OFFICE]
    identity = request.match_info["identity"]
    if not _IDENTITY.fullmatch(identity):
        raise web.HTTPNotFound(text="no such charging station\n")
    session = session_of(request.transport.get_extra_info("ssl_object") if request.transport else None)
    profile = _security_profile(request, settings, identity, session)
    if len(office.links()) >= settings.max_connections:
        raise web.HTTPServiceUnavailable(text="too many connections\n")
    socket = web.WebSocketResponse(
        protocols=(SUBPROTOCOL,),
        max_msg_size=settings.max_frame_bytes,
        heartbeat=settings.ping_interval_s or None,
        timeout=2.0,
    )
    try:
        await socket.prepare(request)
    except ConnectionError:
        _log.info("%s: gone before its handshake was answered", identity)
        return socket
    if socket.ws_protocol != SUBPROTOCOL:
        # Part 4, 3.2: complete the handshake without a subprotocol, then close the connection.
        offered = request.headers.get("Sec-WebSocket-Protocol", "none")
        _log.warning("%s: refused, it offers subprotocol %.80s, not %s", identity, offered, SUBPROTOCOL)
        await socket.close(code=WSCloseCode.PROTOCOL_ERROR, message=f"only {SUBPROTOCOL}".encode())
        return socket
    transport = _WebSocketTransport(socket)
    certified_as = session.certificate.common_name if session and session.certificate else None
    link = RpcLink(identity, transport, office, Admission(identity, office, certified_as))
    replaced = office.attach(identity, link, remote=request.remote or "?", security_profile=profile, tls=session)
    await _serve_station(link, request.app[api.PKI], replaced)
    return socket


async def _serve_station(link: RpcLink, pki: BenchPki, replaced: Link | None) -> None:
    closing = asyncio.create_task(replaced.close(WSCloseCode.POLICY_VIOLATION, "replaced")) if replaced else None
    why = "the connection was lost"
    try:
        await Station(link, pki).start()
    except LinkLost as lost:
        why = str(lost)
    finally:
        link.office.detach(link.identity, link, why)
        await link.close(WSCloseCode.GOING_AWAY, "the connection is over")
        if closing:
            await closing


def _security_profile(request: web.Request, settings: Settings, identity: str, session: TlsSession | None) -> int:
    """0 to 3, or an HTTP error if the station is refused (A00.FR.203, A00.FR.303, A00.FR.404, A00.FR.405)."""
    if session is None and settings.security_profile >= 2:
        _log.warning("%s: refused, it connects without TLS", identity)
        raise web.HTTPForbidden(text="stations connect to the port for wss\n")
    if session is not None and session.certificate is not None:
        _check_certificate(request.app[api.BACK_OFFICE], identity, session.certificate)
        return 3
    given = _password(request, identity)
    wanted = settings.passwords.get(identity)
    wrong = wanted is not None and (given is None or not hmac.compare_digest(given.encode(), wanted.encode()))
    if wrong or (given is None and settings.security_profile >= 1):
        _log.warning("%s: refused, no password or a wrong one", identity)
        raise web.HTTPUnauthorized(headers={"WWW-Authenticate": 'Basic realm="bench CSMS"'})
    if given is None:
        return 0
    return 2 if session else 1


def _check_certificate(office: BackOffice, identity: str, certificate: PeerCertificate) -> None:
    """Refuse another station's certificate; if the station never booted here, its boot will be checked."""
    record = office.station(identity)
    serial_number = record.serial_number if record else None
    if not certificate.organization:  # A00.FR.404
        problem = "names no organization"
    elif serial_number not in (None, certificate.common_name):  # A00.FR.405
        problem = f"is for {certificate.common_name!r}, but this station booted as {serial_number!r}"
    else:
        return
    _log.warning("%s: refused, its certificate %s", identity, problem)  # A00.FR.408
    raise web.HTTPForbidden(text=f"the certificate {problem}\n")


def _password(request: web.Request, identity: str) -> str | None:
    header = request.headers.get("Authorization")
    if header is None:
        return None
    try:
        user, password = base64.b64decode(header.removeprefix("Basic "), validate=True).split(b":", 1)
        login, secret = user.decode(), password.decode()
    except (ValueError, binascii.Error):
        raise web.HTTPUnauthorized(text="the Authorization header is not Basic authentication\n") from None
    if login != identity:
        # Part 4, 3.1.1: the identity in the URL must be the user name of the credentials.
        raise web.HTTPUnauthorized(text="the user name is not the identity in the URL\n")
    return secret


# The page


async def _on_page(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(_PAGE / "index.html")


async def _on_icon(_request: web.Request) -> web.StreamResponse:
    return web.FileResponse(LOOK / "icon.svg")


async def _on_look(request: web.Request) -> web.StreamResponse:
    file = LOOK / request.match_info["name"]
    if not file.is_file():
        raise web.HTTPNotFound
    return web.FileResponse(file)


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    station = request.path.startswith("/ocpp/")
    if request.secure and not station:
        raise web.HTTPNotFound(text="this port is for stations; the page is on the port without TLS\n")
    origin = request.headers.get("Origin")
    # Some stations' libraries send an Origin with the host but without its port.
    if origin is not None and authority(origin)[station:] != authority(f"//{request.host}")[station:]:
        raise web.HTTPForbidden(text="pages of another origin may not use the bench CSMS\n")
    _, host = authority(f"//{request.host}")
    if not station and is_loopback(request.app[api.SETTINGS].host) and not is_loopback(host):
        raise web.HTTPMisdirectedRequest(text=f"{host} is not the host name of the bench CSMS\n")
    return await handler(request)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    if not request.path.startswith("/ocpp/"):
        response.headers.update(_HEADERS)


# The server


def build_app(
    settings: Settings, office: BackOffice, feed: Feed, pki: BenchPki, files: FileSide | None
) -> web.Application:
    """The application behind all ports."""
    app = web.Application(middlewares=[_guard, api.errors_as_json], client_max_size=settings.max_frame_bytes * 2)
    app[api.SETTINGS] = settings
    app[api.BACK_OFFICE] = office
    app[api.FEED] = feed
    app[api.PKI] = pki
    app[api.WSS] = {}
    app[file_api.FILES] = files
    app.on_response_prepare.append(_add_headers)
    app.router.add_get("/ocpp/{identity}", _on_station)
    app.router.add_get("/", _on_page)
    app.router.add_get("/favicon.ico", _on_icon)
    app.router.add_static("/static", _PAGE)
    app.router.add_get(r"/look/{name:[a-z_]+\.(css|js|svg)}", _on_look)
    if files is not None:
        app.router.add_get("/files/{path:.+}", files.send)
    app.add_routes([*api.ROUTES, *station_api.ROUTES, *export.ROUTES, *file_api.ROUTES])
    return app


async def _listen_for_tls(runner: web.AppRunner, settings: Settings, pki: BenchPki) -> int:
    required = settings.security_profile == 3
    tls = server_context(pki.server, stations_root=pki.root_pem, required=required)
    before = len(runner.addresses)
    await web.TCPSite(runner, settings.host, settings.tls_port or 0, ssl_context=tls).start()
    port: int = runner.addresses[before][1]
    return port


@contextlib.asynccontextmanager
async def running(settings: Settings, *, clock: Clock | None = None) -> AsyncIterator[Running]:
    """A bench CSMS, until the block ends. Raises `StorageError`, or `OSError` if a port is in use."""
    state = settings.database.parent
    pki = await asyncio.to_thread(BenchPki, state / "pki", settings.host)
    store = Store(settings.database, settings.limits, grouped=True)
    feed = Feed()
    office = BackOffice(store, feed, clock or SystemClock(), settings.behaviour)
    office.know_certificates(pki.root_pem, pki.manufacturer_pem)
    office.group_commits()
    stack = contextlib.AsyncExitStack()
    try:
        files = None
        if settings.files is not None:
            tls = server_context(pki.server)
            place = state / "files.json"
            access = kept(place, settings.https_port, settings.ftp_port)
            servers = open_files(settings.files, tls, settings.host, access=access)
            files = await stack.enter_async_context(servers)
            keep(place, files.access)
        app = build_app(settings, office, feed, pki, files)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        stack.push_async_callback(runner.cleanup)
        await runner.setup()
        await web.TCPSite(runner, settings.host, settings.port).start()
        host, port = runner.addresses[0][:2]
        url, ocpp_url = f"http://{address(host, port)}/", f"ws://{address(host, port)}/ocpp"
        if settings.tls_port is not None:
            app[api.WSS]["port"] = port = await _listen_for_tls(runner, settings, pki)
            if settings.security_profile >= 2:
                ocpp_url = f"wss://{address(host, port)}/ocpp"
        yield Running(office, url, ocpp_url, pki, files)
    finally:
        feed.close()
        await asyncio.gather(*(link.close(WSCloseCode.GOING_AWAY, "the bench is stopping") for link in office.links()))
        await stack.aclose()
        office.close()
        store.close()
