# SPDX-License-Identifier: Apache-2.0
"""A simulated world inside the HAL's process, with EV drivers who come by themselves: a station without any hardware.

It is what a unit, a package or an image is tried with, where there is no rig. All simulated drivers work on this bus:

    [bus.world]
    driver = "demonstration"
    evses = [1, 2]
    speed = 60.0                              # batteries and registers; everything else takes its real time
    state = "/var/lib/baywatt/hal/world.json" # registers and boots survive a restart

    [[bus.world.visit]]                       # none: `USUAL_VISITS`
    evse = 1
    car = { soc_percent = 30, target_soc_percent = 60 }

Where it differs from the rig: a HAL that is killed takes the cars with it (they come again). A restart of the board
that the CSMS requests is a new boot of the simulated board: this process ends in the orderly way, and its supervisor
starts it again.
"""

from __future__ import annotations

import logging
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct, field

from drivers.simulated.bus import Listener, WorldBus
from drivers.simulated.messages import Actuation, FromWorld, Readings
from drivers.simulated.visits import USUAL_VISITS, Visit, Visitors
from drivers.simulated.world.shelf import ShelfRating
from drivers.simulated.world.world import Happening, PowerOffRequested, RebootRequested, World, WorldRefused
from drivers.simulated.world_file import WorldFile
from drivers.simulated.world_runner import WorldRunner
from firmware.boot_id import boot_id
from firmware.clock import Clock, SystemClock
from firmware.contract import BootCause
from firmware.errors import DeviceLost, DeviceRefused

__all__ = ["DemonstrationBus", "DemonstrationOptions"]

SAVE_S = 10.0
"""How often the file is written: flash memory is worn by each time."""
_log = logging.getLogger(__name__)


_Number = Annotated[int, Meta(ge=1, le=99)]


class DemonstrationOptions(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    evses: Annotated[list[_Number], Meta(min_length=1)] = field(default_factory=lambda: [1, 2])
    max_power_w: Annotated[float, Meta(gt=0)] = 400_000.0
    """Of all modules; groups of 40 kW."""
    speed: Annotated[float, Meta(gt=0, le=3600)] = 1.0
    seed: int = 1
    state: str | None = None
    """The file of what survives a restart; None: nothing does."""
    visit: list[Visit] | None = None
    """None: those of `USUAL_VISITS` at these EVSEs; an empty list: no car comes."""
    real_board: bool = False
    """`[board]` is a real one's driver: restarts are its, and the simulated contactors have no watchdog relay."""
    pause_s: Annotated[float, Meta(ge=0, le=86400)] = 30.0
    """Between the last of these visits and the first of the next round."""

    @property
    def visits(self) -> list[Visit]:
        return [each for each in USUAL_VISITS if each.evse in self.evses] if self.visit is None else self.visit

    def __post_init__(self) -> None:
        for number, visit in enumerate(self.visits, 1):
            if visit.evse not in self.evses:
                raise ValueError(f"visit {number}: no EVSE {visit.evse}")


class DemonstrationBus(WorldBus):
    """`WorldBus` to a world in this process."""

    Options = DemonstrationOptions

    def __init__(
        self,
        options: DemonstrationOptions,
        *,
        clock: Clock | None = None,
        restart: Callable[[], None] = lambda: os.kill(os.getpid(), signal.SIGTERM),
    ) -> None:
        self._options = options
        self._clock = clock or SystemClock()
        self._restart = restart
        self._listeners: list[Listener] = []
        self._latest: Readings | None = None
        self._saved_at = -math.inf

    async def open(self) -> None:
        options = self._options
        _log.warning("ALL HARDWARE ON THIS BUS IS SIMULATED: cars come by themselves, no real current flows")
        self._file = WorldFile(Path(options.state) if options.state is not None else None, machine_boot_id=boot_id())
        rating = ShelfRating.for_power(options.max_power_w)
        self.world = World(self._file.board(), options.evses, speed=options.speed, rating=rating, seed=options.seed)
        self._file.restore(self.world)
        self.world.board.has_watchdog = not options.real_board
        if self._file.booted:
            self.world.resume()
        else:
            self.world.power_on(BootCause.POWER_UP)
        self.world.connect_hal()
        self.hello = self.world.hello()
        self.visitors = Visitors(self.world, options.visits, pause_s=options.pause_s)
        self._runner = WorldRunner(self.world, self._clock, self._deliver)
        self._runner.on_happening = self._on_happening
        self._runner.on_push = self._on_push
        self._runner.start()
        self._runner.touch()

    def readings(self) -> Readings:
        if self._latest is None:
            raise DeviceLost("the demonstration is over")
        return self._latest

    def send(self, message: Actuation) -> None:
        if self._latest is None:
            raise DeviceLost("the demonstration is over")
        try:
            self.world.apply(message)
        except WorldRefused as error:
            raise DeviceRefused(str(error)) from error
        self._runner.report()

    def listen(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def close(self) -> None:
        if self._latest is not None:
            self._latest = None
            self._runner.close()
            self.world.disconnect_hal()
            self._file.save(self.world)

    def _deliver(self, message: FromWorld) -> None:
        if isinstance(message, Readings):
            self._latest = message
        for listener in self._listeners:
            listener(message)

    def _on_push(self) -> None:
        now = self._clock.monotonic()
        self.visitors.step(now)
        if now - self._saved_at >= SAVE_S:
            self._saved_at = now
            self._file.save(self.world)

    def _on_happening(self, happening: Happening) -> None:
        if isinstance(happening, RebootRequested | PowerOffRequested):
            _log.info("the simulated board restarts: this process ends and has to be started again")
            self.world.power_on(BootCause.REQUESTED)
            self._file.save(self.world)
            self._restart()
