# SPDX-License-Identifier: Apache-2.0
"""A charging station with scripted behaviour: a bare WebSocket with OCPP frames.

It answers the CSMS's requests from `answers`, by action: a payload, the code, description and details of a CALLERROR as
a list, a raw text in which `$id` is the message id, or None for no answer. Without an entry it answers NotImplemented.
`asked` has all these requests.
"""

from __future__ import annotations

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tools.ocppj.frames import Call, Error, Result, decode, encode

__all__ = ["ScriptedStation", "connected"]


class ScriptedStation:
    """One connection; use `connected`."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, Any]] = []
        self.unexpected: asyncio.Queue[Result | Error] = asyncio.Queue()
        """Answers of the CSMS that belong to no `request`."""
        self._numbers = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Result | Error]] = {}

    async def run(self) -> None:
        """Reads until the connection ends."""
        with suppress(ConnectionClosed):
            async for text in self.socket:
                frame = decode(text)
                if isinstance(frame, Call):
                    await self._answer(frame)
                elif frame.message_id in self._waiting:
                    self._waiting.pop(frame.message_id).set_result(frame)
                else:
                    self.unexpected.put_nowait(frame)

    async def _answer(self, call: Call) -> None:
        self.asked.append((call.action, call.payload))
        match self.answers.get(call.action, ["NotImplemented", "", {}]):
            case None:
                pass
            case str() as text:
                await self.socket.send(text.replace("$id", call.message_id))
            case list() as error:
                await self.socket.send(encode(Error(call.message_id, *error)))
            case payload:
                await self.socket.send(encode(Result(call.message_id, payload)))

    async def request(self, action: str, payload: Any, message_id: str | None = None) -> Result | Error:
        """The answer to a CALL."""
        name = message_id or f"m{next(self._numbers)}"
        self._waiting[name] = asyncio.get_running_loop().create_future()
        await self.socket.send(encode(Call(name, action, payload)))
        return await asyncio.wait_for(self._waiting[name], 10)

    async def ask(self, action: str, payload: Any) -> Any:
        """The payload of the CALLRESULT to a CALL; a CALLERROR fails the test."""
        answer = await self.request(action, payload)
        assert isinstance(answer, Result), answer
        return answer.payload

    async def refused(self, action: str, payload: Any) -> str:
        """The code of the CALLERROR to a CALL; a CALLRESULT fails the test."""
        answer = await self.request(action, payload)
        assert isinstance(answer, Error), answer
        return answer.code

    async def boot(self, serial_number: str = "BW-0001") -> Any:
        station = {"model": "C7AM-400", "vendorName": "baywatt", "firmwareVersion": "1.0.0"}
        station["serialNumber"] = serial_number
        return await self.ask("BootNotification", {"reason": "PowerUp", "chargingStation": station})

    async def refused_text(self, text: str) -> tuple[str, str]:
        """Message id and code of the CALLERROR that answers any text."""
        await self.socket.send(text)
        answer = await asyncio.wait_for(self.unexpected.get(), 10)
        assert isinstance(answer, Error), answer
        return answer.message_id, answer.code


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
