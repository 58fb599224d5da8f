# SPDX-License-Identifier: Apache-2.0
"""The control socket's client, for tests, the command line, demos and the conformance runner.

    async with await RigClient.connect(path) as rig:
        await rig.subscribe()
        await rig.op("plug_in", evse=1)
        await rig.wait("phase", evse=1, phase="charging")

All events since `subscribe` are kept, so that `wait` also finds one that arrived before it was called.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import msgspec

from firmware.errors import BaywattError
from tools.rig.sockets import connect_unix

__all__ = ["RigClient", "RigGone", "RigRefused"]

LINE_LIMIT = 1024 * 1024
ANSWER_S = 10.0
WAIT_S = 20.0
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


class RigGone(BaywattError):
    """The rig closed the control socket, or did not answer."""


class RigRefused(BaywattError):
    """The rig refused an operation; `code` is from the closed list."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


class RigClient:
    """One connection; use `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.events: list[dict[str, Any]] = []
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._arrived = asyncio.Event()
        self._listener: Callable[[dict[str, Any]], None] | None = None
        self._gone = False
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, path: Path) -> RigClient:
        """Raises `RigGone` when no rig serves this path."""
        try:
            socket = connect_unix(path)
        except OSError as error:
            raise RigGone(f"{path}: {error.strerror}") from error
        return cls(*await asyncio.open_unix_connection(sock=socket, limit=LINE_LIMIT))

    async def op(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Carry out an operation and return the whole answer. Raises `RigRefused`, `RigGone`."""
        if self._gone:
            raise RigGone("the rig closed the control socket")
        self._last_id += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = answer
        self._writer.write(_encode({"id": self._last_id, "op": name, **fields}) + b"\n")
        try:
            async with asyncio.timeout(ANSWER_S):
                answered = await answer
        except TimeoutError:
            raise RigGone(f"no answer to {name} within {ANSWER_S:g} s") from None
        if not answered["ok"]:
            raise RigRefused(answered["error"], answered["detail"])
        return answered

    async def state(self) -> dict[str, Any]:
        """The snapshot."""
        state: dict[str, Any] = (await self.op("state"))["state"]
        return state

    async def evse(self, evse: int) -> dict[str, Any]:
        """One EVSE's part of the snapshot."""
        found: dict[str, Any] = next(each for each in (await self.state())["evses"] if each["evse"] == evse)
        return found

    async def subscribe(self) -> None:
        """From now on the rig sends events."""
        await self.op("subscribe")

    def on_event(self, listener: Callable[[dict[str, Any]], None]) -> None:
        """`listener` gets every event as it comes."""
        self._listener = listener

    @property
    def mark(self) -> int:
        """The number of events so far, for `wait(..., since=)`."""
        return len(self.events)

    async def wait(
        self,
        event: str,
        *,
        since: int = 0,
        timeout_s: float = WAIT_S,
        **fields: Any,
    ) -> dict[str, Any]:
        """The first event with this name and these fields among `events[since:]`; waits until there is one.

        Raises `RigGone`, or `TimeoutError` with the events that came instead.
        """
        place = since
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    for found in self.events[place:]:
                        place += 1
                        if _matches(found, event, fields):
                            return found
                    if self._gone:
                        raise RigGone("the rig closed the control socket")
                    self._arrived.clear()
                    await self._arrived.wait()
        except TimeoutError:
            raise TimeoutError(
                f"no {event} {fields} within {timeout_s:g} s; events: {self.events[since:][-20:]}"
            ) from None

    async def until(
        self, condition: Callable[[dict[str, Any]], Any], *, timeout_s: float = WAIT_S, every_s: float = 0.05
    ) -> dict[str, Any]:
        """The first `state` for which the condition holds; raises `TimeoutError` with the last one."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            state = await self.state()
            if condition(state):
                return state
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"not within {timeout_s:g} s; the last state: {state}")
            await asyncio.sleep(every_s)

    async def ended(self) -> None:
        """Wait until the rig closes the connection."""
        await asyncio.shield(self._reading)

    async def close(self) -> None:
        self._reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reading
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def __aenter__(self) -> RigClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _read(self) -> None:
        try:
            while line := await self._reader.readline():
                self._take(_decode(line))
        except (OSError, ValueError):
            pass
        finally:
            self._gone = True
            self._arrived.set()
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(RigGone("the rig closed the control socket"))

    def _take(self, message: dict[str, Any]) -> None:
        if "event" not in message:
            answer = self._waiting.pop(message["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(message)
            return
        self.events.append(message)
        self._arrived.set()
        if self._listener is not None:
            self._listener(message)


def _matches(found: dict[str, Any], event: str, fields: dict[str, Any]) -> bool:
    return found["event"] == event and all(found.get(key) == value for key, value in fields.items())
