# SPDX-License-Identifier: Apache-2.0
"""The parts of one simulated station: all that operations of the control socket act on or report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from drivers.simulated.world.shelf import ShelfRating
from drivers.simulated.world.world import PowerOffRequested, RebootRequested, World
from drivers.simulated.world_file import WorldFile
from firmware.clock import Clock
from firmware.update.slot_directory import SlotDirectory
from tools.rig.proxy import Network
from tools.rig.station_dir import SLOTS, StationDir
from tools.rig.supervisor import Supervisor
from tools.rig.view import Emit, StationView

if TYPE_CHECKING:
    from tools.rig.wire import Wire

__all__ = ["Simulation"]


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parts; `create` makes those that depend on the station's directory."""

    station: StationDir
    supervisor: Supervisor
    clock: Clock
    slots: SlotDirectory
    world_file: WorldFile
    world: World
    network: Network
    view: StationView
    wire: Wire | None = None
    """The simulators of devices, if the HAL has the real drivers."""

    @classmethod
    def create(cls, station: StationDir, supervisor: Supervisor, clock: Clock, emit: Emit) -> Simulation:
        """The world as it was when the rig was last stopped, without power."""
        world_file = WorldFile(station.path / "world.json")
        hardware = station.product.hardware
        world = World(
            world_file.board(),
            [evse.id for evse in hardware.evse],
            speed=station.settings.rig.speed,
            rating=ShelfRating.for_power(float(hardware.max_power_w)),
        )
        world_file.restore(world)
        return cls(
            station,
            supervisor,
            clock,
            SlotDirectory(station.path / SLOTS),
            world_file,
            world,
            Network(list(world.links)),
            StationView(list(world.evses), emit),
        )

    def with_wire(self, on_request: Callable[[RebootRequested | PowerOffRequested], None]) -> Simulation:
        """The same, with a simulator for each device of the world."""
        from tools.rig.wire import Wire  # imports what a rig without wires does not need

        return replace(self, wire=Wire(self.world, self.clock, self.station.path / "run", on_request))

    def save_world(self) -> None:
        """Save the state of the hardware that survives the rig."""
        self.world_file.save(self.world)
