# SPDX-License-Identifier: Apache-2.0
"""A HAL on the real drivers, with the simulators of all its devices in this process, which sees each frame and edge.

No OCPP service: a client of the HAL's socket permits energy in its place, so that the figures are the HAL's alone.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

from drivers.simulated.world.board import BoardState
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.shelf import ShelfRating
from drivers.simulated.world.world import World
from firmware.clock import SystemClock
from firmware.contract import BootCause, Permit, Role, Snapshot, Stamped
from firmware.ipc.hal_link import HalLink, LinkState
from tools.benchmark.machine import CpuShare, resident_mb
from tools.rig.sockets import listen_unix
from tools.rig.station_dir import HAL_SOCKET, PROCESS_ENVIRONMENT, WORLD_SOCKET, StationDir
from tools.rig.wire import Wire
from tools.rig.world_server import WorldServer

__all__ = ["wire_figures"]

_Figures: TypeAlias = dict[str, list[float]]
_PATIENCE_S = 60.0
_CPU_S = 20.0
_BETWEEN_S = 1.31
"""Between two emergency stops: a released button counts after a second."""
_LEASE_S = 10.0
_STATUS_ID, _ID_MASK = 0x63000, 0x00FFFFFF
"""`Power_Modules_Status`, which the HAL sends to each SECC every 100 ms; the highest bits are the SECC's index."""


async def wire_figures(folder: Path, stops: int) -> _Figures:
    """Both EVSEs charging: CPU, memory, the jitter of the 100 ms cycle; then `stops` emergency stops, at rest."""
    async with _station(folder) as (world, wire, pid):
        await _charging(world)
        cpu, cycles = CpuShare([pid]), await _cycles(wire, _CPU_S)
        figures = {"wire cpu": [cpu.percent()], "wire memory": [resident_mb(pid)], "wire cycle": cycles}
        figures["wire estop"] = [await _stop(wire) for _ in range(stops)]
    return figures


@asynccontextmanager
async def _station(folder: Path) -> AsyncIterator[tuple[World, Wire, int]]:
    station = StationDir.open(folder, None, "WARNING")
    clock = SystemClock()
    hardware = station.product.hardware
    world = World(
        BoardState("BENCH"),
        [each.id for each in hardware.evse],
        rating=ShelfRating.for_power(float(hardware.max_power_w)),
    )
    wire = Wire(world, clock, folder.absolute() / "run", lambda _request: None)
    await wire.start()
    station.write_hal_settings(wire)
    world.power_on(BootCause.POWER_UP)
    wire.boot()
    for evse in world.evses:
        world.plug_in(evse, CarOrder(soc_percent=10.0))
    server = WorldServer(world, clock, wired=True)
    server.runner.before_step, server.runner.after_step = wire.before_step, wire.after_step
    await server.start(listen_unix(folder / WORLD_SOCKET))
    hal = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hal", "--config", "etc/hal.toml"),
        cwd=folder,
        env={**os.environ, **PROCESS_ENVIRONMENT},
    )
    permits = asyncio.create_task(_Permits(folder / HAL_SOCKET, list(world.evses)).run())
    try:
        yield world, wire, hal.pid
    finally:
        permits.cancel()
        hal.terminate()
        await hal.wait()
        server.close()
        await wire.close()
        station.release()


class _Permits:
    """Permits every EVSE, for as long as it runs."""

    def __init__(self, path: Path, evses: list[int]) -> None:
        self._link = HalLink(path, self, role=Role.SERVICE, software="benchmark")
        self._evses = evses

    async def run(self) -> None:
        link = asyncio.create_task(self._link.run())
        try:
            while True:
                if self._link.state is LinkState.UP:
                    for evse in self._evses:
                        self._link.request(Permit(evse=evse, session=f"session-{evse}", lease_s=_LEASE_S))
                await asyncio.sleep(1.0)
        finally:
            link.cancel()

    def on_hal_up(self, snapshot: Snapshot) -> None: ...

    def on_hal_event(self, stamped: Stamped) -> None:
        if stamped.keep:
            self._link.acknowledge(stamped.seq)

    def on_hal_down(self, reason: str) -> None: ...


async def _charging(world: World) -> None:
    async with asyncio.timeout(_PATIENCE_S):
        while not all(evse.current_a > 50.0 for evse in world.evses.values()):  # noqa: ASYNC110 - the world has no event
            await asyncio.sleep(0.2)


async def _cycles(wire: Wire, seconds: float) -> list[float]:
    """How far, in ms, each interval between two reports to an SECC is from 100 ms."""
    last: dict[int, float] = {}
    found: list[float] = []

    def on_frame(can_id: int, _data: bytes) -> None:
        if can_id & _ID_MASK == _STATUS_ID:
            now = time.monotonic()
            if can_id in last:
                found.append(abs(1000.0 * (now - last[can_id]) - 100.0))
            last[can_id] = now

    wire.vehicles_bus.attach(on_frame)
    await asyncio.sleep(seconds)
    wire.vehicles_bus.detach(on_frame)
    return found


async def _stop(wire: Wire) -> float:
    """Milliseconds from the edge of the stop button's line to the first coil that is written off."""
    chip, written = wire.lines.daemons[0], asyncio.get_running_loop().create_future()
    before = chip.on_write

    def on_write(line: int, level: bool) -> None:
        if line != wire.lines.WATCHDOG and not level and not written.done():
            written.set_result(time.monotonic())

    chip.on_write = on_write
    pressed = time.monotonic()
    chip.drive(wire.lines.STOP, None)
    wire.lines.stop_wire_broken = True
    async with asyncio.timeout(_PATIENCE_S):
        opened: float = await written
    chip.on_write = before
    wire.lines.stop_wire_broken = False
    wire.lines.step()
    await asyncio.sleep(_BETWEEN_S)
    return 1000.0 * (opened - pressed)
