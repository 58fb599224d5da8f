# SPDX-License-Identifier: Apache-2.0
"""What an ADM-CS-SECC board has reported, as the HAL's stages, pilot and vehicle. No I/O; `now` comes with each call.

| state of the board            | stage                 | the power side, by `DC_Power_Control`                      |
|-------------------------------|-----------------------|------------------------------------------------------------|
| 0, 1, 12 idle                 | none, ended           | off; `ended` while a vehicle that had a session is plugged |
| 2 negotiating                 | negotiating           | off                                                        |
| 11 authorisation, 3 connected | waiting_authorisation | off; limits are announced, then `charge parameters done`   |
| 4 insulation test             | cable_check           | test voltage; `insulation_test` while the board counts     |
| 5 pre-charge                  | precharge             | target voltage, at most 2 A                                |
| 6 waiting for charge          | charge                | the battery is connected: last target voltage, 0 A         |
| 7 charging                    | charge                | target voltage and current                                 |
| 8 ending charge               | stop                  | 0 A                                                        |
| 9 welding detection           | welding_detection     | off                                                        |
| 10 closing, 13 pause          | ended                 | off                                                        |
| any, with an emergency stop   | ended                 | off at once; one of the station's side is a fault          |

The board may leave its insulation test before the HAL has finished the cable check: the stage stays `cable_check` until
it has. CCS vehicles lock the plug before the cable check and release it after welding detection; no frame says so.
"""

from __future__ import annotations

import math
from typing import Final

from msgspec import Struct

from drivers.can.advantics import (
    BatteryState,
    ChargeLimits,
    ControllerState,
    EmergencyOrigin,
    EmergencyStop,
    FromSecc,
    Function,
    Identity,
    Inputs,
    PilotLevel,
    PilotState,
    PowerControl,
    Status,
    VehicleVoltages,
)
from hal.ports import Pilot, Vehicle, VehicleStage

__all__ = ["AFTER_TEST", "BEGINNING", "IDLE", "OUT_OF_SERVICE", "STOPPABLE", "BoardView", "State"]

PILOT_LOST_S = 0.5
PILOT_SETTLES_S = 0.3
"""After the plug has come into service its pilot may still be off for so long."""
EMERGENCY_S = 0.3
"""An emergency stop is repeated every 100 ms; without a frame for so long it is over."""
SENSORS_OLD_S = 3.0
HEARD_AGAIN_S = 0.3
"""The vehicle's identity is repeated once a second; what comes sooner may be the same frame twice."""
MOST_STATUS_PER_S: Final = 15
BABBLES_S: Final = 3
"""More statuses than that in so many seconds in a row come from two boards, or from one that babbles."""
FLOOD: Final = 100
"""So many within a second are too many at once, however late they come."""

State = ControllerState
OUT_OF_SERVICE = frozenset({State.INITIALISING, State.NOT_AVAILABLE})
IDLE = OUT_OF_SERVICE | {State.WAITING_FOR_EV}
BEGINNING = frozenset({State.AUTHORISATION, State.CONNECTED, State.INSULATION_TEST})
AFTER_TEST = frozenset({State.PRECHARGE, State.WAITING_FOR_CHARGE, State.CHARGING})
STOPPABLE = AFTER_TEST | {State.CONNECTED, State.INSULATION_TEST}

