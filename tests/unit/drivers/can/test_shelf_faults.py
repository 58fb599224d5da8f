# SPDX-License-Identifier: Apache-2.0
"""Power modules that fail, lie, are silent or are not what they should be, and buses that are lost."""

from __future__ import annotations

import logging
from contextlib import suppress

import pytest

from drivers.can.module import Module
from firmware.errors import DeviceLost
from firmware.trouble import MOST_REASONS
from tests.support.can_shelf import ShelfWorld
from tools.rig.devices.shelf import ModuleType, SimModule

FAMILIES = pytest.mark.parametrize("family", ["infypower", "uugreen"])


def charging(*, family: str = "infypower", groups: int = 5, amps: float = 300.0, **options: bool | int) -> ShelfWorld:
    world = ShelfWorld(family=family, modules=10, **options).ready()  # type: ignore[arg-type]
    world.join(groups, 5)
    world.charge(amps)
    return world


def troubles(world: ShelfWorld) -> dict[str, str]:
    modules: list[Module] = world.shelf._modules
    return {module.name: module.trouble for module in modules if module.trouble is not None}


def first(world: ShelfWorld, evse: int = 1) -> SimModule:
    """A module that feeds an EVSE."""
    return next(module for module in world.sim.modules if module.outlet == evse)


# --- silence ---------------------------------------------------------------------------------------------------


@FAMILIES
async def test_a_silent_module_counts_for_longer_than_its_own_watchdog(family: str) -> None:
    world = charging(family=family)
    full = world.shelf.reading(1)
    module = first(world)
    module.silent = True
    world.advance(5.0)
    reading = world.shelf.reading(1)
    assert 10.0 < reading.unsure_a < 65.0, "its last current: it may still flow, or not"
    assert reading.current_a - reading.unsure_a == pytest.approx(240.0, rel=0.03), "its share is not the others'"
    world.advance(9.0)
    assert world.shelf.reading(1).failed_modules == 0
    world.advance(2.0)
    reading = world.shelf.reading(1)
    assert (reading.failed_modules, reading.groups) == (1, 5)
    assert reading.detail == f"module {module.address}: no answer for 15 s"
    assert reading.available_w == pytest.approx(0.8 * (full.available_w or 0.0))
    assert reading.current_a == pytest.approx(300.0, rel=0.03)
    assert reading.unsure_a == 0.0
    assert world.shelf.reading(2).failed_modules == 0
    assert world.shelf.groups == 9
    module.silent = False
    world.advance(7.0)
    assert world.shelf.reading(1).failed_modules == 0
    assert module.on
    assert not world.violations()


@FAMILIES
async def test_modules_that_are_all_silent_are_a_lost_device(family: str) -> None:
    world = charging(family=family)
    for module in world.sim.modules:
        module.silent = True
    world.until(lambda: world.groups_of(1) == -1, 4.0)
    world.advance(0.5)
    with pytest.raises(DeviceLost, match="power modules of EVSE 1: no answer"):
        world.shelf.set_output(1, 400.0, 10.0)
    world.advance(11.0)
    assert world.banks[1].current_a == 0.0
    for module in world.sim.modules:
        module.silent = False
    world.until(lambda: world.groups_of(1) == 5)
    world.until(lambda: world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03))
    assert not world.violations()


async def test_a_module_that_is_missing_from_the_start_is_named_and_left_out() -> None:
    world = ShelfWorld()
    world.sim.module(2).plugged = False
    world.ready()
    world.advance(16.0)
    assert troubles(world) == {"module 2": "no answer for 15 s"}
    assert world.shelf.groups == 9
    world.join(5, 4)
    assert world.sim.module(2).outlet is None
    assert (world.shelf.reading(1).failed_modules, world.shelf.reading(2).failed_modules) == (0, 0)


