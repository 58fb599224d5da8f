# SPDX-License-Identifier: Apache-2.0
"""A rectifier shelf: power modules, their output matrix and what they deliver; no protocol and no I/O.

`RectifierShelf` has the physics; `shelf_infypower.py` and `shelf_uugreen.py` put a vendor's protocol in front of it.
What the modules of an outlet deliver together goes into a `Bank` (the simulated world's `ModuleBank`, with the car as
its load), and what the bank delivers is shared by the modules as their measured output.

A module follows its set-points with a delay of the first order, limits itself by its rating, switches off after 10 s
without a frame from the controller, and does not check whether what it is told to do is wise: what a driver must not do
is written to `violations`. Faults are attributes of a module:

    shelf.module(5).silent = True           # or .babbling, .plugged, .stuck_on, .stuck_off, .alarms, .temperature_c
    shelf.add(SimModule(5))                 # a second module with the same address
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Bank", "ModuleType", "RectifierShelf", "SimModule", "new_modules"]

SILENCE_S = 10.0
FOLLOW_S = 0.1
"""Time constant of the current limit."""
BLEED_S = 0.12
LOAD_A = 2.0
"""A relay that moves at more than this, or a group that changes, is moved under load."""
LEAST_A = 1.0
REMEMBERED = 100


class Bank(Protocol):
    """One outlet's bus (`drivers.simulated.world.shelf.ModuleBank`)."""

    voltage_v: float
    current_a: float

    def feed(self, modules: int, voltage_v: float, current_a: float) -> None: ...


@dataclass(frozen=True, slots=True)
class ModuleType:
    """The data sheet."""

    max_voltage_v: float = 1000.0
    min_voltage_v: float = 150.0
    max_current_a: float = 133.3
    power_w: float = 40_000.0


@dataclass(eq=False, slots=True)
class SimModule:
    """One module; `group` is its group number, `outlet` what its output is connected to."""

    address: int
    group: int = 0
    serial: str = ""
    bus: int = 0
    """Which of the cabinet's CAN buses it is on."""
    type: ModuleType = field(default_factory=ModuleType)
    on: bool = False
    set_voltage_v: float = 0.0
    set_current_a: float = 0.0
    voltage_v: float = 0.0
    current_a: float = 0.0
    temperature_c: float = 35.0
    outlet: int | None = None
    range: int = 1
    """Of families that have ranges of voltages."""
    plugged: bool = True
    silent: bool = False
    """It works, but neither hears nor sends."""
    babbling: bool = False
    stuck_on: bool = False
    stuck_off: bool = False
    derating: float = 1.0
    """The share of its rating that it delivers."""
    error: int = 0
    """A code that it answers everything with."""
    alarms: set[str] = field(default_factory=set)
    """Names of the family's status bits."""
    switched: bool = False
    """Whether it has had a command to switch since it has power."""
    limit_a: float = 0.0
    unheard_s: float = 0.0

    def switch(self, on: bool) -> None:
        self.switched = True
        self.on = (on or self.stuck_on) and not self.stuck_off

    def available_a(self) -> float:
        """By rating, power and temperature: full up to 65 °C, nothing from 90 °C."""
        derating = self.derating * min(1.0, max(0.0, (90.0 - self.temperature_c) / 25.0))
        volts = max(self.voltage_v, self.type.min_voltage_v)
        return min(self.type.max_current_a, self.type.power_w / volts) * derating


def new_modules(count: int, *, first: int = 0) -> list[SimModule]:
    """Modules of 40 kW with addresses from `first`, each with a bar code of its own."""
    return [SimModule(first + index, serial=f"{0x4130_0000_0000_0000 + index:016X}") for index in range(count)]


