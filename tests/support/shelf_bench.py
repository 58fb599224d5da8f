# SPDX-License-Identifier: Apache-2.0
"""Power modules behind a driver of `PowerShelf`, as tests of the port see them: `ShelfBench`, one for each driver."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from drivers.simulated.bus import WorldOptions
from drivers.simulated.messages import Actuation, CommandContactor, FeedWatchdog, Readings
from drivers.simulated.shelf import SimulatedShelf
from drivers.simulated.world.garage import CarOrder
from drivers.simulated.world.world import World
from firmware.contract import Fault
from firmware.errors import DeviceLost
from hal.ports import PowerShelf, VehicleStage
from tests.support.world_bench import LocalBus, new_world

__all__ = ["ShelfBench", "SimulatedShelfBench"]


class ShelfBench(ABC):
    """A shelf with the outlets 1 and 2, and the hands of a technician behind it."""

    shelf: PowerShelf

    @abstractmethod
    async def until(self, condition: Callable[[], object]) -> None:
        """Let time pass, with the last commands repeated, until the condition holds; fails after a while."""

    @abstractmethod
    def repeat(self, command: Callable[[], None] | None) -> None:
        """Repeat this command with each control cycle from now on, as the HAL does with `set_output`."""

    @abstractmethod
    def load(self, evse: int, *, connected: bool = True) -> None:
        """Put a battery of some 360 V on the output of an outlet that is at its voltage, or take it off."""

    @abstractmethod
    def fail_module(self, evse: int, *, failed: bool = True) -> None:
        """Let one module that is joined to the outlet fail, or mend it."""

    @abstractmethod
    def unplug(self) -> None:
        """Cut the link between driver and modules."""

    @abstractmethod
    def plug(self) -> None:
        """Bring the link back."""

    @abstractmethod
    async def close(self) -> None: ...


class _LossyBus(LocalBus):
    """A wiring that can be cut."""

    cut = False

    def readings(self) -> Readings:
        self._require_link()
        return super().readings()

    def send(self, message: Actuation) -> None:
        self._require_link()
        super().send(message)

    def _require_link(self) -> None:
        if self.cut:
            raise DeviceLost("the wiring is cut")


class SimulatedShelfBench(ShelfBench):
    def __init__(self) -> None:
        self.world: World = new_world()
        self._bus = _LossyBus(self.world)
        self._repeated: Callable[[], None] | None = None
        self.shelf = SimulatedShelf(WorldOptions(bus=self._bus))

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(800):
            if condition():
                return
            if self._repeated is not None and not self._bus.cut:
                self._repeated()
            self.world.apply(FeedWatchdog())
            self._bus.advance(0.025)
        raise AssertionError("never")

    def repeat(self, command: Callable[[], None] | None) -> None:
        self._repeated = command

    def load(self, evse: int, *, connected: bool = True) -> None:
        outlet = self.world.evses[evse]
        self._bus.send(CommandContactor(evse=evse, closed=connected))
        if not connected:
            outlet.plug_out()
            return
        self.world.plug_in(evse, CarOrder(max_v=420.0))
        assert outlet.car is not None
        outlet.secc.authorise(True)
        outlet.car.stage, outlet.car.contactor_closed = VehicleStage.CHARGE, True

    def fail_module(self, evse: int, *, failed: bool = True) -> None:
        self.world.faults.set(Fault.POWER_MODULE, evse, failed)

    def unplug(self) -> None:
        self._bus.cut = True

    def plug(self) -> None:
        self._bus.cut = False

    async def close(self) -> None:
        self._bus.close()
