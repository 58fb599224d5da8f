# SPDX-License-Identifier: Apache-2.0
"""One charging point through its sessions: the usual way, every time limit, every way a vehicle misbehaves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from firmware.contract import (
    Cause,
    ContactorChanged,
    EnergyFlow,
    EnergyFlowChanged,
    Fault,
    LatchChanged,
    MeterContext,
    MeterReading,
    Phase,
    PhaseChanged,
    Plugged,
    Unplugged,
    VehicleIdentified,
)
from hal.evse.model import (
    AnnounceLimits,
    AuthoriseVehicle,
    CloseContactor,
    EmergencyStop,
    FinishCableCheck,
    Limits,
    OpenContactor,
    RequestVehicleStop,
    SetOutput,
    State,
    SwitchOff,
)
from hal.evse.run import Run
from hal.evse.step import next_deadline
from hal.evse.table import CLOSED, RUNNING, Stage, Trigger
from hal.ports import Pilot, VehicleStage
from tests.support.evse_bench import PERIOD_S, RATING, EvseBench

ALL_WAYS_IN = [stage for stage in Stage if stage not in (Stage.IDLE,)]
ENERGISED = [stage for stage in RUNNING if stage in CLOSED]
AT_ONCE = 0.2


@pytest.fixture
def bench() -> EvseBench:
    return EvseBench()


def charging(bench: EvseBench) -> EvseBench:
    bench.bring_to(Stage.CHARGING)
    bench.run(3.0)
    return bench


def phase(bench: EvseBench) -> Phase:
    return bench.state.phase


def last_billed(bench: EvseBench) -> MeterContext:
    return bench.billed[-1].context


# --- the usual way ---------------------------------------------------------------------------------------------


def test_a_whole_session(bench: EvseBench) -> None:
    charging(bench)
    bench.withdraw()
    bench.run_to(Stage.FINISHED, within_s=5.0)
    bench.unplug()
    bench.run(0.2)
    assert bench.phases == [
        Phase.PLUGGED,
        Phase.AUTHORISED,
        Phase.CABLE_CHECK,
        Phase.PRECHARGE,
        Phase.CHARGING,
        Phase.STOPPING,
        Phase.FINISHED,
        Phase.IDLE,
    ]
    told = [type(event) for event in bench.events]
    assert told.count(Plugged) == told.count(Unplugged) == told.count(VehicleIdentified) == 1
    assert [event.closed for event in bench.events if isinstance(event, ContactorChanged)] == [True, False]
    assert [event.locked for event in bench.events if isinstance(event, LatchChanged)] == [True, False]
    assert [reading.context for reading in bench.billed] == [MeterContext.START, MeterContext.STOP]
    assert bench.billed[1].energy_wh > bench.billed[0].energy_wh
    assert Unplugged(evse=1, forced=False) in bench.events


def test_permission_may_come_before_the_plug(bench: EvseBench) -> None:
    bench.permit()
    bench.run(1.0)
    assert phase(bench) is Phase.IDLE
    bench.plug()
    bench.run_to(Stage.CHARGING)


def test_vehicle_that_ends_the_session(bench: EvseBench) -> None:
    charging(bench)
    bench.change(stage=VehicleStage.STOP, target_current_a=0.0)
    bench.run_to(Stage.FINISHED, within_s=5.0)
    ends = [event for event in bench.events if isinstance(event, PhaseChanged)][-2:]
    assert ends == [PhaseChanged(evse=1, phase=each, cause=Cause.VEHICLE) for each in (Phase.STOPPING, Phase.FINISHED)]
    assert bench.state.session == "one"
    assert bench.state.flow is EnergyFlow.SUSPENDED_BY_VEHICLE


def test_vehicle_that_comes_back_under_the_same_permission(bench: EvseBench) -> None:
    charging(bench)
    bench.change(stage=VehicleStage.STOP, target_current_a=0.0)
    bench.run_to(Stage.FINISHED)
    bench.run(2.0)
    assert bench.state.stage is Stage.CHARGING
    assert [reading.context.value for reading in bench.billed] == ["start", "stop", "start"]


@pytest.mark.parametrize("session", ["one", "two"])
def test_another_session_on_the_same_plug(bench: EvseBench, session: str) -> None:
    charging(bench)
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    assert bench.taken(AuthoriseVehicle)[-1] == AuthoriseVehicle(False)
    bench.permit(session)
    bench.run_to(Stage.CHARGING)
    assert [reading.context.value for reading in bench.billed] == ["start", "stop", "start"]


def test_permission_given_while_the_last_session_stops(bench: EvseBench) -> None:
    charging(bench)
    bench.withdraw()
    bench.run(PERIOD_S)
    assert phase(bench) is Phase.STOPPING
    bench.permit("two")
    bench.run_to(Stage.CHARGING)
    assert Phase.FINISHED in bench.phases
    assert bench.state.session == "two"


def test_renewed_lease_keeps_the_session_going(bench: EvseBench) -> None:
    bench.bring_to(Stage.CHARGING)
    for _ in range(10):
        bench.permit(lease_s=5.0)
        bench.run(4.0)
    assert bench.state.stage is Stage.CHARGING
    bench.run(1.2)
    assert bench.phases[-1] in (Phase.STOPPING, Phase.FINISHED)
    assert PhaseChanged(evse=1, phase=Phase.STOPPING, cause=Cause.LEASE) in bench.events


# --- stops ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ALL_WAYS_IN)
def test_withdraw_ends_with_an_open_contactor_in_time(bench: EvseBench, stage: Stage) -> None:
    bench.bring_to(stage)
    bench.obeys = False
    bench.withdraw()
    bench.run(5.0)
    assert not bench.mirror
    assert bench.current_a == 0.0
    assert bench.state.session is None
    assert bench.state.stage in (Stage.PLUGGED, Stage.FINISHED, Stage.FAULTED)


@pytest.mark.parametrize("stage", ENERGISED)
def test_lease_that_runs_out_ends_with_an_open_contactor(bench: EvseBench, stage: Stage) -> None:
    bench.bring_to(stage)
    bench.obeys = False
    bench.permit(lease_s=0.3)
    bench.run(5.0)
    assert not bench.mirror
    assert bench.state.session is None


@pytest.mark.parametrize("fault", [Fault.EMERGENCY_STOP, Fault.DOOR_OPEN, Fault.GROUND_FAULT])
@pytest.mark.parametrize("stage", [*ENERGISED, Stage.ASK_STOP, Stage.RAMP_DOWN])
def test_emergency_opens_in_the_same_step(bench: EvseBench, stage: Stage, fault: Fault) -> None:
    bench.bring_to(stage)
    before = len(bench.actions)
    bench.fault(fault)
    done = bench.actions[before:]
    assert SwitchOff() in done
    assert OpenContactor() in done
    assert done.index(SwitchOff()) < done.index(OpenContactor())
    assert EmergencyStop() in done
    bench.run(2.0)
    assert phase(bench) is Phase.FAULTED


@pytest.mark.parametrize("stage", ENERGISED)
def test_error_switches_off_first_and_opens_soon(bench: EvseBench, stage: Stage) -> None:
    bench.bring_to(stage)
    before = len(bench.actions)
    bench.fault(Fault.OVER_TEMPERATURE)
    assert SwitchOff() in bench.actions[before:]
    assert OpenContactor() not in bench.actions[before:]
    bench.run(0.7)
    assert not bench.coil
    bench.run(2.0)
    assert phase(bench) is Phase.FAULTED


def test_lost_meter_ends_the_session_in_the_orderly_way(bench: EvseBench) -> None:
    charging(bench)
    last = bench.state.energy_wh
    bench.meter_lost = True
    bench.fault(Fault.METER)
    assert bench.state.stage is Stage.ASK_STOP
    assert bench.taken(RequestVehicleStop)
    bench.run_to(Stage.FAULTED, within_s=8.0)
    assert last_billed(bench) is MeterContext.STOP
    assert bench.billed[-1].energy_wh == last


@pytest.mark.parametrize("plugged", [True, False])
def test_recovery_when_the_fault_is_gone(bench: EvseBench, plugged: bool) -> None:
    charging(bench)
    bench.fault(Fault.EMERGENCY_STOP)
    bench.run(3.0)
    if not plugged:
        bench.unplug()
    bench.run(0.2)
    assert phase(bench) is Phase.FAULTED
    bench.fault()
    bench.run(0.2)
    assert phase(bench) is (Phase.PLUGGED if plugged else Phase.IDLE)
    if plugged:
        assert bench.state.session is None
        bench.permit("two")
        bench.run_to(Stage.CHARGING)


def test_fault_of_an_idle_evse(bench: EvseBench) -> None:
    bench.fault(Fault.DOOR_OPEN)
    assert phase(bench) is Phase.FAULTED
    bench.plug()
    bench.run(0.2)
    assert Plugged(evse=1) in bench.events
    bench.fault()
    bench.run(0.2)
    assert phase(bench) is Phase.PLUGGED


def test_harmless_fault_stops_nothing(bench: EvseBench) -> None:
    charging(bench)
    bench.fault(Fault.SCREEN)
    bench.run(1.0)
    assert bench.state.stage is Stage.CHARGING


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
    charging(bench)
    bench.mirror_stuck = True
    bench.withdraw()
    bench.run(8.0)
    assert last_billed(bench) is MeterContext.STOP
    assert phase(bench) is Phase.FINISHED


def test_weld_that_the_mirror_contact_does_not_show(bench: EvseBench) -> None:
    """The vehicle holds the connector's voltage up and the modules, which are off, are held up with it."""
    charging(bench)
    bench.held_v = 380.0
    bench.withdraw()
    bench.run(2.0)
    assert bench.state.stage is Stage.WELDING
    bench.run(5.0)
    assert bench.session_faults == set()  # the modules are at 0 V: our contactor is open
    assert phase(bench) is Phase.FINISHED


