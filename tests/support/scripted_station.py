# SPDX-License-Identifier: Apache-2.0
"""A charging station that does exactly what a test tells it: a bare WebSocket with OCPP frames.

`request` sends a CALL and returns the answer's frame; what the CSMS asks is answered from `answers` (an action to
a payload, a CALLERROR frame's tail as a list, or a coroutine function) and kept in `asked`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

__all__ = ["ScriptedStation", "connected"]


class ScriptedStation:
    """One connection; use `connected`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.unexpected: asyncio.Queue[list[Any]] = asyncio.Queue()
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[list[Any]]] = {}

    async def run(self) -> None:
        """Reads until the connection ends."""
        with suppress(ConnectionClosed):
            async for text in self.socket:
                frame = json.loads(text)
                if frame[0] == 2:
                    await self._answer(frame[1], frame[2], frame[3])
                elif frame[1] in self._waiting:
                    self._waiting.pop(frame[1]).set_result(frame)
                else:
                    self.unexpected.put_nowait(frame)

    async def _answer(self, message_id: str, action: str, payload: Any) -> None:
        self.asked.append((action, payload))
        answer = self.answers.get(action, ["NotImplemented", "", {}])
        if answer is None:
            return
        if isinstance(answer, str):
            await self.socket.send(answer.replace("$id", message_id))
        elif isinstance(answer, list):
            await self.socket.send(json.dumps([4, message_id, *answer]))
        else:
            await self.socket.send(json.dumps([3, message_id, answer]))

    async def request(self, action: str, payload: Any, message_id: str | None = None) -> list[Any]:
        """The whole frame of the answer."""
        name = message_id or f"m{next(self._numbers)}"
        self._waiting[name] = asyncio.get_running_loop().create_future()
        await self.socket.send(json.dumps([2, name, action, payload]))
        return await asyncio.wait_for(self._waiting[name], 10)

    async def ask(self, action: str, payload: Any) -> Any:
        """The payload of a CALLRESULT; a CALLERROR fails the test."""
        frame = await self.request(action, payload)
        assert frame[0] == 3, frame
        return frame[2]

    async def boot(self, serial_number: str = "BW-0001") -> Any:
        station = {"model": "C7AM-400", "vendorName": "baywatt", "firmwareVersion": "1.0.0"}
        station["serialNumber"] = serial_number
        return await self.ask("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    async def send_text(self, text: str) -> list[Any]:
        """Sends any text and returns the next frame that answers no request."""
        await self.socket.send(text)
        return await asyncio.wait_for(self.unexpected.get(), 10)


@asynccontextmanager
async def connected(
    url: str, *, password: str | None = None, subprotocol: str = "ocpp2.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[ScriptedStation]:
    """A station at `ws://.../ocpp/IDENTITY`, or `wss://`; with a password it uses Basic authentication."""
    identity = url.rsplit("/", 1)[1]
    if password is not None:
        url = url.replace("://", f"://{identity}:{password}@")
    subprotocols = [Subprotocol(subprotocol)]
    async with connect(url, subprotocols=subprotocols, proxy=None, max_size=2**24, ssl=tls) as socket:
        station = ScriptedStation(socket)
        reader = asyncio.create_task(station.run())
        try:
            yield station
        finally:
            await socket.close()
            await reader
