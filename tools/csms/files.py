# SPDX-License-Identifier: Apache-2.0
"""The file servers of the bench CSMS: a folder of firmware images, and a place for the logs of stations.

`--files DIR` serves the files in DIR over HTTPS and FTP and accepts uploads into `DIR/logs`. The HTTPS server's
certificate is issued by the bench's authority (`ca.py`), which a station needs as CSMS root. FTP requires the name and
password in its URL. Ports and password stay the same between starts (`file_access.py`).

Names are plain file names: nothing outside the folder can be read or written, and no link is followed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import re
import secrets
import ssl
import threading
import warnings
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from aiohttp import web
from msgspec import Struct

from firmware.errors import ConfigError, StorageError
from tools.csms.file_access import FileAccess
from tools.csms.settings import address, reached_as

__all__ = ["FileEntry", "FileSide", "open_files"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,199}")
_MAX_UPLOAD_BYTES = 64 * 1024 * 1024
_KEPT_UPLOADS = 200


class FileEntry(Struct, frozen=True):
    """One file; `path` is `NAME` or `logs/NAME`."""

    path: str
    size: int
    modified: float


class FileSide:
    """The folder, and the addresses of its servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.https = ""
        self.ftp = ""
        self.access = FileAccess(0, 0, "")
        """The ports and the password in use."""

    def entries(self) -> list[FileEntry]:
        """All files, the newest first."""
        found = []
        for place, prefix in ((self.folder, ""), (self.logs, "logs/")):
            for path in place.iterdir():
                if _NAME.fullmatch(path.name) and not path.is_symlink() and path.is_file():
                    status = path.stat()
                    found.append(FileEntry(prefix + path.name, status.st_size, status.st_mtime))
        return sorted(found, key=lambda entry: -entry.modified)

    def find(self, path: str) -> Path | None:
        """The file for a path as in `entries`, or None."""
        place = self.logs if path.startswith("logs/") else self.folder
        name = path.removeprefix("logs/")
        found = place / name
        return found if _NAME.fullmatch(name) and not found.is_symlink() and found.is_file() else None

    async def send(self, request: web.Request) -> web.StreamResponse:
        """GET of a file."""
        found = self.find(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound(text="no such file\n")
        return web.FileResponse(found, headers={"Content-Disposition": f'attachment; filename="{found.name}"'})

    async def take(self, request: web.Request) -> web.Response:
        """PUT of a body to `/logs/NAME`, or POST of a form to `/logs` (N01.FR.18, N01.FR.19)."""
        name = request.match_info.get("name", "")
        if request.method == "POST":
            name = await self._take_form(request)
        else:
            await self._store(name, request.content.iter_chunked(65536))
        return web.Response(status=201, text=f"{name} stored\n")

    async def _take_form(self, request: web.Request) -> str:
        if not request.content_type.startswith("multipart/"):
            raise web.HTTPUnsupportedMediaType(text="POST a form, or PUT the file\n")
        async for part in await request.multipart():
            name = getattr(part, "filename", None)
            if name:
                await self._store(name, _chunks(part))
                return str(name)
        raise web.HTTPBadRequest(text="the form has no file\n")

    async def _store(self, name: str, chunks: AsyncIterator[bytes]) -> None:
        if not _NAME.fullmatch(name):
            raise web.HTTPBadRequest(text="not a plain file name\n")
        if len(list(self.logs.iterdir())) >= _KEPT_UPLOADS:
            raise web.HTTPInsufficientStorage(text="there are already too many files\n")
        new = self.logs / f".{secrets.token_hex(8)}"
        size = 0
        try:
            with await asyncio.to_thread(new.open, "xb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if size > _MAX_UPLOAD_BYTES:
                        raise web.HTTPRequestEntityTooLarge(_MAX_UPLOAD_BYTES, size)
                    await asyncio.to_thread(file.write, chunk)
            os.replace(new, self.logs / name)
        finally:
            new.unlink(missing_ok=True)


async def _chunks(part: Any) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(65536):
        yield chunk


@contextlib.asynccontextmanager
async def open_files(
    folder: Path, tls: ssl.SSLContext, host: str = "127.0.0.1", *, access: FileAccess | None = None
) -> AsyncIterator[FileSide]:
    """Both servers, until the block ends. Raises `StorageError`, or `ConfigError` for a port that is taken."""
    access = access or FileAccess(0, 0, secrets.token_urlsafe(9))
    side = FileSide(folder)
    try:
        side.logs.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{error.filename or folder}: {error.strerror}") from error
    app = web.Application(client_max_size=_MAX_UPLOAD_BYTES)
    app.router.add_put("/logs/{name}", side.take)
    app.router.add_post("/logs", side.take)
    app.router.add_post("/logs/", side.take)
    app.router.add_get("/{path:.+}", side.send)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    ftp = _Ftp(side, host, access)
    try:
        with _named("--https-port", access.https_port):
            await web.TCPSite(runner, host, access.https_port, ssl_context=tls).start()
        https_port = runner.addresses[0][1]
        with _named("--ftp-port", access.ftp_port):
            ftp_port = ftp.start()
        side.access = FileAccess(https_port, ftp_port, access.password)
        side.https = f"https://{address(reached_as(host), https_port)}/"
        side.ftp = f"ftp://station:{access.password}@{address(reached_as(host), ftp_port)}/"
        yield side
    finally:
        await asyncio.to_thread(ftp.stop)
        await runner.cleanup()


@contextlib.contextmanager
def _named(option: str, port: int) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        # pyftpdlib wraps the error in another one without a number.
        number = next((each.errno for each in (error, *error.args) if isinstance(each, OSError) and each.errno), None)
        if port and number == errno.EADDRINUSE:
            text = "another program listens there (perhaps it is the port of the last start)"
            raise ConfigError(f"{option} {port}: {text}; choose another, or 0 for any free one") from error
        if port and number == errno.EACCES:
            raise ConfigError(f"{option} {port}: only root may listen there; choose one above 1023") from error
        raise


class _Ftp:
    """The FTP server, in a thread: pyftpdlib has its own event loop."""

    def __init__(self, side: FileSide, host: str, access: FileAccess) -> None:
        self._side = side
        self._host = host
        self._access = access
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._server: Any = None
        self._loop: Any = None

    def start(self) -> int:
        """Returns the port."""
        with warnings.catch_warnings():  # it uses asyncore, which Python 3.11 warns about
            warnings.simplefilter("ignore", DeprecationWarning)
            from pyftpdlib.authorizers import DummyAuthorizer
            from pyftpdlib.filesystems import AbstractedFS
            from pyftpdlib.handlers import FTPHandler
            from pyftpdlib.ioloop import IOLoop
            from pyftpdlib.servers import FTPServer

        class PlainNames(AbstractedFS):  # type: ignore[misc]
            def validpath(self, path: str) -> bool:
                parts = os.path.relpath(path, self.root).split("/")
                plain = parts == ["."] or all(_NAME.fullmatch(part) for part in parts)
                return plain and not os.path.islink(path) and bool(super().validpath(path))

        authorizer = DummyAuthorizer()
        authorizer.add_user("station", self._access.password, str(self._side.folder), perm="elr")
        authorizer.override_perm("station", str(self._side.logs), perm="elraw")
        settings = {"authorizer": authorizer, "abstracted_fs": PlainNames, "max_login_attempts": 3, "timeout": 60}
        handler = type("Handler", (FTPHandler,), settings)
        self._loop = IOLoop()
        self._server = FTPServer((self._host, self._access.ftp_port), handler, ioloop=self._loop)
        self._server.max_cons = 20
        self._thread = threading.Thread(target=self._run, name="bench FTP", daemon=True)
        self._thread.start()
        port: int = self._server.address[1]
        return port

    def _run(self) -> None:
        while not self._stop.is_set():
            self._loop.loop(timeout=0.2, blocking=False)
        self._server.close_all()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
