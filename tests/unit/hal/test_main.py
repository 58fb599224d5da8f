# SPDX-License-Identifier: Apache-2.0
"""The HAL as a process, against a simulated world in this one: it starts, charges, and stops in the orderly way."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from drivers.simulated.world.board import BoardState
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import World
from firmware.clock import SystemClock
from firmware.contract import (
    CONTRACT_VERSION,
    BootCause,
    FromHal,
    Greeting,
    MeterContext,
    MeterReading,
    Permit,
    Phase,
    PhaseChanged,
    Request,
    Role,
    Snapshot,
    Stamped,
)
from tests.support.hal_settings import hal_settings
from tools.rig.world_server import WorldServer

ROOT = Path(__file__).parents[3]
DEVICE = '{ driver = "simulated", bus = "world" }'
SETTINGS = hal_settings(DEVICE, buses='[bus.world]\ndriver = "simulated"\npath = "world.sock"')


@asynccontextmanager
async def simulated_world(where: Path) -> AsyncIterator[tuple[World, WorldServer]]:
    world = World(BoardState("BW-1"), [1], speed=10.0)
    world.power_on(BootCause.POWER_UP)
    server = WorldServer(world, SystemClock())
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(where / "world.sock"))
        listening.listen()
        await server.start(listening)
        try:
            yield world, server
        finally:
            server.close()


@asynccontextmanager
async def hal_process(where: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    (where / "hal.toml").write_text(SETTINGS)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hal", "--config", "hal.toml"),
        cwd=where,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


class Client:
    """A service at the HAL's socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.phases: list[Phase] = []
        self.billed: list[MeterContext] = []

    def send(self, message: Greeting | Request) -> None:
        self._writer.write(msgspec.json.encode(message) + b"\n")

    async def receive(self) -> FromHal | None:
        line = await self._reader.readline()
        if not line:
            return None
        message: FromHal = msgspec.json.decode(line, type=FromHal)
        if isinstance(message, Stamped) and isinstance(message.event, PhaseChanged):
            self.phases.append(message.event.phase)
        elif isinstance(message, Stamped) and isinstance(message.event, MeterReading):
            self.billed += [message.event.context] if message.event.context is not MeterContext.PERIODIC else []
        return message

    async def receive_until(self, phase: Phase) -> None:
        while phase not in self.phases:
            assert await self.receive() is not None, "the HAL closed the connection"

    def close(self) -> None:
        self._writer.close()


async def connect(path: Path) -> Client:
    while True:
        try:
            client = Client(*await asyncio.open_unix_connection(str(path)))
        except OSError:
            await asyncio.sleep(0.02)
        else:
            client.send(Greeting(version=CONTRACT_VERSION, role=Role.SERVICE, software="test"))
            return client


@pytest.mark.slow
async def test_the_process_charges_a_car_and_stops_in_the_orderly_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # socket paths are limited to 107 bytes
    async with asyncio.timeout(60), simulated_world(Path()) as (world, server), hal_process(Path()) as process:
        client = await connect(Path("hal.sock"))
        assert isinstance(await client.receive(), Greeting)
        assert isinstance(await client.receive(), Snapshot)
        world.plug_in(1, CarOrder())
        server.touch()
        client.send(Request(1, Permit(1, "one", 60.0)))
        await client.receive_until(Phase.CHARGING)
        process.send_signal(signal.SIGTERM)
        while await client.receive() is not None:
            pass
        client.close()
        assert await process.wait() == 0
    assert client.billed == [MeterContext.START, MeterContext.STOP]
    assert client.phases[-1] is Phase.FINISHED
    assert not world.evses[1].contactor.closed
    assert world.evses[1].contactor.openings_under_load == 0
