# SPDX-License-Identifier: Apache-2.0
"""What the watches find in readings, and how long a condition must last before it counts."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from firmware.contract import Fault
from hal.evse.limits import cable_check_voltage, over_voltage_threshold
from hal.evse.model import ZERO_LIMITS, Rating, Readings, State
from hal.evse.table import Stage
from hal.ports import (
    NO_VEHICLE,
    InputsReading,
    InsulationReading,
    MeterSample,
    Pilot,
    PowerReading,
    VehicleStage,
)
from hal.safety import INPUTS_GRACE_S, START_GRACE_S, EvseWatch, Finding, Hold, Pulse, StationWatch

RATING = Rating(1000.0, 150.0, 500.0, 400_000.0)
VEHICLE = replace(
    NO_VEHICLE,
    pilot=Pilot.C,
    stage=VehicleStage.CHARGE,
    target_voltage_v=400.0,
    target_current_a=100.0,
    max_voltage_v=450.0,
    max_current_a=300.0,
    max_power_w=120_000.0,
    soc_percent=20.0,
    locked=True,
)
GOOD = Readings(
    vehicle=VEHICLE,
    power=PowerReading(0.0, 400.0, 100.0, 4),
    meter=MeterSample(0.0, 0.0, 400.0, 100.0, 40_000.0),
    insulation=InsulationReading(0.0, 5000.0, True, True, voltage_v=400.0, to_earth_v=(200.0, -200.0)),
    contactor_closed=True,
    connector_v=400.0,
    ceiling=ZERO_LIMITS,
    plug_temp_c=25.0,
)


class Watched:
    """A watch with the state and readings that it checks; at the start the EVSE has been charging for a minute."""

    def __init__(self) -> None:
        self.now = 100.0
        self.watch = EvseWatch(0.0)
        self.state = State(evse=1, rating=RATING, stage=Stage.CHARGING, since=0.0, coil_on=True, output_a=100.0)
        self.readings = GOOD
        self.faults()

    def faults(self) -> set[Fault]:
        return {finding.fault for finding in self.findings()}

    def findings(self) -> list[Finding]:
        return self.watch.check(self.state, self.readings, self.now)

    def after(self, seconds: float) -> set[Fault]:
        """The faults present after `seconds`, checked ten times a second."""
        found: set[Fault] = set()
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            found = self.faults()
        return found

    def read(self, **fields: Any) -> None:
        self.readings = structs.replace(self.readings, **fields)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_nothing_is_found_when_all_is_well(watched: Watched) -> None:
    assert watched.after(20.0) == set()


# what is read, for how long it is tolerated, and the fault after that
CONDITIONS = [
    pytest.param({"vehicle": None}, 0.0, Fault.VEHICLE_LINK, id="vehicle link silent"),
    pytest.param({"vehicle": replace(VEHICLE, pilot=Pilot.E)}, 0.0, Fault.PILOT, id="pilot shorted"),
    pytest.param({"power": None}, 0.0, Fault.POWER_MODULE, id="modules silent"),
    pytest.param(
        {"power": PowerReading(0, 400.0, 100.0, 4, failed_modules=1)}, 1.0, Fault.POWER_MODULE, id="module failed"
    ),
    pytest.param({"meter": None}, 5.0, Fault.METER, id="meter silent"),
    pytest.param({"meter": MeterSample(0, 0, 400.0, 120.0, 0)}, 5.0, Fault.METER, id="meter disagrees"),
    pytest.param({"insulation": None}, 3.0, Fault.ISOLATION, id="monitor silent"),
    pytest.param({"insulation": InsulationReading(0, 60.0, True, True)}, 2.0, Fault.ISOLATION, id="60 kOhm"),
    pytest.param({"contactor_closed": False}, 0.5, Fault.CONTACTOR_FAILED, id="contact dropped"),
    pytest.param({"insulation": InsulationReading(0, 0.0, False, True)}, 15.0, Fault.ISOLATION, id="no valid value"),
    pytest.param(
        {"insulation": InsulationReading(0, 5000.0, True, True, 400.0, (390.0, -450.0))},
        2.0,
        Fault.ISOLATION,
        id="voltage to earth",
    ),
    pytest.param({"vehicle": replace(VEHICLE, locked=False)}, 0.5, Fault.CONNECTOR_LOCK, id="plug unlocked"),
    pytest.param({"meter": MeterSample(0, 0, 2.0, 100.0, 0)}, 5.0, Fault.METER, id="meter of another outlet"),
    pytest.param({"power": PowerReading(0, 370.0, 100.0, 4)}, 5.0, Fault.POWER_MODULE, id="modules of another outlet"),
    pytest.param(
        {"insulation": InsulationReading(0, 5000.0, True, True, voltage_v=0.0)},
        5.0,
        Fault.ISOLATION,
        id="monitor of another outlet",
    ),
    pytest.param({"connector_v": 460.0}, 0.25, Fault.OVER_VOLTAGE, id="above the vehicle's limit"),
    pytest.param({"connector_v": 560.0}, 0.0, Fault.OVER_VOLTAGE, id="above the table"),
    pytest.param({"power": PowerReading(0, 400.0, 130.0, 4)}, 1.0, Fault.OVER_CURRENT, id="more than requested"),
]


@pytest.mark.parametrize(("seen", "tolerated_s", "fault"), CONDITIONS)
def test_condition_counts_after_its_time(
    watched: Watched, seen: dict[str, Any], tolerated_s: float, fault: Fault
) -> None:
    watched.read(**seen)
    if tolerated_s:
        assert fault not in watched.after(tolerated_s - 0.1)
    assert fault in watched.after(0.3)


@pytest.mark.parametrize(("seen", "tolerated_s", "fault"), [case for case in CONDITIONS if case.values[1]])
def test_condition_that_comes_and_goes_never_counts(
    watched: Watched, seen: dict[str, Any], tolerated_s: float, fault: Fault
) -> None:
    for _ in range(10):
        watched.readings = structs.replace(GOOD, **seen)
        assert fault not in watched.after(min(tolerated_s - 0.1, 3.0))
        watched.readings = GOOD
        watched.after(0.2 if fault is not Fault.OVER_CURRENT else 3.0)


def test_meter_gap_of_3_s_is_no_fault_and_no_other_error_either(watched: Watched) -> None:
    watched.read(meter=None)
    assert watched.after(3.0) == set()
    watched.readings = GOOD
    assert watched.after(3.0) == set()


def test_meter_that_lags_behind_a_ramp_agrees(watched: Watched) -> None:
    """25 A/s and a value that is a second old."""
    for tenth in range(120):
        amps = 100.0 + 2.5 * tenth
        watched.state = structs.replace(watched.state, output_a=amps)
        stale = 100.0 + 25.0 * max(0, tenth // 10 - 1)
        watched.read(power=PowerReading(0, 400.0, amps, 4), meter=MeterSample(0, 0, 400.0, stale, 0))
        assert watched.after(0.1) == set()


@pytest.mark.parametrize(("metered_a", "agrees"), [(100.0, True), (60.0, True), (80.0, True), (40.0, False)])
def test_a_silent_module_may_deliver_or_not(watched: Watched, metered_a: float, agrees: bool) -> None:
    """40 A of 100 A are the last value of a module that does not answer any more."""
    for _ in range(60):
        power = PowerReading(0, 400.0, 100.0, 4, unsure_a=40.0)
        watched.read(power=power, meter=MeterSample(0, 0, 400.0, metered_a, 0))
        found = watched.after(0.1)
    assert found == (set() if agrees else {Fault.METER})


def test_spurious_insulation_value_at_ramp_up_is_tolerated(watched: Watched) -> None:
    watched.state = structs.replace(watched.state, since=watched.now)
    watched.read(insulation=InsulationReading(0, 10.0, True, True))
    assert watched.after(4.5) == set()
    watched.readings = GOOD
    assert watched.after(5.0) == set()


def test_vehicle_that_pauses_again_and_again_does_not_evade_the_supervision(watched: Watched) -> None:
    """Each ramp has its time of grace, all of them together have one."""
    watched.read(insulation=InsulationReading(0, 60.0, True, True, voltage_v=400.0))
    found: set[Fault] = set()
    for _ in range(4):
        watched.state = structs.replace(watched.state, stage=Stage.PAUSED, since=watched.now)
        found |= watched.after(0.5)
        watched.state = structs.replace(watched.state, stage=Stage.CHARGING, since=watched.now)
        found |= watched.after(1.5)
    assert found == {Fault.ISOLATION}


def test_only_valid_insulation_values_count(watched: Watched) -> None:
    watched.read(insulation=InsulationReading(0, 10.0, False, True))
    assert watched.after(10.0) == set()


@pytest.mark.parametrize("stage", [Stage.IDLE, Stage.PLUGGED, Stage.CLOSE, Stage.PRECHARGE, Stage.WELDING])
def test_insulation_and_currents_are_checked_during_transfer_only(watched: Watched, stage: Stage) -> None:
    watched.state = structs.replace(watched.state, stage=stage, coil_on=stage in (Stage.CLOSE, Stage.PRECHARGE))
    watched.read(
        contactor_closed=watched.state.coil_on,
        insulation=InsulationReading(0, 10.0, True, True),
        meter=MeterSample(0, 0, 0.0, 50.0, 0),
        power=PowerReading(0, 0.0, 300.0, 4),
        connector_v=0.0,
    )
    assert watched.after(10.0) == set()


def test_contact_that_stays_closed_is_welded_until_it_opens(watched: Watched) -> None:
    watched.state = structs.replace(watched.state, stage=Stage.FINISHED, coil_on=False)
    assert watched.after(0.4) == set()
    assert watched.after(0.3) == {Fault.CONTACTOR_WELDED}
    watched.read(contactor_closed=False)
    assert watched.after(0.1) == set()


def test_contact_of_a_contactor_that_does_not_answer_is_not_welded(watched: Watched) -> None:
    """What was read last was read before the coil was off."""
    watched.state = structs.replace(watched.state, stage=Stage.FINISHED, coil_on=False)
    watched.read(contactor_known=False)
    assert watched.after(3.0) == set()
    watched.read(contactor_known=True)
    assert watched.after(0.4) == set()
    assert watched.after(0.3) == {Fault.CONTACTOR_WELDED}


def test_fall_of_the_request_is_no_over_current(watched: Watched) -> None:
    """The modules take a moment to follow; so does their reading."""
    watched.after(3.0)
    watched.state = structs.replace(watched.state, output_a=10.0)
    assert Fault.OVER_CURRENT not in watched.after(1.5)
    assert Fault.OVER_CURRENT in watched.after(3.0)


@pytest.mark.parametrize(("temp_c", "found"), [(59.0, set()), (89.0, set()), (91.0, {Fault.OVER_TEMPERATURE})])
def test_plug_temperature(watched: Watched, temp_c: float | None, found: set[Fault]) -> None:
    watched.read(plug_temp_c=temp_c)
    assert watched.after(2.0) == found


def test_hot_plug_cools_with_hysteresis(watched: Watched) -> None:
    watched.read(plug_temp_c=95.0)
    watched.after(2.0)
    watched.read(plug_temp_c=88.0)
    assert watched.after(5.0) == {Fault.OVER_TEMPERATURE}
    watched.read(plug_temp_c=None)
    assert watched.after(5.0) == {Fault.OVER_TEMPERATURE}
    watched.read(plug_temp_c=86.0)
    assert watched.after(0.1) == {Fault.CABLE_DERATED}


@pytest.mark.parametrize("temp_c", [61.0, 89.0, None])
def test_current_that_is_derated_is_reported(watched: Watched, temp_c: float | None) -> None:
    """Warm, or of unknown temperature: no reason to stop, but one to send somebody."""
    watched.read(plug_temp_c=temp_c)
    assert watched.after(4.8) == set()
    assert watched.after(0.5) == {Fault.CABLE_DERATED}
    assert not Fault.CABLE_DERATED.stops_charging
    watched.read(plug_temp_c=58.0)
    assert watched.after(1.0) == {Fault.CABLE_DERATED}
    watched.read(plug_temp_c=56.0)
    assert watched.after(0.1) == set()


def test_hot_plug_is_one_fault(watched: Watched) -> None:
    watched.read(plug_temp_c=85.0)
    assert watched.after(6.0) == {Fault.CABLE_DERATED}
    watched.read(plug_temp_c=95.0)
    assert watched.after(1.5) == {Fault.OVER_TEMPERATURE}


def test_over_voltage_of_200_ms_is_tolerated_and_400_ms_starts_the_stop(watched: Watched) -> None:
    """The first check sees it up to 0.1 s after it began."""
    watched.read(connector_v=460.0)
    assert watched.after(0.3) == set()
    assert watched.after(0.1) == {Fault.OVER_VOLTAGE}


@pytest.mark.parametrize("own_v", [450.0, 500.0, 750.0, 850.0, 1000.0])
def test_test_voltage_of_the_cable_check_is_no_over_voltage(watched: Watched, own_v: float) -> None:
    """It is above the vehicle's limit, and up to the trip voltage of that limit."""
    test_v = cable_check_voltage(RATING, own_v)
    watched.state = structs.replace(watched.state, stage=Stage.SELF_TEST, output_v=test_v)
    watched.read(
        vehicle=replace(VEHICLE, max_voltage_v=own_v),
        power=PowerReading(0, test_v * 1.001, 0.0, 4),
        meter=MeterSample(0, 0, test_v, 0.0, 0),
        insulation=None,
        connector_v=test_v * 1.001,
    )
    assert Fault.OVER_VOLTAGE not in watched.after(1.0)
    watched.read(connector_v=over_voltage_threshold(test_v) + 1.0)
    assert Fault.OVER_VOLTAGE in watched.after(0.1)


