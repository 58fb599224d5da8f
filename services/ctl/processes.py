# SPDX-License-Identifier: Apache-2.0
"""What the station's processes say when they are asked once: the HAL's snapshot, the OCPP service's status."""

from __future__ import annotations

import asyncio
import getpass
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from firmware.contract.messages import FromHal, Role, Snapshot
from firmware.contract.status import FromService, ServiceStatus
from firmware.errors import BaywattError, ContractError
from firmware.ipc.framing import MAX_LINE_BYTES, Decoder, encode
from firmware.ipc.hal_core import HalCore
from firmware.version import VERSION

__all__ = ["NoAnswer", "Process", "ask_hal", "ask_ocpp"]

ANSWER_S = 5.0
_T = TypeVar("_T")
_from_hal: Decoder[FromHal] = Decoder(FromHal)
_from_ocpp: Decoder[FromService] = Decoder(FromService)


class NoAnswer(BaywattError):
    """A process can't be asked; the text is one line that says what to do."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process of the station, and its socket."""

    unit: str
    socket: Path


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


async def _ask(process: Process, talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[_T]]) -> _T:
    at = f"{process.unit} at {process.socket}"
    try:
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_unix_connection(str(process.socket), limit=MAX_LINE_BYTES)
            try:
                return await talk(reader, writer)
            finally:
                writer.close()
    except TimeoutError:
        raise NoAnswer(f"{at} did not answer within {ANSWER_S:g} s: see journalctl -u {process.unit}") from None
    except (PermissionError, ConnectionResetError, BrokenPipeError, asyncio.IncompleteReadError):
        user = f"user {getpass.getuser()}"
        raise NoAnswer(f"{at} does not let {user} in: run this as root, or allow the user in its settings") from None
    except OSError as error:
        raise NoAnswer(f"{at} does not run ({error.strerror}): see systemctl status {process.unit}") from None
    except (ContractError, asyncio.LimitOverrunError) as error:
        raise NoAnswer(f"{at} is of another release than baywattctl {VERSION}: {error}") from None
