# SPDX-License-Identifier: Apache-2.0
"""Whatever happens, in any order: no contactor stays closed without a live lease and every interlock good.

`Outlet` judges by what the doubles of the devices are made to do, not by what the HAL believes. Each condition has the
longest time for which a contactor may still be closed after it: what docs/safety.md allows until it is found, and the
time of its stop. The stop button, the board's faults and a pulled plug have none: they open in their own callback.

That it finds a mistake was tried by making some. Each of these turned it red: a stop button, or the board's
emergency, that is left to the next tick; a door that is not passed on; inputs, meter, monitor or modules whose
silence or failure is no finding; a lease that is not compared with the time; a vehicle that is silent, when neither
stages nor watch stop it (one alone is enough); a pilot that is not C; a plug that is unlocked, hot, or pulled;
insulation that is not judged while charging; a mirror contact that drops; faults that stop nothing; an error that
does not open the contactor.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from firmware.contract import Fault, Permit, SetLimit, Withdraw
from hal.evse.stages import OPEN_IN_ERROR_S
from hal.evse.table import TIME_LIMIT_S, Stage, StopKind, stop_kind_of
from hal.ports import Pilot, VehicleStage
from hal.safety import (
    CONTACT_S,
    HOT_S,
    INSULATION_GRACE_S,
    INSULATION_S,
    INVALID_S,
    METER_GAP_S,
    MODULE_FAILED_S,
    MONITOR_LOST_S,
    UNLOCKED_S,
)
from tests.support.hardware import CabinetDouble, FakeContactor, FakeVehicleLink

TICK_S = 0.1
AT_ONCE = 2 * TICK_S
ERROR = OPEN_IN_ERROR_S + AT_ONCE
ORDERLY = TIME_LIMIT_S[Stage.ASK_STOP] + TIME_LIMIT_S[Stage.RAMP_DOWN] + AT_ONCE
STALE_S = 1.0
"""`stale_after_s` of the doubles, but of the vehicle's."""
EVSES = (1, 2)
BOARD_FAULTS = [Fault.GROUND_FAULT, Fault.PROXIMITY, Fault.POWER_LOSS, Fault.UNDER_VOLTAGE, Fault.OVER_TEMPERATURE]


class Outlet:
    """What is wrong at one outlet, and since when."""

    def __init__(self, fake: CabinetDouble, evse: int) -> None:
        self.fake = fake
        self.evse = evse
        self.lease_until = -math.inf
        self.since: dict[str, float] = {}
        self.was_closed = False

    @property
    def contactor(self) -> FakeContactor:
        return self.fake.contactors[self.evse]

    @property
    def car(self) -> FakeVehicleLink:
        return self.fake.cars[self.evse]

    def wrong(self, now: float) -> Iterator[tuple[str, bool, float]]:
        """Each condition: its name, whether it is present, and for how long a contactor may then still be closed."""
        fake, car, vehicle = self.fake, self.car, self.car.vehicle_now
        monitor, meter, inputs = fake.monitors[self.evse], fake.meters[self.evse], fake.inputs
        charging = vehicle.stage is VehicleStage.CHARGE
        yield "lease", now > self.lease_until, ORDERLY
        yield "stop button", inputs.emergency_stop, AT_ONCE
        yield "door", inputs.door_open, AT_ONCE
        yield "inputs", inputs.failing or inputs.frozen, STALE_S + AT_ONCE
        yield "board", (self.evse in fake.board_faults or None in fake.board_faults), ERROR
        yield "pilot", vehicle.pilot is not Pilot.C, AT_ONCE
        yield "vehicle link", car.failing or car.frozen, car.stale_after_s + ERROR
        yield "modules", fake.shelf.failing or fake.shelf.frozen, STALE_S + ERROR
        yield "failed module", fake.shelf.failed_modules > 0, MODULE_FAILED_S + ERROR
        yield "meter", meter.failing or meter.frozen, STALE_S + METER_GAP_S + ORDERLY
        yield "monitor", monitor.failing or monitor.frozen, STALE_S + MONITOR_LOST_S + ERROR
        yield "insulation", charging and monitor.kohm < 100.0, INSULATION_GRACE_S + INSULATION_S + 1.0 + ERROR
        yield "no insulation value", charging and not monitor.valid, INVALID_S + 1.0 + ERROR
        yield "hot", (fake.inputs.plug_temp_c[self.evse] or 0.0) > 90.0, HOT_S + ERROR
        yield "unlocked", not vehicle.locked, UNLOCKED_S + ERROR
        yield "mirror", self.contactor.stuck is False, TIME_LIMIT_S[Stage.CLOSE] + CONTACT_S + ERROR

    def judge(self) -> None:
        """Check after a tick; a contactor whose link is lost can't be commanded."""
        now = self.fake.clock.monotonic()
        closed = self.contactor.coil
        for name, present, allowed_s in self.wrong(now):
            if not present:
                self.since.pop(name, None)
                continue
            since = self.since.setdefault(name, now)
            if not self.contactor.failing and closed:
                assert now - since <= allowed_s + 1e-6, f"EVSE {self.evse} closed, {name} for {now - since:.1f} s"
                assert self.was_closed or name not in _AT_ONCE, f"EVSE {self.evse} has closed in spite of {name}"
        self.was_closed = closed

    def stalled(self, seconds: float) -> None:
        """The HAL did not run for so long; the watchdog relay is not part of this model."""
        self.since = {name: since + seconds for name, since in self.since.items()}


