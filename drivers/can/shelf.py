# SPDX-License-Identifier: Apache-2.0
"""`PowerShelf`: power modules on one or more CAN buses, of any family (`drivers/can/family.py`).

    [shelf]
    driver = "infypower"                    # or "uugreen"
    buses = ["can0"]
    lines = "io"                            # output relays, if the groups have any
    groups = [{ modules = [0, 1] }, { modules = [2, 3] }, { modules = [4, 5], evse = 2 }]
    relays = [
        { group = 1, evse = 1, line = "K11" }, { group = 1, evse = 2, line = "K12" },
        { group = 2, evse = 1, line = "K21" }, { group = 2, evse = 2, line = "K22" },
    ]

A group is the modules that change EVSEs together: by their relays, or never (`evse`), or, with neither, by the group
number that its modules are given. A module is named by its address, or by its bar code where the modules number
themselves at power-up. All groups are equal; ratings are of one module.

Duties
- Every configured address is switched off first, and again whenever its bus is back.
- A set-point is sent when it changes and repeated; one that the HAL has not repeated for 3 s is off. No module gets
  less than its least voltage or 1 A: it is off instead.
- Modules with the same group number are commanded and read as one, if all of them say that they have this number and
  no other does; otherwise one by one.
- What is joined is read five times a second, every module once a second; that also keeps the modules' own 10 s
  watchdog quiet.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress
from functools import partial
from itertools import islice

from msgspec.structs import replace

from drivers.background import Background
from drivers.can.family import EVERY, Family, Frame, Output, Report, Serial, module_target
from drivers.can.groups import Group, Relays
from drivers.can.module import LEAST_A, Module, Setting
from drivers.can.outlet import Outlet
from drivers.can.poll import Poll
from drivers.can.sharing import plan
from drivers.can.shelf_options import GroupOptions, ShelfOptions
from firmware.clock import Clock
from firmware.errors import ConfigError, DeviceLost, DeviceRefused
from firmware.trouble import Trouble
from hal.ports import DeviceInfo, PowerReading

__all__ = ["CanShelf"]

TICK_S = 0.1
PUMP_S = 0.02
BURST = 8
"""Questions that are sent each PUMP_S on each bus: SocketCAN's queue is short, and commands need room in it."""
STEERED_S = 0.5 * TICK_S
"""An outlet whose set-point has just come has been steered by that."""
CURRENT_FITS = 1.02
_NAMED = 4
"""The most failed modules that are named in a fault's text."""
_STRANGERS = 64
"""The most unknown addresses that are remembered, so that each is logged once."""
_log = logging.getLogger(__name__)


