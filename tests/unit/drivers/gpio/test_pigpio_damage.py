# SPDX-License-Identifier: Apache-2.0
"""Any piece of the conversation with pigpiod that is lost, late, doubled, cut or corrupted: the lines recover."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from random import Random

import pytest

from drivers.gpio.lines import Line
from drivers.gpio.pigpio_lines import PigpioLines
from firmware.errors import DeviceLost
from tests.support.sockets import eventually
from tools.rig.devices.gpio import Pigpiod

Damage = Callable[[bytes, Random], bytes]


def _corrupt(data: bytes, rng: Random) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


DAMAGES: dict[str, Damage] = {
    "lost": lambda data, rng: b"",
    "doubled": lambda data, rng: data + data,
    "cut": lambda data, rng: data[: rng.randrange(len(data))],
    "corrupted": _corrupt,
    "garbage": lambda data, rng: rng.randbytes(rng.randrange(1, 100)),
}


class _Wire:
    """Between client and daemon: damages one piece, in one direction, and is then in order."""

    def __init__(self, daemon: Pigpiod, damage: Damage, rng: Random) -> None:
        self._daemon = daemon
        self._damage = damage
        self._rng = rng
        self._from_daemon = rng.random() < 0.5
        self._pieces = rng.randrange(1, 12)
        self._writers: list[asyncio.StreamWriter] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def done(self) -> bool:
        return self._pieces == 0

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._on_client, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _on_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._daemon.port)
        self._writers += [writer, far_writer]
        self._tasks += [
            asyncio.create_task(self._pump(reader, far_writer, from_daemon=False)),
            asyncio.create_task(self._pump(far_reader, writer, from_daemon=True)),
        ]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_daemon: bool) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                if from_daemon is self._from_daemon and self._pieces > 0:
                    self._pieces -= 1
                    if self._pieces == 0:
                        data = self._damage(data, self._rng)
                writer.write(data)
        writer.close()

    async def close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_piece_ends_in_lost_lines_or_true_ones(damage: str, seed: int) -> None:
    daemon = Pigpiod()
    await daemon.start()
    wire = _Wire(daemon, DAMAGES[damage], Random(seed))
    lines = PigpioLines(PigpioLines.Options(port=await wire.start(), answer_s=0.2))
    stop, coil = lines.input(Line(line=4, debounce_s=0.0)), lines.output(7)
    stop.listen(lambda value, mono_s: None)
    daemon.drive(4, True)
    await lines.open()
    while not wire.done:
        daemon.drive(4, not daemon.level(4))
        await asyncio.sleep(0.01)
    daemon.drive(4, True)

    def is_true() -> bool:
        try:
            coil.set(True)
            return stop.read() and daemon.level(7) and daemon.is_output(7)
        except DeviceLost:
            return False

    await eventually(is_true)
    daemon.drive(4, None)
    await eventually(lambda: not is_true())
    coil.set(False)
    await eventually(lambda: not daemon.level(7))
    lines.close()
    await wire.close()
    daemon.close()
