# SPDX-License-Identifier: Apache-2.0
"""Any frame lost, late, doubled or corrupted ends in a safe state or recovers.

Unlucky frames are drawn one by one while a battery is charged, moved to other modules, and switched off. At each step
what would hurt somebody is looked for; when the bus is good again, everything has to work as if nothing had been.
"""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.simulated.world.battery import Battery
from firmware.errors import DriverError
from tests.support.bus_weather import Weather
from tests.support.can_shelf import ShelfWorld

HARMFUL = ("moved under load", "before it was switched off once")
"""What a driver must not bring about. A damaged command that arrives as another one is the bus's work, and so is a
group number that arrives late, when the module is on; where the number is the place, that moves the module."""


SHARES = st.sampled_from([0.0, 0.0, 0.01, 0.05, 0.2])


@given(
    seed=st.integers(0, 1_000_000),
    lost=SHARES,
    late=SHARES,
    doubled=SHARES,
    corrupted=st.sampled_from([0.0, 0.0, 0.002, 0.02]),
    family=st.sampled_from(["infypower", "uugreen"]),
    matrix=st.sampled_from(["relays", "numbers", "fixed"]),
    orders=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.floats(0.0, 300.0)), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_bad_frames_end_in_a_safe_state_or_are_made_good(
    seed: int,
    lost: float,
    late: float,
    doubled: float,
    corrupted: float,
    family: str,
    matrix: str,
    orders: list[tuple[int, int, float]],
) -> None:
    weather = Weather(seed, lost=lost, late=late, doubled=doubled, corrupted=corrupted)
    asyncio.run(_charge_in(weather, family, matrix, orders))


async def _charge_in(weather: Weather, family: str, matrix: str, orders: list[tuple[int, int, float]]) -> None:
    world = ShelfWorld(family=family, matrix=matrix, modules=6)
    world.buses[0].fault = weather
    world.loads[1] = Battery(75_000.0, 420.0, 30.0)
    excused = weather.damages or (weather.delays and matrix == "numbers")
    world.advance(1.0)
    for one, two, amps in orders:
        _try(lambda: world.shelf.assign({1: one, 2: min(two, 6 - one)}))  # noqa: B023 - called at once
        world.repeated[1] = (420.0, amps)
        _watch(world, 4.0, relays_only=excused)
    world.repeated.clear()
    _try(lambda: world.shelf.switch_off(1))
    _watch(world, 3.0, relays_only=excused)

    world.buses[0].fault = None
    world.loads.clear()
    _try(lambda: world.shelf.assign({1: 3, 2: 3}))
    world.advance(1.0)
    assert not any(module.on for module in world.sim.modules), "everything that was to be off is off"
    world.until(lambda: (world.groups_of(1), world.groups_of(2)) == (3, 3), 120.0)
    world.until(lambda: world.shelf.reading(1).failed_modules == 0, 120.0)
    world.sim.violations.clear()
    world.charge(120.0)
    assert not world.violations()
    world.off(1)
    world.until(lambda: world.shelf.reading(1).current_a < 1.0, 1.0)


def _try(command: object) -> None:
    assert callable(command)
    try:
        command()
    except DriverError:
        return


def _watch(world: ShelfWorld, seconds: float, *, relays_only: bool) -> None:
    for _ in range(round(seconds / 0.1)):
        world.advance(0.1)
        harm = [what for what in world.violations() if any(each in what for each in HARMFUL)]
        assert relays_only or not harm, harm
        closed = [str(line).partition(".")[0] for line in world.lines.closed]
        assert len(closed) == len(set(closed)), "a group is on two EVSEs"


@pytest.mark.parametrize("kind", ["lost", "late", "doubled", "corrupted"])
async def test_each_kind_of_bad_frame_in_turn(kind: str) -> None:
    shares = {"lost": 0.0, "late": 0.0, "doubled": 0.0, "corrupted": 0.0, kind: 0.05}
    await _charge_in(Weather(1, **shares), "infypower", "relays", [(3, 3, 200.0), (1, 5, 100.0)])
