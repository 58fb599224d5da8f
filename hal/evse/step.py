# SPDX-License-Identifier: Apache-2.0
"""`step(state, event, now) -> (state, actions)`: the whole EVSE, without I/O, clock or waiting.

This module handles what concerns every stage (plug, permission, lease, limit, faults, flow); what is done inside a
stage is in `stages.py`, the order of stages in `table.py`. The caller carries the actions out in their order.
"""

from __future__ import annotations

from firmware.contract import (
    Cause,
    ContactorChanged,
    EnergyFlow,
    EnergyFlowChanged,
    Fault,
    LatchChanged,
    Plugged,
    Unplugged,
    VehicleIdentified,
)
from hal.evse.metering import judge_meter, read_meter
from hal.evse.model import (
    Action,
    AuthoriseVehicle,
    ClearSessionFaults,
    EvseEvent,
    FaultsChanged,
    LimitChanged,
    Permitted,
    Readings,
    ReportOutput,
    Sampled,
    ServiceChanged,
    SetAvailable,
    State,
    Withdrawn,
)
from hal.evse.run import Run
from hal.evse.stages import HANDLERS, QUIET_A, QUIET_S, SAMPLES_NEEDED
from hal.evse.table import (
    ANSWER_WITHIN_S,
    CABLE_CHECK,
    CLOSED,
    RESTING,
    RUNNING,
    TIME_LIMIT_S,
    WAKE_AFTER_S,
    Stage,
    StopKind,
    Trigger,
    stop_kind_of,
)
from hal.ports import Pilot, Vehicle, VehicleStage

__all__ = ["next_deadline", "step"]

UNREADY_S = 3.0
"""If the vehicle has not begun this long after its authorisation, it is the vehicle that suspends energy transfer."""
_SEVERITY = {kind: kind.value for kind in StopKind}


def step(state: State, event: EvseEvent, now: float) -> tuple[State, tuple[Action, ...]]:
    """Return the state after `event` at `now` (monotonic seconds), and the actions to carry out."""
    run = Run(state, now)
    match event:
        case Sampled(readings):
            _sample(run, readings)
        case Permitted(session, lease_s):
            _permitted(run, session, lease_s)
        case Withdrawn():
            _end_permission(run, Cause.SERVICE)
        case LimitChanged(power_w):
            run.set(limit_w=power_w)
        case ServiceChanged(in_service):
            run.set(in_service=in_service)
        case FaultsChanged(faults):
            _faults_changed(run, faults)
    return run.state, tuple(run.actions)


def next_deadline(state: State) -> float | None:
    """When something is due even without an event: end of the lease, end of a stage's time, or the next reading."""
    due = [state.next_reading]
    if state.session is not None:
        due.append(state.lease_until)
    if state.stage in TIME_LIMIT_S:
        due.append(state.since + TIME_LIMIT_S[state.stage])
    if state.stage in CABLE_CHECK:
        due.append(state.cable_check_until)
    return min(due)


# --- permission and faults ---------------------------------------------------------------------------------------


def _permitted(run: Run, session: str, lease_s: float) -> None:
    renewed = run.state.session is not None
    run.set(session=session, lease_until=run.now + lease_s)
    if renewed:
        return
    run.set(woken=False)
    if run.state.stage in (Stage.PLUGGED, Stage.FINISHED):
        run.fire(Trigger.PERMIT, Cause.SERVICE)
    elif run.state.stage not in RESTING:
        run.set(permitted_while_stopping=True)


def _end_permission(run: Run, cause: Cause) -> None:
    """The permission was withdrawn or has lapsed: end a session under way in the orderly way."""
    run.drop_permission()
    if run.state.stage is Stage.AUTHORISED or run.state.stage in RUNNING:
        run.fire(Trigger.END, cause)
    elif run.state.stage in RESTING:
        run.authorise(False)


def _faults_changed(run: Run, faults: frozenset[Fault]) -> None:
    run.set(faults=faults)
    stopping = [fault for fault in faults if fault.stops_charging]
    stage = run.state.stage
    if not stopping or stage in (Stage.OPEN, Stage.WELDING, Stage.FAULTED):
        return
    run.drop_permission()
    kind = max((stop_kind_of(fault) for fault in stopping), key=_SEVERITY.__getitem__)
    if stage in RESTING:
        run.fire(Trigger.FAULT, Cause.FAULT)
    elif kind is StopKind.EMERGENCY:
        run.stop(Trigger.CUT, Cause.FAULT, kind)
    elif kind is StopKind.ERROR and stage is not Stage.RAMP_DOWN:
        run.stop(Trigger.FAULT, Cause.FAULT, kind)
    elif stage in RUNNING:
        run.stop(Trigger.END, Cause.FAULT, kind)


# --- the ports were read --------------------------------------------------------------------------------------


def _sample(run: Run, readings: Readings) -> None:
    judge_meter(run, readings)
    if readings.contactor_closed is not run.state.contactor_closed:
        run.set(contactor_closed=readings.contactor_closed)
        run.publish(ContactorChanged(evse=run.state.evse, closed=readings.contactor_closed))
    if readings.vehicle is not None:
        _connection(run, readings.vehicle)
    if run.state.session is not None and run.now >= run.state.lease_until:
        _end_permission(run, Cause.LEASE)
    run.set(queued=readings.queued)
    _limits(run, readings)
    HANDLERS[run.state.stage](run, readings)
    _show_service(run)
    if run.state.plugged:
        run.authorise(run.state.vehicle_authorised)
    if readings.power is not None and run.state.plugged:
        run.do(ReportOutput(readings.power.voltage_v, readings.power.current_a, _judged_kohm(run.state, readings)))
    _flow(run)
    read_meter(run, readings)


