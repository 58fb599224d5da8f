# SPDX-License-Identifier: Apache-2.0
"""Advances the simulated world in time, and delivers what the HAL's drivers read.

The world is stepped every 25 ms while something happens in it, otherwise every 100 ms. Readings are delivered every
50 ms (100 ms), and at once when an input has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.simulated.messages import FromWorld
from drivers.simulated.world.world import Happening, World
from firmware.clock import Clock

__all__ = ["WorldRunner"]

BUSY_S = 0.025
IDLE_S = 0.1
PUSH_S = 0.05


class WorldRunner:
    """Runs on the event loop from `start` to `close`.

    `deliver` gets the world's messages while a HAL is connected; `on_happening` is called for what an onlooker sees,
    `on_push` before readings are delivered. `before_step` and `after_step` are for what is around the world, such as
    simulators of devices: they are called with the monotonic time of the step.
    """

    def __init__(self, world: World, clock: Clock, deliver: Callable[[FromWorld], None]) -> None:
        self.on_happening: Callable[[Happening], None] = lambda happening: None
        self.on_push: Callable[[], None] = lambda: None
        self.before_step: Callable[[float], None] = lambda now: None
        self.after_step: Callable[[float], None] = lambda now: None
        self._world = world
        self._clock = clock
        self._deliver = deliver
        self._timer: asyncio.TimerHandle | None = None
        self._pushed = 0.0
        self._edges: tuple[object, ...] = ()

    def start(self) -> None:
        self._tick()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def touch(self) -> None:
        """Something has changed the world from outside: step it and deliver readings now."""
        self.step()
        self._publish(at_once=True)

    def step(self) -> None:
        """Advance the world to now."""
        now = self._clock.monotonic()
        self.before_step(now)
        self._world.step(now)
        self.after_step(now)
        self.report()

    def report(self) -> None:
        """Pass on what an onlooker has seen since the last time."""
        happened = self._world.happened[:]
        self._world.happened.clear()
        for happening in happened:
            self.on_happening(happening)

    def _tick(self) -> None:
        self.step()
        self._publish(at_once=False)
        pause = BUSY_S if self._world.busy else IDLE_S
        self._timer = asyncio.get_running_loop().call_later(pause, self._tick)

    def _publish(self, *, at_once: bool) -> None:
        now = self._clock.monotonic()
        edges = self._world.edges(now)
        messages = self._world.outbox[:]
        self._world.outbox.clear()
        if at_once or edges != self._edges or now - self._pushed >= PUSH_S:
            self._edges = edges
            self._pushed = now
            self.on_push()
            if self._world.hal_present:
                messages.insert(0, self._world.readings(now, self._clock.utc()))
        if self._world.hal_present:
            for message in messages:
                self._deliver(message)