# --- what modules report -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("alarm", "text"),
    [
        ("output short", "output short circuit"),
        ("discharge abnormal", "discharge circuit abnormal"),
        ("fault", "fault alarm"),
        ("protection", "protection alarm"),
        ("over-temperature", "over-temperature"),
        ("output over-voltage", "output over-voltage"),
        ("address duplicated", "two modules have this address"),
    ],
)
async def test_a_module_with_an_alarm_is_off_and_does_not_count(alarm: str, text: str) -> None:
    world = charging()
    module = first(world)
    module.alarms.add(alarm)
    world.advance(2.0)
    assert troubles(world) == {f"module {module.address}": text}
    assert not module.on
    reading = world.shelf.reading(1)
    assert reading.failed_modules == 1
    assert reading.current_a == pytest.approx(300.0, rel=0.03)
    module.alarms.clear()
    world.advance(8.0)
    assert world.shelf.reading(1).failed_modules == 0
    assert module.on
    assert not world.violations()


@pytest.mark.parametrize("alarm", ["fan", "power limited", "load sharing", "phase lost", "unbalanced"])
async def test_a_module_with_a_warning_counts_half_if_it_does_not_say_how_much(alarm: str) -> None:
    world = charging(believe_available=False)
    full = world.shelf.reading(1).available_w or 0.0
    first(world).alarms.add(alarm)
    world.advance(2.0)
    reading = world.shelf.reading(1)
    assert reading.failed_modules == 0
    assert reading.available_w == pytest.approx(0.9 * full)


async def test_a_module_that_says_how_much_it_has_counts_with_that() -> None:
    world = charging()
    before = world.shelf.reading(1).available_a or 0.0
    module = first(world)
    module.alarms.add("power limited")
    module.derating = 0.4
    world.advance(3.0)
    after = world.shelf.reading(1).available_a or 0.0
    assert before - after == pytest.approx(0.6 * module.available_a() / 0.4, abs=8.0)
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)


async def test_a_module_that_can_deliver_nothing_counts_for_nothing_and_is_tried_again() -> None:
    world = charging()
    before = world.shelf.reading(1)
    module = first(world)
    own_a = module.available_a()
    module.derating = 0.0
    world.advance(3.0)
    assert world.shelf.reading(1).available_a == pytest.approx((before.available_a or 0.0) - own_a + 1.0, abs=8.0)
    assert (module.on, troubles(world)) == (True, {})
    world.advance(5.0)
    assert troubles(world) == {f"module {module.address}": "says that it can deliver nothing"}
    assert not module.on
    module.derating = 1.0
    world.advance(30.0)
    assert not module.on
    world.until(lambda: module.on, limit_s=60.0)
    assert troubles(world) == {}
    assert not world.violations()


async def test_a_module_that_says_nothing_is_available_for_a_moment_stays_on() -> None:
    world = charging()
    module = first(world)
    module.derating = 0.0
    world.advance(3.0)
    module.derating = 1.0
    world.advance(20.0)
    assert (module.on, troubles(world)) == (True, {})


async def test_a_hot_module_counts_less() -> None:
    world = charging(believe_available=False)
    full = world.shelf.reading(1)
    first(world).temperature_c = 79.0
    world.advance(2.0)
    less = world.shelf.reading(1)
    assert less.available_w == pytest.approx((full.available_w or 0.0) - 0.6 * 40_000.0)
    assert less.available_a == pytest.approx((full.available_a or 0.0) - 0.6 * 133.3)
    first(world).temperature_c = 90.0
    world.advance(2.0)
    none = world.shelf.reading(1)
    assert none.available_w == pytest.approx((full.available_w or 0.0) - 40_000.0)
    assert none.detail.endswith(": hotter than 85 °C")
    first(world).temperature_c = 60.0
    world.advance(8.0)
    assert world.shelf.reading(1).failed_modules == 0


async def test_a_module_for_other_voltages_is_not_used() -> None:
    world = ShelfWorld()
    world.sim.module(1).type = ModuleType(max_voltage_v=750.0)
    world.ready()
    world.advance(5.0)
    assert troubles(world) == {"module 1": "a type for 150 to 750 V, not for 150 to 1000 V"}
    world.join(9)
    assert world.sim.module(1).outlet is None


