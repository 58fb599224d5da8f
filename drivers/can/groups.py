# SPDX-License-Identifier: Apache-2.0
"""Groups of modules that change outlets together, and the output relays that they change by.

The order is fixed: the outlet's current fits into the groups that remain, the group's modules are off by their status
and their current, the relay opens, the other relay closes, the modules get their new group number. Then the group is
joined, and the shelf sets the outlet's voltage before it switches the modules on.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Protocol

from drivers.can.module import Module
from drivers.can.sharing import DEAD

__all__ = ["Group", "Phase", "Relay", "Relays"]

RELEASE_S = 5.0
"""How long an outlet may take to lower its current before a group is taken from it."""
NUMBER_S = 2.0
"""How long modules may take to take their group number; without it they are commanded one by one."""


class Relay(Protocol):
    """An output line (`drivers.gpio.lines.Output`)."""

    def set(self, on: bool) -> None:
        """Raises `DeviceLost`."""


class Relays:
    """The output relays, by number of group and of outlet. Without any, the wiring joins a group to its outlet.

    At most one relay of a group is closed: all others are opened first.
    """

    def __init__(self, relays: Mapping[tuple[int, int], Relay], pause_s: float) -> None:
        self._relays = relays
        self.pause_s = pause_s if relays else 0.0
        """How long a contact takes to follow."""

    @property
    def present(self) -> bool:
        return bool(self._relays)

    def reaches(self, group: int, outlet: int) -> bool:
        return not self._relays or (group, outlet) in self._relays

    def open(self, group: int) -> None:
        """Open every relay of the group; raises `DeviceLost`."""
        for (owner, _), relay in self._relays.items():
            if owner == group:
                relay.set(False)

    def close(self, group: int, outlet: int) -> None:
        """Close the group's relay to the outlet; raises `DeviceLost`."""
        self.open(group)
        if self._relays:
            self._relays[group, outlet].set(True)


class Phase(Enum):
    STEADY = "steady"
    RELEASING = "releasing"
    EMPTYING = "emptying"
    OPENING = "opening"
    JOINING = "joining"


class Group:
    """One group: `outlet` is the one it is joined to, `target` the one it is to be joined to (None: none)."""

    def __init__(self, number: int, modules: Sequence[Module], relays: Relays, fixed: int | None) -> None:
        self.number = number
        self.modules = modules
        self.outlet: int | None = None
        self.target: int | None = None
        self.phase = Phase.STEADY
        self._relays = relays
        self._fixed = fixed
        self.by_number = fixed is None and not relays.present
        """Nothing but the group number joins it to an outlet."""
        for module in modules:
            module.placed_by_number = self.by_number
        self._goal: int | None = None
        self._since = -math.inf

    def reaches(self, outlet: int) -> bool:
        return self._fixed == outlet if self._fixed is not None else self._relays.reaches(self.number, outlet)

    @property
    def delivers(self) -> bool:
        """Whether its modules may be on."""
        return self.outlet is not None and self.phase in (Phase.STEADY, Phase.RELEASING)

    def rank(self, now: float) -> int:
        """How far the group can be counted on: 0 altogether, 1 in part, 2 not known yet, 3 (`DEAD`) not at all."""
        usable = sum(module.usable(now) for module in self.modules)
        if usable:
            return int(usable < len(self.modules))
        return DEAD if self.failed else 2

    @property
    def failed(self) -> bool:
        return all(module.trouble is not None for module in self.modules)

    @property
    def label(self) -> int | None:
        """The outlet whose group number the modules are to have."""
        return self._goal if self.phase is Phase.JOINING else self.outlet

    def cut(self, now: float) -> None:
        """The relays have lost their supply: the group is joined to nothing."""
        if self.outlet is not None or self.phase is Phase.JOINING:
            self.outlet = None
            self._enter(Phase.OPENING, now)

    def step(self, now: float, fits: Callable[[Group], bool]) -> None:
        """Go on with what is to be done; `fits` is whether the outlet can do without this group.

        Raises `DeviceLost` for a relay, and then tries again with the next call.
        """
        spent_s = now - self._since
        match self.phase:
            case Phase.STEADY if self.target != self.outlet:
                self._begin(now)
            case Phase.RELEASING if self.target == self.outlet:
                self._enter(Phase.STEADY, now)
            case Phase.RELEASING if fits(self) or spent_s >= RELEASE_S:
                self._enter(Phase.EMPTYING, now)
            case Phase.EMPTYING if self._is_off(now):
                self._relays.open(self.number)
                self.outlet = None
                self._enter(Phase.OPENING, now)
            case Phase.OPENING if spent_s >= self._relays.pause_s:
                self._enter(Phase.STEADY, now)
            case Phase.JOINING if self.target != self._goal:
                self._relays.open(self.number)
                self._enter(Phase.OPENING, now)
            case Phase.JOINING if spent_s >= self._relays.pause_s and self._is_numbered(now, spent_s):
                self.outlet = self._goal
                for module in self.modules:
                    module.forget_voltages()
                self._enter(Phase.STEADY, now)

    def _begin(self, now: float) -> None:
        if self.outlet is not None:
            self._enter(Phase.RELEASING, now)
        elif self.target is not None and self._is_off(now):
            self._relays.close(self.number, self.target)
            self._goal = self.target
            self._enter(Phase.JOINING, now)

    def _enter(self, phase: Phase, now: float) -> None:
        self.phase, self._since = phase, now

    def _is_off(self, now: float) -> bool:
        """A module that has been silent for longer than 10 s has switched itself off."""
        return all(module.rests(now) or module.lost(now) for module in self.modules)

    def _is_numbered(self, now: float, spent_s: float) -> bool:
        if all(module.numbered or module.lost(now) for module in self.modules):
            return True
        return not self.by_number and spent_s >= NUMBER_S
