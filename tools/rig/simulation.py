# SPDX-License-Identifier: Apache-2.0
"""The parts of one simulated station: all that operations of the control socket act on or report."""

from __future__ import annotations

from dataclasses import dataclass

from drivers.simulated.world.shelf import ShelfRating
from drivers.simulated.world.world import World
from drivers.simulated.world_file import WorldFile
from firmware.clock import Clock
from firmware.update.slot_directory import SlotDirectory
from tools.rig.proxy import Network
from tools.rig.station_dir import SLOTS, StationDir
from tools.rig.supervisor import Supervisor
from tools.rig.view import Emit, StationView

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

    def save_world(self) -> None:
        """Save the state of the hardware that survives the rig."""
        self.world_file.save(self.world)
