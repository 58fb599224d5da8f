# SPDX-License-Identifier: Apache-2.0
"""The OCPP service's administration socket, for the routes: its refusals become answers of the API.

One connection serves all requests and hears of changed variables. Following the messages and reading a bundle belong
to a connection of their own, which ends with the client's.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import TypeVar

from firmware.contract.administration import Command, Problem, Result, Subscribe, VariableInfo, VariablesChanged
from firmware.errors import BaywattError
from firmware.ipc.administration import AdministrationLink, AdministrationWatcher, CommandRefused, ServiceDown
from firmware.version import VERSION
from services.commissioning.api_error import ApiError
from services.commissioning.events import EVENTS, Event, Hub

__all__ = ["Administration"]

MOST_AT_ONCE = 4
"""The service closes a connection with more than 8 unanswered requests."""
CONNECT_S = 5.0
_SOFTWARE = f"commissioning {VERSION}"
_STATUS = {
    Problem.BAD_REQUEST: 400,
    Problem.NOT_READY: 503,
    Problem.REFUSED: 409,
    Problem.NOT_ALLOWED: 409,
    Problem.NOT_FOUND: 404,
    Problem.BUSY: 409,
    Problem.STORAGE: 507,
    Problem.UNSUPPORTED: 501,
    Problem.FAILED: 502,
}
_R = TypeVar("_R", bound=Result)


class Administration:
    """The connection to `path`; every method raises `ApiError`."""

    def __init__(self, path: Path, hub: Hub) -> None:
        self._path = path
        self._hub = hub
        self._link = AdministrationLink(path, self, software=_SOFTWARE)
        self._room = asyncio.Semaphore(MOST_AT_ONCE)
        self._subscribing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Follow until cancelled."""
        await self._link.run()

    async def ask(self, command: Command) -> None:
        """Have a command carried out that has no result."""
        async with self._room:
            await _answered(self._link, command)

    async def ask_for(self, command: Command, kind: type[_R]) -> _R:
        async with self._room:
            return _expected(await _answered(self._link, command), kind)

    async def variables(self) -> list[VariableInfo]:
        async with self._room:
            try:
                return await self._link.variables()
            except BaywattError as error:
                raise _problem(error) from None

    @contextlib.asynccontextmanager
    async def dedicated(self, watcher: AdministrationWatcher | None = None) -> AsyncGenerator[Dedicated]:
        """A connection of its own, for as long as the block lasts."""
        up = asyncio.Event()
        link = AdministrationLink(self._path, _Relay(up, watcher), software=_SOFTWARE)
        task = asyncio.create_task(link.run())
        try:
            try:
                async with asyncio.timeout(CONNECT_S):
                    await up.wait()
            except TimeoutError:
                raise _problem(ServiceDown("")) from None
            yield Dedicated(link)
        finally:
            task.cancel()
            await asyncio.wait([task])

    # --- firmware.ipc.administration.AdministrationWatcher -------------------------------------------------------

    def on_administration_up(self) -> None:
        self._subscribing = asyncio.create_task(self._subscribe())

    async def _subscribe(self) -> None:
        with contextlib.suppress(ApiError):  # it ended again: the next connection subscribes
            await self.ask(Subscribe())
        self._hub.publish(EVENTS, Event.of("variables", {"variables": []}))  # which may have changed meanwhile

    def on_variables_changed(self, changed: VariablesChanged) -> None:
        self._hub.publish(EVENTS, Event.of("variables", {"variables": changed.variables}))

    def on_message_line(self, line: bytes) -> None: ...

    def on_administration_down(self, reason: str) -> None: ...


class Dedicated:
    """A connection that is up; its methods raise `ApiError`."""

    def __init__(self, link: AdministrationLink) -> None:
        self._link = link

    async def ask(self, command: Command) -> None:
        await _answered(self._link, command)

    async def ask_for(self, command: Command, kind: type[_R]) -> _R:
        return _expected(await _answered(self._link, command), kind)


class _Relay:
    """Passes on what a connection of its own hears."""

    def __init__(self, up: asyncio.Event, watcher: AdministrationWatcher | None) -> None:
        self._up = up
        self._watcher = watcher

    def on_administration_up(self) -> None:
        self._up.set()
        if self._watcher is not None:
            self._watcher.on_administration_up()

    def on_variables_changed(self, changed: VariablesChanged) -> None: ...

    def on_message_line(self, line: bytes) -> None:
        if self._watcher is not None:
            self._watcher.on_message_line(line)

    def on_administration_down(self, reason: str) -> None:
        if self._watcher is not None:
            self._watcher.on_administration_down(reason)


async def _answered(link: AdministrationLink, command: Command) -> Result | None:
    try:
        return await link.ask(command)
    except BaywattError as error:
        raise _problem(error) from None
    except ValueError:
        raise ApiError(413, "too_long", "the request is too long for the station") from None


def _expected(result: Result | None, kind: type[_R]) -> _R:
    if not isinstance(result, kind):
        raise ApiError(502, "failed", f"the OCPP service is of another release than {_SOFTWARE}")
    return result


def _problem(error: BaywattError) -> ApiError:
    if isinstance(error, CommandRefused):
        return ApiError(_STATUS[error.problem], error.problem.value, error.detail)
    if isinstance(error, ServiceDown):
        return ApiError(503, "service_down", "the OCPP service does not answer: it may be starting again")
    return ApiError(502, "failed", str(error))
