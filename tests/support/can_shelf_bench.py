# SPDX-License-Identifier: Apache-2.0
"""Power modules on a CAN bus, as tests of the port `PowerShelf` see them."""

from __future__ import annotations

from collections.abc import Callable

from drivers.simulated.world.battery import Battery
from tests.support.can_shelf import CYCLE_S, ShelfWorld
from tests.support.shelf_bench import ShelfBench

__all__ = ["CanShelfBench"]


class CanShelfBench(ShelfBench):
    """The driver of a family with its simulated shelf."""

    def __init__(self, family: str) -> None:
        self._world = ShelfWorld(family=family)
        self._bits = family == "infypower"
        """Whether the status of the family says that a module has failed; otherwise it falls silent."""
        self._repeated: Callable[[], None] | None = None
        self.shelf = self._world.shelf

    async def until(self, condition: Callable[[], object]) -> None:
        for _ in range(400):
            if condition():
                return
            if self._repeated is not None and self._world.buses[0].up:
                self._repeated()
            self._world.advance(CYCLE_S)
        raise AssertionError("never")

    def repeat(self, command: Callable[[], None] | None) -> None:
        self._repeated = command

    def load(self, evse: int, *, connected: bool = True) -> None:
        if connected:
            self._world.loads[evse] = Battery(75_000.0, 420.0, 20.0)
        else:
            self._world.loads.pop(evse)

    def fail_module(self, evse: int, *, failed: bool = True) -> None:
        module = next(module for module in self._world.sim.modules if module.outlet == evse)
        if not self._bits:
            module.silent = failed
        elif failed:
            module.alarms.add("fault")
        else:
            module.alarms.clear()

    def unplug(self) -> None:
        self._world.buses[0].set_up(False)

    def plug(self) -> None:
        self._world.buses[0].set_up(True)

    async def close(self) -> None:
        self.shelf.close()
