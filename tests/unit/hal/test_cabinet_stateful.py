# SPDX-License-Identifier: Apache-2.0
"""Whatever happens, in any order: no contactor stays closed without a live lease and every interlock good.

`Outlet` judges by what the doubles of the devices are made to do, not by what the HAL believes. Each condition has the
longest time for which a contactor may still be closed after it: what docs/safety.md allows until it is found, and the
time of its stop. The stop button, the board's faults and a pulled plug have none: they open in their own callback.

That the rules find a mistake was tried by making some. Each of these turned the test red: a stop button that is left to
the next tick; a door that is not passed on; a lease that is not compared with the time; a vehicle that is silent and
not stopped; failed modules that are only logged; a plug that is unlocked, or a pilot that is not C, only in the cable
check; insulation judged anew after each pause; opening not repeated to a contactor that did not answer; a permission
accepted while a fault is present; the contactor commanded before the vehicle requests it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from firmware.contract import Fault, Permit, SetLimit, Withdraw
from hal.evse.stages import OPEN_IN_ERROR_S
from hal.evse.table import TIME_LIMIT_S, Stage
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
EVSE = st.sampled_from(EVSES)
WAIT_S = st.sampled_from([0.0, 0.3, 2.5, 8.0])
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


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.fake = CabinetDouble(EVSES)
        self.fake.start()
        self.outlets = {evse: Outlet(self.fake, evse) for evse in EVSES}
        self.pass_time(0.2)

    def pass_time(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self.fake.run(TICK_S)
            for outlet in self.outlets.values():
                outlet.judge()

    # --- the service -----------------------------------------------------------------------------------------

    @rule(evse=EVSE, name=st.sampled_from(["one", "two"]), lease_s=st.floats(0.1, 30.0))
    def permit(self, evse: int, name: str, lease_s: float) -> None:
        if self.fake.cabinet.execute(Permit(evse, name, lease_s)) is None:
            self.outlets[evse].lease_until = self.fake.clock.monotonic() + lease_s

    @rule(evse=EVSE)
    def withdraw(self, evse: int) -> None:
        self.fake.cabinet.execute(Withdraw(evse))
        self.outlets[evse].lease_until = min(self.outlets[evse].lease_until, self.fake.clock.monotonic())

    @rule(evse=EVSE, power_w=st.sampled_from([None, 0.0, 20_000.0]))
    def limit(self, evse: int, power_w: float | None) -> None:
        self.fake.cabinet.execute(SetLimit(evse, power_w))

    # --- people and cars -------------------------------------------------------------------------------------

    @rule(evse=EVSE)
    def plug(self, evse: int) -> None:
        self.fake.cars[evse].plug()

    @rule(evse=EVSE)
    def unplug_opens_at_once(self, evse: int) -> None:
        car = self.fake.cars[evse]
        car.unplug()
        if not (car.failing or car.frozen or self.fake.contactors[evse].failing):
            assert not self.fake.contactors[evse].coil

    @rule(evse=EVSE, stage=st.sampled_from(VehicleStage), pilot=st.sampled_from(Pilot), wait_s=WAIT_S)
    def car_reports_anything(self, evse: int, stage: VehicleStage, pilot: Pilot, wait_s: float) -> None:
        self.fake.cars[evse].say(stage=stage, pilot=pilot)
        self.pass_time(wait_s)

    @rule(evse=EVSE, pilot=st.sampled_from(Pilot), wait_s=WAIT_S)
    def pilot_alone(self, evse: int, pilot: Pilot, wait_s: float) -> None:
        self.fake.cars[evse].say(pilot=pilot)
        self.pass_time(wait_s)

    @rule(evse=EVSE, locked=st.booleans(), wait_s=WAIT_S)
    def latch(self, evse: int, locked: bool, wait_s: float) -> None:
        self.fake.cars[evse].say(locked=locked)
        self.pass_time(wait_s)

    @rule(evse=EVSE, obeys=st.booleans(), amps=st.sampled_from([0.0, 50.0, 300.0]))
    def car_behaves(self, evse: int, obeys: bool, amps: float) -> None:
        self.fake.cars[evse].obeys, self.fake.cars[evse].wanted_a = obeys, amps

    @precondition(lambda self: not self.fake.inputs.failing)
    @rule()
    def stop_button_opens_in_its_edge(self) -> None:
        self.fake.inputs.press()
        assert not any(each.coil for each in self.fake.contactors.values() if not each.failing)

    @precondition(lambda self: not self.fake.inputs.failing)
    @rule(wait_s=WAIT_S)
    def stop_button_is_released(self, wait_s: float) -> None:
        self.fake.inputs.press(False)
        self.pass_time(wait_s)

    @rule(is_open=st.booleans(), wait_s=WAIT_S)
    def door(self, is_open: bool, wait_s: float) -> None:
        """Without an edge: a door is read with the next tick."""
        self.fake.inputs.door_open = is_open
        self.pass_time(wait_s)

    # --- devices -----------------------------------------------------------------------------------------------

    @rule(evse=EVSE, number=st.integers(0, 6), lost=st.booleans(), wait_s=WAIT_S)
    def a_device_is_lost_or_stuck(self, evse: int, number: int, lost: bool, wait_s: float) -> None:
        device = self.devices(evse)[number]
        device.failing = lost
        device.freeze(not lost)
        self.pass_time(wait_s)

    def devices(self, evse: int) -> list[Any]:
        fake = self.fake
        of_evse = [fake.cars[evse], fake.meters[evse], fake.monitors[evse], fake.contactors[evse]]
        return [*of_evse, fake.shelf, fake.inputs, fake.board]

    @rule(wait_s=WAIT_S)
    def every_device_answers(self, wait_s: float) -> None:
        for evse in EVSES:
            for device in self.devices(evse):
                device.failing = False
                device.freeze(False)
        self.pass_time(wait_s)

    @rule(evse=EVSE, stuck=st.sampled_from([None, True, False]), wait_s=WAIT_S)
    def mirror_contact(self, evse: int, stuck: bool | None, wait_s: float) -> None:
        self.fake.contactors[evse].stuck = stuck
        self.pass_time(wait_s)

    @rule(evse=EVSE, temp_c=st.sampled_from([25.0, 80.0, 95.0, None, math.nan]), wait_s=WAIT_S)
    def plug_temperature(self, evse: int, temp_c: float | None, wait_s: float) -> None:
        self.fake.inputs.plug_temp_c[evse] = temp_c
        self.pass_time(wait_s)

    @rule(evse=EVSE, kohm=st.sampled_from([5000.0, 60.0]), valid=st.booleans(), wait_s=WAIT_S)
    def insulation(self, evse: int, kohm: float, valid: bool, wait_s: float) -> None:
        self.fake.monitors[evse].kohm, self.fake.monitors[evse].valid = kohm, valid or kohm < 100.0
        self.pass_time(wait_s)

    @rule(failed=st.integers(0, 1), wait_s=WAIT_S)
    def modules(self, failed: int, wait_s: float) -> None:
        self.fake.shelf.failed_modules = failed
        self.pass_time(wait_s)

    @rule(fault=st.sampled_from(BOARD_FAULTS), evse=st.sampled_from([*EVSES, None]), present=st.booleans())
    def board_fault(self, fault: Fault, evse: int | None, present: bool) -> None:
        faults = self.fake.board_faults.setdefault(evse, set())
        (faults.add if present else faults.discard)(fault)
        if not faults:
            del self.fake.board_faults[evse]
        self.fake.board.on_fault(fault, evse, present, "by the board's own sensor")
        self.pass_time(TICK_S)

    # --- time --------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.5, 4.0, 16.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(seconds=st.sampled_from([0.3, 3.0, 3600.0]))
    def the_hal_does_not_run(self, seconds: float) -> None:
        self.fake.clock.advance(seconds)
        for outlet in self.outlets.values():
            outlet.stalled(seconds)
        self.pass_time(TICK_S)

    @rule(seconds=st.floats(-1e9, 1e9))
    def the_clock_is_set(self, seconds: float) -> None:
        self.fake.clock.step_utc(seconds)

    @initialize()
    def both_charge(self) -> None:
        """Random steps alone seldom reach energy transfer."""
        self.good_sessions_begin()

    @rule()
    def good_sessions_begin(self) -> None:
        fake = self.fake
        self.every_device_answers(0.0)
        for evse, faults in list(fake.board_faults.items()):
            for fault in list(faults):
                self.board_fault(fault, evse, False)
        fake.inputs.door_open, fake.shelf.failed_modules = False, 0
        fake.inputs.press(False)
        for evse in EVSES:
            fake.cars[evse].obeys, fake.cars[evse].wanted_a = True, 50.0
            fake.contactors[evse].stuck, fake.inputs.plug_temp_c[evse] = None, 25.0
            fake.monitors[evse].kohm, fake.monitors[evse].valid = 5000.0, True
            fake.cars[evse].unplug()
            self.withdraw(evse)
            self.limit(evse, None)
        self.pass_time(6.0)
        for evse in EVSES:
            fake.cars[evse].plug()
            self.permit(evse, "one", 30.0)
        self.pass_time(8.0)
        assert all(contactor.coil for contactor in fake.contactors.values())


AnyOrder.TestCase.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # to make an example smaller takes minutes
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = AnyOrder.TestCase