def test_voltage_at_a_connector_without_a_vehicle(watched: Watched) -> None:
    watched.state = State(evse=1, rating=RATING)
    watched.read(vehicle=NO_VEHICLE, power=PowerReading(0, 0.0, 0.0, 0), contactor_closed=False, connector_v=70.0)
    assert watched.after(1.8) == set()
    assert watched.after(0.5) == {Fault.CONNECTOR_VOLTAGE}
    watched.state = structs.replace(watched.state, stage=Stage.FAULTED)
    assert watched.after(1.0) == {Fault.CONNECTOR_VOLTAGE}
    watched.read(connector_v=50.0)
    assert watched.after(0.1) == set()


def test_voltage_that_a_vehicle_holds_up_is_not_the_station_s(watched: Watched) -> None:
    watched.state = State(evse=1, rating=RATING, stage=Stage.FINISHED, plugged=True)
    watched.read(power=PowerReading(0, 0.0, 0.0, 0), contactor_closed=False, connector_v=380.0)
    assert watched.after(10.0) == set()


def test_voltages_that_differ_name_all_of_them(watched: Watched) -> None:
    watched.read(meter=MeterSample(0, 0, 2.0, 100.0, 0))
    watched.after(5.5)
    [finding] = watched.findings()
    assert finding.detail == "voltages of the outlet differ: modules 400 V, meter 2 V, insulation monitor 400 V"


