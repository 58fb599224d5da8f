# SPDX-License-Identifier: Apache-2.0
"""What the driver of power modules does while everything works."""

from __future__ import annotations

import struct

import pytest

from drivers.can.outlet import HOLD_S
from firmware.errors import DeviceRefused
from tests.support.can_shelf import ShelfWorld

FAMILIES = pytest.mark.parametrize("family", ["infypower", "uugreen"])
MATRICES = pytest.mark.parametrize("matrix", ["relays", "numbers", "fixed"])


def commands(world: ShelfWorld, bus: int = 0) -> list[int]:
    """The command numbers of the Infypower frames that were sent since the last call."""
    sent, world.buses[bus].sent = world.buses[bus].sent, []
    return [can_id >> 16 & 0x3F for can_id, _ in sent]


@FAMILIES
@MATRICES
async def test_a_battery_is_charged(family: str, matrix: str) -> None:
    world = ShelfWorld(family=family, matrix=matrix).ready()
    world.join(5, 5)
    world.charge(300.0)
    assert sum(module.current_a for module in world.sim.modules) == pytest.approx(300.0, rel=0.02)
    assert world.shelf.reading(2).voltage_v == 0.0
    world.off(1)
    world.until(lambda: world.shelf.reading(1).current_a < 1.0, 1.0)
    assert not world.violations()


@FAMILIES
async def test_both_evses_charge(family: str) -> None:
    world = ShelfWorld(family=family).ready()
    world.join(6, 4)
    world.charge(400.0)
    world.charge(150.0, evse=2, voltage_v=800.0)
    world.advance(1.0)
    first, second = world.shelf.reading(1), world.shelf.reading(2)
    assert first.current_a == pytest.approx(400.0, rel=0.02)
    assert second.current_a == pytest.approx(150.0, rel=0.02)
    assert second.voltage_v > 650.0
    assert not world.violations()


async def test_the_first_command_to_each_module_is_off() -> None:
    world = ShelfWorld()
    world.advance(1.0)
    first: dict[int, bytes] = {}
    for can_id, data in world.buses[0].sent:
        if can_id >> 16 & 0x3F in (0x16, 0x1A, 0x1B, 0x1C):
            first.setdefault(can_id >> 8 & 0xFF, data)
    assert first.keys() == {0x3F, *range(10)}
    assert {data for number, data in first.items()} == {b"\x01" + bytes(7)}


@FAMILIES
async def test_a_new_driver_switches_off_what_an_old_one_has_left_on(family: str) -> None:
    world = ShelfWorld(family=family, matrix="fixed").ready()
    world.join(5, 5)
    world.charge(100.0)
    world.restart_driver()
    world.advance(0.5)
    assert not any(module.on for module in world.sim.modules)


async def test_modules_switch_themselves_off_when_the_driver_has_died() -> None:
    world = ShelfWorld().ready()
    world.join(2)
    world.charge(100.0)
    world.advance(9.0, hal=False)
    assert world.banks[1].current_a > 90.0
    world.advance(2.0, hal=False)
    assert world.banks[1].current_a == 0.0


@FAMILIES
async def test_a_module_that_is_only_asked_stays_on(family: str) -> None:
    world = ShelfWorld(family=family).ready()
    world.join(2)
    world.charge(100.0)
    world.advance(60.0)
    assert world.shelf.reading(1).current_a == pytest.approx(100.0, rel=0.02)


async def test_a_set_point_that_is_not_repeated_ends() -> None:
    world = ShelfWorld().ready()
    world.join(2)
    world.charge(100.0)
    world.repeated.clear()
    world.advance(HOLD_S - 0.5)
    assert world.shelf.reading(1).current_a > 90.0
    world.advance(1.0)
    assert world.shelf.reading(1).current_a < 1.0


@FAMILIES
async def test_a_small_current_is_that_of_one_module(family: str) -> None:
    """No module gets less than 1 A, and together they never exceed what is wanted."""
    world = ShelfWorld(family=family).ready()
    world.join(10)
    world.charge(400.0)
    for amps in (2.0, 7.0, 1.0, 12.0, 9.5, 3.0):
        world.drive(1, 420.0, amps)
        world.advance(3.0)
        assert world.shelf.reading(1).current_a == pytest.approx(amps, abs=0.2)
        assert sum(module.set_current_a for module in world.sim.modules if module.on) <= amps + 0.1
    assert not world.violations()


async def test_a_current_that_falls_slowly_does_not_make_modules_flutter() -> None:
    world = ShelfWorld().ready()
    world.join(10)
    world.charge(30.0)
    switched = 0
    was_on = [module.on for module in world.sim.modules]
    for step in range(200):
        world.drive(1, 420.0, 5.0 + (0.3 if step % 2 else 0.0))
        world.advance(0.1)
        is_on = [module.on for module in world.sim.modules]
        switched += sum(a is not b for a, b in zip(was_on, is_on, strict=True))
        was_on = is_on
    assert switched <= 10


@pytest.mark.parametrize(("voltage_v", "current_a"), [(100.0, 50.0), (420.0, 0.0), (420.0, 0.4), (0.0, 0.0)])
async def test_what_modules_cannot_deliver_is_off(voltage_v: float, current_a: float) -> None:
    world = ShelfWorld().ready()
    world.join(2)
    world.charge(50.0)
    world.drive(1, voltage_v, current_a)
    world.until(lambda: not any(module.on for module in world.sim.modules), 1.0)
    world.advance(2.0)
    assert not any(module.on for module in world.sim.modules)
    assert not world.violations()


