# SPDX-License-Identifier: Apache-2.0
"""The CSMS of the benchmark: a WebSocket server that answers from a table and records when each frame arrived."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from firmware.clock import format_utc
from tools.ocppj.frames import Call, Result, decode, encode

__all__ = ["BenchCsms", "listening"]


class BenchCsms:
    """One station's CSMS. `seen` holds (monotonic seconds, action, payload) of each request."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, str, Any]] = []
        self.port = 0
        self.tls = False
        self.connections = 0
        """How many there have been."""
        self._connection: ServerConnection | None = None
        self._answers: dict[str, asyncio.Future[float]] = {}
        self._ids = itertools.count(1)
        self._arrived = asyncio.Event()

    @property
    def url(self) -> str:
        return f"wss://localhost:{self.port}/ocpp" if self.tls else f"ws://127.0.0.1:{self.port}/ocpp"

    async def handle(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.connections += 1
        self._arrived.set()
        with contextlib.suppress(ConnectionClosed):
            await self._serve(connection)

    async def _serve(self, connection: ServerConnection) -> None:
        async for text in connection:
            now = time.monotonic()
            frame = decode(text)
            if isinstance(frame, Call):
                await connection.send(encode(Result(frame.message_id, self._answer(frame.action, frame.payload))))
                self.seen.append((now, frame.action, frame.payload))
            elif frame.message_id in self._answers:
                self._answers.pop(frame.message_id).set_result(now)
            self._arrived.set()

    def _answer(self, action: str, payload: Any) -> Any:
        stamp = format_utc(time.time())
        match action:
            case "BootNotification":
                return {"status": "Accepted", "currentTime": stamp, "interval": 3600}
            case "Heartbeat":
                return {"currentTime": stamp}
            case "Authorize":
                return {"idTokenInfo": {"status": "Accepted"}}
            case "TransactionEvent" if "idToken" in payload:
                return {"idTokenInfo": {"status": "Accepted"}}
            case _:
                return {}

    async def hang_up(self, within: float = 60.0) -> None:
        """Close the connection, and wait for the next one."""
        before = self.connections
        if self._connection is not None:
            await self._connection.close()
        async with asyncio.timeout(within):
            while self.connections == before:
                self._arrived.clear()
                await self._arrived.wait()

    async def call(self, action: str, payload: Any) -> float:
        """Seconds from the request to its answer."""
        message_id = str(next(self._ids))
        answer = self._answers[message_id] = asyncio.get_running_loop().create_future()
        if self._connection is None:
            raise RuntimeError("no station is connected")
        sent = time.monotonic()
        await self._connection.send(encode(Call(message_id, action, payload)))
        answered: float = await asyncio.wait_for(answer, 60.0)
        return answered - sent

    async def count(self, total: int, within: float = 120.0) -> None:
        """Wait until `total` requests have been received."""
        async with asyncio.timeout(within):
            while len(self.seen) < total:
                self._arrived.clear()
                await self._arrived.wait()

    async def wait(self, action: str, *, after: int, within: float = 60.0, **fields: Any) -> float:
        """Arrival time (monotonic seconds) of the first request after the first `after` ones with these fields."""
        position = after
        async with asyncio.timeout(within):
            while True:
                for at, name, payload in itertools.islice(self.seen, position, None):
                    position += 1
                    if name == action and all(payload.get(key) == value for key, value in fields.items()):
                        return at
                self._arrived.clear()
                await self._arrived.wait()


@asynccontextmanager
async def listening(tls: ssl.SSLContext | None = None) -> AsyncIterator[BenchCsms]:
    csms = BenchCsms()
    csms.tls = tls is not None
    async with serve(
        csms.handle,
        "127.0.0.1",
        0,
        ssl=tls,
        subprotocols=[Subprotocol("ocpp2.0.1")],
        compression=None,
        ping_interval=None,
    ) as server:
        csms.port = next(iter(server.sockets)).getsockname()[1]
        yield csms
