# SPDX-License-Identifier: Apache-2.0
"""Each stage: its time limit, every way a vehicle or device misbehaves in it, and the end of a session."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firmware.contract import Cause, Fault, MeterContext, Phase, PhaseChanged
from hal.evse.model import CloseContactor, EnableInsulation, FinishCableCheck, ReportOutput, SetOutput
from hal.evse.table import CLOSED, RUNNING, Stage
from hal.ports import Pilot, VehicleStage
from tests.support.evse_bench import PERIOD_S, RATING, EvseBench

ENERGISED = [stage for stage in RUNNING if stage in CLOSED]


# --- in which stage, what goes wrong, after how long it raises which fault ------------------------------

Sabotage = Callable[[EvseBench], Any]


def knob(**values: object) -> Sabotage:
    def set_knobs(bench: EvseBench) -> None:
        for name, value in values.items():
            assert hasattr(bench, name)
            setattr(bench, name, value)

    return set_knobs


def says(**fields: object) -> Sabotage:
    def change(bench: EvseBench) -> None:
        bench.obeys = False
        bench.change(**fields)

    return change


BROKEN = [
    pytest.param(Stage.DISCHARGE, knob(held_v=70.0), 10.0, Fault.CABLE_CHECK, id="output already above 60 V"),
    pytest.param(Stage.DISCHARGE, knob(held_v=25.0), 10.0, Fault.CABLE_CHECK, id="25 V across the contactor"),
    pytest.param(Stage.DISCHARGE, knob(unmeasured=True), 10.0, Fault.CABLE_CHECK, id="voltage not known"),
    pytest.param(Stage.DISCHARGE, says(max_voltage_v=0.0), 10.0, Fault.CABLE_CHECK, id="no maximum voltage"),
    pytest.param(Stage.DISCHARGE, says(pilot=Pilot.B), 10.0, Fault.CABLE_CHECK, id="pilot stays in B"),
    pytest.param(Stage.DISCHARGE, says(locked=False), 10.0, Fault.CONNECTOR_LOCK, id="plug not held"),
    pytest.param(Stage.DISCHARGE, knob(groups=0), 10.0, Fault.POWER_MODULE, id="no modules"),
    pytest.param(Stage.DISCHARGE, knob(mirror_stuck=True), 10.0, Fault.CONTACTOR_WELDED, id="closed before the coil"),
    pytest.param(Stage.CLOSE, knob(mirror_stuck=False), 5.0, Fault.CONTACTOR_FAILED, id="mirror does not follow"),
    pytest.param(Stage.TEST_VOLTAGE, knob(modules_obey=False), 10.0, Fault.CABLE_CHECK, id="no test voltage"),
    pytest.param(
        Stage.TEST_VOLTAGE, knob(modules_obey=False, short_a=50.0), 1.0, Fault.CABLE_CHECK, id="short circuit"
    ),
    pytest.param(
        Stage.TEST_VOLTAGE, knob(modules_obey=False, short_a=2.0), 1.0, Fault.CABLE_CHECK, id="short circuit of 110 Ohm"
    ),
    pytest.param(Stage.TEST_VOLTAGE, knob(held_v=0.0), 10.0, Fault.CABLE_CHECK, id="test voltage at another connector"),
    pytest.param(Stage.SELF_TEST, knob(short_a=5.0), 0.1, Fault.CABLE_CHECK, id="short circuit later"),
    pytest.param(Stage.SAMPLES, knob(short_a=5.0), 0.1, Fault.CABLE_CHECK, id="short circuit in the samples"),
    pytest.param(Stage.SELF_TEST, knob(self_test=False), 0.5, Fault.CABLE_CHECK, id="self test failed"),
    pytest.param(Stage.SELF_TEST, knob(self_test=None), 30.0, Fault.CABLE_CHECK, id="self test without end"),
    pytest.param(Stage.SAMPLES, knob(insulation_kohm=60.0), 0.5, Fault.ISOLATION, id="60 kOhm"),
    pytest.param(Stage.SAMPLES, knob(insulation_valid=False), 15.0, Fault.CABLE_CHECK, id="no valid sample"),
    pytest.param(Stage.BLEED, knob(held_v=200.0), 10.0, Fault.CABLE_CHECK, id="output does not fall"),
    pytest.param(Stage.PRECHARGE, says(), 10.0, Fault.PRECHARGE, id="refuse_precharge"),
    pytest.param(Stage.PRECHARGE, knob(modules_obey=False), 10.0, Fault.PRECHARGE, id="voltage not reached"),
    pytest.param(Stage.PRECHARGE, says(target_voltage_v=100.0), 10.0, Fault.PRECHARGE, id="below the modules' voltage"),
    pytest.param(
        Stage.PRECHARGE, says(target_voltage_v=600.0), 0.5, Fault.OVER_VOLTAGE, id="precharge above its limit"
    ),
    pytest.param(Stage.CHARGING, says(target_voltage_v=516.0), 0.5, Fault.OVER_VOLTAGE, id="over_voltage_request"),
    pytest.param(Stage.PAUSED, says(target_voltage_v=1200.0), 0.5, Fault.OVER_VOLTAGE, id="the same in a pause"),
    *(
        pytest.param(stage, says(pilot=pilot), 0.1, Fault.PILOT, id=f"pilot {pilot.value} in {stage.value}")
        for stage in ENERGISED
        for pilot in (Pilot.B, Pilot.E, Pilot.F)
    ),
]


@pytest.mark.parametrize(("stage", "sabotage", "limit_s", "fault"), BROKEN)
def test_what_goes_wrong_has_a_bound_and_a_fault(
    bench: EvseBench, stage: Stage, sabotage: Sabotage, limit_s: float, fault: Fault
) -> None:
    if stage in (Stage.DISCHARGE, Stage.CLOSE):
        bench.bring_to(Stage.AUTHORISED)
        bench.obeys = True
        bench.mirror_stuck = False
        bench.run_to(stage)
    else:
        bench.bring_to(stage)
    sabotage(bench)
    bench.run(max(PERIOD_S, limit_s - 0.35))
    if limit_s >= 1.0:
        assert bench.session_faults == set(), "too early"
    bench.run(0.7)
    assert bench.session_faults == {fault}
    bench.mirror_stuck = bench.held_v = None
    bench.unmeasured = False
    bench.run(6.0)
    assert bench.phase() is Phase.FAULTED
    assert not bench.coil
    assert bench.state.session is None
    bench.unplug()
    bench.run(0.3)
    assert bench.phase() is Phase.IDLE


# --- cable check, precharge and energy ------------------------------------------------------------


def test_cable_check_takes_40_s_at_the_most(bench: EvseBench) -> None:
    """Each step within its own time, all together not."""
    bench.self_test = None
    bench.bring_to(Stage.SELF_TEST)
    bench.run(28.0)
    bench.self_test, bench.insulation_valid = True, False
    bench.run(12.5)
    assert bench.session_faults == {Fault.CABLE_CHECK}
    assert bench.taken(FinishCableCheck) == [FinishCableCheck(False)]


def test_self_test_result_of_an_earlier_session_does_not_count(bench: EvseBench) -> None:
    """A monitor on a slow bus still shows its old `passed` for a moment after a new test was started."""
    bench.bring_to(Stage.SELF_TEST)
    bench.self_test_started_at = None
    bench.run(1.0)
    assert bench.state.stage is Stage.SELF_TEST
    bench.self_test = None
    bench.run(0.2)
    bench.self_test = False
    bench.run(0.2)
    assert bench.session_faults == {Fault.CABLE_CHECK}


def test_one_bad_sample_is_borne(bench: EvseBench) -> None:
    bench.bring_to(Stage.SAMPLES)
    bench.insulation_kohm = 20.0
    bench.run(0.2)
    bench.insulation_kohm = 5000.0
    bench.run_to(Stage.CHARGING)


def test_secc_that_tests_the_insulation_itself_gets_the_voltage_and_the_result(bench: EvseBench) -> None:
    """It ends its test by the reported resistance: that comes when the HAL's own samples have passed, not before."""
    bench.bring_to(Stage.DISCHARGE)
    bench.change(insulation_test=True, target_voltage_v=520.0)
    bench.run_to(Stage.SAMPLES)
    assert {report.insulation_kohm for report in bench.taken(ReportOutput)[-5:]} == {None}
    bench.run(3.0)
    assert bench.state.stage is Stage.SAMPLES
    assert bench.output_v == 520.0
    assert bench.taken(ReportOutput)[-1].insulation_kohm == 5000.0
    bench.insulation_kohm = 90.0
    bench.run(0.2)
    assert bench.taken(ReportOutput)[-1].insulation_kohm is None
    bench.insulation_kohm = 5000.0
    bench.run(1.0)
    bench.change(insulation_test=False, target_voltage_v=0.0)
    bench.run_to(Stage.CHARGING)