def test_modules_that_are_off_in_a_pause_may_measure_their_own_side_of_a_diode(watched: Watched) -> None:
    watched.state = structs.replace(watched.state, stage=Stage.PAUSED, output_a=0.0)
    watched.read(power=PowerReading(0, 0.0, 0.0, 4), meter=MeterSample(0, 0, 400.0, 0.0, 0))
    assert watched.after(10.0) == set()


def test_a_failed_module_is_named(watched: Watched) -> None:
    watched.read(power=PowerReading(0, 400.0, 100.0, 4, failed_modules=1, detail="module 5: no answer for 15 s"))
    watched.after(1.5)
    assert [finding.detail for finding in watched.findings()] == ["module 5: no answer for 15 s"]


@pytest.mark.parametrize(
    ("available_w", "fault"),
    [(None, Fault.POWER_MODULE), (0.0, Fault.POWER_MODULE), (120_000.0, Fault.MODULES_DERATED)],
)
def test_a_failed_module_ends_the_session_only_if_no_other_can_deliver(
    watched: Watched, available_w: float | None, fault: Fault
) -> None:
    watched.read(power=PowerReading(0, 400.0, 100.0, 4, failed_modules=1, available_w=available_w))
    assert watched.after(1.5) == {fault}
    assert fault.stops_charging is (fault is Fault.POWER_MODULE)