class RectifierShelf:
    """All modules of the cabinet.

    Args:
        modules: those that are plugged in at the start.
        banks: each outlet's bus by its number.
        outlet_of: the outlet that the matrix connects a module to; without it, the group number is the outlet.
        enabled: whether the hard-wired safety chain lets modules deliver.
    """

    def __init__(
        self,
        modules: Sequence[SimModule],
        banks: Mapping[int, Bank],
        *,
        outlet_of: Callable[[SimModule], int | None] | None = None,
        enabled: Callable[[], bool] = lambda: True,
    ) -> None:
        self.modules = list(modules)
        self.banks = banks
        self.violations: Counter[str] = Counter()
        """What a driver did and must not do, and how often."""
        self._outlet_of = outlet_of or (lambda module: module.group if module.group in banks else None)
        self._enabled = enabled

    def module(self, address: int, bus: int = 0) -> SimModule:
        """The first module with this address; raises `StopIteration`."""
        return next(module for module in self.modules if (module.bus, module.address) == (bus, address))

    def on_bus(self, bus: int) -> list[SimModule]:
        """The modules of a bus that hear a frame from the controller, which keeps their watchdogs quiet."""
        heard = [module for module in self.modules if module.bus == bus and module.plugged and not module.silent]
        for module in heard:
            module.unheard_s = 0.0
        return heard

    def add(self, module: SimModule) -> None:
        """Plug in another module."""
        self.modules.append(module)

    def replace(self, old: SimModule, module: SimModule) -> None:
        """Hot-swap: pull one module, plug in another."""
        self.modules[self.modules.index(old)] = module

    def violate(self, what: str) -> None:
        if len(self.violations) < REMEMBERED or what in self.violations:
            self.violations[what] += 1

    def external_voltage(self, module: SimModule) -> float:
        """Behind its output diode."""
        bank = self.banks.get(module.outlet or 0)
        return module.voltage_v if bank is None else max(module.voltage_v, bank.voltage_v)

    # --- what modules do ---------------------------------------------------------------------------------------

    def switch(self, module: SimModule, on: bool) -> None:
        if on and not module.switched:
            self.violate("switched on before it was switched off once")
        if on and module.set_current_a == 0.0:
            self.violate("switched on without a set-point")
        module.switch(on)

    def set_voltage(self, module: SimModule, voltage_v: float) -> None:
        """A set-point out of range is a violation, and refused as a real module does."""
        if module.type.min_voltage_v <= voltage_v <= module.type.max_voltage_v:
            module.set_voltage_v = voltage_v
        else:
            self.violate(f"voltage out of range: {voltage_v:.0f} V")

    def set_current(self, module: SimModule, current_a: float) -> None:
        """Likewise; a module takes no less than 1 A."""
        if LEAST_A - 0.001 <= current_a <= module.type.max_current_a * 1.001:
            module.set_current_a = current_a
        else:
            self.violate(f"current out of range: {current_a:.1f} A")

    def set_group(self, module: SimModule, group: int) -> None:
        if module.on and group != module.group:
            self.violate("group number changed while the module is on")
        module.group = group

    # --- time --------------------------------------------------------------------------------------------------

    def step(self, dt: float) -> None:
        """Advance by `dt` seconds; the banks are stepped by whoever owns them, afterwards."""
        enabled = self._enabled()
        for module in self.modules:
            module.unheard_s += dt
            if not enabled or not module.plugged or (module.unheard_s > SILENCE_S and not module.stuck_on):
                module.on = False
            self._connect(module)
            wanted = min(module.set_current_a, module.available_a()) if module.on else 0.0
            follow = 1.0 - math.exp(-dt / FOLLOW_S)
            module.limit_a = wanted if wanted < module.limit_a else module.limit_a + (wanted - module.limit_a) * follow
        for number, bank in self.banks.items():
            self._deliver(bank, [module for module in self.modules if module.plugged and module.outlet == number], dt)
        for module in self.modules:
            if not module.plugged or module.outlet not in self.banks:
                self._idle(module, dt)

    def _connect(self, module: SimModule) -> None:
        outlet = self._outlet_of(module)
        if outlet != module.outlet:
            if module.on or module.current_a > LOAD_A:
                self.violate(f"module {module.address} moved under load: {module.current_a:.0f} A")
            module.outlet = outlet

    def _deliver(self, bank: Bank, modules: list[SimModule], dt: float) -> None:
        on = [module for module in modules if module.on]
        voltage_v = max((module.set_voltage_v for module in on), default=0.0)
        pushing = [module for module in on if module.set_voltage_v > bank.voltage_v - 5.0]
        limit_a = sum(module.limit_a for module in pushing)
        bank.feed(len(modules), voltage_v, limit_a)
        sources = pushing if limit_a > 0.0 else modules
        for module in modules:
            share = 0.0
            if module in sources:
                share = module.limit_a / limit_a if limit_a > 0.0 else 1.0 / len(sources)
            module.current_a = bank.current_a * share
            if module.on:
                module.voltage_v = bank.voltage_v
            else:
                module.voltage_v *= math.exp(-dt / BLEED_S)

    def _idle(self, module: SimModule, dt: float) -> None:
        """A module whose output is connected to nothing."""
        module.current_a = 0.0
        target_v = module.set_voltage_v if module.on else 0.0
        module.voltage_v = target_v + (module.voltage_v - target_v) * math.exp(-dt / BLEED_S)