def _limits(run: Run, readings: Readings) -> None:
    """Announce the limits in every stage in which they matter to the vehicle, the first when there are any modules."""
    stage, limited = run.state.stage, run.state.limit_w == 0.0
    if stage in RUNNING or (stage is Stage.AUTHORISED and (readings.ceiling.current_a > 0.0 or limited)):
        run.follow_limits(readings)


def _show_service(run: Run) -> None:
    """Show vehicles whether the EVSE is in service; one that is plugged in keeps the pilot by which it leaves."""
    state = run.state
    available = state.plugged or (state.in_service and state.stage is not Stage.FAULTED)
    if available is not state.available:
        run.do(SetAvailable(available))
        run.set(available=available)


def _judged_kohm(state: State, readings: Readings) -> float | None:
    """The insulation resistance for the SECC, which ends its own test by it: not before the cable check has passed."""
    insulation = readings.insulation
    tested = state.stage not in CABLE_CHECK or state.stage in (Stage.BLEED, Stage.CHECKED)
    passed = state.stage is Stage.SAMPLES and state.good_samples >= SAMPLES_NEEDED
    return insulation.resistance_kohm if insulation is not None and insulation.valid and (tested or passed) else None


def _connection(run: Run, vehicle: Vehicle) -> None:
    """Handle changes of plug, latch, identity and vehicle stage."""
    evse = run.state.evse
    # A plug that returns in one of these two stages counts as plugged only after them.
    settled = run.state.stage not in (Stage.OPEN, Stage.WELDING)
    if vehicle.pilot in (Pilot.B, Pilot.C) and not run.state.plugged and settled:
        run.set(plugged=True)
        run.publish(Plugged(evse=evse))
        if run.state.stage is Stage.IDLE:
            run.fire(Trigger.PLUG, Cause.DRIVER)
    elif vehicle.pilot is Pilot.A and run.state.plugged:
        _unplugged(run)
    if vehicle.locked is not run.state.locked:
        run.set(locked=vehicle.locked)
        run.publish(LatchChanged(evse=evse, locked=vehicle.locked))
    if vehicle.evcc_id is not None and vehicle.evcc_id != run.state.evcc_id and run.state.plugged:
        run.set(evcc_id=vehicle.evcc_id)
        run.publish(VehicleIdentified(evse=evse, evcc_id=vehicle.evcc_id))
    if vehicle.stage is not run.state.vehicle_stage:
        run.set(vehicle_stage=vehicle.stage)
        _vehicle_moved(run, vehicle.stage)


def _unplugged(run: Run) -> None:
    """Handle a plug that is out; with a closed contactor this is an emergency."""
    stage = run.state.stage
    forced = stage in CLOSED
    run.set(plugged=False, evcc_id=None)
    run.publish(Unplugged(evse=run.state.evse, forced=forced))
    run.do(ClearSessionFaults())
    if forced or stage is Stage.DISCHARGE:
        run.stop(Trigger.CUT, Cause.DRIVER, StopKind.EMERGENCY)
    elif stage in RESTING:
        run.fire(Trigger.UNPLUG, Cause.DRIVER)


def _vehicle_moved(run: Run, vehicle_stage: VehicleStage) -> None:
    """Repeat the authorisation if the vehicle asks again, and let it start over while the permission lasts."""
    stage = run.state.stage
    if stage is Stage.AUTHORISED and vehicle_stage is VehicleStage.WAITING_AUTHORISATION:
        run.do(AuthoriseVehicle(True))
    elif stage is Stage.FINISHED and run.state.session is not None and vehicle_stage in _STARTS_OVER:
        run.fire(Trigger.PERMIT, Cause.VEHICLE)


_STARTS_OVER = (VehicleStage.WAITING_AUTHORISATION, VehicleStage.CABLE_CHECK)


def _flow(run: Run) -> None:
    flow = _flow_of(run.state, run.now)
    if flow is not run.state.flow:
        run.set(flow=flow)
        run.publish(EnergyFlowChanged(evse=run.state.evse, flow=flow))


def _flow_of(state: State, now: float) -> EnergyFlow:
    """Who suspends energy transfer; the station takes precedence, because a vehicle offered nothing requests nothing.

    A vehicle that ended its session while the permission lasts may start over: until then it is the one that suspends.
    """
    if state.stage is Stage.CHARGING:
        return EnergyFlow.FLOWING
    if state.stage is Stage.PAUSED:
        return _flow_in_pause(state, now)
    if state.stage is Stage.AUTHORISED:
        return _flow_before_begin(state, now - state.since)
    if state.stage is Stage.FINISHED and state.session is not None and not state.permitted_while_stopping:
        if state.ended_by is not Cause.TIMEOUT:
            return EnergyFlow.SUSPENDED_BY_VEHICLE
        return EnergyFlow.UNANSWERED if now - state.since >= ANSWER_WITHIN_S else EnergyFlow.NONE
    return EnergyFlow.NONE


def _flow_before_begin(state: State, waited_s: float) -> EnergyFlow:
    if state.limit_w == 0.0 or state.queued:
        return EnergyFlow.SUSPENDED_BY_STATION
    if waited_s >= ANSWER_WITHIN_S and state.vehicle_stage in WAKE_AFTER_S:
        return EnergyFlow.UNANSWERED
    return EnergyFlow.SUSPENDED_BY_VEHICLE if waited_s >= UNREADY_S else EnergyFlow.NONE


def _flow_in_pause(state: State, now: float) -> EnergyFlow:
    if state.offered.current_at(state.output_v) < QUIET_A:
        return EnergyFlow.SUSPENDED_BY_STATION
    if state.quiet_since is not None and now - state.quiet_since >= QUIET_S:
        return EnergyFlow.SUSPENDED_BY_VEHICLE
    return state.flow