async def test_a_weaker_module_counts_with_what_it_has() -> None:
    world = ShelfWorld(modules=2, believe_available=False)
    world.sim.module(1).type = ModuleType(power_w=30_000.0, max_current_a=100.0)
    world.ready()
    world.join(2)
    world.advance(5.0)
    reading = world.shelf.reading(1)
    assert reading.available_a == pytest.approx(233.3)
    assert reading.available_w == pytest.approx(70_000.0)


async def test_a_module_that_refuses_is_not_believed_to_be_on() -> None:
    world = charging()
    module = first(world)
    module.error, module.stuck_off, module.on = 7, True, False
    world.advance(20.0)
    assert world.shelf.reading(1).failed_modules == 1
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)


async def test_modules_that_start_up_for_long_are_used_soon_afterwards() -> None:
    """Error 7, start-up in progress, to every frame: as after a dip of the mains."""
    world = ShelfWorld()
    for module in world.sim.modules:
        module.error = 7
    world.advance(10.0)
    assert set(troubles(world).values()) <= {
        "does not switch off: start-up in progress",
        "answers without its state: start-up in progress",
    }
    for module in world.sim.modules:
        module.error = 0
    world.advance(10.0)
    assert troubles(world) == {}


@FAMILIES
async def test_a_module_that_does_not_switch_on_is_a_failed_one(family: str) -> None:
    world = ShelfWorld(family=family).ready()
    world.join(5)
    module = first(world)
    module.stuck_off = True
    world.drive(1, 400.0, 100.0)
    world.advance(15.0)
    assert troubles(world) == {f"module {module.address}": "does not switch on"}
    assert world.shelf.reading(1).voltage_v == pytest.approx(400.0, abs=5.0)


async def test_a_module_that_switches_itself_off_again_and_again_is_left_out() -> None:
    world = charging()
    module = first(world)
    for _ in range(3):
        world.until(lambda: module.on, 20.0)
        module.on = False
        world.advance(3.0)
    assert troubles(world) == {f"module {module.address}": "switches itself off again and again"}
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)
    world.until(lambda: module.on, 90.0)


@FAMILIES
async def test_a_module_that_does_not_switch_off_never_changes_its_evse(family: str) -> None:
    world = charging(family=family, groups=2, amps=150.0)
    module = first(world)
    module.stuck_on = True
    world.off(1)
    world.advance(8.0)
    assert troubles(world) == {f"module {module.address}": "does not switch off"}
    assert world.shelf.reading(1).current_a > 1.0, "the HAL sees it"
    world.shelf.assign({1: 0, 2: 7})
    world.advance(8.0)
    assert module.outlet == 1
    assert world.groups_of(1) == 1
    assert not world.violations()


# --- addresses ---------------------------------------------------------------------------------------------------


async def test_two_modules_with_one_address_are_found_by_their_answers() -> None:
    world = charging()
    module = first(world)
    twin = SimModule(module.address, group=module.group, serial="41300000000000FF")
    world.sim.add(twin)
    world.advance(8.0)
    assert troubles(world) == {f"module {module.address}": "answers twice: two modules with this address?"}
    assert not module.on
    assert not twin.on
    world.sim.modules.remove(twin)
    world.advance(20.0)
    assert not troubles(world)


@FAMILIES
async def test_a_babbling_module_is_left_out_and_the_others_go_on(
    family: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = charging(family=family)
    module = first(world)
    module.babbling = True
    world.advance(30.0)
    assert list(troubles(world)) == [f"module {module.address}"]
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)
    assert sum("answers twice" in record.message for record in caplog.records) == 1


