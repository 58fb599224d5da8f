# SPDX-License-Identifier: Apache-2.0
"""File servers on the loopback, with faults that a test chooses."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
import time
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from services.ocpp.transfer.trust import Trust

__all__ = ["Answer", "FtpControl", "RawServer", "ftp_server", "raw_server", "trusting"]

Answer = Callable[[bytes, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Called with the head of the request."""


class RawServer:
    """An HTTP server that sends exactly the bytes of its `answers`, one for each request; the last one is repeated."""

    def __init__(self) -> None:
        self.answers: list[Answer | bytes] = []
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.base = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            head = await reader.readuntil(b"\r\n\r\n")
            answer = self.answers[min(len(self.heads), len(self.answers) - 1)]
            self.heads.append(head)
            if isinstance(answer, bytes):
                await self._read_body(head, reader)
                writer.write(answer)
                await writer.drain()
            else:
                await answer(head, reader, writer)
        writer.close()

    async def _read_body(self, head: bytes, reader: asyncio.StreamReader) -> None:
        lower = head.lower()
        if b"content-length:" in lower:
            size = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
            self.bodies.append(await reader.readexactly(size))
        elif b"chunked" in lower:
            body = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                body += (await reader.readexactly(size + 2))[:-2]
            await reader.readuntil(b"\r\n")
            self.bodies.append(body)

    def header(self, name: str, request: int = -1) -> str | None:
        """A header of a request that was received; by default of the last one."""
        for line in self.heads[request].decode().split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None


@contextlib.asynccontextmanager
async def raw_server(tls: ssl.SSLContext | None = None) -> AsyncIterator[RawServer]:
    """A `RawServer` that listens."""
    raw = RawServer()
    server = await asyncio.start_server(raw.serve, "127.0.0.1", 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    raw.base = f"{'https' if tls else 'http'}://localhost:{port}"
    try:
        yield raw
    finally:
        server.close()


def trusting(*roots: Path) -> Trust:
    """The trust of a station with these roots, besides those of the operating system."""
    return Trust(lambda: [root.read_text() for root in roots], utc=time.time)


@dataclass(slots=True)
class FtpControl:
    """What a test knows and sets of a running `ftp_server`."""

    port: int = 0
    drop_after: int | None = None
    """Bytes of a file after which the server closes the connections, once."""
    received: list[int] = field(default_factory=list)
    """Bytes of each upload."""


@contextlib.contextmanager
def ftp_server(
    folder: Path, *, may: str = "elradfmwMT", user: str = "me", password: str = "p4ss"
) -> Iterator[FtpControl]:
    """An FTP server in a thread; `may`: the user's rights, as pyftpdlib spells them."""
    with warnings.catch_warnings():  # pyftpdlib uses asyncore, which Python 3.11 warns of
        warnings.simplefilter("ignore", DeprecationWarning)
        from pyftpdlib.authorizers import DummyAuthorizer
        from pyftpdlib.handlers import DTPHandler, FTPHandler
        from pyftpdlib.ioloop import IOLoop
        from pyftpdlib.servers import FTPServer

    control = FtpControl()

    class Data(DTPHandler):  # type: ignore[misc]
        def handle_read(self) -> None:
            super().handle_read()
            self._maybe_drop(self.tot_bytes_received)

        handle_read_event = handle_read

        def send(self, data: bytes) -> int:
            sent: int = super().send(data)
            self._maybe_drop(self.tot_bytes_sent)
            return sent

        def _maybe_drop(self, total: int) -> None:
            if control.drop_after is not None and total >= control.drop_after:
                control.drop_after = None
                self.cmd_channel.close()

        def close(self) -> None:
            if not self._closed:
                control.received.append(self.tot_bytes_received)
            super().close()

    authorizer = DummyAuthorizer()
    authorizer.add_user(user, password, str(folder), perm=may)
    settings = {"authorizer": authorizer, "dtp_handler": Data, "use_sendfile": False, "auth_failed_timeout": 0}
    handler = type("Handler", (FTPHandler,), settings)
    loop = IOLoop()
    server = FTPServer(("127.0.0.1", 0), handler, ioloop=loop)
    control.port = server.address[1]
    stop = threading.Event()

    def run() -> None:
        while not stop.is_set():
            loop.loop(timeout=0.05, blocking=False)
        server.close_all()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield control
    finally:
        stop.set()
        thread.join(5)
