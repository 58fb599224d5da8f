# SPDX-License-Identifier: Apache-2.0
"""A driver of power modules with its simulated shelf behind it: no socket, and time that a test moves by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeAlias

from msgspec.structs import replace

from drivers.can.bus import CanBus
from drivers.can.shelf import CanShelf
from drivers.can.shelf_options import GroupOptions, RelayOptions
from drivers.can.shelves import InfypowerOptions, InfypowerShelf, UugreenOptions, UugreenShelf
from drivers.gpio.lines import Input, LineName, Lines, Output
from drivers.simulated.world.battery import Battery
from drivers.simulated.world.shelf import ModuleBank, ShelfRating
from firmware.errors import DeviceLost, DriverError
from tests.support.clock import ManualClock
from tools.rig.devices.shelf import RectifierShelf, SimModule, new_modules
from tools.rig.devices.shelf_infypower import InfypowerModules
from tools.rig.devices.shelf_uugreen import UugreenModules

__all__ = ["MemoryBus", "MemoryLines", "ShelfWorld"]

Frame: TypeAlias = tuple[int, bytes]
Delivery: TypeAlias = tuple[float, int, bytes]
STEP_S = 0.025
CYCLE_S = 0.1


class MemoryBus(CanBus):
    """A bus in this process. `fault` says what is delivered in place of a frame, after how many seconds."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self._is_up = True
        self._nodes: list[Callable[[int, bytes], None]] = []
        self._frame_listeners: list[tuple[int, int, Callable[[int, bytes, float], None]]] = []
        self._state_listeners: list[Callable[[bool, str], None]] = []
        self._late: list[tuple[float, Callable[[], None]]] = []
        self.fault: Callable[[int, bytes], Iterable[Delivery]] | None = None
        self.full = False
        self.room: int | None = None
        """The most frames that can be sent in one time step, as into a short queue."""
        self._used, self._used_at = 0, 0.0
        self.sent: list[Frame] = []
        self.count = 0

    @property
    def up(self) -> bool:
        return self._is_up

    def send(self, can_id: int, data: bytes) -> None:
        if not self._is_up or self.full:
            raise DeviceLost("CAN bus: " + ("full" if self._is_up else "unplugged"))
        if self.room is not None:
            self._used = self._used + 1 if self._used_at == self._clock.monotonic() else 1
            self._used_at = self._clock.monotonic()
            if self._used > self.room:
                raise DeviceLost("CAN bus: full")
        self.sent.append((can_id, data))
        for node in self._nodes:
            self._pass_on(can_id, data, node)

    def listen(self, can_id: int, mask: int, on_frame: Callable[[int, bytes, float], None]) -> Callable[[], None]:
        entry = (can_id, mask, on_frame)
        self._frame_listeners.append(entry)
        return lambda: self._frame_listeners.remove(entry)

    def on_state(self, listener: Callable[[bool, str], None]) -> None:
        self._state_listeners.append(listener)
        listener(self._is_up, "")

    def attach(self, on_frame: Callable[[int, bytes], None]) -> Callable[[int, bytes], None]:
        self._nodes.append(on_frame)
        return lambda can_id, data: self._pass_on(can_id, data, self._receive)

    def set_up(self, up: bool, why: str = "unplugged") -> None:
        if up is not self._is_up:
            self._is_up = up
            for listener in self._state_listeners:
                listener(up, why)

    def deliver_late(self) -> None:
        """Deliver what is due by the clock."""
        now = self._clock.monotonic()
        due = [run for at, run in self._late if at <= now]
        self._late = [each for each in self._late if each[0] > now]
        for run in due:
            run()

    def _pass_on(self, can_id: int, data: bytes, to: Callable[[int, bytes], None]) -> None:
        self.count += 1
        if self.fault is None:
            to(can_id, data)
            return
        for delay_s, other_id, other_data in self.fault(can_id, data):
            if delay_s <= 0.0:
                to(other_id, other_data)
            else:
                self._late.append((self._clock.monotonic() + delay_s, partial(to, other_id, other_data)))

    def _receive(self, can_id: int, data: bytes) -> None:
        if self._is_up:
            for wanted, mask, on_frame in tuple(self._frame_listeners):
                if can_id & mask == wanted & mask:
                    on_frame(can_id, data, self._clock.monotonic())


