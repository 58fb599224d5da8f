# SPDX-License-Identifier: Apache-2.0
"""Doubles for the local sockets: a raw peer that may misbehave, a scripted server, an empty cabinet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from firmware.contract.faults import Fault
from firmware.contract.messages import (
    BoardClock,
    BootCause,
    CabinetCommand,
    Command,
    DeviceReport,
    EnergyFlow,
    Event,
    EvseStatus,
    MeterReading,
    NetworkCommand,
    Permit,
    Phase,
    Problem,
    Show,
    SiteLimit,
    Snapshot,
)
from firmware.contract.network import Network
from hal.network import NetworkRefused

__all__ = ["AnsweringCabinet", "RawPeer", "ScriptedServer", "eventually", "idle_evse", "snapshot"]

TIMEOUT_S = 10.0


async def eventually(condition: Callable[[], object]) -> None:
    """Let the loop run until `condition()` holds; fails after TIMEOUT_S, which no healthy run needs."""
    async with asyncio.timeout(TIMEOUT_S):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.002)


class RawPeer:
    """The other end, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, path: Path) -> RawPeer:
        return cls(*await asyncio.open_unix_connection(str(path), limit=2**20))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    def say(self, **message: Any) -> None:
        self.send(msgspec.json.encode(message) + b"\n")

    async def line(self) -> bytes:
        """The next line; empty at the end of the stream."""
        async with asyncio.timeout(TIMEOUT_S):
            try:
                return await self.reader.readline()
            except ConnectionError:
                return b""

    async def hear(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(await self.line())
        return message

    async def closed(self) -> None:
        """Read up to the end of the stream."""
        while await self.line():
            pass

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()


class ScriptedServer:
    """A server that hands each connection to `script` and closes it when the script ends."""

    def __init__(self, path: Path, script: Callable[[RawPeer], Any]) -> None:
        self._path = path
        self._script = script
        self._server: asyncio.Server | None = None
        self.connections = 0

    async def __aenter__(self) -> ScriptedServer:
        self._server = await asyncio.start_unix_server(self._serve, str(self._path))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        peer = RawPeer(reader, writer)
        try:
            await self._script(peer)
        except (asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


def snapshot(seq: int = 0, run_id: str = "run") -> Snapshot:
    """The snapshot of a cabinet without EVSEs."""
    return Snapshot(
        seq=seq,
        run_id=run_id,
        boot_id="boot",
        boot_cause=BootCause.POWER_UP,
        serial_number="1",
        clock=BoardClock(mono_s=0.0, utc_s=0.0, is_set=True, synchronised=True),
        evses=[],
        faults=[],
        links={},
        screens=[],
    )


def idle_evse(
    evse: int = 1, phase: Phase = Phase.IDLE, *, faults: Iterable[Fault] = (), reading: MeterReading | None = None
) -> EvseStatus:
    """An EVSE without a car, unless another phase is given."""
    return EvseStatus(
        evse=evse,
        connector=1,
        phase=phase,
        plugged=phase is not Phase.IDLE,
        locked=False,
        contactor_closed=False,
        flow=EnergyFlow.NONE,
        session=None,
        lease_left_s=0.0,
        limit_w=None,
        reading=reading,
        faults=list(faults),
    )


class AnsweringCabinet:
    """Records its commands; EVSE 9 does not exist; publishes `while_executing` during each command."""

    def __init__(self) -> None:
        self.publish: Callable[[Event], None] = lambda event: None
        self.commands: list[Command] = []
        self.while_executing: list[Event] = []
        self.next_snapshot: Snapshot | None = None
        self.network = Network([])
        self.refusal: tuple[Problem, str] | None = None
        """Of commands on the network."""

    def snapshot(self, seq: int, run_id: str) -> Snapshot:
        return self.next_snapshot or snapshot(seq, run_id)

    def devices(self) -> list[DeviceReport]:
        return [DeviceReport(place="meter")]

    def site_limit(self) -> SiteLimit:
        return SiteLimit(in_force_w=None, settings_w=None, next_w=None)

    async def set_network(self, command: NetworkCommand) -> Network:
        self.commands.append(command)
        if self.refusal is not None:
            raise NetworkRefused(*self.refusal)
        return self.network

    def execute(self, command: CabinetCommand) -> tuple[Problem, str] | None:
        self.commands.append(command)
        for event in self.while_executing:
            self.publish(event)
        if isinstance(command, Permit) and command.evse == 9:
            return Problem.UNKNOWN_EVSE, "there is no EVSE 9"
        if isinstance(command, Show) and command.screen == 9:
            return Problem.DEVICE_FAILED, "x" * 70_000
        return None

    def listen(self, publish: Callable[[Event], None]) -> None:
        self.publish = publish
