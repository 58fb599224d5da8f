# SPDX-License-Identifier: Apache-2.0
"""Input and output of `step`: state, readings, events, actions. All are frozen.

Structs of msgspec, not dataclasses: a class takes 2 KB instead of 14, and is made eight times as fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct, field

from firmware.contract import Cause, EnergyFlow, Event, Fault, MeterReading, Phase
from hal.evse.register import Register
from hal.evse.table import PHASE_OF, Stage, StopKind
from hal.ports import InsulationReading, MeterSample, PowerReading, Vehicle, VehicleStage

__all__ = [
    "ZERO_LIMITS",
    "Action",
    "AnnounceLimits",
    "AuthoriseVehicle",
    "ClearSessionFaults",
    "CloseContactor",
    "EmergencyStop",
    "EnableInsulation",
    "EvseEvent",
    "FaultsChanged",
    "FinishCableCheck",
    "LimitChanged",
    "Limits",
    "OpenContactor",
    "Permitted",
    "Publish",
    "RaiseFault",
    "Rating",
    "Readings",
    "ReportOutput",
    "RequestVehicleStop",
    "Sampled",
    "ServiceChanged",
    "SetAvailable",
    "SetOutput",
    "StartSelfTest",
    "State",
    "SwitchOff",
    "WakeVehicle",
    "Withdrawn",
]


class Rating(Struct, frozen=True):
    """What one EVSE, its cable and its plug are rated for."""

    max_voltage_v: float
    min_voltage_v: float
    max_current_a: float
    max_power_w: float


class Limits(Struct, frozen=True):
    """Upper limits of current and power; both apply."""

    current_a: float
    power_w: float

    def current_at(self, voltage_v: float) -> float:
        """The current in A that both limits allow at this voltage."""
        return min(self.current_a, self.power_w / max(voltage_v, 1.0))


ZERO_LIMITS = Limits(0.0, 0.0)


class Readings(Struct, frozen=True):
    """What the ports of one EVSE read now; None for a device that is silent or whose reading is stale."""

    vehicle: Vehicle | None
    power: PowerReading | None
    meter: MeterSample | None
    insulation: InsulationReading | None
    contactor_closed: bool
    connector_v: float | None
    """Voltage on the vehicle's side of the contactor; None: nothing measures it now."""
    ceiling: Limits
    """What the EVSE can give now: its rating after derating, and its share of the modules."""
    plug_temp_c: float | None = None
    """None: not known."""
    contactor_known: bool = True
    """The contactor answers; if not, `contactor_closed` is its last reading."""
    inputs_known: bool = True
    """The stop button and the door are read: until then nothing begins."""
    silent: Mapping[str, str] = field(default_factory=dict)
    """Why there is no reading of a device: `vehicle`, `modules`, `meter` or `insulation monitor`."""
    stranger: str | None = None
    """Why the meter that answers is not that of this EVSE; there is no reading of it then."""
    queued: bool = False
    """Other EVSEs have all modules: this one has to wait for some."""