@pytest.mark.parametrize(("voltage_v", "current_a"), [(float("nan"), 1.0), (400.0, float("inf"))])
async def test_what_is_no_number_is_refused(voltage_v: float, current_a: float) -> None:
    world = ShelfWorld().ready()
    with pytest.raises(DeviceRefused):
        world.shelf.set_output(1, voltage_v, current_a)


async def test_modules_of_one_group_number_are_commanded_as_one() -> None:
    world = ShelfWorld().ready()
    world.join(5)
    world.charge(300.0)
    world.advance(1.0)
    world.buses[0].sent.clear()
    world.drive(1, 420.0, 200.0)
    world.advance(2.0)
    totals = [struct.unpack(">II", data) for can_id, data in world.buses[0].sent if can_id >> 16 & 0x3F == 0x1B]
    assert set(totals) == {(420_000, 200_000)}
    assert 0x1C not in commands(world)


async def test_modules_that_take_no_group_number_are_commanded_one_by_one() -> None:
    world = ShelfWorld()
    setattr(world.wires[0], "takes_group_numbers", False)  # noqa: B010 - of one of the families
    world.ready()
    world.join(5)
    world.charge(300.0)
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.02)
    assert 0x1B not in commands(world)


@pytest.mark.parametrize("lacking", ["answers_for_groups", "acknowledges"])
async def test_nothing_depends_on_answers_that_the_sources_leave_open(lacking: str) -> None:
    world = ShelfWorld()
    setattr(world.wires[0], lacking, False)
    world.ready()
    world.join(5)
    world.charge(300.0)
    stamps = set()
    for _ in range(40):
        world.advance(0.1)
        stamps.add(world.shelf.reading(1).mono_s)
    assert len(stamps) >= 14
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.02)


async def test_group_frames_can_be_left_out() -> None:
    world = ShelfWorld(group_frames=False).ready()
    world.join(5)
    world.charge(300.0)
    world.off(1)
    world.advance(1.0)
    assert [can_id >> 22 & 0xF for can_id, _ in world.buses[0].sent] == [0x0A] * len(world.buses[0].sent)
    assert 0x16 not in commands(world)


async def test_readings_are_fresh_while_a_vehicle_charges() -> None:
    world = ShelfWorld().ready()
    world.join(5, 5)
    world.charge(300.0)
    stamps = set()
    for _ in range(40):
        world.advance(0.1)
        stamps.add(world.shelf.reading(1).mono_s)
    assert len(stamps) >= 16, "4 Hz or better"


@pytest.mark.parametrize(("family", "most"), [("infypower", 140), ("uugreen", 220)])
async def test_the_bus_is_far_from_full(family: str, most: int) -> None:
    """125 kbit/s carry some 800 of these frames a second."""
    world = ShelfWorld(family=family).ready()
    world.join(5, 5)
    world.charge(300.0)
    world.charge(200.0, evse=2)
    world.advance(2.0)
    before = world.buses[0].count
    world.advance(10.0)
    charging = (world.buses[0].count - before) / 10.0
    world.off(1)
    world.off(2)
    world.join(0, 0)
    world.advance(2.0)
    before = world.buses[0].count
    world.advance(10.0)
    idle = (world.buses[0].count - before) / 10.0
    print(f"{family}: {charging:.0f} frames/s charging, {idle:.0f} idle")
    assert charging <= most
    assert idle <= most / 2


async def test_the_range_of_voltages_is_chosen_before_the_output_is_on() -> None:
    """The cable check tests with more than the vehicle's highest voltage: it decides."""
    world = ShelfWorld(family="uugreen").ready()
    world.join(2)
    world.drive(1, 450.0, 2.0)
    assert world.until(lambda: world.shelf.reading(1).voltage_v > 440.0) < 7.0
    assert [module.range for module in world.sim.modules[:2]] == [2, 2]
    world.off(1)
    world.join(0)
    world.join(2)
    world.drive(1, 880.0, 2.0)
    assert world.until(lambda: world.shelf.reading(1).voltage_v > 870.0) < 7.0
    world.off(1)
    world.advance(1.0)
    world.drive(1, 380.0, 2.0)
    assert world.until(lambda: abs(world.shelf.reading(1).voltage_v - 380.0) < 10.0) < 2.0, "the range stays"
    assert [module.range for module in world.sim.modules[:2]] == [1, 1]
    assert not world.violations()


async def test_every_module_is_described() -> None:
    world = ShelfWorld(matrix="fixed").ready()
    world.sim.module(3).plugged = False
    world.advance(5.0)
    world.join(5, 5)
    world.charge(100.0)
    devices = world.shelf.devices()
    assert [each.name for each in devices] == [f"module {number}" for number in range(10)]
    assert (devices[4].serial_number, devices[4].address, devices[4].answers) == ("4130000000000004", "4", True)
    assert devices[0].state.startswith("on, 3")
    assert devices[9].state == "off, 0 V, 0.0 A, 35 °C"
    assert not devices[3].answers