_AT_ONCE = ("lease", "stop button", "door", "board", "pilot", "unlocked", "failed module")
"""With any of these no contactor may begin to close."""


# --- what can happen ---------------------------------------------------------------------------------------------


def permit(lease_s: float, machine: AnyOrder, evse: int) -> None:
    if machine.fake.cabinet.execute(Permit(evse, "one", lease_s)) is None:
        machine.outlets[evse].lease_until = machine.fake.clock.monotonic() + lease_s


def withdraw(machine: AnyOrder, evse: int) -> None:
    machine.fake.cabinet.execute(Withdraw(evse))
    machine.outlets[evse].lease_until = min(machine.outlets[evse].lease_until, machine.fake.clock.monotonic())


def limit(power_w: float | None, machine: AnyOrder, evse: int) -> None:
    machine.fake.cabinet.execute(SetLimit(evse, power_w))


def plug(machine: AnyOrder, evse: int) -> None:
    machine.fake.cars[evse].plug()


def unplug(machine: AnyOrder, evse: int) -> None:
    """With a closed contactor, and seen by the HAL, this opens in the same call."""
    car, contactor = machine.fake.cars[evse], machine.fake.contactors[evse]
    car.unplug()
    assert car.failing or car.frozen or contactor.failing or not contactor.coil


def car_says(fields: dict[str, Any], machine: AnyOrder, evse: int) -> None:
    machine.fake.cars[evse].say(**fields)


def car_behaves(obeys: bool, amps: float, machine: AnyOrder, evse: int) -> None:
    machine.fake.cars[evse].obeys, machine.fake.cars[evse].wanted_a = obeys, amps


def press(machine: AnyOrder, evse: int) -> None:
    """The edge opens every contactor, before the call returns."""
    if not machine.fake.inputs.failing:
        machine.fake.inputs.press()
        assert not any(each.coil for each in machine.fake.contactors.values() if not each.failing)


def release(machine: AnyOrder, evse: int) -> None:
    if not machine.fake.inputs.failing:
        machine.fake.inputs.press(False)


def door(is_open: bool, machine: AnyOrder, evse: int) -> None:
    """Without an edge: it is read with the next tick."""
    machine.fake.inputs.door_open = is_open


def devices(machine: AnyOrder, evse: int) -> dict[str, Any]:
    fake = machine.fake
    return {
        "vehicle link": fake.cars[evse],
        "meter": fake.meters[evse],
        "insulation monitor": fake.monitors[evse],
        "contactor": fake.contactors[evse],
        "modules": fake.shelf,
        "inputs": fake.inputs,
        "board": fake.board,
    }


def device(name: str, lost: bool, frozen: bool, machine: AnyOrder, evse: int) -> None:
    found = devices(machine, evse)[name]
    found.failing = lost
    found.freeze(frozen)


def mirror(stuck: bool | None, machine: AnyOrder, evse: int) -> None:
    machine.fake.contactors[evse].stuck = stuck


def plug_temperature(temp_c: float | None, machine: AnyOrder, evse: int) -> None:
    machine.fake.inputs.plug_temp_c[evse] = temp_c


def insulation(kohm: float, valid: bool, machine: AnyOrder, evse: int) -> None:
    machine.fake.monitors[evse].kohm, machine.fake.monitors[evse].valid = kohm, valid


def modules(failed: int, machine: AnyOrder, evse: int) -> None:
    machine.fake.shelf.failed_modules = failed


def board_fault(fault: Fault, present: bool, everywhere: bool, machine: AnyOrder, evse: int) -> None:
    where = None if everywhere else evse
    faults = machine.fake.board_faults.setdefault(where, set())
    (faults.add if present else faults.discard)(fault)
    if not faults:
        del machine.fake.board_faults[where]
    machine.fake.board.on_fault(fault, where, present, "by the board's own sensor")
    if present and stop_kind_of(fault) is StopKind.EMERGENCY:
        affected = machine.fake.contactors.values() if where is None else [machine.fake.contactors[where]]
        assert not any(each.coil for each in affected if not each.failing)


def the_hal_does_not_run(seconds: float, machine: AnyOrder, evse: int) -> None:
    machine.fake.clock.advance(seconds)
    for outlet in machine.outlets.values():
        outlet.stalled(seconds)
    machine.pass_time(TICK_S)


def the_clock_is_set(seconds: float, machine: AnyOrder, evse: int) -> None:
    machine.fake.clock.step_utc(seconds)