class State(Struct, frozen=True):
    """Everything that one EVSE remembers from step to step."""

    evse: int
    rating: Rating
    stage: Stage = Stage.IDLE
    since: float = 0.0
    """When the stage was entered."""
    plugged: bool = False
    locked: bool = False
    coil_on: bool = False
    """The contactor's coil, as last commanded."""
    contactor_closed: bool = False
    """The contactor's mirror contact, as last published."""
    session: str | None = None
    lease_until: float = 0.0
    permitted_while_stopping: bool = False
    """The permission was given while the last session was still stopping: a new one starts after it."""
    limit_w: float | None = None
    in_service: bool = True
    """By the station's operator."""
    available: bool = True
    """What vehicles were last shown."""
    queued: bool = False
    """It has to wait for modules; its vehicle is not authorised meanwhile."""
    faults: frozenset[Fault] = frozenset()
    stop_kind: StopKind = StopKind.NORMAL
    ended_by: Cause = Cause.SEQUENCE
    """What ended the last session; also published with the phase `finished`."""
    flow: EnergyFlow = EnergyFlow.NONE
    vehicle_stage: VehicleStage = VehicleStage.NONE
    evcc_id: str | None = None
    vehicle_authorised: bool = False
    """The last authorisation sent to the vehicle."""
    authorised_at: float = 0.0
    """When it was sent."""
    woken: bool = False
    """The pilot was interrupted under this permission, because the vehicle did not begin or did not go on."""
    monitoring: bool = False
    """The insulation monitor was switched on for this session."""
    cable_check_until: float = 0.0
    self_test_seen: bool = False
    """A reading has shown the insulation monitor busy with the self test that this session requested."""
    good_samples: int = 0
    bad_samples: int = 0
    insulation_at: float = 0.0
    """Stamp of the last insulation reading that was counted."""
    output_v: float = 0.0
    output_a: float = 0.0
    """The last request to the modules."""
    output_at: float = 0.0
    over_request_since: float | None = None
    """Since when the vehicle requests a voltage above its own limit or the rating."""
    unmatched_since: float | None = None
    """Since when the vehicle's contactors are closed while the measured voltage is not what was requested."""
    quiet_since: float | None = None
    """Since when the vehicle requests no current."""
    announced: Limits = ZERO_LIMITS
    """The limits last sent to the vehicle."""
    offered: Limits = ZERO_LIMITS
    """The limits in force; lower ones follow their announcement by up to `ENFORCE_S`."""
    lower_since: float | None = None
    start_reading_due: bool = False
    """Energy transfer has begun and its `start` reading is not published yet."""
    stop_reading_due: bool = False
    """A `start` reading is published and its `stop` is not."""
    register: Register = field(default_factory=Register)
    reading: MeterReading | None = None
    next_reading: float = 0.0

    @property
    def phase(self) -> Phase:
        return PHASE_OF[self.stage]


# --- events ----------------------------------------------------------------------------------------------


class Sampled(Struct, frozen=True):
    """The ports were read: ten times a second, and at once when the vehicle reports a change."""

    readings: Readings


class Permitted(Struct, frozen=True):
    """The permission was given or renewed; the caller has checked that it is allowed."""

    session: str
    lease_s: float


class Withdrawn(Struct, frozen=True):
    """The permission was taken back."""


class LimitChanged(Struct, frozen=True):
    power_w: float | None


class ServiceChanged(Struct, frozen=True):
    """The operator has put the EVSE in or out of service."""

    in_service: bool


class FaultsChanged(Struct, frozen=True):
    """The faults now present at this EVSE and at the whole station."""

    faults: frozenset[Fault]


EvseEvent: TypeAlias = Sampled | Permitted | Withdrawn | LimitChanged | ServiceChanged | FaultsChanged

# --- actions ---------------------------------------------------------------------------------------------


class CloseContactor(Struct, frozen=True):
    pass


class OpenContactor(Struct, frozen=True):
    pass


class SetOutput(Struct, frozen=True):
    voltage_v: float
    current_a: float


class SwitchOff(Struct, frozen=True):
    pass


class EnableInsulation(Struct, frozen=True):
    active: bool


class StartSelfTest(Struct, frozen=True):
    pass


class AuthoriseVehicle(Struct, frozen=True):
    granted: bool


class SetAvailable(Struct, frozen=True):
    available: bool


class WakeVehicle(Struct, frozen=True):
    pass


class AnnounceLimits(Struct, frozen=True):
    voltage_v: float
    current_a: float
    power_w: float


class ReportOutput(Struct, frozen=True):
    voltage_v: float
    current_a: float
    insulation_kohm: float | None


class FinishCableCheck(Struct, frozen=True):
    passed: bool


class RequestVehicleStop(Struct, frozen=True):
    pass


class EmergencyStop(Struct, frozen=True):
    pass


class RaiseFault(Struct, frozen=True):
    """A fault of this session: it remains until the plug is out."""

    fault: Fault
    detail: str


class ClearSessionFaults(Struct, frozen=True):
    pass


class Publish(Struct, frozen=True):
    event: Event


Action: TypeAlias = (
    CloseContactor
    | OpenContactor
    | SetOutput
    | SwitchOff
    | EnableInsulation
    | StartSelfTest
    | AuthoriseVehicle
    | SetAvailable
    | WakeVehicle
    | AnnounceLimits
    | ReportOutput
    | FinishCableCheck
    | RequestVehicleStop
    | EmergencyStop
    | RaiseFault
    | ClearSessionFaults
    | Publish
)
