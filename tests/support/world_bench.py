# SPDX-License-Identifier: Apache-2.0
"""A simulated cabinet in this process, and a station that is polite to cars: what tests of the world start from."""

from __future__ import annotations

from drivers.simulated.board import BoardState
from drivers.simulated.bus import LocalBus
from drivers.simulated.devices import (
    SimulatedBoard,
    SimulatedContactor,
    SimulatedInsulationMonitor,
    SimulatedMeter,
    SimulatedShelf,
    SimulatedVehicleLink,
)
from drivers.simulated.garage import CarOrder
from drivers.simulated.world import World
from firmware.contract import BootCause
from hal.ports import VehicleStage

__all__ = ["PoliteStation", "WorldBench", "new_world"]

TICK_S = 0.05


def new_world(*, speed: float = 1.0, seed: int = 1) -> World:
    """A cabinet with power."""
    world = World(BoardState(serial_number="BW1"), speed=speed, seed=seed)
    world.power_on(BootCause.POWER_UP)
    return world


class WorldBench:
    """World, wiring, and the drivers of one outlet."""

    def __init__(self, evse: int = 2, *, speed: float = 1.0, seed: int = 1) -> None:
        self.evse = evse
        self.world = new_world(speed=speed, seed=seed)
        self.bus = LocalBus(self.world)
        options = {"evse": evse}
        self.shelf = SimulatedShelf(self.bus, {})
        self.board = SimulatedBoard(self.bus, {})
        self.meter = SimulatedMeter(self.bus, options)
        self.monitor = SimulatedInsulationMonitor(self.bus, options)
        self.contactor = SimulatedContactor(self.bus, options)
        self.vehicle = SimulatedVehicleLink(self.bus, options)
        self.outlet = self.world.outlets[evse]

    def advance(self, seconds: float) -> None:
        """Let time pass, with the watchdog fed."""
        end = self.bus.mono_s + seconds
        while self.bus.mono_s < end - 1e-9:
            self.board.feed_watchdog()
            self.bus.advance(min(TICK_S, end - self.bus.mono_s))


class PoliteStation:
    """Does in each stage what the car asks for, the way a HAL would."""

    def __init__(self, bench: WorldBench, *, groups: int = 10) -> None:
        self.bench = bench
        self._groups = groups
        self._tested = False

    def run_until(self, stage: VehicleStage, *, limit_s: float = 60.0) -> None:
        """Play on until the car is in a stage; fails when it never gets there."""
        start = self.bench.bus.mono_s
        while self.bench.vehicle.vehicle().stage is not stage:
            assert self.bench.bus.mono_s - start < limit_s, f"still {self.bench.vehicle.vehicle().stage}"
            self.play(TICK_S)

    def play(self, seconds: float) -> None:
        """Go on for so long."""
        end = self.bench.bus.mono_s + seconds
        while self.bench.bus.mono_s < end - 1e-9:
            self._act()
            self.bench.advance(TICK_S)

    def charge(self, order: CarOrder | None = None) -> None:
        """Plug a car in and bring it to full current."""
        self.bench.world.plug_in(self.bench.evse, order or CarOrder())
        self.run_until(VehicleStage.CHARGE)
        self.play(3.0)

    def _act(self) -> None:
        bench = self.bench
        vehicle = bench.vehicle.vehicle()
        match vehicle.stage:
            case VehicleStage.WAITING_AUTHORISATION:
                bench.vehicle.authorise(True)
                bench.shelf.assign({bench.evse: self._groups})
            case VehicleStage.CABLE_CHECK:
                self._check_cable()
            case VehicleStage.PRECHARGE | VehicleStage.CHARGE:
                bench.shelf.set_output(bench.evse, vehicle.target_voltage_v, vehicle.target_current_a)
            case VehicleStage.STOP | VehicleStage.WELDING_DETECTION | VehicleStage.ENDED:
                bench.shelf.switch_off(bench.evse)
                if bench.shelf.reading(bench.evse).current_a < 1.0:
                    bench.contactor.command(False)

    def _check_cable(self) -> None:
        bench = self.bench
        bench.monitor.enable(True)
        bench.contactor.command(True)
        if not bench.contactor.is_closed():
            return
        bench.shelf.set_output(bench.evse, 500.0, 2.0)
        if bench.shelf.reading(bench.evse).voltage_v > 490.0 and not self._tested:
            self._tested = True
            bench.monitor.start_self_test()
        if bench.monitor.reading().self_test_passed:
            self._tested = False
            bench.vehicle.finish_cable_check(True)