def test_secc_that_does_not_end_its_test(bench: EvseBench) -> None:
    bench.bring_to(Stage.DISCHARGE)
    bench.change(insulation_test=True, target_voltage_v=5000.0)
    bench.run_to(Stage.SAMPLES)
    assert bench.output_v == RATING.max_voltage_v
    bench.run(15.5)
    assert bench.session_faults == {Fault.CABLE_CHECK}


def test_vehicle_that_closes_at_another_voltage(bench: EvseBench) -> None:
    bench.bring_to(Stage.PRECHARGE)
    bench.modules_obey = False
    bench.obeys = False
    bench.run(0.3)
    bench.change(stage=VehicleStage.CHARGE, target_voltage_v=430.0)
    bench.run(1.0)
    assert bench.session_faults == set()
    bench.run(1.0)
    assert bench.session_faults == {Fault.PRECHARGE}


def test_vehicle_that_is_ahead_of_a_slow_sensor(bench: EvseBench) -> None:
    """It closes at the right voltage, which the meter shows a second later."""
    bench.bring_to(Stage.PRECHARGE)
    bench.obeys = False
    bench.held_v = 0.0
    bench.run(0.2)
    bench.change(stage=VehicleStage.CHARGE, target_voltage_v=430.0)
    bench.run(1.0)
    assert bench.session_faults == set()
    bench.held_v = None
    bench.run(0.2)
    assert bench.state.stage is Stage.CHARGING