def good_sessions_begin(machine: AnyOrder, evse: int) -> None:
    """Everything is repaired, and both outlets charge."""
    fake = machine.fake
    for number in EVSES:
        for name in devices(machine, number):
            device(name, False, False, machine, number)
        for fault in BOARD_FAULTS:
            board_fault(fault, False, True, machine, number)
            board_fault(fault, False, False, machine, number)
        car_behaves(True, 50.0, machine, number)
        mirror(None, machine, number)
        plug_temperature(25.0, machine, number)
        insulation(5000.0, True, machine, number)
        fake.cars[number].unplug()
        withdraw(machine, number)
        limit(None, machine, number)
    fake.inputs.door_open, fake.shelf.failed_modules = False, 0
    fake.inputs.press(False)
    machine.pass_time(6.0)
    for number in EVSES:
        fake.cars[number].plug()
        permit(30.0, machine, number)
    machine.pass_time(8.0)
    assert all(contactor.coil for contactor in fake.contactors.values())


DEVICES = ("vehicle link", "meter", "insulation monitor", "contactor", "modules", "inputs", "board")
EVENTS: dict[str, Callable[[AnyOrder, int], None]] = {
    **{f"both charge ({number})": good_sessions_begin for number in range(8)},
    **{f"permit {lease_s} s": partial(permit, lease_s) for lease_s in (0.3, 2.0, 30.0)},
    "withdraw": withdraw,
    **{f"limit {power_w} W": partial(limit, power_w) for power_w in (None, 0.0, 20_000.0)},
    "plug": plug,
    "unplug": unplug,
    **{f"pilot {pilot.value}": partial(car_says, {"pilot": pilot}) for pilot in Pilot},
    **{f"car: {stage.value}": partial(car_says, {"stage": stage}) for stage in VehicleStage},
    **{f"locked: {locked}": partial(car_says, {"locked": locked}) for locked in (True, False)},
    "car ignores the station": partial(car_behaves, False, 300.0),
    "car obeys": partial(car_behaves, True, 50.0),
    "car requests nothing": partial(car_behaves, True, 0.0),
    "stop button": press,
    "released": release,
    "door open": partial(door, True),
    "door closed": partial(door, False),
    **{f"lost: {name}": partial(device, name, True, False) for name in DEVICES},
    **{f"frozen: {name}": partial(device, name, False, True) for name in DEVICES},
    **{f"answers: {name}": partial(device, name, False, False) for name in DEVICES},
    **{f"mirror contact: {stuck}": partial(mirror, stuck) for stuck in (None, True, False)},
    **{f"plug at {temp_c} °C": partial(plug_temperature, temp_c) for temp_c in (25.0, 95.0, None, math.nan)},
    "insulation good": partial(insulation, 5000.0, True),
    "insulation low": partial(insulation, 60.0, True),
    "insulation not measured": partial(insulation, 5000.0, False),
    "a module fails": partial(modules, 1),
    "modules good": partial(modules, 0),
    **{f"{fault.value} here": partial(board_fault, fault, True, False) for fault in BOARD_FAULTS},
    **{f"{fault.value} everywhere": partial(board_fault, fault, True, True) for fault in BOARD_FAULTS},
    **{f"no {fault.value}": partial(board_fault, fault, False, False) for fault in BOARD_FAULTS},
    **{
        f"the HAL does not run for {seconds} s": partial(the_hal_does_not_run, seconds)
        for seconds in (0.3, 3.0, 3600.0)
    },
    "the clock is set": partial(the_clock_is_set, -1e9),
}
NAMES = list(EVENTS)


class AnyOrder(RuleBasedStateMachine):
    """One thing happens after the other, with some time in between; what can happen is in `EVENTS`."""

    def __init__(self) -> None:
        super().__init__()
        self.fake = CabinetDouble(EVSES)
        self.fake.start()
        self.outlets = {evse: Outlet(self.fake, evse) for evse in EVSES}
        self.pass_time(0.2)

    @initialize()
    def both_charge(self) -> None:
        """Random steps alone seldom reach energy transfer."""
        good_sessions_begin(self, 1)

    @rule(event=st.sampled_from(NAMES), evse=st.sampled_from(EVSES), wait_s=st.sampled_from([0.0, 0.3, 2.5, 8.0]))
    def happens(self, event: str, evse: int, wait_s: float) -> None:
        EVENTS[event](self, evse)
        self.pass_time(wait_s)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.fake.run(TICK_S)
            for outlet in self.outlets.values():
                outlet.judge()


HARMLESS = ("both", "permit 2", "permit 3", "limit", "plug", "car", "released", "answers", "no ", "the clock", "good")
"""How the events begin that break nothing by themselves."""


@pytest.mark.parametrize("event", [name for name in NAMES if not name.startswith(HARMLESS) and "closed" not in name])
def test_each_event_alone_while_both_charge(event: str) -> None:
    """Chance may leave one out, or have it happen when nothing is closed."""
    machine = AnyOrder()
    good_sessions_begin(machine, 1)
    EVENTS[event](machine, 1)
    machine.pass_time(12.0)


AnyOrder.TestCase.settings = settings(
    max_examples=20,
    stateful_step_count=15,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make an example smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = pytest.mark.timeout(300)(AnyOrder.TestCase)
