# SPDX-License-Identifier: Apache-2.0
"""The EVSEs as the HAL last reported them, and the state of each that the blocks share.

`HalView` is the one place that turns contract events into state. Blocks read it; a field with an owner is written by
that block alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto
from typing import TYPE_CHECKING

from msgspec import Struct, field

from firmware.contract import (
    Cause,
    Command,
    EnergyFlow,
    EnergyFlowChanged,
    Event,
    Fault,
    FaultCleared,
    FaultRaised,
    LatchChanged,
    LinkChanged,
    LinkDetails,
    MeterReading,
    OutOfService,
    Phase,
    PhaseChanged,
    Plugged,
    Snapshot,
    Unplugged,
    VehicleIdentified,
)
from services.ocpp.session import Session

if TYPE_CHECKING:
    from services.ocpp.messages import ChargingStateEnumType, ConnectorStatusEnumType, IdTokenType

__all__ = ["Evse", "HalView", "NotStartable"]

_ACTIVE = frozenset({Phase.CABLE_CHECK, Phase.PRECHARGE, Phase.CHARGING, Phase.PAUSED, Phase.STOPPING})


class NotStartable(Enum):
    """Why no session can start on an EVSE."""

    FAULTED = auto()
    INOPERATIVE = auto()
    RESET_PENDING = auto()
    IN_USE = auto()


class Evse(Struct, eq=False):
    """One EVSE; all our EVSEs have one connector, number 1."""

    evse: int
    connector: int
    session: Session
    """Who may charge here, and the transaction; owner: transactions (E). Other blocks read the properties below."""
    plugged: bool = False
    phase: Phase = Phase.IDLE
    cause: Cause = Cause.SEQUENCE
    flow: EnergyFlow = EnergyFlow.NONE
    locked: bool = False
    reading: MeterReading | None = None
    reading_mono: float = 0.0
    """When the meter showed it, monotonic."""
    faults: set[Fault] = field(default_factory=set)
    evcc_id: str | None = None
    permission: str | None = None
    """The HAL's permission at its last snapshot."""
    limit_w: float | None = None
    """Its power limit then."""
    max_wh_per_s: float | None = None
    """The fastest that its register can rise."""

    out_of_service: OutOfService | None = None
    """Why EVSE, connector or station is not Operative; owner: availability (G)."""
    out_of_service_since: float | None = None
    """UTC, as far as known."""
    status: ConnectorStatusEnumType = "Available"
    """The current connector status; owner: availability (G)."""
    authorising: bool = False
    """The CSMS is being asked about a token for this EVSE; owner: authorization (C)."""
    delivering: bool = False
    """Between the meter's start and stop readings: a final reading will come; owner: transactions (E)."""

    @property
    def operative(self) -> bool:
        return self.out_of_service is None

    @property
    def transaction_id(self) -> str | None:
        """The running transaction."""
        return self.session.id or None

    @property
    def id_token(self) -> IdTokenType | None:
        """The token that holds the authorisation."""
        return self.session.id_token if self.session.authorised else None

    @property
    def started_by(self) -> IdTokenType | None:
        """The token that authorised the running transaction, also after its authorisation ended."""
        return self.session.id_token if self.session.has_transaction else None

    @property
    def group(self) -> IdTokenType | None:
        """That token's group."""
        return self.session.group

    @property
    def delivered_wh(self) -> float | None:
        """Energy of the running transaction, or of the last one."""
        if not self.session.has_transaction:
            return self.session.former_wh
        if self.reading is None or self.session.begin_wh is None:
            return None
        return self.reading.energy_wh - self.session.begin_wh

    @property
    def reported_charging_state(self) -> ChargingStateEnumType | None:
        """The chargingState in the last TransactionEvent."""
        return self.session.charging_state

    @property
    def stopping(self) -> bool:
        """The authorisation has ended and the energy is being brought to zero."""
        return self.session.stop is not None

    @property
    def faulted(self) -> bool:
        return any(fault.stops_charging for fault in self.faults)

    @property
    def is_taken(self) -> bool:
        """A token holds the EVSE, or held it when the transaction that is still open was authorised."""
        return self.id_token is not None or self.started_by is not None

    @property
    def power_active(self) -> bool:
        """The HAL is in a phase between the closing and the opening of the contactors."""
        return self.phase in _ACTIVE

    @property
    def observed_charging_state(self) -> ChargingStateEnumType:
        """The chargingState that is true now (E01.FR.18)."""
        if not self.plugged:
            return "Idle"
        if self.stopping:
            return "EVConnected"
        if self.session.held_back:
            return "SuspendedEVSE"
        match self.flow:
            case EnergyFlow.FLOWING:
                return "Charging"
            case EnergyFlow.SUSPENDED_BY_VEHICLE if self.session.leased:
                return "SuspendedEV"  # E01.FR.19
            case EnergyFlow.SUSPENDED_BY_STATION if self.session.leased:
                return "SuspendedEVSE"
            case _:  # without a lease nothing is offered, even if the HAL has yet to report that
                return "EVConnected"


