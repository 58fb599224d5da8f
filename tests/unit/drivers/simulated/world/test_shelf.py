# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.simulated.world.battery import Battery
from drivers.simulated.world.shelf import (
    AMPS_UP_PER_S,
    SILENCE_S,
    VOLTS_PER_S,
    ModuleBank,
    Shelf,
    ShelfRating,
)

DT = 0.025


def bank(groups: int = 5) -> ModuleBank:
    return ModuleBank(ShelfRating(), groups=groups, assigned_groups=groups)


def pack() -> Battery:
    return Battery(75_000, 420, 20)


def test_unloaded_bus_rises_at_the_ramp_to_its_voltage_and_no_further() -> None:
    modules = bank()
    modules.set_output(400, 2)
    before = 0.0
    for _ in range(40):
        modules.step(DT, None)
        assert modules.voltage_v - before <= VOLTS_PER_S * DT + 1e-9
        before = modules.voltage_v
    assert modules.voltage_v == 400
    assert modules.current_a == 0


def test_bus_bleeds_below_60_v_within_a_second_of_switching_off() -> None:
    modules = bank()
    modules.set_output(1000, 2)
    for _ in range(60):
        modules.step(DT, None)
    modules.switch_off()
    for _ in range(40):
        modules.step(DT, None)
    assert modules.voltage_v < 60


def test_voltage_below_the_minimum_is_the_minimum() -> None:
    modules = bank()
    modules.set_output(20, 2)
    for _ in range(40):
        modules.step(DT, None)
    assert modules.voltage_v == ShelfRating().min_voltage_v


def test_zero_volts_are_off() -> None:
    modules = bank()
    modules.set_output(0, 0)
    modules.step(DT, None)
    assert modules.voltage_v == 0


def test_current_rises_at_the_ramp_and_stops_at_the_limit() -> None:
    modules, load = bank(), pack()
    modules.set_output(420, 300)
    before = 0.0
    for _ in range(200):
        modules.step(DT, load)
        assert modules.current_a - before <= AMPS_UP_PER_S * DT + 1e-9
        before = modules.current_a
    assert modules.current_a == pytest.approx(300)
    assert modules.voltage_v == pytest.approx(load.terminal_v(300))


@given(st.integers(0, 10), st.floats(150, 1000), st.floats(0, 2000))
def test_no_bank_gives_more_than_its_groups_can(groups: int, voltage_v: float, current_a: float) -> None:
    modules = bank(groups)
    load = Battery(90_000, 840, 30)
    modules.set_output(voltage_v, current_a)
    for _ in range(100):
        modules.step(DT, load)
        assert modules.current_a <= groups * 133.3 + 1e-6
    assert modules.current_a <= current_a + 1e-6
    assert modules.current_a * modules.voltage_v <= groups * 40_000 * 1.01


def test_silent_controller_switches_modules_off() -> None:
    modules = bank()
    modules.set_output(400, 2)
    for _ in range(int(SILENCE_S / DT) + 2):
        modules.step(DT, None)
    assert not modules.on


def test_groups_are_never_more_than_there_are() -> None:
    shelf = Shelf([1, 2], ShelfRating())
    shelf.assign({1: 8, 2: 8})
    for _ in range(100):
        shelf.step(DT)
        assert shelf.free_groups >= 0
    assert (shelf.banks[1].groups, shelf.banks[2].groups) == (8, 2)


def test_group_leaves_a_charging_evse_only_when_the_rest_carry_the_current() -> None:
    shelf = Shelf([1, 2], ShelfRating())
    shelf.assign({1: 6})
    for _ in range(40):
        shelf.step(DT)
    modules, load = shelf.banks[1], pack()
    modules.set_output(420, 500)
    for _ in range(100):
        modules.step(DT, load)
    assert modules.current_a == pytest.approx(500, rel=0.01)
    shelf.assign({1: 1, 2: 5})
    while modules.groups > 1:
        held = modules.groups
        shelf.step(DT)
        if modules.groups < held:
            assert modules.current_a <= (held - 1) * 133.3 + 1e-6
        modules.step(DT, load)
    for _ in range(20):
        shelf.step(DT)
    assert shelf.banks[2].groups == 5
