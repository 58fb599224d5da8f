# SPDX-License-Identifier: Apache-2.0
"""A real HTTPS server on the loopback that accepts log files.

It accepts uploads to `url`; `missing_url` has a path that it does not serve. After `hold` the answer to an upload
waits for `release`.
"""

from __future__ import annotations

import asyncio
import ssl

from aiohttp import web

__all__ = ["UploadServer"]

_MAX_BYTES = 64 * 1024 * 1024


class UploadServer:
    """Keeps the uploaded files in memory, by name. Use as an asynchronous context manager."""

    def __init__(self, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._port = 0
        self._released = asyncio.Event()
        self._released.set()
        self.files: dict[str, bytes] = {}
        self.attempts = 0
        """All requests, also refused ones."""

    async def __aenter__(self) -> UploadServer:
        app = web.Application(client_max_size=_MAX_BYTES)
        app.router.add_route("*", "/logs/{name}", self._take)
        app.router.add_route("*", "/{path:.*}", self._missing)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._released.set()
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def url(self) -> str:
        """The folder for logs."""
        return f"{self._base}/logs/"

    @property
    def missing_url(self) -> str:
        return f"{self._base}/nowhere/"

    @property
    def _base(self) -> str:
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self._port}"

    def hold(self) -> None:
        """Answers no upload until `release`."""
        self._released.clear()

    def release(self) -> None:
        self._released.set()

    async def _take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        if request.method not in ("PUT", "POST"):
            return web.Response(status=405)
        content = await request.read()
        await self._released.wait()
        self.files[request.match_info["name"]] = content
        return web.Response(status=201)

    async def _missing(self, request: web.Request) -> web.Response:
        self.attempts += 1
        await request.read()
        return web.Response(status=404)