_STAGES: dict[ControllerState, VehicleStage] = {
    State.NEGOTIATING: VehicleStage.NEGOTIATING,
    State.AUTHORISATION: VehicleStage.WAITING_AUTHORISATION,
    State.CONNECTED: VehicleStage.WAITING_AUTHORISATION,
    State.INSULATION_TEST: VehicleStage.CABLE_CHECK,
    State.PRECHARGE: VehicleStage.PRECHARGE,
    State.WAITING_FOR_CHARGE: VehicleStage.CHARGE,
    State.CHARGING: VehicleStage.CHARGE,
    State.ENDING_CHARGE: VehicleStage.STOP,
    State.WELDING_DETECTION: VehicleStage.WELDING_DETECTION,
    State.CLOSING: VehicleStage.ENDED,
    State.PAUSE: VehicleStage.ENDED,
}
_ENERGY = frozenset({VehicleStage.PRECHARGE, VehicleStage.CHARGE, VehicleStage.STOP})
_LOCKED = _ENERGY | {VehicleStage.CABLE_CHECK, VehicleStage.WELDING_DETECTION}
_READY = (PilotLevel.C, PilotLevel.D)
_PILOTS = {PilotLevel.A: Pilot.A, PilotLevel.B: Pilot.B, PilotLevel.C: Pilot.C, PilotLevel.D: Pilot.C}
_FLOWS = {State.PRECHARGE: Function.PRECHARGE, State.CHARGING: Function.POWER_TRANSFER}
"""The function of the power side in which a current flows; in any other state none does."""


class _Session(Struct):
    """What the vehicle has reported through the board; begins anew with each session."""

    control: PowerControl | None = None
    target_v: float = 0.0
    """The last target of pre-charge or energy transfer: with the battery connected the target is never zero."""
    max_v: float = 0.0
    max_a: float = 0.0
    max_w: float = 0.0
    soc_percent: float | None = None
    evcc_id: str | None = None
    evcc_heard: str | None = None
    """Believed when it is heard again `HEARD_AGAIN_S` later: nobody may be billed for another's damaged frame."""
    heard_at: float = 0.0


