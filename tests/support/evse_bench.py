# SPDX-License-Identifier: Apache-2.0
"""One EVSE on the bench: the pure `step`, with just enough physics and vehicle to go through a session.

Attributes are knobs: a test sets what it needs (a contactor that sticks, a vehicle that refuses) and lets time pass
with `run`. The rules that hold in every state are checked after every step.
"""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from firmware.contract import Event, Fault, MeterContext, MeterReading, Phase, PhaseChanged
from hal.evse.model import (
    Action,
    AuthoriseVehicle,
    ClearSessionFaults,
    CloseContactor,
    EvseEvent,
    FaultsChanged,
    FinishCableCheck,
    LimitChanged,
    Limits,
    OpenContactor,
    Permitted,
    Publish,
    RaiseFault,
    Rating,
    Readings,
    Sampled,
    SetOutput,
    StartSelfTest,
    State,
    SwitchOff,
    WakeVehicle,
    Withdrawn,
)
from hal.evse.step import step
from hal.evse.table import CLOSED, Stage
from hal.ports import NO_VEHICLE, InsulationReading, MeterSample, Pilot, PowerReading, Vehicle, VehicleStage

__all__ = ["PERIOD_S", "RATING", "EvseBench"]

RATING = Rating(max_voltage_v=1000.0, min_voltage_v=150.0, max_current_a=500.0, max_power_w=400_000.0)
PERIOD_S = 0.1
PACK_V = 380.0
_EARLY = (VehicleStage.NEGOTIATING, VehicleStage.WAITING_AUTHORISATION)