async def test_an_unknown_module_is_logged_once_and_switched_off(caplog: pytest.LogCaptureFixture) -> None:
    world = ShelfWorld()
    stranger = SimModule(42, serial="41300000000000FF", on=True)
    world.sim.add(stranger)
    send = world.wires[0].send
    world.ready()
    for _ in range(50):
        send(0x0284F02A, bytes(8))
        world.advance(0.1)
    assert sum("not configured answers at address 42" in record.message for record in caplog.records) == 1
    assert not stranger.on


async def test_a_hot_swapped_module_takes_the_place_of_the_old_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = charging()
    old = first(world)
    old.plugged = False
    world.advance(4.0)
    new = SimModule(old.address, serial="41300000000000AA", bus=old.bus)
    world.place(new, old.address + 1)
    world.sim.replace(old, new)
    world.advance(4.0)
    assert new.on
    assert any("replaced, bar code 41300000000000AA" in record.message for record in caplog.records)
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)
    assert not world.violations()


async def test_a_hot_swapped_module_with_the_number_of_another_evse_does_not_obey_it() -> None:
    """The dial of the new module stands at the other EVSE's group."""
    world = charging()
    world.charge(100.0, evse=2)
    old = first(world)
    new = SimModule(old.address, serial="41300000000000AA", group=2)
    world.place(new, old.address + 1)
    world.sim.replace(old, new)
    world.advance(6.0)
    assert new.group == 1
    readings = world.shelf.reading(1), world.shelf.reading(2)
    assert [each.current_a for each in readings] == [pytest.approx(300.0, rel=0.03), pytest.approx(100.0, rel=0.03)]


async def test_modules_are_found_by_their_bar_codes_wherever_they_are() -> None:
    world = ShelfWorld(by_bar_code=True)
    for address, module in enumerate(reversed(world.sim.modules), start=20):
        module.address = address
    world.ready()
    world.until(lambda: all(each.answers for each in world.shelf.devices()), 15.0)
    world.join(5, 5)
    world.charge(300.0)
    module = first(world)
    assert world.shelf.devices()[0].address == str(module.address)
    world.off(1)
    world.advance(1.0)
    for each in world.sim.modules:
        each.plugged = False
    world.advance(5.0)
    for address, each in enumerate(world.sim.modules):
        each.plugged, each.address = True, address
    world.until(lambda: all(each.answers for each in world.shelf.devices()), 90.0)
    assert [each.address for each in world.shelf.devices()] == [str(number) for number in range(10)]


async def test_a_bar_code_that_is_not_there_is_named() -> None:
    world = ShelfWorld(by_bar_code=True)
    world.sim.module(3).plugged = False
    world.ready()
    world.advance(20.0)
    assert troubles(world) == {"module 4130000000000003": "no module with bar code 4130000000000003 found"}


# --- buses -------------------------------------------------------------------------------------------------------


@FAMILIES
async def test_a_lost_bus_ends_the_output_and_comes_back_with_everything_off(family: str) -> None:
    world = charging(family=family)
    world.buses[0].set_up(False)
    with pytest.raises(DeviceLost):
        world.shelf.set_output(1, 420.0, 300.0)
    with pytest.raises(DeviceLost):
        world.shelf.switch_off(1)
    with pytest.raises(DeviceLost):
        world.shelf.assign({1: 1})
    world.until(lambda: world.groups_of(1) == -1, 4.0)
    with pytest.raises(DeviceLost, match="CAN bus 1 is down"):
        world.shelf.reading(1)
    world.repeated.clear()
    world.advance(2.0)
    world.buses[0].sent.clear()
    world.buses[0].set_up(True)
    world.advance(1.0)
    assert not any(module.on for module in world.sim.modules)
    world.drive(1, 420.0, 200.0)
    world.until(lambda: world.shelf.reading(1).current_a == pytest.approx(200.0, rel=0.03), 10.0)
    assert not world.violations()


async def test_a_short_bus_off_does_not_leave_modules_on_without_a_command() -> None:
    world = charging()
    world.buses[0].set_up(False, "bus-off")
    world.repeated.clear()
    world.advance(0.3)
    world.buses[0].set_up(True)
    world.until(lambda: not any(module.on for module in world.sim.modules), 1.0)


