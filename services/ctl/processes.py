# SPDX-License-Identifier: Apache-2.0
"""What the station's processes say when they are asked: each question is a connection of its own."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firmware.contract import administration
from firmware.contract.messages import (
    Command,
    Done,
    FromHal,
    Refused,
    Role,
    SelfTestFinished,
    Snapshot,
    Stamped,
    StartTest,
)
from firmware.contract.status import FromService, ServiceStatus
from firmware.errors import BaywattError, ContractError
from firmware.ipc.framing import MAX_LINE_BYTES, Decoder, encode
from firmware.ipc.hal_core import HalCore
from firmware.version import VERSION

__all__ = ["NoAnswer", "Process", "Refusal", "Session", "administer", "ask_hal", "ask_ocpp", "maintain", "self_test"]

ANSWER_S = 5.0
_T = TypeVar("_T")
_R = TypeVar("_R", bound=administration.Result)
_from_hal: Decoder[FromHal] = Decoder(FromHal)
_from_ocpp: Decoder[FromService] = Decoder(FromService)
_from_administration: Decoder[administration.FromAdministration] = Decoder(administration.FromAdministration)


class NoAnswer(BaywattError):
    """A process can't be asked; the text is one line that says what to do."""


class Refusal(BaywattError):
    """A process has refused what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the station, and its socket; `entry`: how a user gets in."""

    unit: str
    socket: Path
    entry: str = "allow the user in its settings"


async def ask_hal(process: Process) -> Snapshot:
    """The HAL's whole state; raises `NoAnswer`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Snapshot:
        core = HalCore(Role.OBSERVER, f"baywattctl {VERSION}")
        writer.write(encode(core.open()))
        while True:
            message = _from_hal(await reader.readuntil())
            core.receive(message)
            if isinstance(message, Snapshot):
                return message

    return await _ask(process, talk)


async def ask_ocpp(process: Process) -> ServiceStatus:
    """The OCPP service's whole state; raises `NoAnswer`, also in the seconds in which it waits for its first HAL."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> ServiceStatus:
        while True:
            message = _from_ocpp(await reader.readuntil())
            if isinstance(message, ServiceStatus):
                return message

    return await _ask(process, talk)


async def maintain(process: Process, command: Command, *, answer_s: float | None = None) -> Done:
    """The HAL's answer to a command of the role `maintenance`; raises `NoAnswer`, `Refusal`."""

    def done(message: FromHal) -> Done | None:
        return message if isinstance(message, Done) else None

    return await _maintain(process, command, done, answer_s=answer_s)


async def self_test(process: Process, command: StartTest, answer_s: float) -> SelfTestFinished:
    """The outcome of a test; raises `NoAnswer`, `Refusal`."""

    def outcome(message: FromHal) -> SelfTestFinished | None:
        event = message.event if isinstance(message, Stamped) else None
        ours = isinstance(event, SelfTestFinished) and (event.test, event.evse) == (command.test, command.evse)
        return event if ours and isinstance(event, SelfTestFinished) else None

    return await _maintain(process, command, outcome, answer_s=answer_s)


async def _maintain(
    process: Process, command: Command, wanted: Callable[[FromHal], _T | None], *, answer_s: float | None = None
) -> _T:
    """What `wanted` makes of a message after the command."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _T:
        core = HalCore(Role.MAINTENANCE, f"baywattctl {VERSION}")
        writer.write(encode(core.open()))
        while True:
            message = _from_hal(await reader.readuntil())
            core.receive(message)
            if isinstance(message, Snapshot):
                writer.write(encode(core.request(command)))
            elif isinstance(message, Refused):
                raise Refusal(f"{message.problem.value}: {message.detail}")
            elif (found := wanted(message)) is not None:
                return found

    return await _ask(process, talk, answer_s=answer_s)


class Session:
    """A connection to the OCPP service's administration socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._last_id = 0

    async def ask(self, command: administration.Command, kind: type[_R]) -> _R:
        """The result of a command that has a `kind`; raises `Refusal`."""
        result = await self.order(command)
        if not isinstance(result, kind):
            raise ContractError(f"the result of {type(command).__name__} is {type(result).__name__}")
        return result

    async def order(self, command: administration.Command) -> administration.Result | None:
        """Carry out a command; raises `Refusal`."""
        self._last_id += 1
        self._writer.write(encode(administration.Request(self._last_id, command)))
        while True:
            message = _from_administration(await self._reader.readuntil())
            match message:
                case administration.Greeting(version=version) if version != administration.ADMINISTRATION_VERSION:
                    raise ContractError(f"it speaks version {version} of the contract")
                case administration.Refused(id=self._last_id):
                    raise Refusal(message.detail or message.problem.value)
                case administration.Done(id=self._last_id):
                    return message.result


async def administer(
    process: Process, work: Callable[[Session], Awaitable[_T]], *, answer_s: float | None = None
) -> _T:
    """What `work` makes of a session with the OCPP service; raises `NoAnswer`, `Refusal`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> _T:
        version = administration.ADMINISTRATION_VERSION
        writer.write(encode(administration.Greeting(version=version, software=f"baywattctl {VERSION}")))
        return await work(Session(reader, writer))

    return await _ask(process, talk, answer_s=answer_s)


async def _ask(
    process: Process,
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[_T]],
    *,
    answer_s: float | None = None,
) -> _T:
    answer_s = answer_s or ANSWER_S
    at = f"{process.unit} at {process.socket}"
    try:
        async with asyncio.timeout(answer_s):
            reader, writer = await asyncio.open_unix_connection(str(process.socket), limit=MAX_LINE_BYTES)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()
    except TimeoutError:
        raise NoAnswer(f"{at} did not answer within {answer_s:g} s: see journalctl -u {process.unit}") from None
    except (PermissionError, ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
        user = f"user {getpass.getuser()}"
        raise NoAnswer(f"{at} does not let {user} in: run this as root, or {process.entry}") from None
    except OSError as error:
        raise NoAnswer(f"{at} does not run ({error.strerror}): see systemctl status {process.unit}") from None
    except (ContractError, asyncio.LimitOverrunError) as error:
        raise NoAnswer(f"{at} is of another release than baywattctl {VERSION}: {error}") from None
