# SPDX-License-Identifier: Apache-2.0
"""Shares whole module groups between the EVSEs by the demand of their vehicles; pure, `now` is an argument.

- An active EVSE has at least one group, an inactive one none.
- The *request* of an EVSE follows its vehicle's demand with hysteresis, because a group moves at zero current only,
  and that takes seconds: more after 10 s of higher demand, less after 60 s of using under 80 % of what would be left.
- Requests are met evenly: the next group goes to the EVSE that has fewest and still lacks some, the lowest number
  first. So a single vehicle gets all that its EVSE can carry, and two share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hal.evse.model import Limits, State
from hal.evse.table import Stage
from hal.ports import Vehicle

__all__ = ["GIVE_BACK_S", "GROW_S", "Demand", "GroupRequest", "allocate", "demand_of", "share"]

GROW_S = 10.0
GIVE_BACK_S = 60.0
GIVE_BACK_SHARE = 0.8
_ALMOST = 0.95
"""A vehicle that requests nearly all it is offered would take more; one that requests less has enough."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What the vehicle at one active EVSE could take."""

    power_w: float
    most_groups: int
    """How many groups the EVSE's own rating can use."""

    def groups(self, group_power_w: float) -> int:
        """The groups needed for this power: at least one, `most_groups` at the most."""
        return max(1, min(self.most_groups, math.ceil(self.power_w / group_power_w - 1e-9)))


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """The groups that an EVSE requests, and since when its vehicle's demand differs."""

    groups: int
    more_since: float | None = None
    less_since: float | None = None


def allocate(
    requests: Mapping[int, GroupRequest],
    demands: Mapping[int, Demand],
    now: float,
    *,
    groups: int,
    group_power_w: float,
) -> tuple[dict[int, GroupRequest], dict[int, int]]:
    """Return the requests as of `now`, and the number of groups of each EVSE.

    Args:
        requests: the first result of the last call.
        demands: of the active EVSEs only.
        now: monotonic seconds.
        groups: all groups of the cabinet.
        group_power_w: power of one group.
    """
    updated = {
        evse: _next_request(requests.get(evse), demand, now, group_power_w=group_power_w)
        for evse, demand in demands.items()
    }
    return updated, share({evse: request.groups for evse, request in updated.items()}, groups)


def share(requested: Mapping[int, int], groups: int) -> dict[int, int]:
    """Deal `groups` out one by one, each to the EVSE that has fewest and still lacks some."""
    given = dict.fromkeys(sorted(requested), 0)
    for _ in range(groups):
        lacking = [evse for evse in given if given[evse] < requested[evse]]
        if not lacking:
            break
        given[min(lacking, key=lambda evse: (given[evse], evse))] += 1
    return given


def _next_request(request: GroupRequest | None, demand: Demand, now: float, *, group_power_w: float) -> GroupRequest:
    needed = demand.groups(group_power_w)
    if request is None:
        return GroupRequest(needed)
    if needed > request.groups:
        since = now if request.more_since is None else request.more_since
        return GroupRequest(needed) if now - since >= GROW_S else replace(request, more_since=since, less_since=None)
    if needed < request.groups and demand.power_w < GIVE_BACK_SHARE * (request.groups - 1) * group_power_w:
        since = now if request.less_since is None else request.less_since
        if now - since >= GIVE_BACK_S:
            return GroupRequest(max(needed, min(demand.most_groups, _roomy(demand.power_w, group_power_w))))
        return replace(request, more_since=None, less_since=since)
    return GroupRequest(request.groups)


def _roomy(power_w: float, group_power_w: float) -> int:
    """The fewest groups of which `power_w` is at most 80 %, so that a returned group is not requested again at once."""
    return max(1, math.ceil(power_w / (GIVE_BACK_SHARE * group_power_w) - 1e-9))


def demand_of(state: State, vehicle: Vehicle | None, *, groups: int, group: Limits) -> Demand:
    """What the EVSE's vehicle would take if it could, under the EVSE's rating and the service's cap.

    Until a vehicle has reported its limits its demand is the whole rating. A current that needs more groups than its
    power does counts as the power of those groups.
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
    return vehicle.target_current_a >= _ALMOST * state.offered.current_at(vehicle.target_voltage_v)
