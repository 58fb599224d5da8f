# SPDX-License-Identifier: Apache-2.0
"""One step in progress: the changing state, the actions so far, and what the stages have in common.

A `Run` lives for the length of one `step` call. Only its methods change the stage, so that a stage is always entered
by a transition of the table and with its entry actions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from firmware.contract import Cause, Event, Fault, PhaseChanged
from hal.evse.limits import capped, ramp
from hal.evse.model import (
    ZERO_LIMITS,
    Action,
    AnnounceLimits,
    AuthoriseVehicle,
    CloseContactor,
    EmergencyStop,
    EnableInsulation,
    FinishCableCheck,
    Limits,
    OpenContactor,
    Publish,
    RaiseFault,
    Readings,
    RequestVehicleStop,
    SetOutput,
    StartSelfTest,
    State,
    SwitchOff,
    WakeVehicle,
)
from hal.evse.table import CABLE_CHECK, RUNNING, TRANSITIONS, Stage, StopKind, Trigger, stop_kind_of

__all__ = ["CABLE_CHECK_S", "ENFORCE_S", "REPEAT_S", "Run"]

CABLE_CHECK_S = 40.0
REPEAT_S = 1.0
"""How often the vehicle's authorisation is sent while it does not change."""
ENFORCE_S = 5.0
"""A vehicle has this long to follow a lower limit before less is delivered: some end the session otherwise."""


class Run:
    """State and actions of one step."""

    __slots__ = ("actions", "now", "state")

    def __init__(self, state: State, now: float) -> None:
        self.state = state
        self.now = now
        self.actions: list[Action] = []

    def set(self, **changes: Any) -> None:
        """Change the state, if that is a change: most of what a sample sets is as it was."""
        if any(getattr(self.state, name) is not value for name, value in changes.items()):
            self.state = replace(self.state, **changes)

    def do(self, *actions: Action) -> None:
        self.actions.extend(actions)

    def publish(self, event: Event) -> None:
        self.actions.append(Publish(event))

    @property
    def spent_s(self) -> float:
        """How long the present stage has lasted, in seconds."""
        return self.now - self.state.since

    # --- moving between stages ---------------------------------------------------------------------------

    def fire(self, trigger: Trigger, cause: Cause) -> None:
        """Enter the stage that the table gives; raises `KeyError` for a pair that is not in it, which is a bug."""
        before = self.state
        self.set(stage=TRANSITIONS[before.stage, trigger], since=self.now)
        if before.stage in RUNNING and self.state.stage not in RUNNING:
            self.set(ended_by=cause)
        if self.state.phase is not before.phase:
            self.publish(PhaseChanged(evse=before.evse, phase=self.state.phase, cause=cause))
        _leave(self, before.stage)
        entry = _ENTRY.get(self.state.stage)
        if entry is not None:
            entry(self)

    def stop(self, trigger: Trigger, cause: Cause, kind: StopKind) -> None:
        """Leave a running or stopping stage; an emergency fires `CUT` in place of `trigger`."""
        self.set(stop_kind=max(kind, self.state.stop_kind, key=lambda each: each.value))
        self.fire(Trigger.CUT if kind is StopKind.EMERGENCY else trigger, cause)

    def fail(self, fault: Fault, detail: str) -> None:
        """The session failed in this stage: raise the fault and stop as fast as the fault requires."""
        self.fail_at_rest(fault, detail)
        self.drop_permission()
        self.stop(Trigger.FAULT, Cause.FAULT, max(stop_kind_of(fault), StopKind.ERROR, key=lambda each: each.value))

    def fail_at_rest(self, fault: Fault, detail: str) -> None:
        """Raise a fault when the session has already stopped."""
        self.do(RaiseFault(fault, detail))
        self.set(faults=self.state.faults | {fault})

    def drop_permission(self) -> None:
        self.set(session=None, lease_until=0.0, permitted_while_stopping=False)

    def authorise(self, granted: bool) -> None:
        """Send the vehicle its authorisation if that has changed or REPEAT_S are over: it is a level, not an edge."""
        if self.state.vehicle_authorised is not granted or self.now - self.state.authorised_at >= REPEAT_S:
            self.do(AuthoriseVehicle(granted))
            self.set(vehicle_authorised=granted, authorised_at=self.now)

    def wake_vehicle(self) -> None:
        """Interrupt the pilot, the second try for a vehicle that does not begin or go on; once under a permission."""
        if not self.state.woken:
            self.do(WakeVehicle())
            self.set(woken=True)

    # --- output --------------------------------------------------------------------------------------------

    def drive(self, voltage_v: float, current_a: float) -> None:
        """Request this output of the modules; with an open mirror contact they are switched off."""
        if not self.state.contactor_closed:
            self.switch_off()
            return
        self.do(SetOutput(voltage_v, current_a))
        self.set(output_v=voltage_v, output_a=current_a, output_at=self.now)

    def drive_towards(self, voltage_v: float, target_a: float) -> None:
        """Like `drive`, with the current rising no faster than the ramp."""
        self.drive(voltage_v, ramp(self.state.output_a, target_a, self.now - self.state.output_at))

    def switch_off(self) -> None:
        self.do(SwitchOff())
        self.set(output_v=0.0, output_a=0.0, output_at=self.now)

    def start_monitoring(self) -> None:
        if not self.state.monitoring:
            self.do(EnableInsulation(True))
            self.set(monitoring=True)

    def open_contactor(self) -> None:
        self.do(OpenContactor())
        self.set(coil_on=False)

    def follow_limits(self, readings: Readings) -> None:
        """Announce the present limits; a lower one comes into force when the vehicle follows it, or after ENFORCE_S."""
        limits, state = capped(readings.ceiling, self.state.limit_w), self.state
        if _differ(limits, state.announced):
            self.do(AnnounceLimits(state.rating.max_voltage_v, limits.current_a, limits.power_w))
            self.set(announced=limits)
        if limits.current_a >= state.offered.current_a and limits.power_w >= state.offered.power_w:
            self.set(offered=limits, lower_since=None)
            return
        since = self.now if state.lower_since is None else state.lower_since
        if self.now - since >= ENFORCE_S or _follows(readings, limits):
            self.set(offered=limits, lower_since=None)
        else:
            self.set(lower_since=since)


