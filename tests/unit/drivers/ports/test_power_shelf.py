# SPDX-License-Identifier: Apache-2.0
"""The duties of `PowerShelf`: the same tests for every driver of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial

import pytest

from firmware.errors import DeviceLost, DriverError
from hal.ports import PowerReading, PowerShelf
from tests.support.can_shelf_bench import CanShelfBench
from tests.support.shelf_bench import ShelfBench, SimulatedShelfBench

BENCHES: dict[str, Callable[[], ShelfBench]] = {
    "simulated": SimulatedShelfBench,
    "infypower": partial(CanShelfBench, "infypower"),
    "uugreen": partial(CanShelfBench, "uugreen"),
}
"""A line for each driver of the port."""

NOWHERE = 99


@pytest.fixture(params=list(BENCHES.values()), ids=list(BENCHES))
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[ShelfBench]:
    make: Callable[[], ShelfBench] = request.param
    bench = make()
    await bench.until(lambda: answers(bench.shelf))
    yield bench
    await bench.close()


def answers(shelf: PowerShelf) -> bool:
    try:
        shelf.reading(1)
        shelf.reading(2)
    except DeviceLost:
        return False
    return True


def both(shelf: PowerShelf) -> tuple[PowerReading, PowerReading]:
    return shelf.reading(1), shelf.reading(2)


async def join(bench: ShelfBench, one: int, two: int = 0) -> None:
    """Assign groups to the outlets and wait until they are joined; never are there more than the shelf has."""
    shelf = bench.shelf

    def joined() -> bool:
        first, second = both(shelf)
        assert first.groups + second.groups <= shelf.groups, "a group is joined to two outlets"
        return (first.groups, second.groups) == (one, two)

    shelf.assign({1: one, 2: two})
    await bench.until(joined)


def drive(bench: ShelfBench, evse: int, voltage_v: float, current_a: float) -> None:
    """Request this output now and with each control cycle from now on."""
    bench.repeat(lambda: bench.shelf.set_output(evse, voltage_v, current_a))
    bench.shelf.set_output(evse, voltage_v, current_a)


async def charge(bench: ShelfBench, current_a: float, *, groups: int = 2) -> None:
    """Charge a battery at outlet 1."""
    await join(bench, groups)
    drive(bench, 1, 380.0, 2.0)
    await bench.until(lambda: abs(bench.shelf.reading(1).voltage_v - 380.0) <= 20.0)
    bench.load(1)
    drive(bench, 1, 420.0, current_a)
    await bench.until(lambda: bench.shelf.reading(1).current_a == pytest.approx(current_a, rel=0.03))


async def test_at_the_start_everything_is_off(bench: ShelfBench) -> None:
    for reading in both(bench.shelf):
        assert (reading.groups, reading.current_a) == (0, 0.0)
        assert reading.voltage_v < 60.0


async def test_figures_of_the_shelf_are_plausible(bench: ShelfBench) -> None:
    shelf = bench.shelf
    assert shelf.groups >= 4
    assert 1_000.0 <= shelf.group_power_w <= 500_000.0
    assert 0.0 < shelf.min_voltage_v < 400.0 < shelf.max_voltage_v
    assert shelf.group_current_a > 0.0
    assert shelf.stale_after_s > 0.0


async def test_no_outlet_reaches_more_groups_than_there_are(bench: ShelfBench) -> None:
    assert 1 <= bench.shelf.reach(1) <= bench.shelf.groups


async def test_groups_are_joined_to_the_outlet_that_they_are_assigned_to(bench: ShelfBench) -> None:
    await join(bench, 2, 1)
    await join(bench, 1, 2)
    await join(bench, 0, 0)


async def test_joined_groups_bring_their_outlet_to_the_voltage_and_no_other(bench: ShelfBench) -> None:
    await join(bench, 2, 1)
    drive(bench, 1, 400.0, 2.0)
    await bench.until(lambda: abs(bench.shelf.reading(1).voltage_v - 400.0) <= 10.0)
    assert bench.shelf.reading(1).current_a < 1.0
    assert bench.shelf.reading(2).voltage_v < 60.0


async def test_outlet_without_groups_has_no_output(bench: ShelfBench) -> None:
    await join(bench, 0, 1)

    def drive_both() -> None:
        bench.shelf.set_output(1, 400.0, 2.0)
        bench.shelf.set_output(2, 400.0, 2.0)

    bench.repeat(drive_both)
    await bench.until(lambda: bench.shelf.reading(2).voltage_v > 390.0)
    assert bench.shelf.reading(1).voltage_v < 60.0


async def test_no_voltage_is_above_the_modules_maximum(bench: ShelfBench) -> None:
    await join(bench, 1)
    drive(bench, 1, 10.0 * bench.shelf.max_voltage_v, 2.0)
    await bench.until(lambda: bench.shelf.reading(1).voltage_v > 0.95 * bench.shelf.max_voltage_v)
    assert bench.shelf.reading(1).voltage_v < 1.02 * bench.shelf.max_voltage_v


async def test_current_is_the_limit_of_all_groups_together(bench: ShelfBench) -> None:
    await charge(bench, 60.0)
    drive(bench, 1, 420.0, 100.0)
    await bench.until(lambda: bench.shelf.reading(1).current_a == pytest.approx(100.0, rel=0.03))
    drive(bench, 1, 420.0, 20.0)
    await bench.until(lambda: bench.shelf.reading(1).current_a == pytest.approx(20.0, abs=2.0))


async def test_a_limit_of_zero_is_no_current(bench: ShelfBench) -> None:
    await charge(bench, 60.0)
    drive(bench, 1, 420.0, 0.0)
    await bench.until(lambda: bench.shelf.reading(1).current_a < 1.0)
    drive(bench, 1, 420.0, 40.0)
    await bench.until(lambda: bench.shelf.reading(1).current_a == pytest.approx(40.0, rel=0.05))


async def test_switching_off_ends_current_and_voltage(bench: ShelfBench) -> None:
    await charge(bench, 60.0)
    bench.repeat(None)
    bench.shelf.switch_off(1)
    await bench.until(lambda: bench.shelf.reading(1).current_a < 1.0)
    bench.load(1, connected=False)
    await bench.until(lambda: bench.shelf.reading(1).voltage_v < 60.0)
    assert bench.shelf.reading(1).groups == 2, "they stay joined until they are assigned to another outlet"


async def test_a_group_leaves_an_outlet_that_charges_without_a_break(bench: ShelfBench) -> None:
    """The current has been lowered before; it goes on flowing through the rest, and the group is free for the other."""
    await charge(bench, 60.0, groups=3)
    bench.shelf.assign({1: 1, 2: 2})

    def moved() -> bool:
        first, second = both(bench.shelf)
        assert first.groups + second.groups <= bench.shelf.groups
        assert first.voltage_v > 300.0
        return (first.groups, second.groups) == (1, 2)

    await bench.until(moved)
    await bench.until(lambda: bench.shelf.reading(1).current_a == pytest.approx(60.0, rel=0.05))
    assert bench.shelf.reading(2).voltage_v < 60.0


async def test_a_group_joins_an_outlet_that_charges_at_its_voltage(bench: ShelfBench) -> None:
    await charge(bench, 60.0, groups=1)
    before_v = bench.shelf.reading(1).voltage_v
    bench.shelf.assign({1: 3, 2: 0})

    def joined() -> bool:
        reading = bench.shelf.reading(1)
        assert abs(reading.voltage_v - before_v) < 20.0
        assert reading.current_a < 80.0, "the limit is that of all groups together, also while one joins"
        return reading.groups == 3

    await bench.until(joined)


async def test_a_failed_module_is_reported_where_it_is_and_gone_when_it_is_mended(bench: ShelfBench) -> None:
    await join(bench, 2, 1)
    bench.fail_module(1)
    await bench.until(lambda: bench.shelf.reading(1).failed_modules == 1)
    assert bench.shelf.reading(2).failed_modules == 0
    bench.fail_module(1, failed=False)
    await bench.until(lambda: bench.shelf.reading(1).failed_modules == 0)


async def test_what_is_available_is_never_more_than_the_joined_groups_have(bench: ShelfBench) -> None:
    shelf = bench.shelf
    await join(bench, 2, 1)
    for reading in both(shelf):
        assert (reading.available_a or 0.0) <= reading.groups * shelf.group_current_a + 1e-6
        assert (reading.available_w or 0.0) <= reading.groups * shelf.group_power_w + 1e-6


async def test_stamps_of_readings_advance(bench: ShelfBench) -> None:
    before = bench.shelf.reading(1).mono_s
    await bench.until(lambda: bench.shelf.reading(1).mono_s > before)


async def test_commands_are_refused_while_the_link_is_lost_and_not_kept(bench: ShelfBench) -> None:
    await join(bench, 1)
    bench.unplug()

    def lost() -> bool:
        try:
            bench.shelf.set_output(1, 400.0, 2.0)
        except DeviceLost:
            return True
        return False

    await bench.until(lost)
    with pytest.raises(DeviceLost):
        bench.shelf.assign({1: 1, 2: 0})
    with pytest.raises(DeviceLost):
        bench.shelf.switch_off(1)
    bench.plug()
    await bench.until(lambda: answers(bench.shelf) and bench.shelf.reading(1).groups == 1)
    drive(bench, 1, 400.0, 2.0)
    await bench.until(lambda: bench.shelf.reading(1).voltage_v > 390.0)


async def test_a_lost_link_renews_no_stamp(bench: ShelfBench) -> None:
    """A reading that can't be had is refused, or stays as old as it is: for the HAL both are a lost device."""
    bench.unplug()
    stamps: set[float] = set()

    def refused() -> bool:
        try:
            stamps.add(bench.shelf.reading(1).mono_s)
        except DeviceLost:
            return True
        return False

    await bench.until(refused)
    assert len(stamps) <= 2
    bench.plug()
    await bench.until(lambda: answers(bench.shelf))


async def test_an_outlet_that_does_not_exist_is_refused(bench: ShelfBench) -> None:
    with pytest.raises(DriverError):
        bench.shelf.reading(NOWHERE)


async def test_closing_switches_everything_off(bench: ShelfBench) -> None:
    await join(bench, 1)
    drive(bench, 1, 400.0, 2.0)
    await bench.until(lambda: bench.shelf.reading(1).voltage_v > 390.0)
    bench.repeat(None)
    bench.shelf.close()
    await bench.until(lambda: gone_or_off(bench.shelf))


def gone_or_off(shelf: PowerShelf) -> bool:
    try:
        return shelf.reading(1).voltage_v < 60.0
    except DriverError:
        return True
