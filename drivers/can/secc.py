# SPDX-License-Identifier: Apache-2.0
"""`VehicleLink` of one EVSE: an ADVANTICS ADM-CS-SECC board on a CAN bus of 500 kbit/s, one board a plug.

    [evse.vehicle]
    driver = "advantics"
    bus = "vehicles"
    index = 1            # `index` of the plug in the board's own configuration

The board leads the session with the vehicle; its states become the stages of the HAL like this:

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

- The board ends its insulation test by itself after ten or more cycles of 90 % voltage and good insulation. So it gets
  an insulation resistance only when the HAL has judged it, and stage `cable_check` lasts until the HAL has finished its
  own, whatever the board does meanwhile.
- `Power_Modules_Status` is sent every 100 ms, always. `system enable` is set from the authorisation on, and only for a
  session that this driver has seen begin; without it the vehicle sees an emergency stop. It falls with an emergency
  stop and when the board is silent in a session, and rises again only for the next session. Normal stops are
  `user stop`.
- `Sequence_Control` is sent on each change of it and of the board's state, and once a second: the documents disagree on
  when it counts. Its flags for authorisation are set from state 11 on only.
- A limit of zero would mean the board's configured value; 0.1 A is sent instead.
- The board has no message to interrupt the pilot: to wake a vehicle the plug is `not available` for `wake_s`.
- CCS vehicles lock the plug before the cable check and release it after welding detection; the board has no message
  for it either.

Source: ADVANTICS documentation, charge-controllers/{can_v3,sequences_v3,databases_v3}. Tested against a simulated board
only; firmware 4.2 or newer reports the pilot, with an older one it is derived from the board's state.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from drivers.background import Background
from drivers.can.advantics import (
    BASE_MASK,
    FROM_SECC,
    FROM_SECC_MASK,
    INDEX_MASK,
    STATUS,
    BatteryState,
    ChargeLimits,
    ControllerState,
    EmergencyOrigin,
    EmergencyStop,
    FromSecc,
    Function,
    Identity,
    Inputs,
    ModulesStatus,
    NewSession,
    Parameters,
    PilotLevel,
    PilotState,
    PowerControl,
    SequenceControl,
    SessionFinished,
    Status,
    VehicleVoltages,
    decode,
    index_of,
)
from drivers.can.bus import CanBus
from firmware.errors import DeviceLost, DeviceRefused
from hal.ports import Pilot, Vehicle, VehicleStage

__all__ = ["AdvanticsSecc"]

PERIOD_S = 0.1
REPEAT_S = 1.0
ANSWERS_WITHIN_S = 5.0
"""How long after its start the driver waits for the board's first frame; a board takes about 15 s to boot."""
PILOT_LOST_S = 0.5
PILOT_SETTLES_S = 0.3
"""After the plug has come into service its pilot may still be off for so long."""
EMERGENCY_S = 0.3
"""An emergency stop is repeated every 100 ms; without a frame for so long it is over."""
OUTPUT_OLD_S = 1.0
SENSORS_OLD_S = 3.0
WAKE_GRACE_S = 2.0
MOST_STATUS_PER_S: Final = 15
BABBLES_S: Final = 3
"""More statuses than that in so many seconds in a row come from two boards, or from one that babbles."""
QUIET_LOG_S = 60.0
CONNECTED_V = 60.0
UNMEASURED_C = 25.0
"""Sent as the temperature of modules and cabinet: the HAL watches these itself."""

