# SPDX-License-Identifier: Apache-2.0
"""Whole module groups shared between the EVSEs by what the cars ask for; pure, `now` is an argument.

- An active EVSE has at least one group, an inactive one none.
- What an EVSE *wishes* follows its car with hysteresis, because a group moves at zero current only, and that takes
  seconds: more after 10 s of asking for more, less after 60 s of using under 80 % of what would be left.
- Wishes are met evenly: the next group goes to the EVSE that has fewest and still wishes, the lowest number first.
  So one car alone gets all that its EVSE can carry, and two share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hal.evse.model import Offer, State
from hal.evse.table import Stage
from hal.ports import Vehicle

__all__ = ["GIVE_BACK_S", "GROW_S", "Demand", "Wish", "allocate", "demand_of", "share"]

GROW_S = 10.0
GIVE_BACK_S = 60.0
GIVE_BACK_SHARE = 0.8
_ALMOST = 0.95
"""A car that asks for nearly all it is offered would take more; one that asks for less has had enough."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one active EVSE's car could take."""

    power_w: float
    most_groups: int
    """What the EVSE's own rating can use, in groups."""

    def groups(self, group_power_w: float) -> int:
        return max(1, min(self.most_groups, math.ceil(self.power_w / group_power_w - 1e-9)))


@dataclass(frozen=True, slots=True)
class Wish:
    """The groups an EVSE asks for, and since when its car would have it otherwise."""

    groups: int
    more_since: float | None = None
    less_since: float | None = None


def allocate(
    wishes: Mapping[int, Wish],
    demands: Mapping[int, Demand],
    now: float,
    *,
    groups: int,
    group_power_w: float,
) -> tuple[dict[int, Wish], dict[int, int]]:
    """The wishes as they stand now, and the groups of each EVSE.

    Args:
        wishes: the first result of the last call.
        demands: of the active EVSEs only.
        now: monotonic seconds.
        groups: all groups of the cabinet.
        group_power_w: power of one group.
    """
    now_wished = {
        evse: _wish(wishes.get(evse), demand, now, group_power_w=group_power_w) for evse, demand in demands.items()
    }
    return now_wished, share({evse: wish.groups for evse, wish in now_wished.items()}, groups)


def share(wished: Mapping[int, int], groups: int) -> dict[int, int]:
    """`groups` dealt out one by one to whoever has fewest and still wishes."""
    given = dict.fromkeys(sorted(wished), 0)
    for _ in range(groups):
        hungry = [evse for evse in given if given[evse] < wished[evse]]
        if not hungry:
            break
        given[min(hungry, key=lambda evse: (given[evse], evse))] += 1
    return given


def _wish(wish: Wish | None, demand: Demand, now: float, *, group_power_w: float) -> Wish:
    needed = demand.groups(group_power_w)
    if wish is None:
        return Wish(needed)
    if needed > wish.groups:
        since = now if wish.more_since is None else wish.more_since
        return Wish(needed) if now - since >= GROW_S else replace(wish, more_since=since, less_since=None)
    if needed < wish.groups and demand.power_w < GIVE_BACK_SHARE * (wish.groups - 1) * group_power_w:
        since = now if wish.less_since is None else wish.less_since
        if now - since >= GIVE_BACK_S:
            return Wish(max(needed, min(demand.most_groups, _roomy(demand.power_w, group_power_w))))
        return replace(wish, more_since=None, less_since=since)
    return Wish(wish.groups)


def _roomy(power_w: float, group_power_w: float) -> int:
    """The fewest groups of which `power_w` is no more than 80 %: so that what is given back is not wanted at once."""
    return max(1, math.ceil(power_w / (GIVE_BACK_SHARE * group_power_w) - 1e-9))


def demand_of(state: State, vehicle: Vehicle | None, *, groups: int, group: Offer) -> Demand:
    """What the EVSE's car would take if it could, under the EVSE's rating and the service's cap.

    Until a car has told its limits it may want everything. A current that needs more groups than its power does
    counts as the power of those groups.
    """
    rating = state.rating
    most = math.ceil(max(rating.max_power_w / group.power_w, rating.max_current_a / group.current_a) - 1e-9)
    power_w, current_a = rating.max_power_w, 0.0
    if vehicle is not None and vehicle.max_power_w > 0.0:
        power_w = min(power_w, vehicle.max_power_w)
        current_a = min(rating.max_current_a, vehicle.max_current_a)
        if state.stage in (Stage.CHARGING, Stage.PAUSED) and not _limited(state, vehicle):
            current_a = vehicle.target_current_a
            power_w = min(power_w, current_a * vehicle.target_voltage_v)
    if state.limit_w is not None and state.limit_w < power_w:
        power_w, current_a = state.limit_w, 0.0
    return Demand(max(power_w, current_a * group.power_w / group.current_a), min(groups, most))


def _limited(state: State, vehicle: Vehicle) -> bool:
    return vehicle.target_current_a >= _ALMOST * state.offer.current_at(vehicle.target_voltage_v)