class MemoryLines(Lines):
    """Output lines that remember their level; `lost` takes them away, as a chip that vanishes."""

    def __init__(self) -> None:
        super().__init__("lines")
        self._lost = None
        self.closed: set[LineName] = set()

    def vanish(self) -> None:
        self.closed.clear()
        self._lost = "gone"

    def come_back(self) -> None:
        self._lost = None

    async def attach(self) -> None: ...

    def detach(self) -> None: ...

    def configure_output(self, output: Output) -> None: ...

    def configure_input(self, found: Input) -> None: ...

    def write(self, output: Output, level: bool) -> None:
        (self.closed.add if level else self.closed.discard)(output.line.line)

    def level(self, found: Input) -> bool:
        return False


class ShelfWorld:
    """`modules` single-module groups for the EVSEs 1 and 2, on as many buses as asked for.

    Args:
        family: `infypower` or `uugreen`.
        matrix: `relays`, `numbers` (the group number alone) or `fixed` (half of the groups for each EVSE).
        per_group: modules of one group.
    """

    def __init__(
        self,
        *,
        family: str = "infypower",
        modules: int = 10,
        matrix: str = "relays",
        buses: int = 1,
        per_group: int = 1,
        by_bar_code: bool = False,
        **options: float | bool,
    ) -> None:
        self.clock = ManualClock()
        self.buses = [MemoryBus(self.clock) for _ in range(buses)]
        self.lines = MemoryLines()
        self.banks = {evse: ModuleBank(ShelfRating(groups=modules)) for evse in (1, 2)}
        self.loads: dict[int, Battery] = {}
        self.enabled = True
        self.matrix = matrix
        self._family = family
        first = 1 if family == "uugreen" else 0
        self.groups = modules // per_group
        self._group_of: dict[SimModule, int] = {}
        share = modules // buses
        found = new_modules(modules, first=first)
        for index, module in enumerate(found):
            module.bus = index // share
            self._group_of[module] = index // per_group + 1
        self.sim = RectifierShelf(
            found,
            self.banks,
            outlet_of=None if matrix == "numbers" else self._outlet_of,
            enabled=lambda: self.enabled,
        )
        kind = UugreenModules if family == "uugreen" else InfypowerModules
        self.wires = [kind(self.sim, index) for index in range(buses)]
        for bus, wire in zip(self.buses, self.wires, strict=True):
            wire.send = bus.attach(wire.on_frame)
        groups = []
        for number in range(self.groups):
            members = found[number * per_group : (number + 1) * per_group]
            fixed = (1 if number < self.groups // 2 else 2) if matrix == "fixed" else None
            names: list[int | str] = [each.serial if by_bar_code else each.address for each in members]
            groups.append(GroupOptions(modules=names, bus=number * per_group // share + 1, evse=fixed))
        self._groups_options = groups
        self._options = options
        self.repeated: dict[int, tuple[float, float]] = {}
        self.shelf: CanShelf = self._make()

    def _make(self) -> CanShelf:
        relays = []
        if self.matrix == "relays":
            relays = [
                RelayOptions(group=group, evse=evse, line=f"K{group}.{evse}")
                for group in range(1, self.groups + 1)
                for evse in (1, 2)
            ]
        kind: type[InfypowerOptions | UugreenOptions] = (
            UugreenOptions if self._family == "uugreen" else InfypowerOptions
        )
        options: InfypowerOptions | UugreenOptions = kind(
            buses=[*self.buses], groups=self._groups_options, lines=self.lines if relays else None, relays=relays
        )
        options = replace(options, **self._options)
        if isinstance(options, UugreenOptions):
            return UugreenShelf(options, self.clock)
        return InfypowerShelf(options, self.clock)

    def restart_driver(self) -> None:
        """As if the HAL had been killed and started again: nothing is switched off by the old one."""
        self.shelf._background.close()
        for unsubscribe in self.shelf._unsubscribe:
            unsubscribe()
        self.lines = MemoryLines()
        self.repeated.clear()
        self.shelf = self._make()

    def _outlet_of(self, module: SimModule) -> int | None:
        group = self._group_of.get(module)
        if group is None:
            return None
        if self.matrix == "fixed":
            return 1 if group <= self.groups // 2 else 2
        return next((evse for evse in (1, 2) if f"K{group}.{evse}" in self.lines.closed), None)

    def place(self, module: SimModule, group: int) -> None:
        """Put a module into a group's slot."""
        self._group_of[module] = group

    # --- time ------------------------------------------------------------------------------------------------

    def advance(self, seconds: float, *, hal: bool = True) -> None:
        """Let time pass; `hal`: the driver runs and its commands are repeated with each control cycle."""
        for _ in range(round(seconds / STEP_S)):
            now = self.clock.advance(STEP_S)
            for bus in self.buses:
                bus.deliver_late()
            self.sim.step(STEP_S)
            for wire in self.wires:
                if isinstance(wire, UugreenModules):
                    wire.step(STEP_S)
            for evse, bank in self.banks.items():
                bank.step(STEP_S, self.loads.get(evse))
            if hal:
                self.shelf.pump()
            if hal and round(now / STEP_S) % round(CYCLE_S / STEP_S) == 0:
                for evse, (voltage_v, current_a) in self.repeated.items():
                    self.command(evse, voltage_v, current_a)
                self.shelf.tick()

    def command(self, evse: int, voltage_v: float, current_a: float) -> bool:
        """Set an output; returns whether the driver took it."""
        try:
            self.shelf.set_output(evse, voltage_v, current_a)
        except DriverError:
            return False
        return True

    def until(self, condition: Callable[[], object], limit_s: float = 30.0) -> float:
        """Let time pass until the condition holds; returns how long that took."""
        began = self.clock.monotonic()
        while not condition():
            assert self.clock.monotonic() - began < limit_s, "never"
            self.advance(CYCLE_S)
        return self.clock.monotonic() - began

    def drive(self, evse: int, voltage_v: float, current_a: float) -> None:
        """Set an output now and with each control cycle."""
        self.repeated[evse] = (voltage_v, current_a)
        self.command(evse, voltage_v, current_a)

    def off(self, evse: int) -> None:
        self.repeated.pop(evse, None)
        self.shelf.switch_off(evse)

    # --- short cuts ------------------------------------------------------------------------------------------

    def ready(self) -> ShelfWorld:
        """Wait until the modules have answered."""
        self.until(lambda: self.groups_of(1) == 0)
        return self

    def join(self, one: int, two: int = 0) -> None:
        """Assign groups and wait until they are joined."""
        self.shelf.assign({1: one, 2: two})
        self.until(lambda: (self.groups_of(1), self.groups_of(2)) == (one, two))

    def groups_of(self, evse: int) -> int:
        try:
            return self.shelf.reading(evse).groups
        except DeviceLost:
            return -1

    def charge(self, current_a: float, *, evse: int = 1, voltage_v: float = 420.0) -> None:
        """Bring the joined modules to a battery's voltage, connect it and charge it."""
        battery = Battery(75_000.0, voltage_v, 30.0)
        self.drive(evse, battery.ocv_v, 2.0)
        self.until(lambda: abs(self.shelf.reading(evse).voltage_v - battery.ocv_v) < 10.0)
        self.loads[evse] = battery
        self.drive(evse, voltage_v, current_a)
        self.until(lambda: abs(self.shelf.reading(evse).current_a - current_a) < 0.05 * current_a)

    def violations(self) -> dict[str, int]:
        return dict(self.sim.violations)
