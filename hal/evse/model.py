# SPDX-License-Identifier: Apache-2.0
"""The values that go into and come out of `step`: state, view, events, actions. All frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from firmware.contract import Cause, EnergyFlow, Event, Fault, MeterReading, Phase
from hal.evse.table import PHASE_OF, Stage, StopKind
from hal.ports import InsulationReading, MeterSample, PowerReading, Vehicle, VehicleStage

__all__ = [
    "NO_OFFER",
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
    "LimitSet",
    "Look",
    "Offer",
    "OpenContactor",
    "Permitted",
    "Publish",
    "RaiseFault",
    "Rating",
    "ReportOutput",
    "RequestVehicleStop",
    "SetOutput",
    "StartSelfTest",
    "State",
    "SwitchOff",
    "View",
    "Withdrawn",
]


@dataclass(frozen=True, slots=True)
class Rating:
    """What one EVSE, its cable and its plug are built for."""

    max_voltage_v: float
    min_voltage_v: float
    max_current_a: float
    max_power_w: float


@dataclass(frozen=True, slots=True)
class Offer:
    """The most an EVSE gives: current and power, both to be kept."""

    current_a: float
    power_w: float

    def current_at(self, voltage_v: float) -> float:
        """The current in A that both limits allow at this voltage."""
        return min(self.current_a, self.power_w / max(voltage_v, 1.0))


NO_OFFER = Offer(0.0, 0.0)


@dataclass(frozen=True, slots=True)
class View:
    """What the ports of one EVSE say now; None stands for a device that is silent or whose reading is stale."""

    vehicle: Vehicle | None
    power: PowerReading | None
    meter: MeterSample | None
    insulation: InsulationReading | None
    contactor_closed: bool
    connector_v: float
    ceiling: Offer
    """What the EVSE could give now: its rating after derating, and its share of the modules."""


@dataclass(frozen=True, slots=True)
class State:
    """All that one charging point remembers."""

    evse: int
    rating: Rating
    stage: Stage = Stage.IDLE
    since: float = 0.0
    """When the stage was entered."""
    plugged: bool = False
    locked: bool = False
    commanded: bool = False
    """The contactor's coil."""
    closed: bool = False
    """The contactor's mirror contact, as published."""
    session: str | None = None
    lease_until: float = 0.0
    fresh: bool = False
    """The permission was given while the last session was still being stopped: start anew when it is over."""
    limit_w: float | None = None
    faults: frozenset[Fault] = frozenset()
    kind: StopKind = StopKind.NORMAL
    ended_by: Cause = Cause.SEQUENCE
    """Who or what ended the last session; told again when it is wound up."""
    flow: EnergyFlow = EnergyFlow.NONE
    vehicle_stage: VehicleStage = VehicleStage.NONE
    evcc_id: str | None = None
    authorised: bool = False
    """What the vehicle was last told."""
    check_until: float = 0.0
    tested: bool = False
    """The insulation monitor was seen busy with the self test that this session asked for."""
    good_samples: int = 0
    bad_samples: int = 0
    sampled_at: float = 0.0
    """Stamp of the insulation reading counted last."""
    output_v: float = 0.0
    output_a: float = 0.0
    """What was last asked of the modules."""
    output_at: float = 0.0
    odd_since: float | None = None
    """Since when the vehicle asks for a voltage it may not have."""
    quiet_since: float | None = None
    """Since when the vehicle asks for no current."""
    announced: Offer = NO_OFFER
    offer: Offer = NO_OFFER
    """The limits in force; lower ones follow their announcement by a moment."""
    lower_since: float | None = None
    owes_start: bool = False
    owes_stop: bool = False
    """A `start` reading is out and its `stop` is not."""
    energy_wh: float | None = None
    reading: MeterReading | None = None
    next_reading: float = 0.0

    @property
    def phase(self) -> Phase:
        return PHASE_OF[self.stage]


# --- events ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """The ports were read: ten times a second, and at once when the vehicle changes its mind."""

    view: View


@dataclass(frozen=True, slots=True)
class Permitted:
    """The permission was given or renewed; the caller has checked that it may be."""

    session: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Withdrawn:
    """The permission was taken back."""


@dataclass(frozen=True, slots=True)
class LimitSet:
    power_w: float | None


@dataclass(frozen=True, slots=True)
class FaultsChanged:
    """The faults of this EVSE and of the whole station, as they stand now."""

    faults: frozenset[Fault]


EvseEvent: TypeAlias = Look | Permitted | Withdrawn | LimitSet | FaultsChanged

# --- actions ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CloseContactor:
    pass


@dataclass(frozen=True, slots=True)
class OpenContactor:
    pass


@dataclass(frozen=True, slots=True)
class SetOutput:
    voltage_v: float
    current_a: float


@dataclass(frozen=True, slots=True)
class SwitchOff:
    pass


@dataclass(frozen=True, slots=True)
class EnableInsulation:
    active: bool


@dataclass(frozen=True, slots=True)
class StartSelfTest:
    pass


@dataclass(frozen=True, slots=True)
class AuthoriseVehicle:
    granted: bool


@dataclass(frozen=True, slots=True)
class AnnounceLimits:
    voltage_v: float
    current_a: float
    power_w: float


@dataclass(frozen=True, slots=True)
class ReportOutput:
    voltage_v: float
    current_a: float


@dataclass(frozen=True, slots=True)
class FinishCableCheck:
    passed: bool


@dataclass(frozen=True, slots=True)
class RequestVehicleStop:
    pass


@dataclass(frozen=True, slots=True)
class EmergencyStop:
    pass


@dataclass(frozen=True, slots=True)
class RaiseFault:
    """A fault of this session: it stands until the plug is out."""

    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class ClearSessionFaults:
    pass


@dataclass(frozen=True, slots=True)
class Publish:
    event: Event


Action: TypeAlias = (
    CloseContactor
    | OpenContactor
    | SetOutput
    | SwitchOff
    | EnableInsulation
    | StartSelfTest
    | AuthoriseVehicle
    | AnnounceLimits
    | ReportOutput
    | FinishCableCheck
    | RequestVehicleStop
    | EmergencyStop
    | RaiseFault
    | ClearSessionFaults
    | Publish
)
