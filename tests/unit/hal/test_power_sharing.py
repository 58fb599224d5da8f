# SPDX-License-Identifier: Apache-2.0
"""Whole groups, shared by the demand of the vehicles."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from hal.evse.model import Limits, Rating, State
from hal.evse.table import Stage
from hal.ports import NO_VEHICLE, Pilot, Vehicle, VehicleStage
from hal.power_sharing import Demand, GroupRequest, allocate, demand_of, share

GROUP_W = 40_000.0
GROUP = Limits(133.0, GROUP_W)
GROUPS = 10


class Shelf:
    """Ten groups, allocated once a second."""

    def __init__(self) -> None:
        self.now = 0.0
        self.requests: dict[int, GroupRequest] = {}
        self.groups: dict[int, int] = {}

    def after(self, seconds: float, **demand_kw: float) -> dict[int, int]:
        """The groups after EVSE 1 has demanded `one` kW, and EVSE 2 `two` kW, for `seconds`."""
        numbers = {"one": 1, "two": 2}
        demands = {numbers[name]: Demand(1000.0 * power, GROUPS) for name, power in demand_kw.items()}
        end = self.now + seconds
        while self.now < end:
            self.now += 1.0
            self.requests, self.groups = allocate(
                self.requests, demands, self.now, groups=GROUPS, group_power_w=GROUP_W
            )
        return self.groups


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_one_car_alone_gets_all_it_can_use(shelf: Shelf) -> None:
    assert shelf.after(1, one=400) == {1: 10}


def test_a_small_car_gets_what_it_needs(shelf: Shelf) -> None:
    assert shelf.after(1, one=50) == {1: 2}


def test_the_second_car_gets_its_half_at_once(shelf: Shelf) -> None:
    shelf.after(60, one=400)
    assert shelf.after(1, one=400, two=400) == {1: 5, 2: 5}


def test_what_one_does_not_need_the_other_has(shelf: Shelf) -> None:
    assert shelf.after(1, one=400, two=60) == {1: 8, 2: 2}


def test_the_first_gets_all_back_when_the_second_leaves(shelf: Shelf) -> None:
    shelf.after(60, one=400, two=400)
    assert shelf.after(1, one=400) == {1: 10}


def test_more_is_given_after_10_s_of_demand(shelf: Shelf) -> None:
    shelf.after(5, one=60)
    assert shelf.after(9, one=150) == {1: 2}
    assert shelf.after(3, one=150) == {1: 4}


def test_a_demand_that_comes_and_goes_moves_nothing(shelf: Shelf) -> None:
    shelf.after(5, one=60)
    for _ in range(10):
        assert shelf.after(8, one=150) == {1: 2}
        assert shelf.after(1, one=60) == {1: 2}


def test_less_is_taken_after_60_s_of_using_less(shelf: Shelf) -> None:
    shelf.after(5, one=400)
    assert shelf.after(59, one=50) == {1: 10}
    assert shelf.after(3, one=50) == {1: 2}


def test_a_little_less_is_kept(shelf: Shelf) -> None:
    """More than 80 % of what would be left: giving a group back would cost more than it brings."""
    shelf.after(5, one=200)
    assert shelf.after(300, one=155) == {1: 5}


def test_without_a_vehicle_no_group_is_given(shelf: Shelf) -> None:
    shelf.after(5, one=400)
    assert shelf.after(1) == {}


# --- for any demands ------------------------------------------------------------------------------------------

requests_of_evses = st.dictionaries(st.integers(1, 6), st.integers(1, 12), max_size=6)


@given(requests_of_evses, st.integers(1, 20))
def test_groups_are_dealt_out_fairly(requested: dict[int, int], groups: int) -> None:
    given_out = share(requested, groups)
    assert sum(given_out.values()) == min(groups, sum(requested.values()))
    assert all(given_out[evse] <= requested[evse] for evse in requested)
    if groups >= len(requested):
        assert all(given_out[evse] >= 1 for evse in requested), "an EVSE has no group"
    for poorest, request in requested.items():
        if given_out[poorest] < request:
            assert max(given_out.values()) <= given_out[poorest] + 1, "one EVSE has more while another lacks some"


@given(
    st.lists(
        st.tuples(st.floats(0.1, 30.0), st.dictionaries(st.sampled_from([1, 2]), st.floats(0.0, 500_000.0))),
        min_size=1,
        max_size=40,
    )
)
def test_never_more_than_there_are_and_never_none_for_an_active_evse(
    history: list[tuple[float, dict[int, float]]],
) -> None:
    now, requests = 0.0, dict[int, GroupRequest]()
    for seconds, powers in history:
        now += seconds
        demands = {evse: Demand(power, GROUPS) for evse, power in powers.items()}
        requests, groups = allocate(requests, demands, now, groups=GROUPS, group_power_w=GROUP_W)
        assert set(groups) == set(demands)
        assert sum(groups.values()) <= GROUPS
        assert all(count >= 1 for count in groups.values())
        fair = GROUPS // len(demands) if demands else 0
        assert all(groups[evse] >= min(fair, requests[evse].groups) for evse in groups)


@settings(max_examples=25, deadline=None)
@given(st.floats(0.0, 400_000.0))
def test_a_steady_demand_is_met_in_the_end_and_then_nothing_moves(power_w: float) -> None:
    requests, groups = dict[int, GroupRequest](), dict[int, int]()
    demands = {1: Demand(power_w, GROUPS)}
    seen = []
    requests, _ = allocate(requests, {1: Demand(200_000.0, GROUPS)}, 0.0, groups=GROUPS, group_power_w=GROUP_W)
    for now in range(1, 400):
        requests, groups = allocate(requests, demands, float(now), groups=GROUPS, group_power_w=GROUP_W)
        seen.append(groups[1])
    assert groups[1] * GROUP_W >= min(power_w, 400_000.0) - 1e-3
    assert len(set(seen[100:])) == 1


# --- what a car demands -----------------------------------------------------------------------------------------

RATING = Rating(1000.0, 150.0, 500.0, 400_000.0)
CAR = replace(
    NO_VEHICLE,
    pilot=Pilot.C,
    stage=VehicleStage.CHARGE,
    target_voltage_v=400.0,
    target_current_a=300.0,
    max_voltage_v=450.0,
    max_current_a=300.0,
    max_power_w=150_000.0,
    soc_percent=20.0,
    locked=True,
)


def demanded_w(state: State, vehicle: Vehicle | None) -> float:
    return demand_of(state, vehicle, groups=GROUPS, group=GROUP).power_w


def test_a_car_that_has_reported_nothing_demands_the_whole_rating() -> None:
    assert demanded_w(State(evse=1, rating=RATING, stage=Stage.AUTHORISED), None) == 400_000.0
    silent = replace(CAR, max_power_w=0.0)
    assert demanded_w(State(evse=1, rating=RATING, stage=Stage.AUTHORISED), silent) == 400_000.0


def test_a_car_demands_its_own_maximum_while_it_is_held_below_it() -> None:
    held = State(evse=1, rating=RATING, stage=Stage.CHARGING, offered=Limits(133.0, GROUP_W))
    assert demanded_w(held, replace(CAR, target_current_a=100.0)) == 150_000.0


def test_a_car_that_tapers_demands_what_it_takes() -> None:
    free = State(evse=1, rating=RATING, stage=Stage.CHARGING, offered=Limits(500.0, 400_000.0))
    assert demanded_w(free, replace(CAR, target_current_a=100.0)) == pytest.approx(40_000.0)


def test_the_service_s_cap_counts() -> None:
    capped = State(evse=1, rating=RATING, stage=Stage.PRECHARGE, limit_w=60_000.0)
    assert demanded_w(capped, CAR) == 60_000.0


def test_current_may_need_more_groups_than_power() -> None:
    low = replace(CAR, max_power_w=90_000.0, max_current_a=400.0)
    demand = demand_of(State(evse=1, rating=RATING, stage=Stage.PRECHARGE), low, groups=GROUPS, group=GROUP)
    assert demand.groups(GROUP_W) == 4
    assert demand.most_groups == 10


def test_an_evse_never_demands_more_than_it_can_carry() -> None:
    small = Rating(500.0, 150.0, 200.0, 100_000.0)
    demand = demand_of(State(evse=1, rating=small), None, groups=GROUPS, group=GROUP)
    assert demand.most_groups == 3
    assert demand.groups(GROUP_W) == 3
