# SPDX-License-Identifier: Apache-2.0
"""How groups of modules change EVSEs."""

from __future__ import annotations

import pytest

from drivers.can.groups import RELEASE_S
from drivers.gpio.lines import LineName
from firmware.errors import DeviceLost, DeviceRefused
from tests.support.can_shelf import ShelfWorld

FAMILIES = pytest.mark.parametrize("family", ["infypower", "uugreen"])
MATRICES = pytest.mark.parametrize("matrix", ["relays", "numbers"])


def assert_exclusive(closed: set[LineName]) -> None:
    groups = [str(line).partition(".")[0] for line in closed]
    assert len(groups) == len(set(groups)), "a group is on two EVSEs"


def step(world: ShelfWorld, seconds: float) -> None:
    """Let time pass and look at the relays at each step."""
    for _ in range(round(seconds / 0.1)):
        world.advance(0.1)
        assert_exclusive(world.lines.closed)
        assert world.groups_of(1) + world.groups_of(2) <= world.groups


@FAMILIES
@MATRICES
async def test_a_group_leaves_an_evse_that_charges(family: str, matrix: str) -> None:
    world = ShelfWorld(family=family, matrix=matrix).ready()
    world.join(6)
    world.charge(300.0)
    world.shelf.assign({1: 4, 2: 6})
    step(world, 3.0)
    assert (world.groups_of(1), world.groups_of(2)) == (4, 6)
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.02)
    assert world.shelf.reading(2).voltage_v < 60.0
    assert not world.violations()


@FAMILIES
@MATRICES
async def test_a_group_joins_an_evse_that_charges(family: str, matrix: str) -> None:
    world = ShelfWorld(family=family, matrix=matrix).ready()
    world.join(2)
    world.charge(200.0)
    world.shelf.assign({1: 5, 2: 0})
    highest = 0.0
    for _ in range(80):
        step(world, 0.1)
        highest = max(highest, world.banks[1].current_a)
    assert world.groups_of(1) == 5
    assert highest < 210.0
    assert sum(module.on for module in world.sim.modules) == 5
    assert not world.violations()


async def test_a_group_that_is_needed_is_taken_only_after_a_while() -> None:
    """The HAL lowers the current before it takes a group; if it does not, the group leaves all the same."""
    world = ShelfWorld().ready()
    world.join(5)
    world.charge(500.0)
    world.shelf.assign({1: 2, 2: 0})
    step(world, RELEASE_S - 1.0)
    assert world.groups_of(1) == 5
    step(world, 3.0)
    assert world.groups_of(1) == 2
    assert world.shelf.reading(1).current_a < 270.0
    assert not world.violations()


async def test_what_is_about_to_leave_is_not_available() -> None:
    world = ShelfWorld(believe_available=False).ready()
    world.join(5)
    world.charge(500.0)
    before = world.shelf.reading(1)
    assert before.available_a == pytest.approx(666.5)
    assert before.available_w == pytest.approx(200_000.0)
    world.shelf.assign({1: 2, 2: 0})
    after = world.shelf.reading(1)
    assert after.groups == 5
    assert after.available_w == pytest.approx(80_000.0)


async def test_an_assignment_that_changes_on_the_way_is_the_last_one() -> None:
    world = ShelfWorld().ready()
    for counts in ({1: 6, 2: 0}, {1: 0, 2: 8}, {1: 3, 2: 3}, {1: 10, 2: 0}, {1: 1, 2: 9}):
        world.shelf.assign(counts)
        step(world, 0.2)
    step(world, 3.0)
    assert (world.groups_of(1), world.groups_of(2)) == (1, 9)
    assert not world.violations()


async def test_groups_without_a_choice_stay_at_their_evse() -> None:
    world = ShelfWorld(matrix="fixed").ready()
    world.shelf.assign({1: 8, 2: 2})
    step(world, 3.0)
    assert (world.groups_of(1), world.groups_of(2)) == (5, 2)


async def test_groups_of_several_modules_move_together() -> None:
    world = ShelfWorld(per_group=2).ready()
    assert (world.shelf.groups, world.shelf.group_power_w) == (5, 80_000.0)
    world.join(2, 3)
    world.charge(200.0)
    assert [module.outlet for module in world.sim.modules] == [1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert not world.violations()


async def test_an_evse_that_no_group_reaches_is_refused() -> None:
    world = ShelfWorld(matrix="fixed").ready()
    with pytest.raises(DeviceRefused, match="EVSE 3"):
        world.shelf.assign({3: 1})
    with pytest.raises(DeviceRefused):
        world.shelf.reading(3)


async def test_relays_that_lose_their_supply_have_opened() -> None:
    """Their modules are off before any of them closes again."""
    world = ShelfWorld().ready()
    world.join(5, 5)
    world.charge(100.0)
    world.sim.violations.clear()
    world.lines.vanish()
    world.loads.clear()
    world.advance(2.0)
    assert not any(module.on for module in world.sim.modules)
    assert (world.groups_of(1), world.groups_of(2)) == (0, 0)
    world.sim.violations.clear()
    world.lines.come_back()
    world.until(lambda: (world.groups_of(1), world.groups_of(2)) == (5, 5))
    assert not world.violations()


async def test_closing_switches_off_and_opens_all_relays() -> None:
    world = ShelfWorld().ready()
    world.join(5, 5)
    world.charge(100.0)
    world.shelf.close()
    assert not any(module.on for module in world.sim.modules)
    assert not world.lines.closed


async def test_an_assignment_is_refused_while_the_bus_is_down() -> None:
    world = ShelfWorld().ready()
    world.buses[0].set_up(False)
    with pytest.raises(DeviceLost):
        world.shelf.assign({1: 5, 2: 5})
    world.buses[0].set_up(True)
    world.advance(2.0)
    assert world.groups_of(1) == 0


async def test_a_group_brings_no_voltage_of_another_outlet_into_the_reading() -> None:
    """What its modules measured at the outlet that they left is not the voltage of the one that they join."""
    world = ShelfWorld(matrix="numbers").ready()
    world.join(0, 4)
    world.charge(100.0, evse=2, voltage_v=720.0)
    world.off(2)
    world.shelf.assign({1: 4, 2: 0})
    highest = 0.0
    while world.groups_of(1) < 4:
        step(world, 0.1)
        highest = max(highest, world.shelf.reading(1).voltage_v)
    step(world, 0.1)
    assert max(highest, world.shelf.reading(1).voltage_v) < 60.0
