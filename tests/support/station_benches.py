# SPDX-License-Identifier: Apache-2.0
"""The station's own devices (inputs, contactors, board) of one world: over the simulated drivers and over real ones.

A test changes the world, lets time pass until a condition holds, and pulls the plug of what is between.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drivers.board.linux import LinuxBoard
from drivers.gpio.contactor import GpioContactor
from drivers.gpio.inputs import GpioInputs
from drivers.gpio.pigpio_lines import PigpioLines
from drivers.gpio.thermometers import Sensor
from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import EvseOptions, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.inputs import SimulatedInputs
from drivers.simulated.world.world import RebootRequested
from firmware.contract import BootCause, Fault
from firmware.errors import DriverError
from hal.ports import Board, Contactor, Inputs
from tests.support.world_bench import LocalBus, new_world
from tools.rig.devices.board import BoardTree, Login1
from tools.rig.devices.bus_daemon import BusDaemon
from tools.rig.devices.gpio import CabinetLines

__all__ = ["STATION_BENCHES", "SimulatedStation", "StationBench", "WireStation"]

EVSES = (1, 2)
PATIENCE_S = 10.0


class StationBench(ABC):
    """`fed`: whether the bench feeds the board's watchdog as time passes."""

    inputs: Inputs
    board: Board
    contactors: dict[int, Contactor]

    def __init__(self) -> None:
        self.world = new_world()
        self.fed = True

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def pass_time(self) -> None:
        """A little time passes, in the world and for the drivers."""

    @abstractmethod
    def heat_controller(self, hot: bool) -> None: ...

    @abstractmethod
    async def unplug(self) -> None: ...

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until the condition holds; fails after a while."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await self.pass_time()

    def feed(self) -> None:
        if self.fed:
            with suppress(DriverError):
                self.board.feed_watchdog(coils=True)

    def rebooted(self) -> bool:
        return RebootRequested() in self.world.happened

    async def close(self) -> None:
        for contactor in self.contactors.values():
            contactor.close()
        self.inputs.close()
        self.board.close()


class SimulatedStation(StationBench):
    async def start(self) -> None:
        self.bus = LocalBus(self.world, mono_s=time.monotonic())
        self.inputs = SimulatedInputs(WorldOptions(bus=self.bus))
        self.board = SimulatedBoard(WorldOptions(bus=self.bus))
        self.contactors = {evse: SimulatedContactor(EvseOptions(bus=self.bus, evse=evse)) for evse in EVSES}

    async def pass_time(self) -> None:
        self.feed()
        self.bus.advance(0.025)
        await asyncio.sleep(0)

    def heat_controller(self, hot: bool) -> None:
        self.world.faults.set(Fault.OVER_TEMPERATURE, None, hot)

    async def unplug(self) -> None:
        self.bus.close()


class WireStation(StationBench):
    """Digital lines over a simulated pigpiod, sensors in files, logind on a message bus of its own."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    async def start(self) -> None:
        self.tree = BoardTree(self.folder / "root", serial_number=self.world.board.serial_number)
        self.tree.boot(self.world.board.boot_id, BootCause.POWER_UP)
        self.cabinet = CabinetLines(self.world)
        self.world.connect_hal()
        self._step()
        await self.cabinet.start()
        self.dbus = BusDaemon(self.folder)
        await self.dbus.start()
        self.login1 = Login1(self.dbus.address, self.world.happened.append)
        await self.login1.start()
        self.lines = PigpioLines(PigpioLines.Options(port=self.cabinet.daemons[0].port))
        await self.lines.open()
        self.make_drivers()

    def make_drivers(self) -> None:
        root = str(self.tree.root)
        plan = self.cabinet
        self.inputs = GpioInputs(
            GpioInputs.Options(
                lines=self.lines,
                emergency_stop=plan.STOP,
                door=plan.DOOR,
                temperature=tuple(Sensor(evse=evse, device="max31865", channel=f"resistance{evse}") for evse in EVSES),
                root=root,
            )
        )
        self.board = LinuxBoard(
            LinuxBoard.Options(
                lines=self.lines,
                watchdog_relay=plan.WATCHDOG,
                boot_record=str(self.folder / "boot.json"),
                time_source="rtc",
                dbus_address=self.dbus.address,
                disk=str(self.folder),
                root=root,
            )
        )
        self.contactors = {
            evse: GpioContactor(
                GpioContactor.Options(evse=evse, lines=self.lines, coil=plan.coil(evse), mirror=plan.mirror(evse))
            )
            for evse in EVSES
        }

    async def pass_time(self) -> None:
        self.feed()
        self._step()
        await asyncio.sleep(0.005)

    def _step(self) -> None:
        now = asyncio.get_running_loop().time()
        self.world.step(now)
        self.cabinet.step()
        temperatures = {number: evse.plug_temp_c for number, evse in self.world.evses.items()}
        self.tree.step(self.world.board.clock(now, time.time()), temperatures)

    def heat_controller(self, hot: bool) -> None:
        self.tree.set_controller_temperature(110.0 if hot else 45.0)

    async def unplug(self) -> None:
        self.cabinet.close()

    async def plug_in(self) -> None:
        await self.cabinet.start()

    async def close(self) -> None:
        await super().close()
        self.lines.close()
        self.login1.close()
        await self.dbus.close()
        self.cabinet.close()
        self.tree.close()
        assert [violation for daemon in self.cabinet.daemons for violation in daemon.violations] == []


STATION_BENCHES: dict[str, Callable[[Path], StationBench]] = {
    "simulated": lambda folder: SimulatedStation(),
    "wire": WireStation,
}