def test_voltage_behind_the_open_contactor_is_a_weld(bench: EvseBench) -> None:
    charging(bench)
    bench.withdraw()
    bench.run_to(Stage.WELDING)
    bench.held_v = 380.0
    bench._output = (380.0, 0.0)
    bench.run(5.5)
    assert bench.session_faults == {Fault.CONTACTOR_WELDED}
    assert phase(bench) is Phase.FAULTED


# --- the plug --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", ALL_WAYS_IN)
def test_plug_pulled_in_every_stage(bench: EvseBench, stage: Stage) -> None:
    bench.bring_to(stage)
    bench.fault()
    under_energy = bench.state.stage in CLOSED
    before = len(bench.actions)
    bench.unplug()
    bench.sample()
    assert [event for event in bench.events if isinstance(event, Unplugged)] == [Unplugged(1, under_energy)]
    assert (OpenContactor() in bench.actions[before:]) is (under_energy or stage in (Stage.DISCHARGE,))
    bench.run(3.0)
    assert phase(bench) is Phase.IDLE
    assert not bench.mirror
    assert bench.state.plugged is False


def test_plug_that_comes_back_before_the_end_is_a_new_one(bench: EvseBench) -> None:
    charging(bench)
    bench.mirror_stuck = True
    bench.unplug()
    bench.run(0.2)
    bench.plug()
    bench.run(0.2)
    assert [type(event) for event in bench.events].count(Plugged) == 1
    bench.mirror_stuck = None
    bench.run(3.0)
    assert [type(event) for event in bench.events].count(Plugged) == 2


