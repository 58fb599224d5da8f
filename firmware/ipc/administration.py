# SPDX-License-Identifier: Apache-2.0
"""The client of the OCPP service's administration socket (`firmware/contract/administration.md`).

`AdministrationLink` keeps a connection for a process that runs long; `ask` sends one command over it. `variables` reads
all pages. Everything belongs to the loop's thread.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol, TypeVar

from firmware.contract.administration import (
    ADMINISTRATION_VERSION,
    Command,
    CommandRefused,
    Done,
    FromAdministration,
    GetVariables,
    Greeting,
    MessageLine,
    Refused,
    Request,
    Result,
    VariableInfo,
    Variables,
    VariablesChanged,
)
from firmware.errors import BaywattError, ContractError
from firmware.ipc.connection import Connection
from firmware.ipc.dialer import Dialer
from firmware.ipc.framing import Decoder, encode

__all__ = ["AdministrationLink", "AdministrationWatcher", "CommandRefused", "ServiceDown"]

_R = TypeVar("_R", bound=Result)
_decode: Decoder[FromAdministration] = Decoder(FromAdministration)


class ServiceDown(BaywattError):
    """There is no connection to the service, or it ended before the answer: whether it was carried out is unknown."""


class AdministrationWatcher(Protocol):
    """The listener of a link."""

    def on_administration_up(self) -> None:
        """The service can be asked; after each reconnection again. Nothing is subscribed then."""

    def on_variables_changed(self, changed: VariablesChanged) -> None: ...

    def on_message_line(self, line: bytes) -> None:
        """One line of the message log, as JSON."""

    def on_administration_down(self, reason: str) -> None: ...


class AdministrationLink:
    """Follows the socket at `path`. `software` is our name and version, for the service's log."""

    def __init__(self, path: Path, watcher: AdministrationWatcher | None = None, *, software: str = "") -> None:
        self._watcher = watcher
        self._greeting = Greeting(version=ADMINISTRATION_VERSION, software=software)
        self._dialer: Dialer[FromAdministration] = Dialer(path, _decode, self)
        self._connection: Connection[FromAdministration] | None = None
        self._greeted = False
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Result | None]] = {}

    @property
    def up(self) -> bool:
        return self._greeted

    async def run(self) -> None:
        """Follow until cancelled; cancelling cuts the connection without a call to the watcher."""
        try:
            await self._dialer.run()
        finally:
            self._forget("we are stopping")

    async def ask(self, command: Command) -> Result | None:
        """Send a command; returns its result. Raises `CommandRefused`, `ServiceDown`, and `ValueError` for a command
        that is too long for a line."""
        if self._connection is None or not self._greeted:
            raise ServiceDown("the OCPP service is not connected")
        self._last_id += 1
        line = encode(Request(id=self._last_id, command=command))
        answer: asyncio.Future[Result | None] = asyncio.get_running_loop().create_future()
        self._waiting[self._last_id] = answer
        self._connection.send(line)
        return await answer

    async def ask_for(self, command: Command, kind: type[_R]) -> _R:
        """As `ask`, for a command whose result is a `kind`."""
        result = await self.ask(command)
        if not isinstance(result, kind):
            raise ContractError(f"the result of {type(command).__name__} is {type(result).__name__}")
        return result

    async def variables(self) -> list[VariableInfo]:
        """Every page of `GetVariables`."""
        found: list[VariableInfo] = []
        start: int | None = 0
        while start is not None:
            page = await self.ask_for(GetVariables(start), Variables)
            found += page.variables
            start = page.next
        return found

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromAdministration]) -> None:
        self._connection = connection
        connection.send(encode(self._greeting))

    def on_message(self, connection: Connection[FromAdministration], message: FromAdministration) -> None:
        if connection is not self._connection:
            return
        match message:
            case Greeting():
                self._on_greeting(message)
            case Done():
                self._answered(message.id).set_result(message.result)
            case Refused():
                self._answered(message.id).set_exception(CommandRefused(message.problem, message.detail))
            case VariablesChanged() if self._watcher is not None:
                self._watcher.on_variables_changed(message)
            case MessageLine() if self._watcher is not None:
                self._watcher.on_message_line(bytes(message.line))

    def _on_greeting(self, greeting: Greeting) -> None:
        if greeting.version != ADMINISTRATION_VERSION:
            raise ContractError(
                f"the service ({greeting.software}) speaks version {greeting.version} of the contract, we"
                f" {ADMINISTRATION_VERSION}"
            )
        self._greeted = True
        self._dialer.proven()
        if self._watcher is not None:
            self._watcher.on_administration_up()

    def _answered(self, number: int) -> asyncio.Future[Result | None]:
        answer = self._waiting.pop(number, None)
        if answer is None:
            raise ContractError(f"an answer to {number}, which was not requested or is answered")
        if answer.cancelled():  # who has asked no longer waits
            return asyncio.get_running_loop().create_future()
        return answer

    def on_closed(self, connection: Connection[FromAdministration], reason: str) -> None:
        if connection is not self._connection:
            return
        was_up = self._greeted
        self._forget(reason)
        if was_up and self._watcher is not None:
            self._watcher.on_administration_down(reason)

    def _forget(self, reason: str) -> None:
        self._connection, self._greeted = None, False
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(ServiceDown(reason))
