# SPDX-License-Identifier: Apache-2.0
"""The modules that feed one EVSE, commanded and read together. No I/O; `now` is an argument (monotonic seconds)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from drivers.can.family import Family, Frame, Output, group_target
from drivers.can.module import Module, Setting
from drivers.can.reports import QUIET_AFTER_S
from drivers.can.sharing import share
from hal.ports import PowerReading

__all__ = ["Outlet"]

HOLD_S = 3.0
"""A set-point that has not been repeated for this long is over."""
_REPEAT_S = 0.5
_SPACING_S = 0.09
"""How often a set-point to a group is sent: unchanged, and changed; the HAL sets it at 10 Hz."""
_EVEN = 1.01
_TOTAL_S = 0.7


class Outlet:
    """One EVSE as the shelf sees it; `number` is also the group number of its modules."""

    def __init__(self, number: int, family: Family, min_voltage_v: float, *, group_frames: bool) -> None:
        self.number = number
        self.output: Setting | None = None
        """What the HAL wants, in total; None: off."""
        self.numbered: set[int] = set()
        """Buses on which all its modules, and no others, have its group number."""
        self.steered_at = -math.inf
        self._family = family
        self._min_voltage_v = min_voltage_v
        self._group_frames = group_frames
        self._mode: int | None = None
        self._repeated_at = -math.inf
        self._totals: dict[int, tuple[float, float, float]] = {}
        self._sent: dict[int, tuple[Setting, float]] = {}

    # --- what is wanted --------------------------------------------------------------------------------------

    def want(self, output: Setting | None, now: float) -> None:
        """Take the HAL's set-point; the first one after `vacate` chooses the range of voltages."""
        self.output, self._repeated_at = output, now
        if output is None or not self._family.modes:
            return
        needed = next((mode for mode, most_v in self._family.modes if output.voltage_v <= most_v), None)
        ranks = [mode for mode, _ in self._family.modes]
        if needed is not None and (self._mode is None or ranks.index(needed) > ranks.index(self._mode)):
            self._mode = needed

    def vacate(self) -> None:
        """No group is joined: the next vehicle may need another range of voltages."""
        self._mode = None
        self._totals.clear()

    def expired(self, now: float) -> bool:
        """Whether the set-point is too old; it is over then."""
        if self.output is None or now - self._repeated_at <= HOLD_S:
            return False
        self.output = None
        return True

    # --- frames ----------------------------------------------------------------------------------------------

    def steer(
        self, modules: Sequence[Module], neighbours: Mapping[int, Collection[Module]], now: float
    ) -> Iterator[tuple[int, Frame]]:
        """Bus and frame of what is due for the modules; `neighbours` are all modules of each bus."""
        self.steered_at = now
        usable = [module for module in modules if module.usable(now)]
        wanted = self.output
        shares = share(wanted.current_a, usable) if wanted is not None else {}
        live_v = self._live_voltage(modules)
        for module in modules:
            module.setting = None
            module.select(self._mode)
        for module, amps in shares.items():
            voltage_v = wanted.voltage_v if wanted is not None else 0.0
            module.setting = Setting(self._first_voltage(module, voltage_v, live_v), amps)
        for bus in sorted({module.bus for module in modules}):
            members = [module for module in modules if module.bus == bus]
            yield from self._steer_bus(bus, members, neighbours[bus], now)

    def _live_voltage(self, modules: Sequence[Module]) -> float:
        return max((module.voltage_v for module in modules if module.is_on), default=0.0)

    def _first_voltage(self, module: Module, voltage_v: float, live_v: float) -> float:
        """A module that joins others begins at the voltage that the outlet has."""
        if module.commanded_on or live_v < self._min_voltage_v:
            return voltage_v
        return min(voltage_v, live_v)

    def _steer_bus(
        self, bus: int, members: Sequence[Module], neighbours: Collection[Module], now: float
    ) -> Iterator[tuple[int, Frame]]:
        sharing = [module for module in members if module.setting is not None]
        numbered = {module for module in neighbours if module.status.group == self.number and not module.lost(now)}
        expected = {module for module in members if module.usable(now)}
        self._note_numbered(bus, self._group_frames and bool(expected) and numbered == expected)
        # A silent one may not hear the frame either, and its share would be the others'.
        heard = not any(module.quiet(now) for module in sharing)
        by_group = bus in self.numbered and numbered == set(sharing) and heard and _even(sharing)
        if by_group and sharing[0].setting is not None:
            amps = sum(each.setting.current_a for each in sharing if each.setting is not None)
            total = Setting(sharing[0].setting.voltage_v, amps)
            starting = any(module.set_points < 2 for module in sharing)
            if self._is_due(bus, total, now, starting=starting):
                self._sent[bus] = (total, now)
                for module in sharing:
                    module.sent_by_group(now)
                for frame in self._family.set_output(group_target(self.number), total.voltage_v, total.current_a):
                    yield bus, frame
        else:
            self._sent.pop(bus, None)
        for module in members:
            for frame in module.steer(self._family, now, by_group=by_group):
                yield bus, frame

    def switch_off(self, modules: Sequence[Module], now: float) -> Iterator[tuple[int, Frame]]:
        """One frame for each group; a module that does not obey gets one of its own later."""
        for bus in sorted(self.numbered):
            for module in modules:
                if module.bus == bus:
                    module.sent_off_by_group(now)
            yield bus, self._family.switch(group_target(self.number), False)

    def _note_numbered(self, bus: int, numbered: bool) -> None:
        if numbered:
            self.numbered.add(bus)
        else:
            self.numbered.discard(bus)
            self._totals.pop(bus, None)

    def _is_due(self, bus: int, total: Setting, now: float, *, starting: bool) -> bool:
        sent, at = self._sent.get(bus, (None, -math.inf))
        if sent is None or total.voltage_v < sent.voltage_v or total.current_a < sent.current_a:
            return True
        return now - at >= (_SPACING_S if total != sent or starting else _REPEAT_S)

    # --- readings --------------------------------------------------------------------------------------------

    def has_total(self, bus: int, now: float) -> bool:
        """Whether the group's total is so new that its modules need not be read one by one."""
        total = self._totals.get(bus)
        return total is not None and now - total[2] <= _TOTAL_S

    def hear_total(self, bus: int, output: Output, now: float) -> None:
        """Take the total that a group reports of itself."""
        if bus in self.numbered and output.voltage_v is not None and output.current_a is not None:
            self._totals[bus] = (output.voltage_v, output.current_a, now)

    def reading(self, modules: Sequence[Module], staying: Sequence[Module], *, groups: int, now: float) -> PowerReading:
        """Output of the joined modules: as their groups report it, or the sum of what they report themselves.

        A module that is silent counts with its last value, as it may still deliver, and does not make the reading
        newer; its group's total is without it. Available is what those can deliver that are not about to leave.
        """
        speaking = [module for module in modules if now - module.current_at <= QUIET_AFTER_S]
        singly_at = min((module.current_at for module in speaking), default=-math.inf)
        if not speaking:
            singly_at = max((module.current_at for module in modules), default=-math.inf)
        # A module that is off has been moved here, or is to leave: its own capacitors may be at another voltage.
        delivering = [module for module in speaking if module.is_on] or speaking
        voltage_v = max((module.voltage_v for module in delivering), default=0.0)
        unsure_a = sum(module.current(now) for module in modules if module.quiet(now))
        current_a, at = sum(module.current(now) for module in modules), singly_at
        totals = [self._totals.get(bus) for bus in {module.bus for module in speaking}]
        known = [total for total in totals if total is not None]
        if totals and len(known) == len(totals) and min(each[2] for each in known) > singly_at:
            voltage_v = max(each[0] for each in known)
            current_a, at = sum(each[1] for each in known) + unsure_a, min(each[2] for each in known)
        if not any(module.is_on for module in speaking):
            voltage_v = max((module.outlet_voltage(now) for module in speaking), default=voltage_v)
        usable = [module.available() for module in staying if module.usable(now)]
        return PowerReading(
            mono_s=at,
            voltage_v=voltage_v,
            current_a=current_a,
            groups=groups,
            available_a=sum(amps for amps, _ in usable),
            available_w=sum(watts for _, watts in usable),
            unsure_a=unsure_a,
        )


def _even(modules: Sequence[Module]) -> bool:
    """Whether one frame can set all: same voltage, equal currents, and all on or all off until now."""
    settings = [module.setting for module in modules if module.setting is not None]
    if not settings or len({module.commanded_on for module in modules}) > 1:
        return False
    amps = [setting.current_a for setting in settings]
    return len({setting.voltage_v for setting in settings}) == 1 and max(amps) <= _EVEN * min(amps)