# --- every time limit, every misbehaviour: in which stage, what is done, how long it may last, which fault it gives ---

Sabotage = Callable[[EvseBench], Any]


def knob(**values: object) -> Sabotage:
    def turn(bench: EvseBench) -> None:
        for name, value in values.items():
            assert hasattr(bench, name)
            setattr(bench, name, value)

    return turn


def says(**fields: object) -> Sabotage:
    def change(bench: EvseBench) -> None:
        bench.obeys = False
        bench.change(**fields)

    return change


BROKEN = [
    pytest.param(Stage.DISCHARGE, knob(held_v=70.0), 10.0, Fault.CABLE_CHECK, id="output already above 60 V"),
    pytest.param(Stage.DISCHARGE, says(pilot=Pilot.B), 10.0, Fault.CABLE_CHECK, id="pilot stays in B"),
    pytest.param(Stage.DISCHARGE, says(locked=False), 10.0, Fault.CONNECTOR_LOCK, id="plug not held"),
    pytest.param(Stage.DISCHARGE, knob(groups=0), 10.0, Fault.POWER_MODULE, id="no modules"),
    pytest.param(Stage.DISCHARGE, knob(mirror_stuck=True), 10.0, Fault.CONTACTOR_WELDED, id="closed before the coil"),
    pytest.param(Stage.CLOSE, knob(mirror_stuck=False), 5.0, Fault.CONTACTOR_FAILED, id="mirror does not follow"),
    pytest.param(Stage.TEST_VOLTAGE, knob(modules_obey=False), 10.0, Fault.CABLE_CHECK, id="no test voltage"),
    pytest.param(
        Stage.TEST_VOLTAGE, knob(modules_obey=False, shorted=True), 1.0, Fault.CABLE_CHECK, id="short circuit"
    ),
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
    bench.run(6.0)
    assert phase(bench) is Phase.FAULTED
    assert not bench.coil
    assert bench.state.session is None
    bench.unplug()
    bench.run(0.3)
    assert phase(bench) is Phase.IDLE


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
    """A monitor on a slow bus still shows its old `passed` for a moment after it was asked anew."""
    bench.bring_to(Stage.SELF_TEST)
    bench._tested_at = None
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


def test_vehicle_that_closes_at_another_voltage(bench: EvseBench) -> None:
    bench.bring_to(Stage.PRECHARGE)
    bench.modules_obey = False
    bench.obeys = False
    bench.run(0.3)
    bench.change(stage=VehicleStage.CHARGE, target_voltage_v=430.0)
    bench.sample()
    assert bench.session_faults == {Fault.PRECHARGE}


@pytest.mark.parametrize("stage", RUNNING)
def test_vehicle_that_leaves_in_every_stage(bench: EvseBench, stage: Stage) -> None:
    if stage is Stage.DISCHARGE:
        bench.held_v = 100.0
    bench.bring_to(stage)
    bench.obeys = False
    bench.change(stage=VehicleStage.ENDED, target_current_a=0.0)
    bench.held_v = None
    bench.run(4.0)
    assert phase(bench) is Phase.FINISHED
    assert bench.session_faults == set()


def test_vehicle_that_never_asks_for_precharge(bench: EvseBench) -> None:
    bench.bring_to(Stage.CHECKED)
    bench.obeys = False
    bench.permit(lease_s=300.0)
    bench.run(59.0)
    assert bench.state.stage is Stage.CHECKED
    bench.run(4.0)
    assert PhaseChanged(evse=1, phase=Phase.STOPPING, cause=Cause.TIMEOUT) in bench.events
    assert phase(bench) is Phase.FINISHED


def test_silent_vehicle_link_switches_off_at_once(bench: EvseBench) -> None:
    charging(bench)
    bench.vehicle = None
    bench.sample()
    assert bench.output_v == 0.0
    bench.run(1.0)
    assert not bench.coil


def test_modules_are_not_driven_into_a_contact_that_opened_by_itself(bench: EvseBench) -> None:
    charging(bench)
    bench.mirror_stuck = False
    bench.sample()
    assert bench.output_v == 0.0


# --- current -----------------------------------------------------------------------------------------------


def test_rise_is_25_a_per_second_and_fall_at_once(bench: EvseBench) -> None:
    bench.wanted_a = 200.0
    bench.bring_to(Stage.CHARGING)
    start = bench.now
    while bench.current_a < 200.0 and bench.now < start + 20.0:
        bench.run(PERIOD_S)
        assert bench.current_a <= 2.0 + 25.0 * (bench.now - start + PERIOD_S) + 1e-6
    assert bench.now - start == pytest.approx(8.0, abs=0.3)
    bench.wanted_a = 20.0
    bench.run(PERIOD_S)
    assert bench.current_a == 20.0


def test_lower_limit_is_announced_before_it_is_enforced(bench: EvseBench) -> None:
    charging(bench)
    bench.run(3.0)
    assert bench.current_a == pytest.approx(100.0)
    bench.limit(20_000.0)
    bench.sample()
    assert bench.taken(AnnounceLimits)[-1].power_w == 20_000.0
    bench.run(0.8)
    assert bench.current_a == pytest.approx(100.0)
    bench.run(0.4)
    assert bench.current_a == pytest.approx(20_000.0 / 430.0, rel=0.01)


def test_vehicle_that_follows_the_announcement_is_not_made_to_wait(bench: EvseBench) -> None:
    charging(bench)
    bench.limit(20_000.0)
    bench.wanted_a = 40.0
    bench.run(0.2)
    assert bench.state.offered.power_w == 20_000.0


def test_derating_that_goes_on_is_enforced_all_the_same(bench: EvseBench) -> None:
    """A ceiling that falls with every sample must not defer its enforcement for ever."""
    charging(bench)
    bench.run(3.0)
    for step in range(60):
        bench.ceiling = Limits(100.0 - step, 400_000.0)
        bench.run(PERIOD_S)
    assert bench.current_a <= 52.0


def test_small_changes_are_not_announced(bench: EvseBench) -> None:
    charging(bench)
    before = len(bench.taken(AnnounceLimits))
    bench.ceiling = Limits(499.0, 400_000.0)
    bench.run(0.5)
    assert len(bench.taken(AnnounceLimits)) == before


def test_voltage_never_passes_the_vehicle_s_own_limit(bench: EvseBench) -> None:
    charging(bench)
    bench.obeys = False
    bench.change(target_voltage_v=600.0)
    bench.run(0.3)
    assert max(action.voltage_v for action in bench.taken(SetOutput)[-2:]) == 450.0


# --- energy flow -------------------------------------------------------------------------------------------


def flows(bench: EvseBench) -> list[EnergyFlow]:
    return [event.flow for event in bench.events if isinstance(event, EnergyFlowChanged)]


def test_limit_of_zero_suspends_and_its_end_resumes(bench: EvseBench) -> None:
    charging(bench)
    bench.limit(0.0)
    bench.run(1.5)
    assert phase(bench) is Phase.PAUSED
    assert bench.mirror
    assert bench.current_a == 0.0
    bench.wanted_a = 0.0  # a vehicle that is offered nothing asks for nothing
    bench.run(3.0)
    bench.limit(None)
    bench.run(0.3)
    bench.wanted_a = 100.0
    bench.run(1.0)
    assert phase(bench) is Phase.CHARGING
    assert flows(bench) == [EnergyFlow.FLOWING, EnergyFlow.SUSPENDED_BY_STATION, EnergyFlow.FLOWING]
    assert PhaseChanged(evse=1, phase=Phase.PAUSED, cause=Cause.SERVICE) in bench.events
    assert [reading.context.value for reading in bench.billed] == ["start"]


def test_vehicle_that_asks_for_nothing_suspends(bench: EvseBench) -> None:
    charging(bench)
    bench.wanted_a = 0.0
    bench.run(0.8)
    assert phase(bench) is Phase.CHARGING
    bench.run(0.5)
    assert phase(bench) is Phase.PAUSED
    bench.wanted_a = 50.0
    bench.run(0.3)
    assert flows(bench) == [EnergyFlow.FLOWING, EnergyFlow.SUSPENDED_BY_VEHICLE, EnergyFlow.FLOWING]


def test_station_without_modules_suspends(bench: EvseBench) -> None:
    charging(bench)
    bench.ceiling = Limits(0.0, 0.0)
    bench.run(1.5)
    assert bench.state.flow is EnergyFlow.SUSPENDED_BY_STATION
    assert PhaseChanged(evse=1, phase=Phase.PAUSED, cause=Cause.SEQUENCE) in bench.events


def test_vehicle_that_is_not_ready_after_authorisation(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    bench.run(2.0)
    assert bench.state.flow is EnergyFlow.NONE
    bench.run(1.5)
    assert flows(bench) == [EnergyFlow.SUSPENDED_BY_VEHICLE]
    bench.obeys = True
    bench.run_to(Stage.CHARGING)
    assert flows(bench) == [EnergyFlow.SUSPENDED_BY_VEHICLE, EnergyFlow.NONE, EnergyFlow.FLOWING]


def test_vehicle_that_asks_for_authorisation_is_told_again(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    before = len(bench.taken(AuthoriseVehicle))
    bench.change(stage=VehicleStage.WAITING_AUTHORISATION)
    bench.run(0.3)
    assert bench.taken(AuthoriseVehicle)[before:] == [AuthoriseVehicle(True)]


# --- metering ----------------------------------------------------------------------------------------------


def periodic(bench: EvseBench) -> list[float]:
    found = [event for event in bench.events if isinstance(event, MeterReading)]
    return [reading.energy_wh for reading in found if reading.context is MeterContext.PERIODIC]


def test_reading_once_a_second_in_every_phase(bench: EvseBench) -> None:
    bench.run(10.0)
    assert len(periodic(bench)) in (10, 11)
    bench.bring_to(Stage.CHARGING)
    before = len(periodic(bench))
    bench.run(10.0)
    assert len(periodic(bench)) - before in (9, 10, 11)


def test_readings_stop_with_the_meter_and_come_back(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.meter_lost = True
    before = len(periodic(bench))
    bench.run(5.0)
    assert len(periodic(bench)) == before
    bench.meter_lost = False
    bench.run(2.0)
    assert len(periodic(bench)) - before in (2, 3)


def test_register_never_falls(bench: EvseBench) -> None:
    bench.run(2.0)
    bench.energy_wh = 3.0
    bench.run(2.0)
    assert periodic(bench) == sorted(periodic(bench))


def test_stop_reading_waits_for_a_sample_after_the_contact_opened(bench: EvseBench) -> None:
    charging(bench)
    bench.withdraw()
    bench.run_to(Stage.WELDING)
    assert last_billed(bench) is MeterContext.START
    bench.energy_wh += 7.0
    bench.run(PERIOD_S)
    assert last_billed(bench) is MeterContext.STOP
    assert bench.billed[-1].energy_wh == bench.energy_wh
    assert bench.billed[-1].offered_a == 0.0


def test_meter_silent_from_the_start_owes_nothing(bench: EvseBench) -> None:
    bench.meter_lost = True
    charging(bench)
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    assert bench.billed == []


def test_state_of_charge_and_offer_are_in_the_reading(bench: EvseBench) -> None:
    charging(bench)
    reading = bench.state.reading
    assert reading is not None
    assert reading.soc_percent == 20.0
    assert (reading.offered_a, reading.offered_w) == (500.0, 400_000.0)
    bench.unplug()
    bench.run(3.0)
    assert bench.state.reading is not None
    assert bench.state.reading.soc_percent is None


# --- odds and ends -------------------------------------------------------------------------------------------


def test_nothing_closes_without_the_vehicle(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    bench.run(30.0)
    assert bench.taken(CloseContactor) == []


def test_transition_that_is_not_in_the_table_is_our_mistake() -> None:
    with pytest.raises(KeyError):
        Run(State(evse=1, rating=RATING), 0.0).fire(Trigger.RESUME, Cause.SEQUENCE)


def test_next_deadline_names_the_first_thing_due(bench: EvseBench) -> None:
    bench.bring_to(Stage.PRECHARGE)
    bench.state = State(**{name: getattr(bench.state, name) for name in State.__slots__} | {"next_reading": 1e9})
    assert next_deadline(bench.state) == pytest.approx(bench.state.since + 10.0)
    bench.permit(lease_s=1.0)
    assert next_deadline(bench.state) == pytest.approx(bench.now + 1.0)