class BoardView:
    """One board; `state` is None until it has answered."""

    def __init__(self) -> None:
        self.state: ControllerState | None = None
        self.status_at = -math.inf
        self.too_many = False
        """More statuses come than one board sends."""
        self._in_service_at = -math.inf
        self._level: PilotLevel | None = None
        self._level_at = -math.inf
        self._left_c_at = -math.inf
        self._origin = EmergencyOrigin.STATION
        self._stopped_at = -math.inf
        self._plug_c: tuple[float | None, ...] = (None, None)
        self._plug_at = -math.inf
        self._session = _Session()
        self._had_session = False
        """The vehicle that is plugged in has ended a session."""
        self._second_began = -math.inf
        self._statuses = 0
        self._seconds_too_many = 0

    # --- taking frames -----------------------------------------------------------------------------------------

    def take(self, message: FromSecc, now: float, *, waking: bool) -> None:
        """Note what a frame says. While the pilot is interrupted, level A does not mean that the plug is out."""
        session = self._session
        match message:
            case Status(state):
                self._count(now)
                self.status_at = now
                if state is not self.state:
                    self._enter(state, now)
            case PilotState(level):
                if self._level in _READY and level is PilotLevel.B:
                    self._left_c_at = now
                self._level, self._level_at = level, now
                if level is PilotLevel.A and not waking:
                    self._session, self._had_session = _Session(), False
            case PowerControl():
                session.control = message
                if message.function in _FLOWS.values() and message.target_v > 0.0:
                    session.target_v = message.target_v
            case EmergencyStop(origin):
                self._origin, self._stopped_at = origin, now
            case Inputs(plug_c):
                self._plug_c, self._plug_at = plug_c, now
            case VehicleVoltages(max_v=max_v):
                session.max_v = max_v
            case ChargeLimits(max_a, max_w):
                session.max_a, session.max_w = max_a, max_w
            case BatteryState(soc_percent):
                session.soc_percent = soc_percent
            case Identity(evcc_id):
                if evcc_id != session.evcc_heard:
                    session.evcc_heard, session.heard_at = evcc_id, now
                elif now - session.heard_at >= HEARD_AGAIN_S:
                    session.evcc_id = evcc_id
            case _:
                pass

    def _enter(self, state: ControllerState, now: float) -> None:
        before, self.state = self.state, state
        if before is None or before in OUT_OF_SERVICE:
            self._in_service_at = now
        if state is State.NEGOTIATING:
            self._session, self._had_session = _Session(), False
        elif state in IDLE and before is not None and before not in IDLE and before is not State.NEGOTIATING:
            self._had_session = True

    def _count(self, now: float) -> None:
        if now - self._second_began >= 1.0:
            self._seconds_too_many = self._seconds_too_many + 1 if self._statuses > MOST_STATUS_PER_S else 0
            self.too_many = self._seconds_too_many >= BABBLES_S
            self._second_began, self._statuses = now, 0
        self._statuses += 1
        if self._statuses >= FLOOD:
            self.too_many, self._seconds_too_many = True, BABBLES_S

    # --- what they mean ----------------------------------------------------------------------------------------

    def stopped(self, now: float) -> EmergencyOrigin | None:
        """Who has stopped the session at once, while that lasts."""
        return self._origin if now - self._stopped_at < EMERGENCY_S else None

    @property
    def pilot_lost(self) -> bool:
        """Whether the board goes on with its status, but no longer reports the pilot."""
        return self._level is not None and self.status_at - self._level_at > PILOT_LOST_S

    @property
    def max_v(self) -> float:
        """The vehicle's maximum voltage; 0 while it is not known."""
        return self._session.max_v

    def report(self, now: float, *, checked: bool, waking: bool, sensors: int) -> Vehicle:
        """The vehicle; `checked`: the HAL has finished the cable check; `waking`: the pilot is interrupted."""
        session, stage = self._session, self._stage(now, checked)
        voltage_v, current_a = self._target(stage)
        plug_c = self._plug_c if now - self._plug_at <= SENSORS_OLD_S else (None, None)
        return Vehicle(
            mono_s=self.status_at,
            pilot=Pilot.F if waking else self._pilot(now),
            stage=stage,
            target_voltage_v=voltage_v,
            target_current_a=current_a,
            max_voltage_v=session.max_v,
            max_current_a=session.max_a,
            max_power_w=session.max_w,
            soc_percent=session.soc_percent,
            evcc_id=session.evcc_id,
            locked=stage in _LOCKED,
            plug_temps_c=plug_c[:sensors],
            insulation_test=stage is VehicleStage.CABLE_CHECK and self._testing,
        )

    @property
    def _testing(self) -> bool:
        control = self._session.control
        in_test = self.state is State.INSULATION_TEST
        return in_test and control is not None and control.function is Function.INSULATION_TEST

    def _stage(self, now: float, checked: bool) -> VehicleStage:
        state = self.state
        if state is None or state in IDLE:
            return VehicleStage.ENDED if self._had_session else VehicleStage.NONE
        if self.stopped(now):
            return VehicleStage.ENDED
        if state in AFTER_TEST and not checked:
            return VehicleStage.CABLE_CHECK
        return _STAGES[state]

    def _target(self, stage: VehicleStage) -> tuple[float, float]:
        """Target voltage and current by the vehicle's last request, as far as it fits the board's state."""
        control = self._session.control
        if control is not None and stage is VehicleStage.CABLE_CHECK:
            return (control.target_v if self._testing else 0.0), 0.0
        if control is None or stage not in _ENERGY or self.state is None:
            return 0.0, 0.0
        flows = control.function is _FLOWS.get(self.state)
        return self._session.target_v, max(0.0, control.max_a) if flows else 0.0

    def _pilot(self, now: float) -> Pilot:
        """The reported pilot; firmware before 4.2 does not report it, then what the state implies.

        A vehicle that stops goes from C to B. That counts with the next state of the board, which says that it stops.
        """
        if self._level is None:
            return self._implied_pilot()
        if self._level is PilotLevel.E_OR_F:
            settling = now - self._in_service_at < PILOT_SETTLES_S
            return Pilot.F if settling or self.state in OUT_OF_SERVICE else Pilot.E
        if self._level is PilotLevel.B and self.status_at <= self._left_c_at:
            return Pilot.C
        return _PILOTS[self._level]

    def _implied_pilot(self) -> Pilot:
        if self.state in OUT_OF_SERVICE:
            return Pilot.F
        if self.state in (None, State.WAITING_FOR_EV):
            return Pilot.A
        return Pilot.C if self.state in STOPPABLE - {State.CONNECTED} else Pilot.B
