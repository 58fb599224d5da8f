# SPDX-License-Identifier: Apache-2.0
"""The cabinet's power modules: equal groups, each joined to the bus of one EVSE or to none.

A bank is the groups joined to one bus. It is a source of constant voltage with a current limit: without a load it
brings the bus to its voltage; a battery on the bus draws current up to the limit. Rules:
- No group moves while it carries current; the current limit of an EVSE falls before its group leaves.
- A bank delivers at most what its groups can: current, and power at the present voltage.
- A bank without commands for more than 10 s switches off, as real modules do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from drivers.simulated.world.battery import Battery

__all__ = ["ModuleBank", "Shelf", "ShelfRating"]

VOLTS_PER_S = 1000.0
AMPS_UP_PER_S = 400.0
AMPS_DOWN_PER_S = 2000.0
BLEED_S = 0.12
"""Time constant with which the bleeder discharges a bus without a source."""
MOVE_S = 0.04
GROUP_W = 40_000.0
SILENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class ShelfRating:
    """The limits of the modules."""

    groups: int = 10
    group_power_w: float = GROUP_W
    group_current_a: float = 133.3
    max_voltage_v: float = 1000.0
    min_voltage_v: float = 150.0

    @classmethod
    def for_power(cls, power_w: float) -> ShelfRating:
        """As many groups of 40 kW as deliver this power, one at least."""
        return cls(groups=max(1, round(power_w / GROUP_W)))


@dataclass(slots=True)
class ModuleBank:
    """The groups on the bus of one EVSE."""

    rating: ShelfRating
    groups: int = 0
    assigned_groups: int = 0
    failed_modules: int = 0
    on: bool = False
    set_voltage_v: float = 0.0
    set_current_a: float = 0.0
    voltage_v: float = 0.0
    current_a: float = 0.0
    _silent_s: float = 0.0

    def set_output(self, voltage_v: float, current_a: float) -> None:
        self._silent_s = 0.0
        self.on = voltage_v > 0.0 and self.groups > 0
        self.set_voltage_v = min(max(voltage_v, self.rating.min_voltage_v), self.rating.max_voltage_v)
        self.set_current_a = max(0.0, current_a)

    def switch_off(self) -> None:
        self.on = False

    def feed(self, modules: int, voltage_v: float, current_a: float) -> None:
        """Take voltage and current limit of modules outside of this world, each as strong as a group; 0 V is off.

        For a simulated shelf on a wire (`tools/rig/devices/shelf.py`), which calls it before each step.
        """
        self._silent_s = 0.0
        self.groups = self.assigned_groups = modules
        self.on = voltage_v > 0.0 and modules > 0
        self.set_voltage_v, self.set_current_a = voltage_v, current_a

    def limit_a(self, voltage_v: float) -> float:
        """The current limit at a voltage; a group that is to leave no longer counts."""
        usable = min(self.groups, self.assigned_groups)
        power_a = usable * self.rating.group_power_w / max(voltage_v, 1.0)
        return min(self.set_current_a, usable * self.rating.group_current_a, power_a)

    def step(self, dt: float, load: Battery | None) -> None:
        """Advance by `dt` seconds, with a battery on the bus or without a load."""
        self._silent_s += dt
        if self._silent_s > SILENCE_S or self.groups == 0:
            self.on = False
        if load is None:
            self._idle(dt)
        else:
            self._feed(dt, load)

    def _idle(self, dt: float) -> None:
        self.current_a = 0.0
        floor_v = self.set_voltage_v if self.on else 0.0
        if self.voltage_v < floor_v:
            self.voltage_v = min(floor_v, self.voltage_v + VOLTS_PER_S * dt)
        else:
            self.voltage_v = max(floor_v, self.voltage_v * math.exp(-dt / BLEED_S))
            if self.voltage_v < 0.5 and not self.on:
                self.voltage_v = 0.0

    def _feed(self, dt: float, load: Battery) -> None:
        target_a = 0.0
        if self.on:
            natural_a = (self.set_voltage_v - load.ocv_v) / load.resistance_ohm
            target_a = max(0.0, min(natural_a, self.limit_a(load.terminal_v(self.current_a))))
        if target_a > self.current_a:
            self.current_a = min(target_a, self.current_a + AMPS_UP_PER_S * dt)
        else:
            self.current_a = max(target_a, self.current_a - AMPS_DOWN_PER_S * dt)
        self.voltage_v = load.terminal_v(self.current_a)

    def can_release(self) -> bool:
        """Whether the present current can flow without one of the groups."""
        return self.current_a <= (self.groups - 1) * self.rating.group_current_a and (
            self.current_a * self.voltage_v <= (self.groups - 1) * self.rating.group_power_w
        )


class Shelf:
    """All banks. Moves groups between them, one at a time."""

    def __init__(self, evses: list[int], rating: ShelfRating) -> None:
        self.rating = rating
        self.banks = {evse: ModuleBank(rating) for evse in evses}
        self._moving_s = 0.0

    @property
    def free_groups(self) -> int:
        return self.rating.groups - sum(bank.groups for bank in self.banks.values())

    def assign(self, groups: dict[int, int]) -> None:
        """Request a number of groups for each EVSE; of more than there are, the last EVSEs get fewer."""
        left = self.rating.groups
        for evse in sorted(self.banks):
            assigned = min(max(0, groups.get(evse, 0)), left)
            self.banks[evse].assigned_groups = assigned
            left -= assigned

    def switch_off(self) -> None:
        for bank in self.banks.values():
            bank.switch_off()

    def step(self, dt: float) -> None:
        """Carry out the assignment as far as the currents permit."""
        self._moving_s += dt
        while self._moving_s >= MOVE_S:
            self._moving_s -= MOVE_S
            self._move_one()

    def _move_one(self) -> None:
        for bank in self.banks.values():
            if bank.groups > bank.assigned_groups and bank.can_release():
                bank.groups -= 1
                return
        for bank in self.banks.values():
            if bank.groups < bank.assigned_groups and self.free_groups > 0:
                bank.groups += 1
                return
