# SPDX-License-Identifier: Apache-2.0
"""Power sharing in the whole cabinet: what the vehicles are offered, in which order, and what is published of it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firmware.contract import EnergyFlow, FaultRaised, MeterReading, Permit, Phase, SetLimit, Withdraw
from hal.ports import VehicleStage
from tests.support.hardware import CabinetDouble


def started(evses: int = 2, *, groups: int = 10, limit_w: float = 400_000.0) -> CabinetDouble:
    fake = CabinetDouble(range(1, evses + 1), groups=groups, limit_w=limit_w)
    fake.start()
    fake.run(0.2)
    return fake


def arrive(fake: CabinetDouble, evse: int) -> None:
    fake.cars[evse].plug()
    assert fake.cabinet.execute(Permit(evse, f"session {evse}", 60.0)) is None


def charge(fake: CabinetDouble, *evses: int, wanted_a: float = 280.0) -> None:
    for evse in evses:
        fake.cars[evse].wanted_a = wanted_a
        arrive(fake, evse)
    fake.run(20.0)
    assert [phase(fake, evse) for evse in evses] == [Phase.CHARGING] * len(evses)


def phase(fake: CabinetDouble, evse: int) -> Phase:
    return fake.cabinet.snapshot(0, "run").evses[evse - 1].phase


def announced_w(fake: CabinetDouble, evse: int) -> float:
    announced = fake.cars[evse].called("announce_limits")
    power_w: float = announced[-1][2] if announced else 0.0
    return power_w


def offered_w(fake: CabinetDouble, evse: int) -> float:
    """What the last meter reading says, which the CSMS gets as Power.Offered."""
    readings = [event for event in fake.of_kind(MeterReading) if event.evse == evse]
    power_w: float = readings[-1].offered_w
    return power_w


def test_the_first_vehicle_is_offered_less_before_the_second_is_offered_more() -> None:
    fake = started(groups=4)
    charge(fake, 1)
    assert (fake.shelf.assigned, offered_w(fake, 1)) == ({1: 3, 2: 0}, 120_000.0)
    arrive(fake, 2)
    history = []
    for _ in range(30):
        fake.run(0.1)
        history.append((announced_w(fake, 1), fake.shelf.assigned[1], fake.shelf.assigned[2], announced_w(fake, 2)))
    steps = list(dict.fromkeys(history))
    assert steps == [
        (120_000.0, 3, 1, 0.0),  # the free group at once
        (80_000.0, 3, 1, 0.0),
        (80_000.0, 3, 1, 40_000.0),
        (80_000.0, 2, 1, 40_000.0),  # the first vehicle has followed
        (80_000.0, 2, 2, 40_000.0),  # the shelf has separated the group
        (80_000.0, 2, 2, 80_000.0),
    ]
    fake.run(20.0)
    assert (offered_w(fake, 1), offered_w(fake, 2)) == (80_000.0, 80_000.0)
    fake.cabinet.execute(Withdraw(1))
    fake.run(20.0)
    assert (offered_w(fake, 1), offered_w(fake, 2)) == (0.0, 120_000.0)


def test_a_vehicle_that_ignores_the_lower_limit_is_held_to_it_after_5_s() -> None:
    fake = started(groups=4)
    fake.cars[1].follows = False
    charge(fake, 1)
    arrive(fake, 2)
    fake.run(4.5)
    assert fake.shelf.outputs[1][1] == pytest.approx(120_000.0 / 430.0)
    assert fake.shelf.assigned[1] == 3
    fake.run(2.0)
    assert fake.shelf.outputs[1][1] * 430.0 <= 80_000.0 * 1.01
    assert fake.shelf.assigned == {1: 2, 2: 2}


def test_site_limit_is_kept_while_vehicles_come_and_go() -> None:
    fake = started(groups=10, limit_w=100_000.0)
    charge(fake, 1)
    assert offered_w(fake, 1) == 100_000.0
    charge(fake, 2)
    assert (offered_w(fake, 1), offered_w(fake, 2)) == (50_000.0, 50_000.0)
    fake.cabinet.execute(SetLimit(1, 20_000.0))
    fake.run(10.0)
    assert (offered_w(fake, 1), offered_w(fake, 2)) == (20_000.0, 80_000.0)
    drawn = sum(volts * amps for volts, amps in fake.shelf.outputs.values())
    assert drawn <= 100_000.0 * 1.01


def test_sixteen_vehicles_charge_at_once() -> None:
    fake = started(16, groups=16, limit_w=640_000.0)
    evses = range(1, 17)
    for evse in evses:
        arrive(fake, evse)
    fake.run(20.0)
    assert {phase(fake, evse) for evse in evses} == {Phase.CHARGING}
    assert set(fake.shelf.assigned.values()) == {1}
    assert [offered_w(fake, evse) for evse in evses] == [40_000.0] * 16
    assert all(fake.shelf.amps(evse) > 10.0 for evse in evses)
    assert fake.of_kind(FaultRaised) == []
    for evse in evses[1:]:
        fake.cabinet.execute(Withdraw(evse))
    fake.run(30.0)
    assert offered_w(fake, 1) == 120_000.0


def test_groups_that_are_wired_to_one_outlet_are_not_requested_for_another() -> None:
    fake = started(groups=6)
    fake.shelf.reaches = {1: 2, 2: 4}
    charge(fake, 1, 2)
    assert fake.shelf.assigned == {1: 2, 2: 3}


def test_a_vehicle_without_a_group_is_not_authorised_until_there_is_one() -> None:
    """With fewer groups than vehicles: its cable check would be over before a group is free."""
    fake = started(3, groups=2)
    charge(fake, 1, 2, wanted_a=80.0)
    arrive(fake, 3)
    fake.run(35.0)
    waiting = fake.cabinet.snapshot(0, "run").evses[2]
    assert (waiting.phase, waiting.flow) == (Phase.AUTHORISED, EnergyFlow.SUSPENDED_BY_STATION)
    assert not any(granted for (granted,) in fake.cars[3].called("authorise"))
    assert fake.cars[3].called("wake") == []
    fake.cabinet.execute(Withdraw(2))
    fake.run(15.0)
    assert phase(fake, 3) is Phase.CHARGING
    assert fake.of_kind(FaultRaised) == []


def test_a_vehicle_that_does_not_begin_gives_its_group_to_one_that_waits() -> None:
    fake = started(2, groups=1)
    fake.cars[1].obeys = False
    arrive(fake, 1)
    fake.run(2.0)
    arrive(fake, 2)
    fake.run(20.0)
    assert fake.shelf.assigned == {1: 0, 2: 1}
    assert phase(fake, 2) is Phase.CHARGING
    assert not fake.cars[1].granted


def test_a_move_continues_when_the_shelf_is_back() -> None:
    fake = started(groups=4)
    charge(fake, 1)
    fake.shelf.failing = True
    fake.run(3.0)
    assert phase(fake, 1) is Phase.FAULTED
    assert fake.shelf.assigned == {1: 3, 2: 0}
    fake.shelf.failing = False
    fake.run(3.0)
    assert fake.shelf.assigned == {1: 0, 2: 0}
    arrive(fake, 2)
    fake.run(15.0)
    assert phase(fake, 2) is Phase.CHARGING


# --- whatever happens -----------------------------------------------------------------------------------------------

happening = st.one_of(
    st.tuples(st.just("arrive"), st.integers(1, 3), st.just(0.0)),
    st.tuples(st.just("leave"), st.integers(1, 3), st.just(0.0)),
    st.tuples(st.just("limit"), st.integers(1, 3), st.sampled_from([0.0, 10_000.0, 60_000.0, 1e6])),
    st.tuples(st.just("wants"), st.integers(1, 3), st.floats(0.0, 300.0)),
    st.tuples(st.just("ignores"), st.integers(1, 3), st.just(0.0)),
    st.tuples(st.just("hot"), st.integers(1, 3), st.sampled_from([25.0, 75.0])),
    st.tuples(st.just("shelf"), st.just(0), st.sampled_from([0.0, 1.0])),
)


def let_happen(fake: CabinetDouble, what: str, evse: int, value: float) -> None:
    if what == "arrive" and fake.cars[evse].stage in (VehicleStage.NONE, VehicleStage.ENDED):
        fake.cars[evse].plug()
        fake.cabinet.execute(Permit(evse, f"session {evse}", 60.0))
    elif what == "leave":
        fake.cabinet.execute(Withdraw(evse))
    elif what == "limit":
        fake.cabinet.execute(SetLimit(evse, value))
    elif what == "wants":
        fake.cars[evse].wanted_a = value
    elif what == "ignores":
        fake.cars[evse].follows = False
    elif what == "hot":
        fake.inputs.plug_temp_c[evse] = value
    elif what == "shelf":
        fake.shelf.failing = bool(value)


@settings(max_examples=15, deadline=None)
@given(st.floats(50_000.0, 200_000.0), st.lists(st.tuples(happening, st.floats(0.1, 12.0)), max_size=12))
def test_what_the_evses_offer_together_is_never_above_the_limit(
    limit_w: float, history: list[tuple[tuple[str, int, float], float]]
) -> None:
    fake = started(3, groups=4, limit_w=limit_w)
    for (what, evse, value), seconds in history:
        let_happen(fake, what, evse, value)
        for _ in range(round(seconds * 10)):
            fake.run(0.1)
            offered = [each.state.offered.power_w for each in fake.cabinet._evses.values()]
            assert sum(offered) <= limit_w + 1e-3
            assert sum(fake.shelf.assigned.values()) <= 4
