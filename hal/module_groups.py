# SPDX-License-Identifier: Apache-2.0
"""Moves module groups between the EVSEs, and says what each EVSE may offer meanwhile; no I/O.

`power_sharing.py` says how many groups each EVSE should have. They get there in this order:

1. The EVSE that has too many gets a lower share, which it announces to its vehicle (`hal/evse/run.py`). The lower limit
   is in force when the vehicle follows it, after 5 s at the latest.
2. When the current is below the new limit, 3 s later at the latest, the groups are taken from its assignment. The
   shelf separates each of them at zero current of that group.
3. When the shelf reports that the groups are off, they are assigned to the EVSE that lacks some. The shelf brings them
   to the voltage of that EVSE, within 20 V, and joins them.
4. When the shelf reports that they are joined, the share of that EVSE rises, and it announces the higher limit.

So these hold at any instant, also if an EVSE, the shelf or a vehicle stops answering in the middle:
- No group is assigned to two EVSEs: what an EVSE is assigned, or has joined if that is more, is counted for all of
  them together and is never more than there are.
- The power that the EVSEs offer together is never above the station's limit: what an EVSE has in force, or its share if
  that is more, is counted likewise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from hal.evse.model import ZERO_LIMITS, Limits
from hal.ports import PowerReading
from hal.power_sharing import Demand, GroupRequest, allocate, share, split

__all__ = ["EvsePower", "ModuleGroups"]

LET_GO_S = 8.0
"""The longest wait for an EVSE to let go of groups: 5 s until its lower limit is in force, 3 s for its current."""
_NOISE_A = 1.0


class EvsePower(Struct, frozen=True):
    """One EVSE as it is now."""

    demand: Demand | None
    """None: the EVSE needs no modules."""
    running: bool = False
    """Its session is under way: it keeps its last group, also when there are fewer groups than before."""
    stopping: bool = False
    """It keeps its modules and gets no more."""
    offered: Limits = ZERO_LIMITS
    """The limits in force; zero without a demand."""
    reading: PowerReading | None = None
    """None: not known now."""


class ModuleGroups:
    """The groups and the share of power of each EVSE; call `plan` with each control cycle.

    Args:
        limit_w: the most that the station may deliver in all.
    """

    def __init__(self, limit_w: float = math.inf) -> None:
        self.assigned: dict[int, int] = {}
        """The groups of each EVSE by the last assignment that the shelf has accepted."""
        self._limit_w = limit_w
        self._groups = 0
        self._requests: dict[int, GroupRequest] = {}
        self._targets: dict[int, int] = {}
        self._joined: dict[int, int] = {}
        self._shrinking_since: dict[int, float] = {}
        self._shares: dict[int, Limits] = {}

    def share_of(self, evse: int) -> Limits:
        """What the EVSE may offer until the next `plan`."""
        return self._shares.get(evse, ZERO_LIMITS)

    def waits(self, evse: int) -> bool:
        """Whether the EVSE has to wait for a group, or would have to if it became active now."""
        return self._targets.get(evse, self._groups - len(self._targets)) < 1

    def plan(self, evses: Mapping[int, EvsePower], now: float, *, groups: int, group: Limits) -> dict[int, int]:
        """Return the number of groups to assign to each EVSE, as far as that is safe now.

        Args:
            evses: all of them.
            now: monotonic seconds.
            groups: the groups of the shelf that can be used now.
            group: what one of them can deliver.
        """
        self._groups = groups
        for evse, power in evses.items():
            known = max(self._joined.get(evse, 0), self.assigned.get(evse, 0))  # it may have joined in the meantime
            self._joined[evse] = known if power.reading is None else power.reading.groups
        demands = {
            evse: replace(power.demand, dead=self._dead(evse, power.reading, group))
            for evse, power in evses.items()
            if power.demand is not None
        }
        self._requests, self._targets = allocate(
            self._requests, demands, now, groups=groups, group_power_w=group.power_w
        )
        for evse, power in evses.items():
            assigned = self.assigned.get(evse, 0)
            if evse in self._targets and (power.stopping or power.running):
                self._targets[evse] = assigned if power.stopping else max(self._targets[evse], min(assigned, 1))
        self._set_shares(evses, group)
        return self._assign(evses, now)

    def _dead(self, evse: int, reading: PowerReading | None, group: Limits) -> int:
        """How many whole groups are missing from what the groups that the EVSE has, and keeps, can deliver."""
        kept = min(self._joined[evse], self.assigned.get(evse, 0))
        if reading is None:
            return 0
        able = min(
            _least(kept * group.power_w, reading.available_w) / group.power_w,
            _least(kept * group.current_a, reading.available_a) / group.current_a,
        )
        return math.floor(kept - able + 1e-9)

    # --- groups ----------------------------------------------------------------------------------------------

    def _assign(self, evses: Mapping[int, EvsePower], now: float) -> dict[int, int]:
        """Take from those that have let go, then give what is free to those that have fewest."""
        assign = {evse: self._kept(evse, power, now) for evse, power in evses.items()}
        free = self._groups - sum(max(kept, self._joined[evse]) for evse, kept in assign.items())
        lacking = {
            evse: self._targets.get(evse, 0) - assign[evse]
            for evse in sorted(self._targets, key=lambda evse: assign[evse])
            if self._targets[evse] > assign[evse] and not evses[evse].stopping
        }
        for evse, more in share(lacking, max(0, free)).items():
            assign[evse] += more
        return assign

    def _kept(self, evse: int, power: EvsePower, now: float) -> int:
        """The groups that the EVSE keeps: all of its present ones until it has let go of those it has too many."""
        assigned, target = self.assigned.get(evse, 0), self._targets.get(evse, 0)
        if target >= assigned:
            self._shrinking_since.pop(evse, None)
            return assigned
        since = self._shrinking_since.setdefault(evse, now)
        return target if self._has_let_go(evse, power) or now - since >= LET_GO_S else assigned

    def _has_let_go(self, evse: int, power: EvsePower) -> bool:
        """Whether its lower limit is in force, and its current below it."""
        if power.demand is None:
            return True
        limits = self._shares[evse]
        in_force = power.offered.power_w <= limits.power_w and power.offered.current_a <= limits.current_a
        reading = power.reading
        return in_force and (
            reading is None or reading.current_a <= limits.current_at(reading.voltage_v) * 1.02 + _NOISE_A
        )

    # --- power -----------------------------------------------------------------------------------------------

    def _set_shares(self, evses: Mapping[int, EvsePower], group: Limits) -> None:
        """Lower the shares first, then raise others by what is free of the limit."""
        caps = self._caps(evses, group.power_w)
        goals = {evse: self._goal(evse, power.reading, caps.get(evse, 0.0), group) for evse, power in evses.items()}
        self._shares = {
            evse: Limits(goal.current_a, min(goal.power_w, self.share_of(evse).power_w)) for evse, goal in goals.items()
        }
        held_w = {evse: max(share.power_w, evses[evse].offered.power_w) for evse, share in self._shares.items()}
        free_w = self._limit_w - sum(held_w.values())
        for evse, goal in goals.items():
            power_w = max(self._shares[evse].power_w, min(goal.power_w, held_w[evse] + free_w))
            free_w -= max(0.0, power_w - held_w[evse])
            self._shares[evse] = Limits(goal.current_a, power_w)

    def _caps(self, evses: Mapping[int, EvsePower], group_power_w: float) -> dict[int, float]:
        """The power in W that each active EVSE may offer when it has all its groups."""
        whole = {evse: target * group_power_w for evse, target in self._targets.items()}
        if sum(whole.values()) <= self._limit_w:
            return whole
        most_w = {evse: power.demand.most_w for evse, power in evses.items() if power.demand is not None}
        return split(self._limit_w, {evse: min(whole[evse], most) for evse, most in most_w.items()})

    def _goal(self, evse: int, reading: PowerReading | None, cap_w: float, group: Limits) -> Limits:
        """What the groups that the EVSE has now, and keeps, can deliver under its cap."""
        usable = min(self._targets.get(evse, 0), self._joined[evse])
        power_w, current_a = min(usable * group.power_w, cap_w), usable * group.current_a
        if reading is not None:
            power_w, current_a = _least(power_w, reading.available_w), _least(current_a, reading.available_a)
        return Limits(current_a, power_w) if usable else ZERO_LIMITS


def _least(limit: float, available: float | None) -> float:
    return limit if available is None else min(limit, max(0.0, available))