class HalView:
    """The HAL's state and the commands for it.

    While the HAL is disconnected every EVSE counts as faulted: the state of the contactors is unknown.
    """

    def __init__(self, evses: Iterable[tuple[int, int]]) -> None:
        self.evses = {evse: Evse(evse, connector, Session.none(evse, connector)) for evse, connector in evses}
        self.station_faults: set[Fault] = set()
        self.links: dict[str, bool] = {}
        self.link_details: dict[str, LinkDetails] = {}
        self.present = False
        self.run_id: str | None = None
        self.selected: int | None = None
        """The EVSE that the EV driver chose for the next card; owner: authorization (C)."""
        self.reset_pending = False
        """No new session begins; owner: resets (B)."""
        self.commands: list[Command] = []
        """Commands of this unit of work; the station sends them after the commit."""

    def ask(self, command: Command) -> None:
        """Queue a command, unless it repeats the one before; dropped while the HAL is disconnected, because its next
        snapshot leads to new ones."""
        if self.present and self.commands[-1:] != [command]:
            self.commands.append(command)

    def is_faulted(self, evse: Evse) -> bool:
        return not self.present or evse.faulted or any(fault.stops_charging for fault in self.station_faults)

    def why_not_startable(self, evse: Evse, *, even_if_in_use: bool = False) -> NotStartable | None:
        """Why no session can start on `evse` now, or None.

        `even_if_in_use`: for a card, which may stop the session there instead (C09.FR.03, C16.FR.02).
        """
        if self.is_faulted(evse):  # F01.FR.23
            return NotStartable.FAULTED
        if not evse.operative:  # F01.FR.23
            return NotStartable.INOPERATIVE
        if self.reset_pending:
            return NotStartable.RESET_PENDING
        in_use = evse.is_taken or evse.stopping or evse.authorising
        return NotStartable.IN_USE if in_use and not even_if_in_use else None  # F01.FR.24

    def faults_of(self, evse: Evse) -> set[Fault]:
        return evse.faults | self.station_faults

    def take_snapshot(self, snapshot: Snapshot, now: float) -> None:
        self.present = True
        self.run_id = snapshot.run_id
        self.links = dict(snapshot.links)
        self.link_details = dict(snapshot.link_details)
        self.station_faults = set(snapshot.faults)
        for status in snapshot.evses:
            evse = self.evses.get(status.evse)
            if evse is None:
                continue
            evse.plugged, evse.phase, evse.flow = status.plugged, status.phase, status.flow
            evse.locked, evse.faults, evse.evcc_id = status.locked, set(status.faults), status.evcc_id
            evse.permission, evse.limit_w = status.session, status.limit_w
            evse.max_wh_per_s = status.max_wh_per_s
            if status.reading is not None:
                evse.reading, evse.reading_mono = status.reading, snapshot.clock.mono_s - status.reading.age_s

    def lose(self) -> None:
        """The HAL is disconnected: keep the last readings, and take the power for off."""
        self.present = False
        for evse in self.evses.values():
            evse.flow, evse.phase = EnergyFlow.NONE, Phase.FAULTED

    def take_event(self, event: Event, mono_s: float) -> None:
        """Apply one event; events for an EVSE that this product lacks are ignored."""
        match event:
            case FaultRaised(evse=None):
                self.station_faults.add(event.fault)
                return
            case FaultCleared(evse=None):
                self.station_faults.discard(event.fault)
                return
            case LinkChanged():
                self.links[event.interface] = event.up
                self.link_details[event.interface] = event.details
                return
        evse = self.evses.get(getattr(event, "evse", 0))
        if evse is not None:
            _fold(evse, event, mono_s)


def _fold(evse: Evse, event: Event, mono_s: float) -> None:
    match event:
        case Plugged():
            evse.plugged = True
        case Unplugged():
            evse.plugged, evse.evcc_id = False, None
        case PhaseChanged():
            evse.phase, evse.cause = event.phase, event.cause
        case EnergyFlowChanged():
            evse.flow = event.flow
        case LatchChanged():
            evse.locked = event.locked
        case MeterReading():
            evse.reading, evse.reading_mono = event, mono_s - event.age_s
        case VehicleIdentified():
            evse.evcc_id = event.evcc_id
        case FaultRaised():
            evse.faults.add(event.fault)
        case FaultCleared():
            evse.faults.discard(event.fault)
