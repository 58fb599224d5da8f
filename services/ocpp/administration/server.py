# SPDX-License-Identifier: Apache-2.0
"""Serves the administration socket: greeting, requests and their answers, what is published; it knows no command.

A command is answered at once, or by a task of its own if it takes long. Nothing here waits for a client.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct, field

from firmware.contract.administration import (
    ADMINISTRATION_VERSION,
    Command,
    CommandRefused,
    Done,
    FromClient,
    Greeting,
    Problem,
    Refused,
    Request,
    Result,
)
from firmware.errors import ContractError
from firmware.ipc.connection import Connection
from firmware.ipc.framing import Decoder, encode
from firmware.ipc.listener import UnixListener
from firmware.timer import LoopTimer, Scheduled, Timer

__all__ = ["AdministrationServer", "Answer", "Client"]

GREETING_TIMEOUT_S = 2.0
MAX_CLIENTS = 16
MAX_UNANSWERED = 8
_MAX_ID = 2**53
_MAX_DETAIL_CHARS = 1000
_decode: Decoder[FromClient] = Decoder(FromClient)
_log = logging.getLogger(__name__)

Answer: TypeAlias = Result | Awaitable[Result | None] | None
"""The result of a command, or what will have it."""


class Client(Struct, eq=False):
    """One connection; `closed` is called once when it ends."""

    connection: Connection[FromClient]
    timer: Scheduled
    greeted: bool = False
    software: str = ""
    unanswered: set[int] = field(default_factory=set)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    closed: list[Callable[[], None]] = field(default_factory=list)

    def send(self, message: Struct) -> None:
        """Send what happens; nothing once the connection is closing."""
        self.connection.send(encode(message))


class AdministrationServer:
    """The socket at `path`. `execute` carries out a command or raises `CommandRefused`; `allowed_gid`: the group whose
    members may connect."""

    def __init__(
        self,
        path: Path,
        execute: Callable[[Client, Command], Answer],
        *,
        software: str,
        allowed_gid: int | None = None,
        timer: Timer | None = None,
    ) -> None:
        self._execute = execute
        self._greeting = encode(Greeting(version=ADMINISTRATION_VERSION, software=software))
        self._timer = timer or LoopTimer()
        self._clients: dict[Connection[FromClient], Client] = {}
        self._listener: UnixListener[FromClient] = UnixListener(
            path, _decode, self, allowed_gid=allowed_gid, file_gid=allowed_gid, max_clients=MAX_CLIENTS
        )

    async def start(self) -> None:
        """Listen; raises `ConfigError`."""
        await self._listener.start()

    async def close(self) -> None:
        await self._listener.close()

    @property
    def clients(self) -> int:
        return len(self._clients)

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromClient]) -> None:
        connection.send(self._greeting)
        timer = self._timer.call_later(
            GREETING_TIMEOUT_S, lambda: connection.close(f"no greeting within {GREETING_TIMEOUT_S} s")
        )
        self._clients[connection] = Client(connection, timer)

    def on_message(self, connection: Connection[FromClient], message: FromClient) -> None:
        client = self._clients[connection]
        if isinstance(message, Greeting):
            self._take_greeting(client, message)
        elif not client.greeted:
            raise ContractError("a request before the greeting")
        else:
            self._take_request(client, message)

    def on_closed(self, connection: Connection[FromClient], reason: str) -> None:
        client = self._clients.pop(connection)
        client.timer.cancel()
        for task in tuple(client.tasks):
            task.cancel()
        for closed in client.closed:
            closed()
        _log.info("%s has left the administration socket: %s", client.software or "a client", reason)

    # --- requests -----------------------------------------------------------------------------------

    def _take_greeting(self, client: Client, greeting: Greeting) -> None:
        if client.greeted:
            raise ContractError("a second greeting")
        if greeting.version != ADMINISTRATION_VERSION:
            raise ContractError(f"{greeting.software[:64]} speaks version {greeting.version}, we another")
        client.greeted, client.software = True, greeting.software[:64]
        client.timer.cancel()

    def _take_request(self, client: Client, request: Request) -> None:
        if not 0 <= request.id <= _MAX_ID or request.id in client.unanswered:
            raise ContractError("a request id out of range, or of an unanswered request")
        if len(client.unanswered) >= MAX_UNANSWERED:
            raise ContractError(f"more than {MAX_UNANSWERED} unanswered requests")
        try:
            answer = self._execute(client, request.command)
        except Exception as error:
            self._answer_error(client, request, error)
            return
        if isinstance(answer, Awaitable):
            client.unanswered.add(request.id)
            task = asyncio.get_running_loop().create_task(self._finish(client, request, answer))
            client.tasks.add(task)
            task.add_done_callback(client.tasks.discard)
        else:
            self._answer(client, Done(request.id, answer))

    async def _finish(self, client: Client, request: Request, answer: Awaitable[Result | None]) -> None:
        try:
            result = await answer
        except Exception as error:
            client.unanswered.discard(request.id)
            self._answer_error(client, request, error)
        else:
            client.unanswered.discard(request.id)
            self._answer(client, Done(request.id, result))

    def _answer_error(self, client: Client, request: Request, error: Exception) -> None:
        """A bug in one command must not end the service: the station charges."""
        name = type(request.command).__name__
        if isinstance(error, CommandRefused):
            _log.info("%s refused: %s", name, error)
            self._answer(client, Refused(request.id, error.problem, error.detail[:_MAX_DETAIL_CHARS]))
            return
        _log.error("%s could not be carried out", name, exc_info=error)
        self._answer(client, Refused(request.id, Problem.FAILED, "an error of the service; its log says more"))

    def _answer(self, client: Client, answer: Done | Refused) -> None:
        try:
            line = encode(answer)
        except (ValueError, UnicodeError) as error:
            _log.error("an answer can't be sent: %s", error)
            line = encode(Refused(answer.id, Problem.FAILED, "the answer is too long for this socket"))
        client.connection.send(line)
