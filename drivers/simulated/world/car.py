# SPDX-License-Identifier: Apache-2.0
"""A car: its battery, and what its charge controller requests of the station, stage by stage.

The stages are those of `VehicleStage`, in the order of a DIN 70121 / ISO 15118 controller:

    negotiating -> waiting_authorisation -> cable_check -> precharge -> charge -> stop -> welding_detection -> ended

Rules
- All times are real time, also when the battery charges faster than in life: a car's timeouts are not scaled.
- The car holds the plug from cable check to the end of welding detection.
- It closes its own contactor when pre-charge has brought the inlet to within 20 V of the pack, and opens it below 1 A.
- After `ended` the plug may stay in: an authorisation under which the car has not charged yet wakes it up for another
  session, whenever it came, and so does an interrupted pilot.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from drivers.simulated.world.battery import Battery
from hal.ports import Pilot, Vehicle, VehicleStage

__all__ = ["Car", "Misbehaviour", "Moment", "Secc"]

NEGOTIATE_S = 0.6
"""Signal level attenuation, session set-up and service discovery; a real car takes several seconds."""
PARAMETERS_S = 0.2
SETTLED_S = 0.1
"""How long the inlet voltage has to match before the car closes its contactor."""
CABLE_CHECK_LIMIT_S = 40.0
PRECHARGE_LIMIT_S = 7.0
STOP_LIMIT_S = 30.0
"""Later than the 20 s after which a station enforces the stop."""
WELDING_LIMIT_S = 4.0
WELDING_S = 0.2
SLOW_WELDING_S = 2.0
PRECHARGE_A = 2.0
HOLD_S = 0.4
"""After its contactor has closed, a car repeats its pre-charge request for so long, then requests its full current."""
WAKE_S = 0.5
"""How long the station interrupts the pilot to wake a car; real ones need several seconds."""
MATCH_V = 20.0
CONTACTOR_OPENS_A = 1.0
SAFE_V = 60.0


class Misbehaviour(str, Enum):
    """The ways in which a car may break the rules."""

    NONE = "none"
    REFUSE_PRECHARGE = "refuse_precharge"
    OVER_VOLTAGE_REQUEST = "over_voltage_request"
    DROP_PILOT = "drop_pilot"
    HOLD_CURRENT = "hold_current"
    SLOW_END = "slow_end"
    """Its welding detection takes so long that the station is ready for the next session before the car is."""
    SLEEP = "sleep"
    """After a session it does not see an authorisation; only an interrupted pilot wakes it."""


class Moment(NamedTuple):
    """What the inlet sees for `dt` seconds."""

    dt: float
    inlet_v: float
    inlet_a: float


@dataclass(slots=True)
class Secc:
    """The station's vehicle communication controller: what the HAL has sent to the car."""

    available: bool = True
    authorised: bool = False
    grants: int = 0
    """Count of new authorisations: a car that has ended wakes up only for a new one."""
    interrupted_s: float = 0.0
    """How long the pilot will still be interrupted."""
    cable_check: bool | None = None
    stop_requested: bool = False
    max_current_a: float = math.inf
    max_power_w: float = math.inf
    reported_v: float = 0.0
    reported_a: float = 0.0

    def authorise(self, granted: bool) -> None:
        if granted and not self.authorised:
            self.grants += 1
        self.authorised = granted

    def interrupt_pilot(self) -> None:
        self.interrupted_s = WAKE_S

    @property
    def has_pilot(self) -> bool:
        return self.available and self.interrupted_s <= 0.0

    def reset(self) -> None:
        """A new driver has connected: forget what the one before has sent."""
        self.available = True
        self.interrupted_s = 0.0
        self.authorised = False
        self.cable_check = None
        self.stop_requested = False
        self.max_current_a = math.inf
        self.max_power_w = math.inf


_ENERGISED = frozenset(
    {VehicleStage.CABLE_CHECK, VehicleStage.PRECHARGE, VehicleStage.CHARGE, VehicleStage.STOP},
)
_LOCKED = _ENERGISED | {VehicleStage.WELDING_DETECTION}
_PARAMETERS_KNOWN = _LOCKED | {VehicleStage.ENDED}
"""Stages in which the car has reported its limits and its state of charge."""