def _differ(new: Limits, old: Limits) -> bool:
    """Whether a limit changed by more than noise; any change from or to zero counts."""
    pairs = ((new.current_a, old.current_a), (new.power_w, old.power_w))
    return any((a == 0.0) != (b == 0.0) or abs(a - b) > 0.005 * max(a, b) for a, b in pairs)


def _follows(readings: Readings, limits: Limits) -> bool:
    vehicle = readings.vehicle
    return vehicle is not None and vehicle.target_current_a <= limits.current_at(vehicle.target_voltage_v)


_WITHOUT_MONITOR = (Stage.IDLE, Stage.PLUGGED, Stage.FINISHED, Stage.FAULTED)

# --- leaving and entering a stage ----------------------------------------------------------------------------


def _leave(run: Run, stage: Stage) -> None:
    """Send the vehicle `failed` for a cable check that ends early, and the request to stop or the emergency stop.

    The insulation monitor is off between sessions: a connected system may have only one that is active, and the
    modules of an idle outlet may serve another one.
    """
    if run.state.monitoring and run.state.stage in _WITHOUT_MONITOR:
        run.do(EnableInsulation(False))
        run.set(monitoring=False)
    if stage in CABLE_CHECK and run.state.stage not in RUNNING and stage is not Stage.CHECKED:
        run.do(FinishCableCheck(False))
    if run.state.stage is Stage.OPEN and run.state.stop_kind is StopKind.EMERGENCY:
        run.do(EmergencyStop())
    elif run.state.stage in (Stage.RAMP_DOWN, Stage.OPEN) and stage in RUNNING:
        run.do(RequestVehicleStop())


def _enter_idle(run: Run) -> None:
    run.authorise(False)
    run.set(stop_kind=StopKind.NORMAL, offered=ZERO_LIMITS, announced=ZERO_LIMITS, woken=False)


def _enter_authorised(run: Run) -> None:
    run.authorise(not run.state.queued)
    run.set(
        stop_kind=StopKind.NORMAL,
        permitted_while_stopping=False,
        offered=ZERO_LIMITS,
        announced=ZERO_LIMITS,
        lower_since=None,
    )


def _enter_discharge(run: Run) -> None:
    run.switch_off()
    run.start_monitoring()
    run.set(cable_check_until=run.now + CABLE_CHECK_S, over_request_since=None, quiet_since=None)


def _enter_close(run: Run) -> None:
    run.do(CloseContactor())
    run.set(coil_on=True)


def _enter_self_test(run: Run) -> None:
    run.do(StartSelfTest())
    run.set(self_test_seen=False, good_samples=0, bad_samples=0)


def _enter_checked(run: Run) -> None:
    run.do(FinishCableCheck(True))


def _enter_charging(run: Run) -> None:
    """The `start` reading is due on the first entry of a session, not after a pause."""
    run.set(start_reading_due=not run.state.stop_reading_due, quiet_since=None)


def _enter_ask_stop(run: Run) -> None:
    run.do(RequestVehicleStop())


def _enter_open(run: Run) -> None:
    run.switch_off()
    run.open_contactor()
    run.set(offered=ZERO_LIMITS)


def _enter_finished(run: Run) -> None:
    run.authorise(run.state.session is not None and not run.state.permitted_while_stopping)
    run.set(stop_kind=StopKind.NORMAL)


def _enter_faulted(run: Run) -> None:
    run.authorise(False)
    run.drop_permission()
    run.set(offered=ZERO_LIMITS)


_ENTRY: dict[Stage, Callable[[Run], None]] = {
    Stage.IDLE: _enter_idle,
    Stage.PLUGGED: _enter_idle,
    Stage.AUTHORISED: _enter_authorised,
    Stage.DISCHARGE: _enter_discharge,
    Stage.CLOSE: _enter_close,
    Stage.SELF_TEST: _enter_self_test,
    Stage.BLEED: Run.switch_off,
    Stage.CHECKED: _enter_checked,
    Stage.CHARGING: _enter_charging,
    Stage.ASK_STOP: _enter_ask_stop,
    Stage.RAMP_DOWN: Run.switch_off,
    Stage.OPEN: _enter_open,
    Stage.FINISHED: _enter_finished,
    Stage.FAULTED: _enter_faulted,
}