@pytest.mark.parametrize("measured_v", [340.0, None])
def test_vehicle_that_closes_while_another_voltage_is_at_its_inlet(bench: EvseBench, measured_v: float | None) -> None:
    """The modules have the right voltage, the connector has not; or only the modules are known."""
    bench.bring_to(Stage.PRECHARGE)
    bench.obeys = False
    bench.run(0.2)
    bench.held_v, bench.unmeasured = measured_v, measured_v is None
    bench.change(stage=VehicleStage.CHARGE, target_voltage_v=430.0)
    bench.run(2.0)
    assert bench.session_faults == ({Fault.PRECHARGE} if measured_v is not None else set())


def test_insulation_monitor_is_on_in_a_session_only(bench: EvseBench) -> None:
    """Only one may be active in a connected system."""
    bench.charge()
    assert bench.taken(EnableInsulation) == [EnableInsulation(True)]
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    assert bench.taken(EnableInsulation) == [EnableInsulation(True), EnableInsulation(False)]


@pytest.mark.parametrize("leave", [EvseBench.unplug, EvseBench.withdraw, lambda bench: bench.fault(Fault.DOOR_OPEN)])
def test_insulation_monitor_settles_while_the_vehicle_prepares(
    bench: EvseBench, leave: Callable[[EvseBench], None]
) -> None:
    bench.bring_to(Stage.AUTHORISED)
    bench.run(PERIOD_S)
    assert bench.taken(EnableInsulation) == [EnableInsulation(True)]
    leave(bench)
    bench.run(PERIOD_S)
    assert bench.taken(EnableInsulation) == [EnableInsulation(True), EnableInsulation(False)]
    bench.run(5.0)
    assert len(bench.taken(EnableInsulation)) == 2


