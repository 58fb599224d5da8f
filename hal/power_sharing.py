# SPDX-License-Identifier: Apache-2.0
"""How many module groups and how much power each EVSE should have; pure, `now` is an argument.

- The *request* of an EVSE follows its vehicle's demand with hysteresis, because a group moves at zero current only,
  and that takes seconds: more after 10 s of higher demand, less after 60 s of using under 80 % of what would be left.
- An active EVSE requests at least one group, an inactive one none.
- Requests are met evenly: the next group goes to the EVSE that has fewest and still lacks some; of several, to the one
  that is active for longest. So a single vehicle gets all that its EVSE can carry, and two share.
- With fewer groups than active EVSEs, those active for longest have one each and the others wait for one. An EVSE whose
  vehicle does not begin goes to the end of the queue.
- If the groups could deliver more than the station may, each EVSE gets an equal share of the limit; what one can't use
  goes to the others (`split`).

`module_groups.py` carries this out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct
from msgspec.structs import replace

from firmware.contract import EnergyFlow
from hal.evse.model import Limits, State
from hal.evse.table import Stage
from hal.ports import Vehicle

__all__ = ["GIVE_BACK_S", "GROW_S", "Demand", "GroupRequest", "allocate", "demand_of", "share", "split"]

GROW_S = 10.0
GIVE_BACK_S = 60.0
GIVE_BACK_SHARE = 0.8
_ALMOST = 0.95
"""A vehicle that requests nearly all it is offered would take more; one that requests less has enough."""
_SILENT = (EnergyFlow.SUSPENDED_BY_VEHICLE, EnergyFlow.UNANSWERED)


class Demand(Struct, frozen=True):
    """What the vehicle at one active EVSE could take."""

    power_w: float
    most_groups: int
    """How many groups the EVSE can use, by its rating and its wiring."""
    most_w: float = math.inf
    """The most that it may be given: by its rating, the vehicle's maximum and the service's cap."""
    begins: bool = True
    """False: the vehicle is authorised and does not begin."""
    dead: int = 0
    """Groups of the EVSE that deliver nothing: they count in addition to those needed."""

    def groups(self, group_power_w: float) -> int:
        """The groups needed for this power: at least one, `most_groups` at the most, besides dead ones."""
        return self.dead + max(1, min(self.most_groups, math.ceil(self.power_w / group_power_w - 1e-9)))


class GroupRequest(Struct, frozen=True):
    """The groups that an EVSE requests, and since when its vehicle's demand differs."""

    groups: int
    since: float = 0.0
    """When it became active: its place in the queue."""
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
    queue = sorted(updated, key=lambda evse: (updated[evse].since, evse))
    return updated, share({evse: updated[evse].groups for evse in queue}, groups)


def share(requested: Mapping[int, int], groups: int) -> dict[int, int]:
    """Deal `groups` out one by one, each to the EVSE that has fewest and still lacks some, the first of these first."""
    given = dict.fromkeys(requested, 0)
    for _ in range(groups):
        lacking = [evse for evse in given if given[evse] < requested[evse]]
        if not lacking:
            break
        given[min(lacking, key=given.__getitem__)] += 1
    return given


def split(limit_w: float, wanted_w: Mapping[int, float]) -> dict[int, float]:
    """Split a power in W into equal shares; what one does not want is split among those that want more."""
    given: dict[int, float] = {}
    for evse in sorted(wanted_w, key=wanted_w.__getitem__):
        given[evse] = min(wanted_w[evse], limit_w / (len(wanted_w) - len(given)))
        limit_w -= given[evse]
    return given


def _next_request(request: GroupRequest | None, demand: Demand, now: float, *, group_power_w: float) -> GroupRequest:
    needed = demand.groups(group_power_w)
    if request is None:
        return GroupRequest(needed, now)
    if not demand.begins:
        request = replace(request, since=now)
    if needed > request.groups:
        since = now if request.more_since is None else request.more_since
        if now - since >= GROW_S:
            return GroupRequest(needed, request.since)
        return replace(request, more_since=since, less_since=None)
    kept = request.groups - demand.dead
    if needed < request.groups and demand.power_w < GIVE_BACK_SHARE * (kept - 1) * group_power_w:
        since = now if request.less_since is None else request.less_since
        if now - since < GIVE_BACK_S:
            return replace(request, more_since=None, less_since=since)
        roomy = demand.dead + min(demand.most_groups, _roomy(demand.power_w, group_power_w))
        return GroupRequest(max(needed, roomy), request.since)
    return GroupRequest(request.groups, request.since)


def _roomy(power_w: float, group_power_w: float) -> int:
    """The fewest groups of which `power_w` is at most 80 %, so that a returned group is not requested again at once."""
    return max(1, math.ceil(power_w / (GIVE_BACK_SHARE * group_power_w) - 1e-9))


def demand_of(state: State, vehicle: Vehicle | None, *, groups: int, group: Limits) -> Demand:
    """What the EVSE's vehicle would take if it could, under the EVSE's rating and the service's cap.

    Until a vehicle has reported its limits its demand is the whole rating; one that does not begin demands nothing. A
    current that needs more groups than its power does counts as the power of those groups. `groups`: those that can be
    joined to the EVSE.
    """
    rating = state.rating
    most = math.ceil(max(rating.max_power_w / group.power_w, rating.max_current_a / group.current_a) - 1e-9)
    most_w, current_a = rating.max_power_w, 0.0
    if vehicle is not None and vehicle.max_power_w > 0.0:
        most_w = min(most_w, vehicle.max_power_w)
        current_a = min(rating.max_current_a, vehicle.max_current_a)
    power_w = most_w
    if vehicle is not None and state.stage in (Stage.CHARGING, Stage.PAUSED) and not _limited(state, vehicle):
        current_a = vehicle.target_current_a
        power_w = min(power_w, current_a * vehicle.target_voltage_v)
    if state.limit_w is not None and state.limit_w < power_w:
        power_w, current_a = state.limit_w, 0.0
    begins = not (state.stage is Stage.AUTHORISED and state.flow in _SILENT)
    return Demand(
        max(power_w, current_a * group.power_w / group.current_a) if begins else 0.0,
        min(groups, most),
        most_w=most_w if state.limit_w is None else min(most_w, state.limit_w),
        begins=begins,
    )


def _limited(state: State, vehicle: Vehicle) -> bool:
    return vehicle.target_current_a >= _ALMOST * state.offered.current_at(vehicle.target_voltage_v)