class EvseBench:
    """One EVSE; `vehicle` is what the communication controller reports of the car."""

    def __init__(self) -> None:
        self.now = 100.0
        self.state = State(evse=1, rating=RATING, next_reading=self.now)
        self.actions: list[Action] = []
        self.events: list[Event] = []
        self.faults: set[Fault] = set()
        self.session_faults: set[Fault] = set()
        # knobs: the vehicle
        self.vehicle: Vehicle | None = NO_VEHICLE
        self.obeys = True
        """The vehicle follows the sequence by itself."""
        self.sleeps = False
        """After a session it does not see an authorisation before its pilot is interrupted."""
        self.wanted_a = 100.0
        # knobs: the hardware
        self.coil = False
        self.mirror_stuck: bool | None = None
        self.power_lost = False
        self.meter_lost = False
        self.monitor_lost = False
        self.insulation_kohm = 5000.0
        self.insulation_valid = True
        self.self_test: bool | None = True
        self.modules_obey = True
        self.held_v: float | None = None
        """A voltage at the connector that the modules do not make."""
        self.short_a = 0.0
        """What a short circuit of the outlet draws."""
        self.unmeasured = False
        """Nothing measures the voltage at the connector."""
        self.ceiling = Limits(500.0, 400_000.0)
        self.groups = 4
        self.energy_wh = 1000.0
        self.false_wh: float | None = None
        """What the meter shows instead."""
        # what it does
        self.output = (0.0, 0.0)
        """What is requested of the modules: volts, amperes."""
        self.self_test_started_at: float | None = None

    # --- what a test does ---------------------------------------------------------------------------------

    def plug(self) -> None:
        self.change(pilot=Pilot.B, stage=VehicleStage.NEGOTIATING, evcc_id="020000000001")

    def unplug(self) -> None:
        self.vehicle = NO_VEHICLE

    def change(self, **fields: Any) -> None:
        """Change what the vehicle reports."""
        self.vehicle = replace(self.vehicle or NO_VEHICLE, **fields)

    def permit(self, session: str = "one", lease_s: float = 60.0) -> None:
        self.apply(Permitted(session, lease_s))

    def withdraw(self) -> None:
        self.apply(Withdrawn())

    def limit(self, power_w: float | None) -> None:
        self.apply(LimitChanged(power_w))

    def fault(self, *faults: Fault) -> None:
        """Set the faults from outside the session."""
        self.faults = set(faults)
        self._pass_faults()

    def sample(self) -> None:
        """Take a sample without letting time pass."""
        self._pass_faults()
        self.apply(Sampled(self.readings()))

    def run(self, seconds: float) -> None:
        """Let time pass, with ten samples a second."""
        for _ in range(max(1, round(seconds / PERIOD_S))):
            self.now += PERIOD_S
            self.energy_wh += self.output_v * self.current_a * PERIOD_S / 3600.0
            if self.obeys:
                self._follow_sequence()
            self.sample()

    def run_to(self, stage: Stage, *, within_s: float = 30.0) -> None:
        """Let time pass until the stage is reached; fails after `within_s`."""
        end = self.now + within_s
        while self.state.stage is not stage:
            assert self.now < end, f"in {self.state.stage} instead of {stage}"
            self.run(PERIOD_S)

    def bring_to(self, stage: Stage) -> None:
        """Go from idle to this stage of a session, the usual way."""
        if stage is Stage.IDLE:
            return self.run(PERIOD_S)
        self.plug()
        self.run(0.3)
        if stage is Stage.PLUGGED:
            return None
        self.obeys = stage is not Stage.AUTHORISED
        self.permit()
        if stage is Stage.PAUSED:
            self.wanted_a = 0.0
        if stage in (Stage.ASK_STOP, Stage.RAMP_DOWN, Stage.OPEN, Stage.WELDING, Stage.FINISHED):
            self.run_to(Stage.CHARGING)
            self.run(2.0)
            self.withdraw()
            self.obeys = False
        if stage is Stage.FAULTED:
            self.fault(Fault.OVER_TEMPERATURE)
        if stage in (Stage.OPEN, Stage.WELDING):
            self.obeys = True
        return self.run_to(stage)

    def charge(self) -> None:
        """Go from idle to energy transfer, and charge for 3 s."""
        self.bring_to(Stage.CHARGING)
        self.run(3.0)

    # --- what a test sees ------------------------------------------------------------------------------------

    def phase(self) -> Phase:
        return self.state.phase

    @property
    def phases(self) -> list[Phase]:
        return [event.phase for event in self.events if isinstance(event, PhaseChanged)]

    @property
    def billed(self) -> list[MeterReading]:
        found = [event for event in self.events if isinstance(event, MeterReading)]
        return [reading for reading in found if reading.context is not MeterContext.PERIODIC]

    def last_billed(self) -> MeterContext:
        return self.billed[-1].context

    @property
    def mirror(self) -> bool:
        return self.coil if self.mirror_stuck is None else self.mirror_stuck

    @property
    def output_v(self) -> float:
        return self.output[0]

    @property
    def current_a(self) -> float:
        """The current that flows: the modules' limit, if both contactors are closed."""
        if self.short_a and self.mirror:
            return self.short_a if self.output_v else 0.0
        flowing = self.mirror and self.vehicle is not None and self.vehicle.stage is VehicleStage.CHARGE
        return self.output[1] if flowing else 0.0

    def taken(self, kind: type[Any]) -> list[Any]:
        """The actions of one kind so far."""
        return [action for action in self.actions if isinstance(action, kind)]

    def readings(self) -> Readings:
        made_v = self.output_v if self.modules_obey else 0.0
        connector_v = made_v if self.mirror else 0.0
        return Readings(
            vehicle=replace(self.vehicle, mono_s=self.now) if self.vehicle is not None else None,
            power=None if self.power_lost else PowerReading(self.now, made_v, self.current_a, self.groups),
            meter=None if self.meter_lost else self._sample(connector_v),
            insulation=None if self.monitor_lost else self._insulation(),
            contactor_closed=self.mirror,
            connector_v=None if self.unmeasured else self.held_v if self.held_v is not None else connector_v,
            ceiling=self.ceiling,
            plug_temp_c=25.0,
        )

    def _sample(self, connector_v: float) -> MeterSample:
        shown_wh = self.energy_wh if self.false_wh is None else self.false_wh
        return MeterSample(self.now, shown_wh, connector_v, self.current_a, 0.0)

    def _insulation(self) -> InsulationReading:
        busy = self.self_test_started_at is not None and self.now - self.self_test_started_at < 0.5
        return InsulationReading(
            self.now, self.insulation_kohm, self.insulation_valid, None if busy else self.self_test
        )

    # --- how it works ----------------------------------------------------------------------------------------

    def apply(self, event: EvseEvent) -> None:
        before = self.state
        self.state, actions = step(self.state, event, self.now)
        for action in actions:
            self._perform(action)
        self.actions += actions
        self._check(before, actions)

    def _pass_faults(self) -> None:
        faults = frozenset(self.faults | self.session_faults)
        if faults != self.state.faults:
            self.apply(FaultsChanged(faults))

    def _perform(self, action: Action) -> None:
        match action:
            case CloseContactor():
                self.coil = True
            case OpenContactor():
                self.coil = False
            case SetOutput(voltage_v, current_a):
                self.output = (voltage_v, current_a)
            case SwitchOff():
                self.output = (0.0, 0.0)
            case StartSelfTest():
                self.self_test_started_at = self.now
            case RaiseFault(fault, _):
                self.session_faults.add(fault)
            case ClearSessionFaults():
                self.session_faults.clear()
            case Publish(event):
                self.events.append(event)
            case WakeVehicle() if self.obeys:
                self.sleeps = False
            case _:
                pass

    def _check(self, before: State, actions: tuple[Action, ...]) -> None:
        """Check the rules that hold in every state."""
        state = self.state
        assert state.coil_on is (state.stage in CLOSED), f"coil {state.coil_on} in {state.stage}"
        assert state.coil_on is self.coil
        for action in actions:
            if isinstance(action, SetOutput):
                assert action.voltage_v <= RATING.max_voltage_v
                assert action.current_a >= 0.0
                assert before.contactor_closed or state.contactor_closed, "modules driven into an open contactor"
            if isinstance(action, CloseContactor):
                assert state.session is not None, "closed without a permission"
        last = None
        for phase in self.phases:
            assert phase is not last, f"{phase} published twice"
            last = phase
        assert (last or Phase.IDLE) is state.phase

    def _follow_sequence(self) -> None:
        """Let the vehicle take its next step in the sequence."""
        vehicle = self.vehicle
        if vehicle is None or vehicle.pilot is Pilot.A:
            return
        passed = any(action.passed for action in self.taken(FinishCableCheck)[-1:])
        over = self.state.stage in (Stage.WELDING, Stage.FINISHED, Stage.FAULTED)
        if over and vehicle.stage not in (*_EARLY, VehicleStage.ENDED):
            self.change(stage=VehicleStage.ENDED, pilot=Pilot.B, locked=False, target_current_a=0.0)
        elif vehicle.stage is VehicleStage.ENDED and self.sleeps:
            return
        elif vehicle.stage in (VehicleStage.NEGOTIATING, VehicleStage.ENDED) and self._granted():
            self.change(stage=VehicleStage.WAITING_AUTHORISATION)
        elif vehicle.stage is VehicleStage.WAITING_AUTHORISATION and self.state.stage is Stage.AUTHORISED:
            self.change(
                pilot=Pilot.C,
                stage=VehicleStage.CABLE_CHECK,
                locked=True,
                max_voltage_v=450.0,
                max_current_a=300.0,
                max_power_w=120_000.0,
                soc_percent=20.0,
            )
        elif vehicle.stage is VehicleStage.CABLE_CHECK and self.state.stage is Stage.CHECKED and passed:
            self.change(stage=VehicleStage.PRECHARGE, target_voltage_v=PACK_V, target_current_a=2.0)
        elif vehicle.stage is VehicleStage.PRECHARGE and abs(self.output_v - PACK_V) < 20.0 and self.modules_obey:
            self.change(stage=VehicleStage.CHARGE, target_voltage_v=430.0, target_current_a=self.wanted_a)
        elif vehicle.stage is VehicleStage.CHARGE and self.state.stage in (Stage.ASK_STOP, Stage.RAMP_DOWN):
            self.change(stage=VehicleStage.STOP, target_current_a=0.0)
        elif vehicle.stage is VehicleStage.CHARGE:
            self.change(target_current_a=self.wanted_a)

    def _granted(self) -> bool:
        return any(action.granted for action in self.taken(AuthoriseVehicle)[-1:])