_State = ControllerState
_OUT_OF_SERVICE = frozenset({_State.INITIALISING, _State.NOT_AVAILABLE})
_IDLE = _OUT_OF_SERVICE | {_State.WAITING_FOR_EV}
_BEGINNING = frozenset({_State.AUTHORISATION, _State.CONNECTED, _State.INSULATION_TEST})
_STOPPABLE = frozenset(
    {_State.CONNECTED, _State.INSULATION_TEST, _State.PRECHARGE, _State.WAITING_FOR_CHARGE, _State.CHARGING}
)
_AFTER_TEST = frozenset({_State.PRECHARGE, _State.WAITING_FOR_CHARGE, _State.CHARGING})
_WITH_VEHICLE = _STOPPABLE | {_State.AUTHORISATION}
_STAGES: dict[ControllerState, VehicleStage] = {
    _State.NEGOTIATING: VehicleStage.NEGOTIATING,
    _State.AUTHORISATION: VehicleStage.WAITING_AUTHORISATION,
    _State.CONNECTED: VehicleStage.WAITING_AUTHORISATION,
    _State.INSULATION_TEST: VehicleStage.CABLE_CHECK,
    _State.PRECHARGE: VehicleStage.PRECHARGE,
    _State.WAITING_FOR_CHARGE: VehicleStage.CHARGE,
    _State.CHARGING: VehicleStage.CHARGE,
    _State.ENDING_CHARGE: VehicleStage.STOP,
    _State.WELDING_DETECTION: VehicleStage.WELDING_DETECTION,
    _State.CLOSING: VehicleStage.ENDED,
    _State.PAUSE: VehicleStage.ENDED,
}
_LOCKED = frozenset(
    {
        VehicleStage.CABLE_CHECK,
        VehicleStage.PRECHARGE,
        VehicleStage.CHARGE,
        VehicleStage.STOP,
        VehicleStage.WELDING_DETECTION,
    }
)
_PILOTS = {PilotLevel.A: Pilot.A, PilotLevel.B: Pilot.B, PilotLevel.C: Pilot.C, PilotLevel.D: Pilot.C}

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Session:
    """What the vehicle has reported through the board; begins anew with each session."""

    control: PowerControl | None = None
    target_v: float = 0.0
    """The last target of pre-charge or energy transfer: with the battery connected the target is never zero."""
    max_v: float = 0.0
    present_v: float = 0.0
    max_a: float = 0.0
    max_w: float = 0.0
    soc_percent: float | None = None
    evcc_id: str | None = None
    evcc_heard: str | None = None
    """Believed when it is heard twice: nobody may be billed for another's damaged frame."""


@dataclass(frozen=True, slots=True)
class _Orders:
    """What the HAL has ordered."""

    available: bool = True
    authorised: bool = False
    wake_until: float = -math.inf
    limits: tuple[float, float, float] | None = None
    """Volts, amperes, watts."""
    stop: bool = False
    checked: bool | None = None
    emergency: bool = False