class CanShelf:
    """The shelf of one family; `clock` is for tests."""

    stale_after_s = 2.5

    def __init__(self, options: ShelfOptions, family: Family, clock: Clock) -> None:
        self._family = family
        self._clock = clock
        self._buses = options.buses
        self._lines = options.lines
        self._options = options
        self._relays = _relays(options)
        self._numbers = options.group_frames and family.group_frames
        self._groups = [self._group(index, each) for index, each in enumerate(options.groups)]
        self._modules = [module for group in self._groups for module in group.modules]
        self._on_bus = {bus: [each for each in self._modules if each.bus == bus] for bus in range(len(self._buses))}
        self._polls = {bus: Poll(family, modules) for bus, modules in self._on_bus.items()}
        self._outlets: dict[int, Outlet] = {}
        self._counts: dict[int, int] = {}
        self._feeding: dict[int, list[Module]] = {}
        self._greet_due: set[int] = set()
        self._questions: list[dict[Frame, None]] = [{} for _ in self._buses]
        """Each question that waits for room, once, in the order of asking."""
        self._strangers: set[tuple[int, int]] = set()
        self._troubles = {module: Trouble(_log, module.name) for module in self._modules}
        self._failed_at: dict[Module, int] = {}
        """The EVSE that each failed module was lost for, also when its group has been taken away."""
        self._relay_trouble = Trouble(_log, "output relays")
        per_group = len(options.groups[0].modules)
        self.group_power_w = per_group * options.module_power_w
        self.group_current_a = per_group * options.module_current_a
        self.max_voltage_v, self.min_voltage_v = options.max_voltage_v, options.min_voltage_v
        can_id, mask = family.listen
        self._unsubscribe = [
            bus.listen(can_id, mask, partial(self._on_frame, index)) for index, bus in enumerate(self._buses)
        ]
        for index, bus in enumerate(self._buses):
            bus.on_state(partial(self._on_state, index))
        self._background = Background("power modules")
        self._background.start("control", self._run)

    def _group(self, index: int, options: GroupOptions) -> Group:
        rating = self._options.rating()
        place = f" of bus {options.bus}" if len(self._buses) > 1 else ""
        modules = []
        for each in options.modules:
            if isinstance(each, int) and each not in self._family.addresses:
                raise ConfigError(
                    f"shelf: groups: a module's address is {self._family.addresses.start} to"
                    f" {self._family.addresses.stop - 1}, not {each}"
                )
            address, bar_code = (each, None) if isinstance(each, int) else (None, each.upper())
            modules.append(
                Module(f"module {each}{place}", rating, bus=options.bus - 1, address=address, bar_code=bar_code)
            )
        return Group(index + 1, modules, self._relays, options.evse)

    # --- PowerShelf ------------------------------------------------------------------------------------------

    @property
    def groups(self) -> int:
        return sum(not group.failed for group in self._groups)

    def reach(self, evse: int) -> int:
        return sum(group.reaches(evse) and not group.failed for group in self._groups)

    def assign(self, groups: dict[int, int]) -> None:
        if not any(bus.up for bus in self._buses):
            raise DeviceLost("power modules: the CAN bus is down")
        for evse in groups:
            self._outlet(evse)
        self._counts = dict(sorted(groups.items()))
        self._plan(self._clock.monotonic())

    def set_output(self, evse: int, voltage_v: float, current_a: float) -> None:
        """Below the least voltage or half an ampere the modules are off, as they can't deliver it."""
        if not (math.isfinite(voltage_v) and math.isfinite(current_a)):
            raise DeviceRefused(f"power modules of EVSE {evse}: {voltage_v} V, {current_a} A")
        now, outlet = self._clock.monotonic(), self._outlet(evse)
        deliver = voltage_v >= self.min_voltage_v and current_a >= 0.5 * LEAST_A
        modules = self._joined(evse)
        if modules and not any(self._buses[module.bus].up and not module.quiet(now) for module in modules):
            outlet.want(None, now)
            raise DeviceLost(self._silence(evse))
        outlet.want(Setting(min(voltage_v, self.max_voltage_v), current_a) if deliver else None, now)
        self._steer(outlet, modules, now)

    def switch_off(self, evse: int) -> None:
        now, outlet = self._clock.monotonic(), self._outlet(evse)
        outlet.want(None, now)
        modules = self._joined(evse)
        errors = [self._send(bus, frame) for bus, frame in outlet.switch_off(modules, now)]
        errors += self._steer(outlet, modules, now)
        if any(not self._buses[module.bus].up and not module.lost(now) for module in modules):
            raise DeviceLost(self._silence(evse))
        for error in errors:
            if error is not None:
                raise DeviceLost(f"power modules of EVSE {evse}: {error}")

    def reading(self, evse: int) -> PowerReading:
        """Raises `DeviceLost` while nothing is known of the modules that feed the EVSE, or that could."""
        now, outlet = self._clock.monotonic(), self._outlet(evse)
        groups = [group for group in self._groups if group.outlet == evse]
        failed = [module for module in self._modules if self._failed_at.get(module) == evse]
        if groups:
            modules = [module for group in groups for module in group.modules]
            staying = [module for group in groups if group.target == evse for module in group.modules]
            reading = outlet.reading(modules, staying, groups=len(groups), now=now)
        else:
            near = [module.heard_at for group in self._groups if group.reaches(evse) for module in group.modules]
            reading = PowerReading(max(near, default=-math.inf), 0.0, 0.0, 0)
        if now - reading.mono_s > self.stale_after_s:
            raise DeviceLost(self._silence(evse))
        if not failed:
            return reading
        detail = ", ".join(f"{module.name}: {module.trouble}" for module in failed[:_NAMED])
        return replace(reading, failed_modules=len(failed), detail=detail)

    def _silence(self, evse: int) -> str:
        """Why nothing is known of the modules."""
        down = [f"CAN bus {index + 1} is down" for index, bus in enumerate(self._buses) if not bus.up]
        return f"power modules of EVSE {evse}: {', '.join(down) or 'no answer'}"

    def devices(self) -> list[DeviceInfo]:
        """Every module that is configured (`hal.ports.Described`)."""
        now = self._clock.monotonic()
        return [
            DeviceInfo(
                name=module.name,
                address="" if module.address is None else str(module.address),
                serial_number=module.serial or module.bar_code or "",
                answers=not module.quiet(now),
                state=module.state(now),
            )
            for module in self._modules
        ]

    def close(self) -> None:
        """Everything off, then every relay open: by now the HAL has opened the contactors."""
        self._background.close()
        for bus in range(len(self._buses)):
            self._greet(bus)
        for group in self._groups:
            with suppress(DeviceLost):
                self._relays.open(group.number)
        while self._unsubscribe:
            self._unsubscribe.pop()()

    # --- control ---------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            self.tick()
            left_s = TICK_S
            while left_s > 0.0:
                self.pump()
                pause_s = PUMP_S if any(self._questions) else left_s
                left_s -= pause_s
                await asyncio.sleep(pause_s)

    def pump(self) -> None:
        """Send the questions that have waited longest."""
        for bus, waiting in zip(self._buses, self._questions, strict=True):
            if not bus.up:
                waiting.clear()
            for frame in list(islice(waiting, BURST)):
                try:
                    bus.send(frame.can_id, frame.data)
                except DeviceLost:
                    break
                del waiting[frame]

    def tick(self) -> None:
        """One round: what has changed, what has to move, what is due on the wire."""
        now = self._clock.monotonic()
        while self._greet_due:
            bus = self._greet_due.pop()
            for module in self._on_bus[bus]:
                module.restart(now)
            self._greet(bus)
        judged = [self._judge(module, now) for module in self._modules]
        if any(judged):
            self._plan(now)
        self._note_failed()
        self._move(now)
        for outlet in self._outlets.values():
            if outlet.expired(now):
                _log.warning(
                    "EVSE %d: the set-point of its power modules was not repeated, they are off", outlet.number
                )
            if now - outlet.steered_at >= STEERED_S:
                self._steer(outlet, self._joined(outlet.number), now)
        for group in self._groups:
            if not group.delivers:
                self._rest(group, now)
        for bus in range(len(self._buses)):
            self._ask(bus, now)

    def _note_failed(self) -> None:
        """A failed module concerns the EVSE that it is joined to or meant for, until that needs no modules."""
        for group in self._groups:
            evse = group.outlet if group.outlet is not None else group.target
            for module in group.modules:
                if module.trouble is None or not self._counts.get(self._failed_at.get(module, 0), 1):
                    self._failed_at.pop(module, None)
                if module.trouble is not None and evse is not None:
                    self._failed_at[module] = evse

    def _judge(self, module: Module, now: float) -> bool:
        if not module.judge(now):
            return False
        if module.trouble is None:
            self._troubles[module].worked()
        else:
            self._troubles[module].failed(DeviceRefused(module.trouble))
        return True

    def _plan(self, now: float) -> None:
        chosen = plan(
            self._counts,
            self._groups,
            present=lambda group: group.target if group.target is not None else group.outlet,
            reaches=Group.reaches,
            rank=lambda group: group.rank(now),
        )
        for group in self._groups:
            group.target = chosen.get(group)

    def _move(self, now: float) -> None:
        """Move groups on; relays without supply have opened."""
        try:
            if self._lines is not None:
                self._lines.require()
            for group in self._groups:
                group.step(now, partial(self._fits, now=now))
        except DeviceLost as error:
            for group in self._groups:
                group.cut(now)
            self._relay_trouble.failed(error)
        else:
            self._relay_trouble.worked()
        self._feeding.clear()
        for group in self._groups:
            if group.delivers and group.outlet is not None:
                self._feeding.setdefault(group.outlet, []).extend(group.modules)
        claimed = {group.outlet for group in self._groups} | {group.target for group in self._groups}
        for outlet in self._outlets.values():
            if outlet.number not in claimed:
                outlet.vacate()
        self._number(now)

    def _number(self, now: float) -> None:
        """Say which group number each module is to have; one that has failed is not to hear the others' frames."""
        for group in self._groups:
            if self._numbers or group.by_number:
                for module in group.modules:
                    label = group.label if module.usable(now) else None
                    module.regroup(self._options.idle_group if label is None else label)

    def _fits(self, group: Group, now: float) -> bool:
        """Whether the outlet's present and wanted current can flow without the group."""
        outlet, joined = self._outlets.get(group.outlet or 0), self._joined(group.outlet or 0)
        rest = [module for module in joined if module not in group.modules and module.usable(now)]
        present_a = sum(module.current_a for module in joined)
        wanted = outlet.output if outlet is not None else None
        amps = max(present_a, wanted.current_a if wanted is not None else 0.0)
        volts = max((module.voltage_v for module in joined), default=0.0)
        able = [module.available() for module in rest]
        return amps < LEAST_A or (
            amps <= CURRENT_FITS * sum(each[0] for each in able)
            and amps * volts <= CURRENT_FITS * sum(each[1] for each in able)
        )

    def _rest(self, group: Group, now: float) -> None:
        """Keep modules off that are joined to nothing, or about to leave."""
        for module in group.modules:
            module.setting = None
            for frame in module.steer(self._family, now):
                self._send(module.bus, frame)

    def _joined(self, evse: int) -> list[Module]:
        """The modules that may be on for the EVSE, as of the last tick."""
        return self._feeding.get(evse, [])

    def _outlet(self, evse: int) -> Outlet:
        """The outlet of an EVSE; raises `DeviceRefused` if no group can be joined to it."""
        found = self._outlets.get(evse)
        if found is None:
            if evse not in self._family.addresses or not any(group.reaches(evse) for group in self._groups):
                raise DeviceRefused(f"no power module can be joined to EVSE {evse}")
            found = self._outlets[evse] = Outlet(evse, self._family, self.min_voltage_v, group_frames=self._numbers)
        return found

    # --- the wire --------------------------------------------------------------------------------------------

    def _steer(self, outlet: Outlet, modules: list[Module], now: float) -> list[DeviceLost | None]:
        return [self._send(bus, frame) for bus, frame in outlet.steer(modules, self._on_bus, now)]

    def _send(self, bus: int, frame: Frame) -> DeviceLost | None:
        """Send a command now or not at all, since it comes again with a later tick; a question waits for its turn."""
        if frame.asks:
            self._questions[bus][frame] = None
            return None
        try:
            self._buses[bus].send(frame.can_id, frame.data)
        except DeviceLost as error:
            return error
        return None

    def _greet(self, bus: int) -> None:
        """Switch off whatever is on the bus, and every configured address by name."""
        self._send(bus, self._family.switch(EVERY, False))
        for module in self._on_bus[bus]:
            if module.address is not None:
                self._send(bus, self._family.switch(module_target(module.address), False))

    def _ask(self, bus: int, now: float) -> None:
        if not self._buses[bus].up:
            return
        groups, singles, joined = [], [], False
        for outlet in self._outlets.values():
            modules = [module for module in self._joined(outlet.number) if module.bus == bus]
            joined = joined or bool(modules)
            if bus in outlet.numbered:
                groups.append(outlet.number)
            if not outlet.has_total(bus, now):
                singles += modules
        for frame in self._polls[bus].due(now, groups=groups, singles=singles, joined=joined):
            self._send(bus, frame)

    def _on_state(self, bus: int, up: bool, _why: str) -> None:
        if up:
            self._greet_due.add(bus)

    def _on_frame(self, bus: int, can_id: int, data: bytes, mono_s: float) -> None:
        answer = self._family.decode(can_id, data)
        if answer is None:
            return
        number, report = answer.sender.number, answer.report
        if answer.sender.is_group:
            outlet = self._outlets.get(number)
            if outlet is not None and isinstance(report, Output):
                outlet.hear_total(bus, report, mono_s)
            return
        module = next((each for each in self._on_bus[bus] if each.address == number), None)
        if isinstance(report, Serial):
            module = self._identify(bus, number, report.text, module)
        if module is None:
            self._note_stranger(bus, number, report)
            return
        if module.quiet(mono_s):
            self._polls[bus].forget(module)
        before = module.serial
        module.hear(report, mono_s)
        if isinstance(report, Serial) and before != report.text:
            _log.info("%s: %s, bar code %s", module.name, "found" if before is None else "replaced", report.text)

    def _identify(self, bus: int, address: int, text: str, module: Module | None) -> Module | None:
        """The module with this bar code, where modules are named by theirs; it may have another address by now."""
        owner = next((each for each in self._on_bus[bus] if each.bar_code == text), None)
        if module is not None and module is not owner and module.bar_code is not None:
            module.address = None
            module.restart(self._clock.monotonic())
            module = None
        if owner is not None and module is None:
            owner.address = address
            return owner
        return module

    def _note_stranger(self, bus: int, address: int, report: Report | None) -> None:
        if (bus, address) not in self._strangers and len(self._strangers) < _STRANGERS:
            self._strangers.add((bus, address))
            _log.warning("a power module that is not configured answers at address %d of bus %d", address, bus + 1)


def _relays(options: ShelfOptions) -> Relays:
    if options.lines is None:
        return Relays({}, 0.0)
    lines = {(each.group, each.evse): options.lines.output(each.line) for each in options.relays}
    return Relays(lines, options.relay_pause_s)
