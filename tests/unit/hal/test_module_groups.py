# SPDX-License-Identifier: Apache-2.0
"""How groups move: in which order, what holds at any instant, and who waits."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hal.evse.model import ZERO_LIMITS, Limits
from hal.module_groups import LET_GO_S, EvsePower, ModuleGroups
from hal.ports import PowerReading
from hal.power_sharing import GIVE_BACK_S, GROW_S, Demand

GROUP = Limits(133.0, 40_000.0)
TICK_S = 0.5
VOLTS = 400.0


@dataclass
class Outlet:
    """An EVSE that follows a lower share after `lag_s`, and groups that join or leave it one at a time."""

    demand_w: float | None = None
    most_w: float = 400_000.0
    begins: bool = True
    lag_s: float = 0.0
    running: bool = False
    stopping: bool = False
    silent: bool = False
    current_a: float = 0.0
    joined: int = 0
    dead: int = 0
    offered: Limits = ZERO_LIMITS
    lower_since: float | None = None

    def power(self, groups: int) -> EvsePower:
        reading = PowerReading(
            0.0, VOLTS, self.current_a, self.joined, available_w=(self.joined - self.dead) * GROUP.power_w
        )
        demand = None
        if self.demand_w is not None:
            demand = Demand(self.demand_w, groups, self.most_w, self.begins)
        return EvsePower(
            demand,
            running=self.running,
            stopping=self.stopping,
            offered=self.offered if self.demand_w is not None else ZERO_LIMITS,
            reading=None if self.silent else reading,
        )

    def follow(self, share: Limits, now: float) -> None:
        if self.demand_w is None:
            self.offered = ZERO_LIMITS
        elif share.power_w >= self.offered.power_w and share.current_a >= self.offered.current_a:
            self.offered, self.lower_since = share, None
        else:
            self.lower_since = now if self.lower_since is None else self.lower_since
            if now - self.lower_since >= self.lag_s:
                self.offered, self.lower_since = share, None


@dataclass
class Cabinet:
    outlets: dict[int, Outlet]
    groups: int = 10
    limit_w: float = 400_000.0
    sharing: ModuleGroups = field(init=False)
    now: float = 0.0
    moves_per_tick: int = 100

    def __post_init__(self) -> None:
        self.sharing = ModuleGroups(self.limit_w)

    def run(self, seconds: float) -> None:
        """Let time pass; what must hold at any instant is checked with each step."""
        end = self.now + seconds
        while self.now < end:
            self.now += TICK_S
            for evse, outlet in self.outlets.items():
                outlet.follow(self.sharing.share_of(evse), self.now)
            self.check()
            powers = {evse: outlet.power(self.groups) for evse, outlet in self.outlets.items()}
            self.sharing.assigned = self.sharing.plan(powers, self.now, groups=self.groups, group=GROUP)
            self.check()
            self.move()
            self.check()

    def move(self) -> None:
        """The shelf separates groups, and joins those that are free."""
        for _ in range(self.moves_per_tick):
            for evse, outlet in self.outlets.items():
                wanted = self.sharing.assigned[evse]
                if outlet.joined > wanted:
                    outlet.joined -= 1
                    outlet.dead = min(outlet.dead, outlet.joined)
                elif outlet.joined < wanted:
                    outlet.joined += 1

    def check(self) -> None:
        assigned = self.sharing.assigned
        held = sum(max(outlet.joined, assigned.get(evse, 0)) for evse, outlet in self.outlets.items())
        assert held <= self.groups, "a group belongs to two EVSEs"
        assert sum(outlet.offered.power_w for outlet in self.outlets.values()) <= self.limit_w + 1e-3
        shares = {evse: self.sharing.share_of(evse) for evse in self.outlets}
        assert sum(share.power_w for share in shares.values()) <= self.limit_w + 1e-3

    def assigned(self) -> list[int]:
        return [self.sharing.assigned[evse] for evse in self.outlets]

    def offered_kw(self) -> list[float]:
        return [round(outlet.offered.power_w / 1000, 1) for outlet in self.outlets.values()]


@pytest.fixture
def cabinet() -> Cabinet:
    return Cabinet({1: Outlet(), 2: Outlet()})


# --- the order of a move ------------------------------------------------------------------------------------------


def test_one_outlet_alone_is_offered_everything_as_soon_as_its_groups_are_joined(cabinet: Cabinet) -> None:
    cabinet.outlets[1].demand_w = 400_000.0
    cabinet.moves_per_tick = 0
    cabinet.run(2.0)
    assert cabinet.assigned() == [10, 0]
    assert cabinet.offered_kw() == [0.0, 0.0]
    cabinet.moves_per_tick = 1
    cabinet.run(2.0)
    assert cabinet.offered_kw() == [80.0, 0.0], "the groups that are joined by now"
    cabinet.run(10.0)
    assert cabinet.offered_kw() == [400.0, 0.0]


def test_the_lower_limit_is_announced_and_in_force_before_a_group_is_taken(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w, first.lag_s = 400_000.0, 5.0
    cabinet.run(5.0)
    second.demand_w = 400_000.0
    cabinet.run(2.0)
    assert cabinet.sharing.share_of(1).power_w == 200_000.0, "what it announces to its vehicle"
    assert cabinet.offered_kw() == [400.0, 0.0]
    assert cabinet.assigned() == [10, 0]
    cabinet.run(6.0)
    assert cabinet.offered_kw() == [200.0, 200.0]
    assert cabinet.assigned() == [5, 5]


def test_a_group_is_not_taken_before_the_current_has_fallen(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w, first.current_a = 400_000.0, 600.0
    cabinet.run(5.0)
    second.demand_w = 400_000.0
    cabinet.run(4.0)
    assert cabinet.assigned() == [10, 0]
    first.current_a = 490.0
    cabinet.run(1.0)
    assert cabinet.assigned() == [5, 5]


def test_a_vehicle_that_ignores_the_limit_does_not_keep_the_groups(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w, first.current_a, first.lag_s = 400_000.0, 600.0, 5.0
    cabinet.run(5.0)
    second.demand_w = 400_000.0
    cabinet.run(LET_GO_S + 2 * TICK_S)
    assert cabinet.assigned() == [5, 5]


def test_the_higher_limit_is_offered_only_when_the_group_is_joined(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w, second.demand_w = 400_000.0, 400_000.0
    cabinet.run(5.0)
    first.demand_w = None
    cabinet.moves_per_tick = 0
    cabinet.run(3.0)
    assert cabinet.assigned() == [0, 5], "the groups are still at the other outlet"
    first.joined = 0
    cabinet.run(1.0)
    assert cabinet.assigned() == [0, 10]
    assert cabinet.offered_kw() == [0.0, 200.0]
    second.joined = 8
    cabinet.run(1.0)
    assert cabinet.offered_kw() == [0.0, 320.0]


def test_an_outlet_that_needs_no_modules_lets_go_at_once(cabinet: Cabinet) -> None:
    cabinet.outlets[1].demand_w = 400_000.0
    cabinet.run(5.0)
    cabinet.outlets[1].demand_w = None
    cabinet.outlets[1].current_a = 300.0
    cabinet.run(TICK_S)
    assert cabinet.assigned() == [0, 0], "its modules are off; the shelf separates them at zero current"


def test_groups_of_an_outlet_that_reports_nothing_are_given_to_no_other(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w = 400_000.0
    cabinet.run(5.0)
    first.silent, first.demand_w, second.demand_w = True, None, 400_000.0
    cabinet.moves_per_tick = 0
    cabinet.run(5.0)
    assert cabinet.assigned() == [0, 0]
    first.silent, first.joined = False, 0
    cabinet.run(1.0)
    assert cabinet.assigned() == [0, 10]


def test_an_outlet_that_is_stopping_keeps_what_it_has_and_gets_no_more(cabinet: Cabinet) -> None:
    first, second = cabinet.outlets.values()
    first.demand_w, second.demand_w = 400_000.0, 400_000.0
    cabinet.run(5.0)
    first.stopping = True
    second.demand_w = None
    cabinet.run(30.0)
    assert cabinet.assigned() == [5, 0]


# --- failed groups -------------------------------------------------------------------------------------------------


def test_a_dead_group_is_not_offered_and_another_one_takes_its_place(cabinet: Cabinet) -> None:
    first = cabinet.outlets[1]
    first.demand_w = 80_000.0
    cabinet.run(5.0)
    first.dead = 1
    cabinet.run(1.0)
    assert cabinet.offered_kw() == [40.0, 0.0]
    cabinet.run(GROW_S + 1.0)
    assert cabinet.assigned() == [3, 0]
    assert cabinet.offered_kw() == [80.0, 0.0]
    first.dead = 0
    cabinet.run(GIVE_BACK_S + 5.0)
    assert cabinet.assigned() == [2, 0] or cabinet.assigned() == [3, 0]


def test_groups_that_the_shelf_no_longer_has_are_out_of_the_sum(cabinet: Cabinet) -> None:
    cabinet.outlets[1].demand_w = 200_000.0
    cabinet.run(5.0)
    cabinet.groups = 9
    cabinet.outlets[2].demand_w = 400_000.0
    cabinet.run(5.0)
    assert cabinet.assigned() == [5, 4]
    assert cabinet.offered_kw() == [200.0, 160.0]


def test_a_session_under_way_keeps_its_last_group_when_another_fails() -> None:
    """Its contactor is closed: without any group its voltage would be gone behind it."""
    cabinet = Cabinet({evse: Outlet(40_000.0, running=True) for evse in (1, 2)}, groups=2)
    cabinet.run(5.0)
    powers = {evse: outlet.power(1) for evse, outlet in cabinet.outlets.items()}
    assert cabinet.sharing.plan(powers, cabinet.now + 1.0, groups=1, group=GROUP) == {1: 1, 2: 1}


# --- the station's limit -------------------------------------------------------------------------------------------


def limited(limit_w: float, *, outlets: int = 2) -> Cabinet:
    return Cabinet({evse: Outlet() for evse in range(1, outlets + 1)}, limit_w=limit_w)


def test_a_site_limit_is_shared_equally() -> None:
    cabinet = limited(150_000.0)
    cabinet.outlets[1].demand_w = 400_000.0
    cabinet.run(5.0)
    assert cabinet.offered_kw() == [150.0, 0.0]
    cabinet.outlets[2].demand_w = 400_000.0
    cabinet.run(5.0)
    assert cabinet.offered_kw() == [75.0, 75.0]


def test_what_one_cannot_use_of_the_site_limit_the_other_gets() -> None:
    cabinet = limited(150_000.0)
    cabinet.outlets[1].demand_w = 400_000.0
    cabinet.outlets[2].demand_w, cabinet.outlets[2].most_w = 30_000.0, 30_000.0
    cabinet.run(5.0)
    assert cabinet.offered_kw() == [120.0, 30.0]


def test_the_second_is_offered_its_part_of_the_site_limit_when_the_first_has_followed() -> None:
    cabinet = limited(150_000.0)
    cabinet.outlets[1].demand_w, cabinet.outlets[1].lag_s = 150_000.0, 5.0
    cabinet.run(5.0)
    assert cabinet.offered_kw() == [150.0, 0.0]
    cabinet.outlets[2].demand_w = 150_000.0
    cabinet.run(3.0)
    assert cabinet.assigned() == [4, 4], "there are groups for both"
    assert cabinet.offered_kw() == [150.0, 0.0]
    cabinet.run(4.0)
    assert cabinet.offered_kw() == [75.0, 75.0]


# --- more outlets than groups --------------------------------------------------------------------------------------


def test_sixteen_outlets_with_sixteen_groups_have_one_each() -> None:
    cabinet = Cabinet({evse: Outlet() for evse in range(1, 17)}, groups=16, limit_w=640_000.0)
    for outlet in cabinet.outlets.values():
        outlet.demand_w = 200_000.0
        cabinet.run(3.0)
    assert cabinet.assigned() == [1] * 16
    assert cabinet.offered_kw() == [40.0] * 16


def queue_of(cabinet: Cabinet) -> list[int]:
    return [evse for evse in cabinet.outlets if cabinet.sharing.waits(evse)]


def test_outlets_wait_in_the_order_of_their_arrival() -> None:
    cabinet = Cabinet({evse: Outlet() for evse in (1, 2, 3, 4)}, groups=2)
    for evse in (3, 4, 1, 2):
        cabinet.outlets[evse].demand_w = 40_000.0
        cabinet.run(2.0)
    assert cabinet.assigned() == [0, 0, 1, 1]
    assert queue_of(cabinet) == [1, 2]
    cabinet.outlets[4].demand_w = None
    cabinet.run(2.0)
    assert cabinet.assigned() == [1, 0, 1, 0]
    assert queue_of(cabinet) == [2, 4], "4 would have to wait if it came back"
    cabinet.outlets[4].demand_w = 40_000.0
    cabinet.outlets[3].demand_w = None
    cabinet.run(2.0)
    assert cabinet.assigned() == [1, 1, 0, 0]


def test_an_outlet_whose_vehicle_does_not_begin_goes_to_the_end_of_the_queue() -> None:
    cabinet = Cabinet({evse: Outlet() for evse in (1, 2)}, groups=1)
    cabinet.outlets[1].demand_w = 0.0
    cabinet.run(2.0)
    cabinet.outlets[2].demand_w = 40_000.0
    cabinet.run(2.0)
    assert cabinet.assigned() == [1, 0]
    cabinet.outlets[1].begins = False
    cabinet.run(2.0)
    assert cabinet.assigned() == [0, 1]
    cabinet.outlets[1].begins = True
    cabinet.run(60.0)
    assert cabinet.assigned() == [0, 1], "it waits for the one that has its place"


def test_nobody_waits_while_there_is_a_group_for_each() -> None:
    cabinet = Cabinet({evse: Outlet() for evse in (1, 2, 3)}, groups=3)
    cabinet.outlets[1].demand_w = 400_000.0
    cabinet.run(2.0)
    assert queue_of(cabinet) == []


# --- whatever happens ------------------------------------------------------------------------------------------------

change = st.fixed_dictionaries(
    {},
    optional={
        "demand_w": st.none() | st.floats(0.0, 500_000.0),
        "most_w": st.floats(0.0, 400_000.0),
        "begins": st.booleans(),
        "lag_s": st.floats(0.0, 5.0),
        "running": st.booleans(),
        "stopping": st.booleans(),
        "silent": st.booleans(),
        "current_a": st.floats(0.0, 1500.0),
        "dead": st.integers(0, 10),
    },
)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 6),
    st.integers(1, 12),
    st.floats(10_000.0, 600_000.0),
    st.lists(st.tuples(st.integers(1, 6), change, st.integers(0, 3), st.floats(0.5, 20.0)), max_size=20),
)
def test_at_no_instant_is_there_more_than_there_is(
    outlets: int, groups: int, limit_w: float, history: list[tuple[int, dict[str, float], int, float]]
) -> None:
    """The checks of each step: no group at two outlets, no more offered than the limit. At the end a group each."""
    cabinet = Cabinet({evse: Outlet() for evse in range(1, outlets + 1)}, groups=groups, limit_w=limit_w)
    for evse, changes, moves, seconds in history:
        for name, value in changes.items():
            setattr(cabinet.outlets[1 + evse % outlets], name, value)
        for outlet in cabinet.outlets.values():
            outlet.dead = min(outlet.dead, outlet.joined)
        cabinet.moves_per_tick = moves
        cabinet.run(seconds)
    for outlet in cabinet.outlets.values():
        outlet.stopping, outlet.silent, outlet.dead, outlet.begins = False, False, 0, True
    cabinet.moves_per_tick = 100
    cabinet.run(2 * LET_GO_S)
    active = [evse for evse, outlet in cabinet.outlets.items() if outlet.demand_w is not None]
    served = [evse for evse in active if cabinet.sharing.assigned[evse] >= 1]
    assert len(served) == min(len(active), groups)
    assert [evse for evse in active if cabinet.sharing.waits(evse)] == [each for each in active if each not in served]
