# SPDX-License-Identifier: Apache-2.0
"""A real HTTPS file server on the loopback, for firmware images.

It serves the files that a case puts into its folder, also in parts (Range), and records the requests. Its certificate
is of a root of the caller's, which the station has to trust.
"""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from aiohttp import web

__all__ = ["FileServer"]


class FileServer:
    """Serves `folder`; `url` names a file in it, which need not exist."""

    def __init__(self, folder: Path, tls: ssl.SSLContext | None) -> None:
        self._folder = folder
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._port = 0
        self.asked: list[str] = []
        """The paths of all requests, in order."""
        self.delay_s = 0.0
        """Before every answer."""

    async def start(self) -> None:
        """Listens on a free port of 127.0.0.1."""
        self._folder.mkdir(exist_ok=True)
        app = web.Application()
        app.router.add_get("/{name}", self._get)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def url(self, name: str) -> str:
        scheme = "http" if self._tls is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}/{name}"

    async def _get(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        await asyncio.sleep(self.delay_s)
        path = self._folder / Path(request.match_info["name"]).name
        if not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path)