@pytest.mark.parametrize("stage", RUNNING)
def test_vehicle_that_leaves_in_every_stage(bench: EvseBench, stage: Stage) -> None:
    if stage is Stage.DISCHARGE:
        bench.held_v = 100.0
    bench.bring_to(stage)
    bench.obeys = False
    bench.change(stage=VehicleStage.ENDED, target_current_a=0.0)
    bench.held_v = None
    bench.run(4.0)
    assert bench.phase() is Phase.FINISHED
    assert bench.session_faults == set()


def test_vehicle_that_never_asks_for_precharge(bench: EvseBench) -> None:
    bench.bring_to(Stage.CHECKED)
    bench.obeys = False
    bench.permit(lease_s=300.0)
    bench.run(59.0)
    assert bench.state.stage is Stage.CHECKED
    bench.run(4.0)
    assert PhaseChanged(evse=1, phase=Phase.STOPPING, cause=Cause.TIMEOUT) in bench.events
    assert bench.phase() is Phase.FINISHED


def test_silent_vehicle_link_switches_off_at_once(bench: EvseBench) -> None:
    bench.charge()
    bench.vehicle = None
    bench.sample()
    assert bench.output_v == 0.0
    bench.run(1.0)
    assert not bench.coil


def test_modules_are_not_driven_into_a_contact_that_opened_by_itself(bench: EvseBench) -> None:
    bench.charge()
    bench.mirror_stuck = False
    bench.sample()
    assert bench.output_v == 0.0


def test_voltage_never_passes_the_vehicle_s_own_limit(bench: EvseBench) -> None:
    bench.charge()
    bench.obeys = False
    bench.change(target_voltage_v=600.0)
    bench.run(0.3)
    assert max(action.voltage_v for action in bench.taken(SetOutput)[-2:]) == 450.0


def test_nothing_closes_without_the_vehicle(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    bench.run(30.0)
    assert bench.taken(CloseContactor) == []


# --- stopping --------------------------------------------------------------------------------


def test_current_goes_down_whatever_the_vehicle_asks(bench: EvseBench) -> None:
    """`hold_current`: the vehicle neither answers nor lowers its request."""
    bench.wanted_a = 300.0
    bench.bring_to(Stage.CHARGING)
    bench.run(12.5)
    assert bench.current_a == pytest.approx(300.0)
    bench.obeys = False
    bench.withdraw()
    bench.run(1.4)
    assert bench.current_a == 0.0
    bench.run(0.6)
    assert not bench.mirror


def test_contact_that_stays_closed_does_not_hold_the_sequence(bench: EvseBench) -> None:
    bench.charge()
    bench.mirror_stuck = True
    bench.withdraw()
    bench.run(8.0)
    assert bench.last_billed() is MeterContext.STOP
    assert bench.phase() is Phase.FINISHED


def test_voltage_that_the_vehicle_holds_up_is_no_weld(bench: EvseBench) -> None:
    """The vehicle holds the voltage at the connector up; the modules, which are off, stay at 0 V."""
    bench.charge()
    bench.held_v = 380.0
    bench.withdraw()
    bench.run(2.0)
    assert bench.state.stage is Stage.WELDING
    bench.run(5.0)
    assert bench.session_faults == set()
    assert bench.phase() is Phase.FINISHED


def test_voltage_behind_the_open_contactor_is_a_weld(bench: EvseBench) -> None:
    bench.charge()
    bench.withdraw()
    bench.run_to(Stage.WELDING)
    bench.held_v = 380.0
    bench.output = (380.0, 0.0)
    bench.run(5.5)
    assert bench.session_faults == {Fault.CONTACTOR_WELDED}
    assert bench.phase() is Phase.FAULTED


@pytest.mark.parametrize("missing", ["meter_lost", "monitor_lost", "power_lost"])
def test_a_vehicle_waits_for_a_device_that_has_not_answered_yet(bench: EvseBench, missing: str) -> None:
    setattr(bench, missing, True)
    bench.plug()
    bench.permit()
    bench.obeys = False
    bench.change(stage=VehicleStage.CABLE_CHECK)
    bench.run(2.0)
    assert bench.state.stage is Stage.AUTHORISED
    setattr(bench, missing, False)
    bench.run(0.2)
    assert bench.state.phase is Phase.CABLE_CHECK