class AdvanticsSecc:
    """One board, which is one plug."""

    class Options(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
        bus: CanBus
        evse: int
        index: Annotated[int, Meta(ge=1, le=31, description="index of the plug in the board's configuration")]
        silent_after_s: Annotated[
            float, Meta(ge=0.15, le=5.0, description="power is off when the board is silent for so long; 0.2 in life")
        ] = 0.2
        wake_s: Annotated[float, Meta(ge=0.1, le=30.0, description="how long the pilot is off to wake a vehicle")] = 4.0
        plug_sensors: Annotated[
            int, Meta(ge=0, le=2, description="temperature sensors of the plug that are wired to the board")
        ] = 2

    def __init__(self, options: Options) -> None:
        self.stale_after_s = options.silent_after_s
        self._options = options
        self._bus = options.bus
        self._name = f"SECC of index {options.index}"
        self._started = time.monotonic()
        self._listeners: list[Callable[[Vehicle], None]] = []
        self._reported: tuple[object, ...] = ()
        self._state: ControllerState | None = None
        self._status_at = -math.inf
        self._in_service_at = -math.inf
        self._level: PilotLevel | None = None
        self._level_at = -math.inf
        self._stop_origin = EmergencyOrigin.STATION
        self._stopped_at = -math.inf
        self._plug_c: tuple[float | None, ...] = ()
        self._plug_at = -math.inf
        self._session = _Session()
        self._had_session = False
        """The vehicle that is plugged in has ended a session."""
        self._others: set[int] = set()
        self._rate = _Rate()
        self._garbled: str = ""
        self._garbled_at = -math.inf
        self._orders = _Orders()
        self._enabled = False
        self._output = (0.0, 0.0)
        self._output_at = -math.inf
        self._kohm: float | None = None
        self._parameters_at = -math.inf
        """When they were last sent in this session."""
        self._parameters_due = False
        self._sequence: SequenceControl | None = None
        self._sequence_at = -math.inf
        own = options.index << 24
        self._unsubscribe = self._bus.listen(own | FROM_SECC, INDEX_MASK | FROM_SECC_MASK, self._on_frame)
        self._ignore_others = self._bus.listen(STATUS, BASE_MASK, self._on_any_status)
        self._background = Background(self._name)
        self._background.start("sending", self._keep_sending)

    # --- the port ---------------------------------------------------------------------------------------------

    def vehicle(self) -> Vehicle:
        now = time.monotonic()
        self._require_answer(now)
        return self._report(now)

    def listen(self, on_change: Callable[[Vehicle], None]) -> None:
        self._listeners.append(on_change)

    def authorise(self, granted: bool) -> None:
        self._order(authorised=granted, limits=self._orders.limits if granted else None)

    def wake(self) -> None:
        self._order(wake_until=time.monotonic() + self._options.wake_s)

    def report_output(self, voltage_v: float, current_a: float, insulation_kohm: float | None) -> None:
        now = time.monotonic()
        self._require_link(now)
        self._output, self._output_at = (voltage_v, current_a), now
        # After its test the board gets the last value that was valid: none would read as a short circuit.
        if insulation_kohm is not None or self._state not in _AFTER_TEST:
            self._kohm = insulation_kohm

    def announce_limits(self, max_voltage_v: float, max_current_a: float, max_power_w: float) -> None:
        self._order(limits=(max_voltage_v, max_current_a, max_power_w))
        self._parameters_due = True

    def finish_cable_check(self, passed: bool) -> None:
        self._order(checked=passed if self._state in _STOPPABLE else None)

    def request_stop(self) -> None:
        """Kept also if it raises: the session ends when the link is back."""
        self._orders = replace(self._orders, stop=self._state in _STOPPABLE)
        self._order()

    def emergency_stop(self) -> None:
        """Kept also if it raises."""
        now = time.monotonic()
        self._orders = replace(self._orders, emergency=self._enabled)
        self._require_link(now)
        self._send_status(now)

    def set_available(self, available: bool) -> None:
        self._order(available=available)

    def close(self) -> None:
        """The vehicle sees an emergency stop, unless its session is over."""
        self._background.close()
        self._unsubscribe()
        self._ignore_others()
        self._orders = replace(self._orders, authorised=False, emergency=True)
        with suppress(DeviceLost):
            self._send_status(time.monotonic())
            self._send_sequence(time.monotonic())

    # --- link -------------------------------------------------------------------------------------------------

    def _require_link(self, now: float) -> None:
        """Raise `DeviceLost` while the board can't be reached; one that has just been started gets time to answer."""
        self._bus.require_up()
        if self._state is None and now - self._started < ANSWERS_WITHIN_S:
            return
        if now - self._status_at > self._options.silent_after_s:
            raise DeviceLost(self._why_silent(now))

    def _require_answer(self, now: float) -> None:
        """Raise `DriverError` while the board's reports can't be used, with the reason in words."""
        self._require_link(now)
        if self._state is None:
            raise DeviceLost(f"{self._name} has not answered yet")
        if self._rate.too_high:
            raise DeviceRefused(f"{self._name}: too many frames: two boards of one index, or one that babbles")
        if self._level is not None and now - self._level_at > PILOT_LOST_S:
            raise DeviceLost(f"{self._name} does not report the control pilot")
        if self._stopped(now) and self._stop_origin is EmergencyOrigin.STATION and not self._orders.emergency:
            raise DeviceRefused(f"{self._name} has stopped: check its interlock line, current loop and CAN wiring")

    def _why_silent(self, now: float) -> str:
        if now - self._garbled_at < REPEAT_S:
            return f"{self._name} sends what it should not: {self._garbled}"
        if self._state is not None:
            return f"{self._name} is silent"
        others = ", ".join(map(str, sorted(self._others)))
        return f"{self._name} does not answer; of other boards {f'index {others} does' if others else 'none does'}"

    def _stopped(self, now: float) -> bool:
        return now - self._stopped_at < EMERGENCY_S

    # --- from the board ----------------------------------------------------------------------------------------

    def _on_any_status(self, can_id: int, _data: bytes, _now: float) -> None:
        """Note which boards there are, until the own one answers."""
        self._others.add(index_of(can_id))

    def _on_frame(self, can_id: int, data: bytes, now: float) -> None:
        try:
            message = decode(can_id, data)
        except ValueError as error:
            if now - self._garbled_at >= QUIET_LOG_S:
                _log.warning("%s: %s", self._name, error)
            self._garbled, self._garbled_at = str(error), now
            return
        if message is not None:
            self._take(message, now)
            self._notify(now)

    def _take(self, message: FromSecc, now: float) -> None:
        session = self._session
        match message:
            case Status(state):
                self._rate.count(now)
                self._status_at = now
                if state is not self._state:
                    self._enter(state, now)
            case PilotState(level):
                self._level, self._level_at = level, now
                if level is PilotLevel.A and not self._waking(now):
                    self._session, self._had_session = _Session(), False
            case PowerControl():
                session.control = message
                if message.function in (Function.PRECHARGE, Function.POWER_TRANSFER) and message.target_v > 0.0:
                    session.target_v = message.target_v
            case EmergencyStop(origin):
                self._stop_origin, self._stopped_at = origin, now
            case Inputs(plug_c):
                self._plug_c, self._plug_at = plug_c, now
            case VehicleVoltages():
                session.max_v, session.present_v = message.max_v, message.present_v
            case ChargeLimits():
                session.max_a, session.max_w = message.max_a, message.max_w
            case BatteryState(soc_percent):
                session.soc_percent = soc_percent
            case Identity(evcc_id):
                if evcc_id == session.evcc_heard:
                    session.evcc_id = evcc_id
                session.evcc_heard = evcc_id
            case SessionFinished(rushed):
                _log.info("%s: session finished%s", self._name, " in a rush" if rushed else "")
            case NewSession():
                pass

    def _enter(self, state: ControllerState, now: float) -> None:
        before, self._state = self._state, state
        if before is None or before in _OUT_OF_SERVICE:
            self._in_service_at = now
        self._ignore_others()
        _log.info("%s: %s", self._name, state.name.lower().replace("_", " "))
        if state in _IDLE or before in _IDLE or state is _State.NEGOTIATING:
            self._orders = replace(self._orders, stop=False, checked=None, emergency=False)
            self._enabled, self._kohm = False, None
            self._parameters_at, self._parameters_due = -math.inf, False
        if state is _State.NEGOTIATING:
            self._session, self._had_session = _Session(), False
        elif state in _IDLE and before is not None and before not in _IDLE and before is not _State.NEGOTIATING:
            self._had_session = True
        self._sequence = None  # sent with each change of the state
        self._send_all(now)

    # --- report ------------------------------------------------------------------------------------------------

    def _report(self, now: float) -> Vehicle:
        session, stage = self._session, self._stage(now)
        voltage_v, current_a = self._target(stage)
        sensors = self._plug_c if now - self._plug_at <= SENSORS_OLD_S else (None, None)
        return Vehicle(
            mono_s=self._status_at,
            pilot=self._pilot(now),
            stage=stage,
            target_voltage_v=voltage_v,
            target_current_a=current_a,
            max_voltage_v=session.max_v,
            max_current_a=session.max_a,
            max_power_w=session.max_w,
            soc_percent=session.soc_percent,
            evcc_id=session.evcc_id,
            locked=stage in _LOCKED,
            plug_temps_c=sensors[: self._options.plug_sensors],
            insulation_test=stage is VehicleStage.CABLE_CHECK and self._testing,
        )

    @property
    def _testing(self) -> bool:
        control = self._session.control
        return (
            self._state is _State.INSULATION_TEST
            and control is not None
            and control.function is Function.INSULATION_TEST
        )

    def _stage(self, now: float) -> VehicleStage:
        state = self._state
        if state is None or state in _IDLE:
            return VehicleStage.ENDED if self._had_session else VehicleStage.NONE
        if self._stopped(now):
            return VehicleStage.ENDED
        if state in _AFTER_TEST and self._orders.checked is not True:
            return VehicleStage.CABLE_CHECK
        return _STAGES[state]

    def _target(self, stage: VehicleStage) -> tuple[float, float]:
        """Target voltage and current by the vehicle's last request, as far as it fits the board's state."""
        control = self._session.control
        if control is None:
            return 0.0, 0.0
        if stage is VehicleStage.CABLE_CHECK:
            return (control.target_v if self._testing else 0.0), 0.0
        if stage not in (VehicleStage.PRECHARGE, VehicleStage.CHARGE, VehicleStage.STOP):
            return 0.0, 0.0
        expected = {_State.PRECHARGE: Function.PRECHARGE, _State.CHARGING: Function.POWER_TRANSFER}
        flows = control.function is expected.get(self._state or _State.INITIALISING)
        return self._session.target_v, max(0.0, control.max_a) if flows else 0.0

    def _pilot(self, now: float) -> Pilot:
        if self._waking(now):
            return Pilot.F
        if self._level is None:
            return self._derived_pilot()
        if self._level is PilotLevel.E_OR_F:
            settling = now - self._in_service_at < PILOT_SETTLES_S
            return Pilot.F if settling or self._state in _OUT_OF_SERVICE else Pilot.E
        return _PILOTS[self._level]

    def _derived_pilot(self) -> Pilot:
        if self._state is _State.NOT_AVAILABLE:
            return Pilot.F
        if self._state is None or self._state in _IDLE:
            return Pilot.A
        return Pilot.C if self._state in _STOPPABLE - {_State.CONNECTED} else Pilot.B

    def _waking(self, now: float) -> bool:
        """The pilot is interrupted, or was and the board is still out of service."""
        late = WAKE_GRACE_S if self._state in _OUT_OF_SERVICE else 0.0
        return now < self._orders.wake_until + late

    def _notify(self, now: float) -> None:
        """Call the listeners if pilot, stage, lock or identity have changed."""
        stage = self._stage(now)
        edges = (self._pilot(now), stage, stage in _LOCKED, self._session.evcc_id)
        if self._state is None or edges == self._reported:
            return
        self._reported = edges
        vehicle = self._report(now)
        for listener in self._listeners:
            listener(vehicle)

    # --- to the board ------------------------------------------------------------------------------------------

    def _order(self, **changes: Any) -> None:
        """Change the orders and send them; an order that can't be sent is forgotten."""
        now = time.monotonic()
        self._require_link(now)
        before, self._orders = self._orders, replace(self._orders, **changes)
        try:
            self._send_sequence(now)
        except DeviceLost:
            self._orders = before
            raise
        self._notify(now)

    async def _keep_sending(self) -> None:
        due = time.monotonic()
        while True:
            now = time.monotonic()
            if self._enabled and now - self._status_at > self._options.silent_after_s:
                self._orders = replace(self._orders, emergency=True)
            self._send_all(now)
            self._notify(now)
            due = max(due + PERIOD_S, now)
            await asyncio.sleep(due - time.monotonic())

    def _send_all(self, now: float) -> None:
        with suppress(DeviceLost):  # the bus logs it, and the next round sends again
            self._send_status(now)
            self._send_parameters(now)
            self._send_sequence(now)

    def _send_status(self, now: float) -> None:
        orders, state = self._orders, self._state
        self._enabled = self._enabled or (orders.authorised and state in _BEGINNING)
        voltage_v, current_a = self._output if now - self._output_at <= OUTPUT_OLD_S else (0.0, 0.0)
        status = ModulesStatus(
            voltage_v=voltage_v,
            current_a=current_a,
            enabled=self._enabled and not orders.emergency,
            insulation_kohm=self._kohm if orders.checked is not False else None,
            module_c=UNMEASURED_C,
            cabinet_c=UNMEASURED_C,
        )
        self._bus.send(*status.frame(self._options.index))

    def _send_parameters(self, now: float) -> None:
        """Send the limits if they have changed, at least 100 ms apart, or once a second."""
        limits, pause_s = self._orders.limits, PERIOD_S if self._parameters_due else REPEAT_S
        if limits is None or self._state not in _WITH_VEHICLE or now - self._parameters_at < pause_s:
            return
        max_v, max_a, max_w = limits
        present_v = self._output[0] if self._output[0] >= CONNECTED_V else self._session.max_v
        current_a = min(max_a, max_w / (present_v if present_v >= CONNECTED_V else max_v))
        self._bus.send(*Parameters(max_v, current_a).frame(self._options.index))
        self._parameters_at, self._parameters_due = now, False

    def _send_sequence(self, now: float) -> None:
        """Send the flags if they have changed, or once a second, but not before the board has reported its state."""
        orders, state = self._orders, self._state
        if state is None:
            return
        granted = orders.authorised and state not in _IDLE and state is not _State.NEGOTIATING
        sequence = SequenceControl(
            start=orders.available and now >= orders.wake_until,
            authorisation_done=granted,
            authorisation_valid=granted,
            parameters_done=granted and self._parameters_at > -math.inf,
            user_stop=state in _STOPPABLE and (orders.stop or orders.checked is False or not orders.authorised),
        )
        if sequence != self._sequence or now - self._sequence_at >= REPEAT_S:
            self._bus.send(*sequence.frame(self._options.index))
            self._sequence, self._sequence_at = sequence, now


class _Rate:
    """Counts frames a second, to find a sender too many."""

    __slots__ = ("_began", "_count", "_seconds")

    def __init__(self) -> None:
        self._began = -math.inf
        self._count = 0
        self._seconds = 0

    def count(self, now: float) -> None:
        if now - self._began >= 1.0:
            self._seconds = self._seconds + 1 if self._count > MOST_STATUS_PER_S else 0
            self._began, self._count = now, 0
        self._count += 1

    @property
    def too_high(self) -> bool:
        return self._seconds >= BABBLES_S
