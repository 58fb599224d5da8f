# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of the displays: files of a fixed table, and a WebSocket for each page.

`/display/1` is the page of display 1, `/display/1/events` its WebSocket; `messages.py` says what is spoken there. Only
pages of this server may connect (Host and Origin): a web site that a browser on the board has open can neither read a
display nor touch it. Connections, pages, the size of a message and each wait are bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from drivers.screen import PAGE, languages
from drivers.screen.messages import decode
from drivers.screen.shown import Shown
from firmware.errors import ContractError
from firmware.web import LOOK
from firmware.web.web_files import WebFile, WebFiles

__all__ = ["Site"]

HOST = "127.0.0.1"
MAX_CONNECTIONS = 32
MAX_PAGES = 4
"""Open pages of one display: the kiosk's, and those of people who look for a fault."""
MAX_MESSAGE_BYTES = 1024
REQUEST_S = 5.0
SILENT_S = 30.0
"""A page that sends no heartbeat for this long is disconnected."""

_HEADERS = {
    "Connection": "close",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_log = logging.getLogger(__name__)
_silent = logging.getLogger(f"{__name__}.handshakes")
_silent.setLevel(logging.CRITICAL)  # each file is a refused handshake for the library


class Site:
    """`shown`: what each display shows; more may be added later."""

    def __init__(self, shown: Mapping[int, Shown]) -> None:
        self._shown = shown
        self._files = WebFiles({"screen": PAGE, "languages": languages.FOLDER, "look": LOOK})
        self._server: Server | None = None
        self.origin = ""

    async def start(self, port: int) -> None:
        """Raises `OSError` if the port can't be used."""
        self._server = await serve(
            self._speak,
            HOST,
            port,
            process_request=self._answer,
            create_connection=_bounded(),
            compression=None,
            open_timeout=REQUEST_S,
            ping_interval=None,
            close_timeout=1.0,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=4,
            server_header=None,
            logger=_silent,
        )
        self.origin = f"http://{HOST}:{next(iter(self._server.sockets)).getsockname()[1]}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    def _answer(self, _connection: ServerConnection, request: Request) -> Response | None:
        """Answer with a file; None lets the handshake of a WebSocket go on."""
        path = request.path.partition("?")[0]
        if request.method != "GET":
            return _response(HTTPStatus.METHOD_NOT_ALLOWED, b"only GET\n")
        if request.headers.get_all("Host") != [self.origin.removeprefix("http://")]:
            return _response(HTTPStatus.MISDIRECTED_REQUEST, b"this is another host\n")
        shown = self._of(path, "/events")
        if shown is not None:
            if request.headers.get_all("Origin") != [self.origin]:
                return _response(HTTPStatus.FORBIDDEN, b"only for pages of this server\n")
            if shown.pages >= MAX_PAGES:
                return _response(HTTPStatus.SERVICE_UNAVAILABLE, b"too many pages of this display are open\n")
            return None
        file = self._file(path)
        if file is None:
            return _response(HTTPStatus.NOT_FOUND, b"no such page\n")
        if any(map(file.is_known_to, request.headers.get_all("If-None-Match"))):
            return _response(HTTPStatus.NOT_MODIFIED, kind=file.content_type, headers=file.headers)
        return _response(HTTPStatus.OK, file.body, file.content_type, file.headers)

    def _file(self, path: str) -> WebFile | None:
        try:
            return self._files.find(path) if self._of(path, "") is None else self._files.page(PAGE / "index.html")
        except OSError:
            return None

    def _of(self, path: str, ending: str) -> Shown | None:
        """What the display shows whose page, or whose page's WebSocket, has this path."""
        for screen, shown in self._shown.items():
            if path == f"/display/{screen}{ending}":
                return shown
        return None

    async def _speak(self, connection: ServerConnection) -> None:
        """One page, until it is closed, falls silent, or sends what no page of ours does."""
        shown = self._of(connection.request.path.partition("?")[0], "/events") if connection.request else None
        if shown is None:
            return
        feed = asyncio.create_task(_feed(shown, connection))
        try:
            while True:
                async with asyncio.timeout(SILENT_S):
                    shown.on_message(decode(await connection.recv()))
                    await connection.send('{"kind":"beat"}')
        except (TimeoutError, ConnectionClosed):
            _log.debug("a page of a display is gone")
        except ContractError as error:
            _log.warning("a page of a display sent what it must not: %s", error)
            await connection.close(1008, "unknown message")
        finally:
            feed.cancel()


def _bounded() -> type[ServerConnection]:
    """A kind of connection of which there are at most `MAX_CONNECTIONS` at once; further ones are cut off."""
    present: set[ServerConnection] = set()

    class Bounded(ServerConnection):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            present.add(self)
            if len(present) > MAX_CONNECTIONS and isinstance(transport, asyncio.Transport):
                transport.abort()
            super().connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            present.discard(self)
            super().connection_lost(exc)

    return Bounded


async def _feed(shown: Shown, connection: ServerConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        await shown.feed(connection.send)


def _response(
    status: HTTPStatus,
    body: bytes = b"",
    kind: str = "text/plain; charset=utf-8",
    headers: Iterable[tuple[str, str]] = (("Cache-Control", "no-store"),),
) -> Response:
    sent = Headers(_HEADERS)
    sent.update(headers)
    sent["Content-Type"], sent["Content-Length"] = kind, str(len(body))
    return Response(status.value, status.phrase, sent, body)