def test_of_two_voltages_that_differ_the_modules_are_named(watched: Watched) -> None:
    watched.read(insulation=InsulationReading(0, 5000.0, True, True), meter=MeterSample(0, 0, 2.0, 100.0, 0))
    assert watched.after(5.5) == {Fault.POWER_MODULE}


@pytest.mark.parametrize("pair", [(200.0, -250.0), (439.0, -10.0)])
def test_earth_voltages_up_to_the_outlet_s_own_are_no_fault(watched: Watched, pair: tuple[float, float]) -> None:
    watched.read(insulation=InsulationReading(0, 5000.0, True, True, 400.0, pair))
    assert watched.after(5.0) == set()


def test_a_monitor_that_was_off_between_sessions_is_not_silent_at_the_next(watched: Watched) -> None:
    watched.state = structs.replace(watched.state, stage=Stage.FINISHED, coil_on=False)
    watched.read(insulation=None, contactor_closed=False, connector_v=0.0)
    assert watched.after(60.0) == set()
    watched.state = structs.replace(watched.state, stage=Stage.CLOSE)
    assert watched.after(2.5) == set()
    assert watched.after(1.0) == {Fault.ISOLATION}


def test_the_reason_of_a_silence_is_in_the_detail(watched: Watched) -> None:
    watched.read(power=None, silent={"modules": "module 5: no answer for 15 s"})
    [finding] = watched.findings()
    assert finding.detail == "power modules are silent: module 5: no answer for 15 s"


