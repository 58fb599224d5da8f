# SPDX-License-Identifier: Apache-2.0
"""The cockpit's server, on the loopback: files, and for each open page a WebSocket.

To the page: `{"state": ...}` a few times a second, `{"event": ...}` of the rig, `{"message": ...}` for each line of the
message log, `{"answer": ...}` to its operations. From the page: `{"op": ..., ...}`, which goes to the control socket as
it is. There are no accounts: a request must name the loopback, and a page of another origin gets nothing.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import WSMsgType, web

from drivers.screen import PAGE as DISPLAY
from drivers.screen import languages
from firmware.message_log import MessageLogReader
from firmware.web import LOOK
from tools.rig.client import RigClient, RigGone, RigRefused
from tools.web_guard import authority, is_loopback

__all__ = ["Cockpit"]

_PAGE = Path(__file__).parent / "page"
_STATE_S = 0.25
_MAX_PAGES = 8
_MAX_BYTES = 64 * 1024
_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Cockpit:
    """Serves until the block ends; raises `RigGone` if no rig is at `control`, or `OSError`."""

    def __init__(self, control: Path, host: str, port: int) -> None:
        self._control = control
        self._host, self._port = host, port
        self._runner: web.AppRunner | None = None
        self._rig: RigClient | None = None
        self._pages: set[web.WebSocketResponse] = set()
        self.url = ""

    async def __aenter__(self) -> Self:
        self._rig = await RigClient.connect(self._control)
        app = web.Application(middlewares=[_guard])
        app.on_response_prepare.append(_add_headers)
        app.router.add_get("/", _file(_PAGE / "index.html"))
        app.router.add_get("/events", self._on_page)
        app.router.add_get("/favicon.ico", _file(LOOK / "icon.svg"))
        for prefix, folder in (
            ("/static", _PAGE),
            ("/look", LOOK),
            ("/display", DISPLAY),
            ("/languages", languages.FOLDER),
        ):
            app.router.add_static(prefix, folder)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        self.url = f"http://{self._host}:{self._runner.addresses[0][1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        for page in tuple(self._pages):
            await page.close()
        if self._runner is not None:
            await self._runner.cleanup()
        if self._rig is not None:
            await self._rig.close()

    async def ended(self) -> None:
        """Wait until the rig ends."""
        assert self._rig is not None
        await self._rig.ended()

    # --- one open page ---------------------------------------------------------------------------------------------

    async def _on_page(self, request: web.Request) -> web.StreamResponse:
        if len(self._pages) >= _MAX_PAGES:
            raise web.HTTPServiceUnavailable(text=f"{_MAX_PAGES} pages are already open\n")
        socket = web.WebSocketResponse(max_msg_size=_MAX_BYTES, heartbeat=20)
        await socket.prepare(request)
        self._pages.add(socket)
        try:
            async with await RigClient.connect(self._control) as rig:
                await self._serve(socket, rig)
        except RigGone:
            pass  # the page says that it has lost the rig, and tries again
        finally:
            self._pages.discard(socket)
            await socket.close()
        return socket

    async def _serve(self, socket: web.WebSocketResponse, rig: RigClient) -> None:
        outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue(1000)

        def on_event(event: dict[str, Any]) -> None:
            rig.events.clear()
            if not outbox.full():  # a page that does not read sees the state later
                outbox.put_nowait({"event": event})

        rig.on_event(on_event)
        await rig.subscribe()
        tasks = [
            asyncio.create_task(self._send_states(rig, outbox)),
            asyncio.create_task(_write(socket, outbox)),
            asyncio.create_task(_obey(socket, rig, outbox)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                if (error := task.exception()) is not None and not isinstance(error, RigGone | ConnectionError):
                    raise error
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _send_states(self, rig: RigClient, outbox: asyncio.Queue[dict[str, Any]]) -> None:
        reader: MessageLogReader | None = None
        last: dict[str, Any] = {}
        try:
            while True:
                state = await rig.state()
                reader = reader or MessageLogReader(Path(state["message_log"]))
                for _, line in reader.lines():
                    await outbox.put({"message": line})
                if state != last:
                    last = state
                    await outbox.put({"state": state})
                await asyncio.sleep(_STATE_S)
        finally:
            if reader is not None:
                reader.close()


async def _write(socket: web.WebSocketResponse, outbox: asyncio.Queue[dict[str, Any]]) -> None:
    while True:
        await socket.send_str(json.dumps(await outbox.get(), ensure_ascii=False))


async def _obey(socket: web.WebSocketResponse, rig: RigClient, outbox: asyncio.Queue[dict[str, Any]]) -> None:
    """Carries out the page's operations until it closes."""
    async for message in socket:
        if message.type is not WSMsgType.TEXT:
            continue
        try:
            fields = json.loads(message.data)
            name = fields.pop("op")
            fields.pop("id", None)
            if not isinstance(name, str):
                raise TypeError
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            await outbox.put({"answer": {"ok": False, "detail": "an operation is an object with `op`"}})
            continue
        try:
            await rig.op(name, **fields)
        except RigRefused as refused:
            await outbox.put({"answer": {"op": name, "ok": False, "detail": refused.detail}})
        else:
            await outbox.put({"answer": {"op": name, "ok": True}})


_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def _file(path: Path) -> _Handler:
    async def send(_request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path)

    return send


@web.middleware
async def _guard(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if not is_loopback(authority(f"//{request.host}")[1]):
        raise web.HTTPMisdirectedRequest(text="that is not the host name of the cockpit\n")
    origin = request.headers.get("Origin")
    if origin is not None and origin != f"http://{request.host}":
        raise web.HTTPForbidden(text="pages of another origin may not use the cockpit\n")
    return await handler(request)


async def _add_headers(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
