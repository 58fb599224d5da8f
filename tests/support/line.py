# SPDX-License-Identifier: Apache-2.0
"""A TCP port in front of another one: it copies bytes, or swallows them, or misbehaves instead."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

__all__ = ["Handler", "Line"]

Handler: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Line:
    """Copies each connection to `target` on the loopback, unless `choose` returns a handler for it."""

    def __init__(self, choose: Callable[[], Awaitable[Handler | None]]) -> None:
        self.target = 0
        self._choose = choose
        self._open = asyncio.Event()
        self._open.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def port(self) -> int:
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self, target: int) -> None:
        self.target = target
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0)

    async def stop(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @contextlib.asynccontextmanager
    async def blackhole(self) -> AsyncIterator[None]:
        """Swallow everything, in established and new connections: none closes, no byte arrives."""
        self._open.clear()
        try:
            yield
        finally:
            self._open.set()

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        handler = await self._choose()
        try:
            with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):  # cancelled at the end of the test
                await (handler or self._connect)(reader, writer)
        finally:
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._open.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        copies = [
            asyncio.ensure_future(self._copy(reader, far_writer)),
            asyncio.ensure_future(self._copy(far_reader, writer)),
        ]
        try:
            await asyncio.wait(copies)
        finally:
            for copy in copies:
                copy.cancel()
            await asyncio.gather(*copies, return_exceptions=True)
            far_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy until the source ends, and end the sink in the same way: by a close or by a reset."""
        try:
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            await self._open.wait()
            writer.close()
        except OSError:
            await self._open.wait()
            writer.transport.abort()