@dataclass(slots=True)
class Car:
    """One car; `max_kw`, `max_a` and the battery's voltage limit its requests."""

    battery: Battery
    max_kw: float
    max_a: float
    evcc_id: str
    target_soc_percent: float = 80.0
    ready: bool = True
    suspended: bool = False
    insulation_kohm: float = 10_000.0
    """Of the car, from its high-voltage side to earth."""
    misbehave: Misbehaviour = Misbehaviour.NONE
    stage: VehicleStage = VehicleStage.NONE
    contactor_closed: bool = False
    pilot_dropped: bool = False
    _age_s: float = 0.0
    _settled_s: float = 0.0
    _grants_used: int = 0
    """The authorisations up to the one under which this car has last charged."""

    # --- what the station sees ---------------------------------------------------------------------------

    @property
    def locked(self) -> bool:
        """The inlet holds the plug."""
        return self.stage in _LOCKED

    def report(self, secc: Secc, mono_s: float) -> Vehicle:
        """What the SECC reports of this car."""
        parameters_known = self.stage in _PARAMETERS_KNOWN
        voltage_v, current_a = self._request(secc)
        return Vehicle(
            mono_s=mono_s,
            pilot=self._pilot(secc),
            stage=self.stage,
            target_voltage_v=voltage_v,
            target_current_a=current_a,
            max_voltage_v=self.battery.max_voltage_v if parameters_known else 0.0,
            max_current_a=self.max_a if parameters_known else 0.0,
            max_power_w=self.max_kw * 1000 if parameters_known else 0.0,
            soc_percent=round(self.battery.soc_percent, 1) if parameters_known else None,
            evcc_id=self.evcc_id if self.stage not in (VehicleStage.NONE, VehicleStage.NEGOTIATING) else None,
            locked=self.locked,
        )

    def _pilot(self, secc: Secc) -> Pilot:
        if not secc.has_pilot:
            return Pilot.F
        if self.pilot_dropped:
            return Pilot.A
        return Pilot.C if self.stage in _ENERGISED else Pilot.B

    def _request(self, secc: Secc) -> tuple[float, float]:
        """The present target voltage and current."""
        if self.stage is VehicleStage.PRECHARGE:
            return self.battery.ocv_v, PRECHARGE_A
        if self.stage is VehicleStage.CHARGE and self._age_s < HOLD_S:
            return self.battery.ocv_v, PRECHARGE_A
        if self.stage is VehicleStage.CHARGE:
            over = 1.2 if self.misbehave is Misbehaviour.OVER_VOLTAGE_REQUEST else 1.0
            return self.battery.max_voltage_v * over, self._requested_a(secc)
        if self.stage is VehicleStage.STOP:
            held = self.misbehave is Misbehaviour.HOLD_CURRENT
            return self.battery.max_voltage_v, self._requested_a(secc) if held else 0.0
        return 0.0, 0.0

    def _requested_a(self, secc: Secc) -> float:
        if self.suspended:
            return 0.0
        power_w = min(self.max_kw * 1000 * self.battery.taper(), secc.max_power_w)
        requested = min(self.max_a, secc.max_current_a, self.battery.acceptable_a(), self.battery.current_for(power_w))
        return round(max(0.0, requested), 1)

    # --- what the car does --------------------------------------------------------------------------------

    def step(self, secc: Secc, moment: Moment) -> None:
        """Advance by `moment.dt` seconds."""
        self._age_s += moment.dt
        secc.interrupted_s = max(0.0, secc.interrupted_s - moment.dt)
        if self._pilot_is_wrong(secc):
            self._enter(VehicleStage.NONE)
        elif self.stage is VehicleStage.NONE:
            self._begin(secc)
        else:
            _STEPS[self.stage](self, secc, moment)

    def emergency_stop(self, secc: Secc) -> None:
        """The station has stopped the session at once: the car opens its contactor under any current."""
        if self.stage not in (VehicleStage.NONE, VehicleStage.ENDED):
            self._end(secc)

    def leave(self) -> None:
        """The plug is out."""
        self._enter(VehicleStage.NONE)

    def _enter(self, stage: VehicleStage) -> None:
        self.stage = stage
        self._age_s = 0.0
        self._settled_s = 0.0
        if stage in (VehicleStage.NONE, VehicleStage.ENDED, VehicleStage.WELDING_DETECTION):
            self.contactor_closed = False

    def _begin(self, secc: Secc) -> None:
        """A session starts: forget the outcome of an earlier one."""
        secc.cable_check = None
        secc.stop_requested = False
        self._enter(VehicleStage.NEGOTIATING)

    def _pilot_is_wrong(self, secc: Secc) -> bool:
        """An EVSE out of service, an interrupted pilot, or a pilot wire that this car drops under load."""
        if self.misbehave is not Misbehaviour.DROP_PILOT:
            self.pilot_dropped = False
        elif self.stage is VehicleStage.CHARGE:
            self.pilot_dropped = True
        return self.pilot_dropped or not secc.has_pilot

    @property
    def _needs_energy(self) -> bool:
        return self.ready and self.battery.soc_percent < self.target_soc_percent

    def _must_stop(self, secc: Secc) -> bool:
        return secc.stop_requested or not secc.authorised or not self.ready

    def _negotiating(self, secc: Secc, moment: Moment) -> None:
        if self._age_s >= NEGOTIATE_S:
            self._enter(VehicleStage.WAITING_AUTHORISATION)

    def _waiting_authorisation(self, secc: Secc, moment: Moment) -> None:
        secc.stop_requested = False
        self._settled_s = self._settled_s + moment.dt if secc.authorised and self._needs_energy else 0.0
        if self._settled_s >= PARAMETERS_S:
            secc.cable_check = None
            self._grants_used = secc.grants
            self._enter(VehicleStage.CABLE_CHECK)

    def _cable_check(self, secc: Secc, moment: Moment) -> None:
        if secc.cable_check is True:
            self._enter(VehicleStage.PRECHARGE)
        elif secc.cable_check is False or self._age_s > CABLE_CHECK_LIMIT_S or self._must_stop(secc):
            self._end(secc)

    def _precharge(self, secc: Secc, moment: Moment) -> None:
        refuses = self.misbehave is Misbehaviour.REFUSE_PRECHARGE
        matches = abs(moment.inlet_v - self.battery.ocv_v) <= MATCH_V and not refuses
        self._settled_s = self._settled_s + moment.dt if matches else 0.0
        if self._age_s > PRECHARGE_LIMIT_S or self._must_stop(secc):
            self._end(secc)
        elif self._settled_s >= SETTLED_S:
            self._enter(VehicleStage.CHARGE)
            self.contactor_closed = True

    def _charge(self, secc: Secc, moment: Moment) -> None:
        if self._must_stop(secc) or self.battery.soc_percent >= self.target_soc_percent:
            self._enter(VehicleStage.STOP)

    def _stop(self, secc: Secc, moment: Moment) -> None:
        if moment.inlet_a < CONTACTOR_OPENS_A or self._age_s > STOP_LIMIT_S:
            self._enter(VehicleStage.WELDING_DETECTION)

    def _welding_detection(self, secc: Secc, moment: Moment) -> None:
        self._settled_s = self._settled_s + moment.dt if moment.inlet_v < SAFE_V else 0.0
        needed_s = SLOW_WELDING_S if self.misbehave is Misbehaviour.SLOW_END else WELDING_S
        if self._settled_s >= needed_s or self._age_s > WELDING_LIMIT_S:
            self._end(secc)

    def _end(self, secc: Secc) -> None:
        """The session is over. A car that was not ready starts again once it is, under the same authorisation."""
        if not self.ready:
            self._grants_used = secc.grants - 1
        self._enter(VehicleStage.ENDED)

    def _ended(self, secc: Secc, moment: Moment) -> None:
        """Asleep, until the station authorises again and the battery is below its target."""
        awake = self.misbehave is not Misbehaviour.SLEEP
        if awake and secc.authorised and secc.grants > self._grants_used and self._needs_energy:
            self._begin(secc)


_STEPS: dict[VehicleStage, Callable[[Car, Secc, Moment], None]] = {
    VehicleStage.NEGOTIATING: Car._negotiating,
    VehicleStage.WAITING_AUTHORISATION: Car._waiting_authorisation,
    VehicleStage.CABLE_CHECK: Car._cable_check,
    VehicleStage.PRECHARGE: Car._precharge,
    VehicleStage.CHARGE: Car._charge,
    VehicleStage.STOP: Car._stop,
    VehicleStage.WELDING_DETECTION: Car._welding_detection,
    VehicleStage.ENDED: Car._ended,
}
