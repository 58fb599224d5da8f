# SPDX-License-Identifier: Apache-2.0
"""A simulated cabinet in this process, and a station that is polite to cars: what tests of the world start from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from drivers.simulated.board import SimulatedBoard
from drivers.simulated.bus import EvseOptions, Listener, WorldBus, WorldOptions
from drivers.simulated.contactor import SimulatedContactor
from drivers.simulated.insulation import SimulatedInsulationMonitor
from drivers.simulated.messages import Actuation, Readings
from drivers.simulated.meter import SimulatedMeter
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.vehicle import SimulatedVehicleLink
from drivers.simulated.world.board import BoardState
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import Happening, World
from firmware.contract import BootCause
from firmware.errors import DeviceLost
from hal.ports import VehicleStage
from tests.support.sockets import eventually

__all__ = ["LocalBus", "PoliteStation", "WiredWorld", "WorldBench", "new_world"]

TICK_S = 0.05


def new_world(*, speed: float = 1.0, seed: int = 1) -> World:
    """A cabinet with power."""
    world = World(BoardState(serial_number="BW1"), speed=speed, seed=seed)
    world.power_on(BootCause.POWER_UP)
    return world


class LocalBus(WorldBus):
    """`WorldBus` to a world in this process; `advance` lets time pass in it."""

    def __init__(self, world: World, *, mono_s: float = 1000.0, utc_s: float = 1_800_000_000.0) -> None:
        self.world = world
        self.mono_s = mono_s
        self._utc_ahead_s = utc_s - mono_s
        self._listeners: list[Listener] = []
        self._open = True
        world.step(mono_s)
        world.connect_hal()
        self.hello = world.hello()
        self._latest = world.readings(mono_s, utc_s)

    async def open(self) -> None:
        """It is open from the start."""

    def readings(self) -> Readings:
        self._require_open()
        return self._latest

    def send(self, message: Actuation) -> None:
        self._require_open()
        self.world.apply(message)

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def advance(self, seconds: float) -> None:
        """Let time pass in the world, then send its readings and messages."""
        self.mono_s += seconds
        self.world.step(self.mono_s)
        self._latest = self.world.readings(self.mono_s, self.mono_s + self._utc_ahead_s)
        messages = [self._latest, *self.world.outbox]
        self.world.outbox.clear()
        for message in messages:
            for listener in self._listeners:
                listener(message)

    def close(self) -> None:
        if self._open:
            self._open = False
            self.world.disconnect_hal()

    def reopen(self) -> None:
        """The world is back."""
        self._open = True
        self.world.connect_hal()

    def _require_open(self) -> None:
        if not self._open:
            raise DeviceLost("the simulated world is gone")


@dataclass
class WiredWorld:
    """A world and the wiring to it, in this process or over a socket; `until` lets time pass."""

    world: World
    bus: WorldBus
    happened: list[Happening]
    touch: Callable[[], None]
    """Let a change from outside take effect now."""
    tick: Callable[[], None] | None
    """Lets time pass in the world; None: it passes by itself."""

    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass until the condition holds; fails after a while."""
        if self.tick is None:
            await eventually(condition)
            return
        for _ in range(400):
            if condition():
                return
            self.tick()
        raise AssertionError("never")


class WorldBench:
    """World, wiring, and the drivers of one EVSE."""

    def __init__(self, evse: int = 2, *, speed: float = 1.0, seed: int = 1) -> None:
        self.world = new_world(speed=speed, seed=seed)
        self.evse = self.world.evses[evse]
        self.bus = LocalBus(self.world)
        self.shelf = SimulatedShelf(WorldOptions(bus=self.bus))
        self.board = SimulatedBoard(WorldOptions(bus=self.bus))
        self.meter = SimulatedMeter(EvseOptions(bus=self.bus, evse=evse))
        self.monitor = SimulatedInsulationMonitor(EvseOptions(bus=self.bus, evse=evse))
        self.contactor = SimulatedContactor(EvseOptions(bus=self.bus, evse=evse))
        self.vehicle = SimulatedVehicleLink(EvseOptions(bus=self.bus, evse=evse))

    def advance(self, seconds: float) -> None:
        """Let time pass, with the watchdog fed."""
        end = self.bus.mono_s + seconds
        while self.bus.mono_s < end - 1e-9:
            self.board.feed_watchdog(coils=True)
            self.bus.advance(min(TICK_S, end - self.bus.mono_s))


class PoliteStation:
    """Does in each stage what the car requests, as a HAL would."""

    def __init__(self, bench: WorldBench, *, groups: int = 10) -> None:
        self.bench = bench
        self._groups = groups
        self._tested = False

    def run_until(self, stage: VehicleStage, *, limit_s: float = 60.0) -> None:
        """Play until the car is in `stage`; fails after `limit_s`."""
        start = self.bench.bus.mono_s
        while self.bench.vehicle.vehicle().stage is not stage:
            assert self.bench.bus.mono_s - start < limit_s, f"still {self.bench.vehicle.vehicle().stage}"
            self.play(TICK_S)

    def play(self, seconds: float) -> None:
        """Do what the car requests for `seconds`."""
        end = self.bench.bus.mono_s + seconds
        while self.bench.bus.mono_s < end - 1e-9:
            self._act()
            self.bench.advance(TICK_S)

    def charge(self, order: CarOrder | None = None) -> None:
        """Plug a car in and bring it to full current."""
        self.bench.world.plug_in(self.bench.evse.number, order or CarOrder())
        self.run_until(VehicleStage.CHARGE)
        self.play(3.0)

    def _act(self) -> None:
        bench, evse = self.bench, self.bench.evse.number
        vehicle = bench.vehicle.vehicle()
        match vehicle.stage:
            case VehicleStage.WAITING_AUTHORISATION:
                bench.vehicle.authorise(True)
                bench.shelf.assign({evse: self._groups})
            case VehicleStage.CABLE_CHECK:
                self._check_cable()
            case VehicleStage.PRECHARGE | VehicleStage.CHARGE:
                bench.shelf.set_output(evse, vehicle.target_voltage_v, vehicle.target_current_a)
            case VehicleStage.STOP | VehicleStage.WELDING_DETECTION | VehicleStage.ENDED:
                bench.shelf.switch_off(evse)
                if bench.shelf.reading(evse).current_a < 1.0:
                    bench.contactor.command(False)

    def _check_cable(self) -> None:
        bench, evse = self.bench, self.bench.evse.number
        bench.monitor.enable(True)
        bench.contactor.command(True)
        if not bench.contactor.is_closed():
            return
        bench.shelf.set_output(evse, 500.0, 2.0)
        if bench.shelf.reading(evse).voltage_v > 490.0 and not self._tested:
            self._tested = True
            bench.monitor.start_self_test()
        if bench.monitor.reading().self_test_passed:
            self._tested = False
            bench.vehicle.finish_cable_check(True)
