# SPDX-License-Identifier: Apache-2.0
"""One EVSE through its sessions: the usual way, every stop, the plug, the flow of energy."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from firmware.contract import (
    Cause,
    ContactorChanged,
    EnergyFlow,
    EnergyFlowChanged,
    Fault,
    LatchChanged,
    MeterContext,
    Phase,
    PhaseChanged,
    Plugged,
    Unplugged,
    VehicleIdentified,
)
from hal.evse.model import (
    AuthoriseVehicle,
    EmergencyStop,
    Limits,
    OpenContactor,
    RequestVehicleStop,
    SwitchOff,
    WakeVehicle,
)
from hal.evse.run import ENFORCE_S
from hal.evse.step import next_deadline
from hal.evse.table import ANSWER_WITHIN_S, CLOSED, RUNNING, Stage
from hal.ports import Pilot, VehicleStage
from tests.support.evse_bench import PERIOD_S, EvseBench

ALL_WAYS_IN = [stage for stage in Stage if stage not in (Stage.IDLE,)]
ENERGISED = [stage for stage in RUNNING if stage in CLOSED]


# --- the usual way ---------------------------------------------------------------------------------------------


def test_a_whole_session(bench: EvseBench) -> None:
    bench.charge()
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
    kinds = [type(event) for event in bench.events]
    assert kinds.count(Plugged) == kinds.count(Unplugged) == kinds.count(VehicleIdentified) == 1
    assert [event.closed for event in bench.events if isinstance(event, ContactorChanged)] == [True, False]
    assert [event.locked for event in bench.events if isinstance(event, LatchChanged)] == [True, False]
    assert [reading.context for reading in bench.billed] == [MeterContext.START, MeterContext.STOP]
    assert bench.billed[1].energy_wh > bench.billed[0].energy_wh
    assert Unplugged(evse=1, forced=False) in bench.events


def test_permission_may_come_before_the_plug(bench: EvseBench) -> None:
    bench.permit()
    bench.run(1.0)
    assert bench.phase() is Phase.IDLE
    bench.plug()
    bench.run_to(Stage.CHARGING)


def test_vehicle_that_ends_the_session(bench: EvseBench) -> None:
    bench.charge()
    bench.change(stage=VehicleStage.STOP, target_current_a=0.0)
    bench.run_to(Stage.FINISHED, within_s=5.0)
    ends = [event for event in bench.events if isinstance(event, PhaseChanged)][-2:]
    assert ends == [PhaseChanged(evse=1, phase=each, cause=Cause.VEHICLE) for each in (Phase.STOPPING, Phase.FINISHED)]
    assert bench.state.session == "one"
    assert bench.state.flow is EnergyFlow.SUSPENDED_BY_VEHICLE


def test_vehicle_that_comes_back_under_the_same_permission(bench: EvseBench) -> None:
    bench.charge()
    bench.change(stage=VehicleStage.STOP, target_current_a=0.0)
    bench.run_to(Stage.FINISHED)
    bench.run(2.0)
    assert bench.state.stage is Stage.CHARGING
    assert [reading.context.value for reading in bench.billed] == ["start", "stop", "start"]


@pytest.mark.parametrize("session", ["one", "two"])
def test_another_session_on_the_same_plug(bench: EvseBench, session: str) -> None:
    bench.charge()
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    assert bench.taken(AuthoriseVehicle)[-1] == AuthoriseVehicle(False)
    bench.permit(session)
    bench.run_to(Stage.CHARGING)
    assert [reading.context.value for reading in bench.billed] == ["start", "stop", "start"]


def test_permission_given_while_the_last_session_stops(bench: EvseBench) -> None:
    bench.charge()
    bench.withdraw()
    bench.run(PERIOD_S)
    assert bench.phase() is Phase.STOPPING
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
    assert bench.phase() is Phase.FAULTED


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
    assert bench.phase() is Phase.FAULTED


def test_lost_meter_ends_the_session_in_the_orderly_way(bench: EvseBench) -> None:
    bench.charge()
    last = bench.state.register.energy_wh
    bench.meter_lost = True
    bench.fault(Fault.METER)
    assert bench.state.stage is Stage.ASK_STOP
    assert bench.taken(RequestVehicleStop)
    bench.run_to(Stage.FAULTED, within_s=8.0)
    assert bench.last_billed() is MeterContext.STOP
    assert bench.billed[-1].energy_wh == last


@pytest.mark.parametrize("plugged", [True, False])
def test_recovery_when_the_fault_is_gone(bench: EvseBench, plugged: bool) -> None:
    bench.charge()
    bench.fault(Fault.EMERGENCY_STOP)
    bench.run(3.0)
    if not plugged:
        bench.unplug()
    bench.run(0.2)
    assert bench.phase() is Phase.FAULTED
    bench.fault()
    bench.run(0.2)
    assert bench.phase() is (Phase.PLUGGED if plugged else Phase.IDLE)
    if plugged:
        assert bench.state.session is None
        bench.permit("two")
        bench.run_to(Stage.CHARGING)


def test_fault_of_an_idle_evse(bench: EvseBench) -> None:
    bench.fault(Fault.DOOR_OPEN)
    assert bench.phase() is Phase.FAULTED
    bench.plug()
    bench.run(0.2)
    assert Plugged(evse=1) in bench.events
    bench.fault()
    bench.run(0.2)
    assert bench.phase() is Phase.PLUGGED


def test_harmless_fault_stops_nothing(bench: EvseBench) -> None:
    bench.charge()
    bench.fault(Fault.SCREEN)
    bench.run(1.0)
    assert bench.state.stage is Stage.CHARGING


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
    assert bench.phase() is Phase.IDLE
    assert not bench.mirror
    assert bench.state.plugged is False


def test_plug_that_comes_back_before_the_end_is_a_new_one(bench: EvseBench) -> None:
    bench.charge()
    bench.mirror_stuck = True
    bench.unplug()
    bench.run(0.2)
    bench.plug()
    bench.run(0.2)
    assert [type(event) for event in bench.events].count(Plugged) == 1
    bench.mirror_stuck = None
    bench.run(3.0)
    assert [type(event) for event in bench.events].count(Plugged) == 2


# --- energy flow -------------------------------------------------------------------------------------------


def flows(bench: EvseBench) -> list[EnergyFlow]:
    return [event.flow for event in bench.events if isinstance(event, EnergyFlowChanged)]


def test_limit_of_zero_suspends_and_its_end_resumes(bench: EvseBench) -> None:
    bench.charge()
    bench.limit(0.0)
    bench.run(ENFORCE_S + 0.2)
    assert bench.phase() is Phase.PAUSED
    assert bench.mirror
    assert bench.current_a == 0.0
    bench.wanted_a = 0.0  # a vehicle that is offered nothing asks for nothing
    bench.run(3.0)
    bench.limit(None)
    bench.run(0.3)
    bench.wanted_a = 100.0
    bench.run(1.0)
    assert bench.phase() is Phase.CHARGING
    assert flows(bench) == [EnergyFlow.FLOWING, EnergyFlow.SUSPENDED_BY_STATION, EnergyFlow.FLOWING]
    assert PhaseChanged(evse=1, phase=Phase.PAUSED, cause=Cause.SERVICE) in bench.events
    assert [reading.context.value for reading in bench.billed] == ["start"]


def test_vehicle_that_asks_for_nothing_suspends(bench: EvseBench) -> None:
    bench.charge()
    bench.wanted_a = 0.0
    bench.run(0.8)
    assert bench.phase() is Phase.CHARGING
    bench.run(0.5)
    assert bench.phase() is Phase.PAUSED
    bench.wanted_a = 50.0
    bench.run(0.3)
    assert flows(bench) == [EnergyFlow.FLOWING, EnergyFlow.SUSPENDED_BY_VEHICLE, EnergyFlow.FLOWING]


def test_station_without_modules_suspends(bench: EvseBench) -> None:
    bench.charge()
    bench.ceiling = Limits(0.0, 0.0)
    bench.run(ENFORCE_S + 0.2)
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


def test_vehicle_that_asks_again_is_authorised_again(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    before = len(bench.taken(AuthoriseVehicle))
    bench.change(stage=VehicleStage.WAITING_AUTHORISATION)
    bench.run(0.3)
    assert bench.taken(AuthoriseVehicle)[before:] == [AuthoriseVehicle(True)]


# --- a vehicle that does not begin -----------------------------------------------------------------------------------


def test_authorisation_is_a_level_that_is_repeated_while_plugged(bench: EvseBench) -> None:
    bench.bring_to(Stage.AUTHORISED)
    before = len(bench.taken(AuthoriseVehicle))
    bench.run(5.0)
    bench.withdraw()
    bench.run(5.0)
    levels = [action.granted for action in bench.taken(AuthoriseVehicle)[before:]]
    assert levels == sorted(levels, reverse=True)
    assert min(levels.count(True), levels.count(False)) >= 4


def asleep(bench: EvseBench) -> None:
    """A session is over, the next is permitted, and the vehicle has not noticed."""
    bench.charge()
    bench.sleeps = True
    bench.withdraw()
    bench.run_to(Stage.FINISHED)
    bench.permit("two", lease_s=1000.0)


def test_vehicle_that_sleeps_is_woken_once(bench: EvseBench) -> None:
    asleep(bench)
    bench.run_to(Stage.CHARGING, within_s=60.0)
    assert bench.taken(WakeVehicle) == [WakeVehicle()]
    assert [reading.context.value for reading in bench.billed] == ["start", "stop", "start"]


def test_vehicle_that_does_not_wake_leaves_the_permission_unanswered(bench: EvseBench) -> None:
    asleep(bench)
    bench.obeys = False
    bench.run(ANSWER_WITHIN_S + 1.0)
    assert bench.taken(WakeVehicle) == [WakeVehicle()]
    assert bench.state.flow is EnergyFlow.UNANSWERED
    assert bench.state.session == "two"
    bench.obeys, bench.sleeps = True, False
    bench.run_to(Stage.CHARGING)
    assert flows(bench)[-2:] == [EnergyFlow.NONE, EnergyFlow.FLOWING]


@pytest.mark.parametrize("stage", [each for each in VehicleStage if each is not VehicleStage.CABLE_CHECK])
def test_every_wait_for_a_vehicle_has_an_end(bench: EvseBench, stage: VehicleStage) -> None:
    bench.bring_to(Stage.AUTHORISED)
    bench.permit(lease_s=1000.0)
    bench.change(stage=stage)
    bench.run(ANSWER_WITHIN_S + 1.0)
    talks = stage is VehicleStage.WAITING_AUTHORISATION
    assert bench.taken(WakeVehicle) == ([] if talks else [WakeVehicle()])
    assert bench.state.flow is (EnergyFlow.SUSPENDED_BY_VEHICLE if talks else EnergyFlow.UNANSWERED)


def test_vehicle_that_does_not_go_on_gets_a_second_try(bench: EvseBench) -> None:
    bench.bring_to(Stage.CHECKED)
    bench.obeys = False
    bench.permit(lease_s=1000.0)
    bench.run_to(Stage.FINISHED, within_s=80.0)
    bench.run(0.1)
    assert bench.taken(WakeVehicle) == [WakeVehicle()]
    bench.change(stage=VehicleStage.NEGOTIATING, pilot=Pilot.B, locked=False)
    bench.run(1.0)
    bench.obeys = True
    bench.run_to(Stage.CHECKED)
    bench.obeys = False
    bench.run_to(Stage.FINISHED, within_s=80.0)
    bench.run(ANSWER_WITHIN_S + 0.1)
    assert bench.taken(WakeVehicle) == [WakeVehicle()]
    assert flows(bench) == [EnergyFlow.UNANSWERED]


# --- deadlines ----------------------------------------------------------------------------------------------------


def test_next_deadline_names_the_first_thing_due(bench: EvseBench) -> None:
    bench.bring_to(Stage.PRECHARGE)
    bench.state = replace(bench.state, next_reading=1e9)
    assert next_deadline(bench.state) == pytest.approx(bench.state.since + 10.0)
    bench.permit(lease_s=1.0)
    assert next_deadline(bench.state) == pytest.approx(bench.now + 1.0)
