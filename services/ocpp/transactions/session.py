# SPDX-License-Identifier: Apache-2.0
"""One transaction as it is kept on disk, and what is known of the driver before it starts (E)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import msgspec
from msgspec import Struct, field

from firmware.contract import EnergyFlow, Fault, MeterReading
from services.ocpp.messages import ChargingStateEnumType, IdTokenType, ReasonEnumType, TriggerReasonEnumType

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse

__all__ = ["Session", "Stop", "Transaction", "why_faulted", "why_without_energy"]

_STOPPED_REASON: dict[Fault, ReasonEnumType] = {
    Fault.EMERGENCY_STOP: "EmergencyStop",
    Fault.GROUND_FAULT: "GroundFault",
    Fault.ISOLATION: "GroundFault",
    Fault.OVER_CURRENT: "OvercurrentFault",
    Fault.OVER_VOLTAGE: "PowerQuality",
    Fault.UNDER_VOLTAGE: "PowerQuality",
    Fault.POWER_LOSS: "PowerLoss",
}


class Stop(Struct):
    """The authorisation has ended; the event waits until the energy has."""

    trigger: TriggerReasonEnumType
    reason: ReasonEnumType
    id_token: IdTokenType | None
    deadline: float
    ends: bool = False
    """The transaction ends with the authorisation."""


class Transaction(Struct):
    """What must survive a power cut, saved with every TransactionEvent."""

    id: str
    evse: int
    connector: int
    boot_id: str
    started_utc: float
    last_utc: float
    """When the last event was made; a power cut is dated with it."""
    seq_no: int = 0
    """Of the next event; starts at 0 (part 2, E 1.3.2.1)."""
    charging_state: ChargingStateEnumType | None = None
    held: set[str] = field(default_factory=set)
    """Start and stop points that have been true during this transaction (E06)."""
    id_token: dict[str, Any] | None = None
    group: dict[str, Any] | None = None
    authorised: bool = False
    permission: str = ""
    """The name of the HAL's permission."""
    remote_start_id: int | None = None
    evse_reported: bool = False
    """The connected EVSE has been named in an event (E01.FR.16)."""
    begun: bool = False
    """Meter values with context Transaction.Begin have been reported (E01.FR.09, E01.FR.17)."""
    begin_wh: float | None = None
    last_reading: MeterReading | None = None
    invalid_from_wh: float | None = None
    """Register when the CSMS called the token invalid and MaxEnergyOnInvalidId began to count (E05.FR.03)."""
    suspended: bool = False
    """Energy is held back because the token is invalid (E05.FR.02)."""
    stop: Stop | None = None
    stop_reason: ReasonEnumType | None = None
    """What ended the authorisation, for the Ended event of whatever trigger (F04.FR.03)."""
    hal_run: str | None = None
    ended_values: list[dict[str, Any]] = field(default_factory=list)
    """Meter values collected for the Ended event (TxEndedInterval)."""

    def encode(self) -> bytes:
        return msgspec.json.encode(self)

    @staticmethod
    def decode(state: bytes) -> Transaction:
        """Raises `msgspec.DecodeError` or `UnicodeDecodeError` when the state is of another shape, or damaged."""
        return msgspec.json.decode(state, type=Transaction)


@dataclass(slots=True)
class Session:
    """One EVSE's driver and transaction."""

    evse: int
    authorised: bool = False
    permission: str = ""
    """The name of the HAL's permission, new with each authorisation."""
    id_token: IdTokenType | None = None
    group: IdTokenType | None = None
    token_due: bool = False
    """The next event carries the idToken (E03.FR.01)."""
    remote_start_id: int | None = None
    """To be put into the next event (F01.FR.25)."""
    transaction: Transaction | None = None
    stop: Stop | None = None
    delivering: bool = False
    """Between the meter's start and stop readings of the HAL."""
    connect_by: float | None = None
    """EVConnectionTimeOut."""
    sample_at: float | None = None
    """Next TxUpdated sample."""
    ended_sample_at: float | None = None
    """Next sample kept for the Ended event."""
    aligned_sample_at: float | None = None
    """Next clock-aligned sample kept for the Ended event."""
    renew_at: float | None = None
    """Next renewal of the energising lease."""
    told_at: float = 0.0
    """When the last event was made. What the HAL tells late is not dated before it: the order is the CSMS's to see."""
    closing: bool = False
    """Found open after a restart; ends as soon as the HAL has been seen."""

    def restore(self, transaction: Transaction) -> None:
        """A transaction was found on disk."""
        self.transaction = transaction
        self.authorised, self.permission = transaction.authorised, transaction.permission
        self.id_token = cast("IdTokenType | None", transaction.id_token)
        self.group = cast("IdTokenType | None", transaction.group)
        self.stop = transaction.stop

    def keep(self) -> None:
        """The transaction remembers who authorised it."""
        if self.transaction is not None:
            self.transaction.authorised, self.transaction.permission = self.authorised, self.permission
            self.transaction.id_token = cast("dict[str, Any] | None", self.id_token)
            self.transaction.group = cast("dict[str, Any] | None", self.group)

    def show_on(self, evse: Evse) -> None:
        """Show other blocks where this EVSE stands."""
        transaction = self.transaction
        evse.transaction_id = transaction.id if transaction else None
        evse.id_token = self.id_token if self.authorised else None
        evse.started_by = self.id_token if transaction else None
        if transaction is not None:
            evse.begin_wh = transaction.begin_wh
        evse.group = self.group
        evse.reported_charging_state = transaction.charging_state if transaction else None

    def reset(self) -> None:
        """The transaction is over. Whether the HAL still has a final reading to give is not forgotten."""
        fresh = Session(self.evse, delivering=self.delivering, told_at=self.told_at)
        for name in self.__slots__:
            setattr(self, name, getattr(fresh, name))


def why_faulted(fault: Fault) -> ReasonEnumType:
    """The stoppedReason of a transaction that a fault ends (E06.FR.08, E06.FR.16)."""
    return _STOPPED_REASON.get(fault, "Other")


def why_without_energy(evse: Evse, transaction: Transaction) -> ReasonEnumType:
    """The stoppedReason where the end of energy is the end of the transaction (E06.FR.07)."""
    if transaction.suspended:
        return "DeAuthorized"  # E05.FR.02
    return "StoppedByEV" if evse.flow is EnergyFlow.SUSPENDED_BY_VEHICLE else "Other"