async def test_a_full_bus_refuses_the_command_to_switch_off() -> None:
    world = charging()
    world.buses[0].full = True
    with pytest.raises(DeviceLost):
        world.shelf.switch_off(1)
    world.repeated.clear()
    world.buses[0].full = False
    world.until(lambda: world.shelf.reading(1).current_a < 1.0, 1.0)


@pytest.mark.parametrize(("family", "modules"), [("infypower", 10), ("uugreen", 4)])
async def test_a_short_queue_is_enough(family: str, modules: int) -> None:
    """SocketCAN holds ten frames by default: questions wait for room, commands find some, or are repeated."""
    world = ShelfWorld(family=family, modules=modules)
    world.buses[0].room = 10
    world.ready()
    world.join(modules)
    world.charge(40.0 * modules)
    world.repeated.clear()
    world.advance(0.025)
    with suppress(DeviceLost):
        world.shelf.switch_off(1)
    world.until(lambda: world.shelf.reading(1).current_a < 1.0, 1.0)
    assert not world.violations()
    assert not troubles(world)


async def test_an_evse_goes_on_when_the_bus_of_another_is_lost() -> None:
    world = ShelfWorld(buses=2, matrix="fixed").ready()
    world.until(lambda: world.groups_of(2) == 0)
    world.join(5, 5)
    world.charge(300.0)
    world.charge(200.0, evse=2)
    world.buses[1].set_up(False)
    world.advance(4.0)
    assert world.groups_of(2) == -1
    assert world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03)
    world.shelf.switch_off(1)
    with pytest.raises(DeviceLost, match="EVSE 2: CAN bus 2 is down"):
        world.shelf.switch_off(2)


async def test_an_evse_with_modules_on_two_buses_goes_on_with_those_of_one() -> None:
    world = ShelfWorld(buses=2).ready()
    world.join(10)
    world.charge(400.0)
    assert not world.violations()
    world.buses[1].set_up(False)
    world.advance(20.0)
    reading = world.shelf.reading(1)
    assert reading.failed_modules == 5
    assert reading.current_a == pytest.approx(400.0, rel=0.03)
    world.buses[1].set_up(True)
    world.until(lambda: world.shelf.reading(1).failed_modules == 0)
    world.advance(2.0)
    assert sum(module.on for module in world.sim.modules) == 10
    assert world.shelf.reading(1).current_a == pytest.approx(400.0, rel=0.03)
    assert not world.violations()


async def test_the_hard_wired_safety_chain_switches_modules_off_and_the_driver_switches_them_on_again() -> None:
    world = charging()
    world.enabled = False
    world.advance(1.0)
    assert world.banks[1].current_a == 0.0
    world.enabled = True
    world.until(lambda: world.shelf.reading(1).current_a == pytest.approx(300.0, rel=0.03), 15.0)


async def test_troubles_are_logged_once_each_time_they_come(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = charging()
    module = first(world)
    for times in (1, 2):
        module.alarms.add("fault")
        world.advance(60.0)
        assert sum("fault alarm" in record.message for record in caplog.records) == times
        module.alarms.clear()
        world.advance(10.0)
        over = [record.message for record in caplog.records if "no longer so" in record.message]
        assert over == times * [f"module {module.address}: no longer so"]
    assert not world.violations()


async def test_alarms_that_change_with_each_answer_are_not_logged_each_time(caplog: pytest.LogCaptureFixture) -> None:
    world = charging()
    module = first(world)
    alarms = ("fault", "protection", "over-temperature", "output short")
    for number in range(1, 16):
        module.alarms = {name for bit, name in enumerate(alarms) if number >> bit & 1}
        world.advance(1.5)
    assert not module.on
    lines = [record.message for record in caplog.records if record.message.startswith(f"module {module.address}:")]
    assert 1 < len(lines) <= MOST_REASONS