def test_device_that_never_answered_has_a_grace_period_at_the_start() -> None:
    watch = EvseWatch(0.0)
    state = State(evse=1, rating=RATING)
    silent = structs.replace(
        GOOD, vehicle=None, power=None, meter=None, insulation=None, contactor_closed=False, connector_v=0.0
    )
    assert watch.check(state, silent, START_GRACE_S - 0.1) == []
    late = {finding.fault for finding in watch.check(state, silent, START_GRACE_S)}
    assert late == {Fault.VEHICLE_LINK, Fault.POWER_MODULE, Fault.METER, Fault.ISOLATION}


def test_finding_that_its_own_consequence_removes_is_latched(watched: Watched) -> None:
    watched.read(connector_v=560.0)
    assert [finding.latched for finding in watched.findings()] == [True]
    watched.readings = structs.replace(GOOD, vehicle=None)
    assert [finding.latched for finding in watched.findings()] == [False]


# --- station -------------------------------------------------------------------------------------------------


def inputs(*, stop: bool = False, door: bool = False) -> InputsReading:
    return InputsReading(0.0, stop, door, {})


def test_stop_button_and_door_count_at_once_and_until_they_are_released_for_a_second() -> None:
    watch = StationWatch(0.0)
    assert watch.check(inputs(), 1.0) == []
    assert [each.fault for each in watch.check(inputs(stop=True), 1.1)] == [Fault.EMERGENCY_STOP]
    assert len(watch.check(inputs(stop=True, door=True), 1.2)) == 2
    assert [each.fault for each in watch.check(inputs(door=True), 1.3)] == [Fault.EMERGENCY_STOP, Fault.DOOR_OPEN]
    assert [each.fault for each in watch.check(inputs(), 2.4)] == [Fault.DOOR_OPEN]
    assert watch.check(inputs(), 3.5) == []


def test_stop_button_that_bounces_stays_pressed() -> None:
    watch = StationWatch(0.0)
    for tenth in range(40):
        found = watch.check(inputs(stop=tenth % 5 == 0), 1.0 + tenth / 10.0)
        assert [each.fault for each in found] == [Fault.EMERGENCY_STOP]


def test_silent_inputs_read_as_pressed() -> None:
    watch = StationWatch(0.0)
    assert watch.check(None, 1.0) == []
    assert [each.fault for each in watch.check(None, INPUTS_GRACE_S)] == [Fault.EMERGENCY_STOP]
    watch.check(inputs(), 6.0)
    assert watch.check(inputs(), 7.0) == []
    assert [each.fault for each in watch.check(None, 7.1)] == [Fault.EMERGENCY_STOP]


def test_door_keeps_its_state_while_the_inputs_are_silent() -> None:
    watch = StationWatch(0.0)
    watch.check(inputs(door=True), 1.0)
    assert {each.fault for each in watch.check(None, 9.0)} == {Fault.EMERGENCY_STOP, Fault.DOOR_OPEN}


# --- helpers -------------------------------------------------------------------------------------------------


def test_hold_starts_anew_after_a_gap() -> None:
    hold = Hold(1.0)
    assert not hold(True, 0.0)
    assert hold(True, 1.0)
    assert not hold(False, 1.1)
    assert not hold(True, 1.2)
    assert hold(True, 2.2)


def test_pulse_needs_every_loop() -> None:
    pulse = Pulse()
    pulse.beat("control", 0.0)
    pulse.beat("other", 0.0)
    assert pulse.all_alive(1.0)
    pulse.beat("control", 1.5)
    assert not pulse.all_alive(1.5)
    pulse.beat("other", 1.6)
    assert pulse.all_alive(1.6)
