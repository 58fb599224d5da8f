# SPDX-License-Identifier: Apache-2.0
"""The charging session of one EVSE: who may charge there, and the transaction (E).

A session begins with an authorisation or with a transaction, whichever is first, and lasts until both are over. Block E
alone writes it; other blocks and the display see it through `hal_view.Evse`.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from firmware.contract import MeterReading
from services.ocpp.messages import (
    ChargingStateEnumType,
    IdTokenType,
    MeterValueType,
    ReasonEnumType,
    TriggerReasonEnumType,
)

__all__ = ["Session", "Stop"]


class Stop(Struct):
    """The authorisation has ended; the event that reports it waits until the energy is off."""

    trigger: TriggerReasonEnumType
    reason: ReasonEnumType
    id_token: IdTokenType | None
    deadline: float
    """Monotonic: when the wait for the final reading ends."""
    ends: bool = False
    """The transaction ends with the authorisation."""


class Saved(Struct):
    """What survives a power cut: saved as JSON with every TransactionEvent.

    Stations in the field hold such JSON, and an update may be rolled back: keep the names, and give a new field a
    default.
    """

    id: str
    """transactionId; empty while there is no transaction."""
    evse: int
    connector: int
    boot_id: str
    """The boot of the board in which the transaction started."""
    started_utc: float
    last_utc: float
    """When the last event was made; the end is dated with it after a power cut."""
    seq_no: int = 0
    """Of the next event; starts at 0 (part 2, E 1.3.2.1)."""
    charging_state: ChargingStateEnumType | None = None
    """As last reported."""
    held: set[str] = field(default_factory=set)
    """Start and stop points that have been true during this transaction (E06)."""
    id_token: IdTokenType | None = None
    """The token of the authorisation, or of the last one in this transaction."""
    group: IdTokenType | None = None
    authorised: bool = False
    permission: str = ""
    """The name of the HAL's permission, new with each authorisation."""
    remote_start_id: int | None = None
    evse_reported: bool = False
    """The connected EVSE has been named in an event (E01.FR.16)."""
    begun: bool = False
    """Meter values with context Transaction.Begin have been reported (E01.FR.09, E01.FR.17)."""
    begin_wh: float | None = None
    """Register at the start of this transaction."""
    last_reading: MeterReading | None = None
    invalid_from_wh: float | None = None
    """Register when the CSMS called the token invalid and MaxEnergyOnInvalidId began to count (E05.FR.03)."""
    suspended: bool = False
    """Energy is held back because the token is invalid (E05.FR.02)."""
    stop: Stop | None = None
    stop_reason: ReasonEnumType | None = None
    """What ended the authorisation first, for the Ended event of whatever trigger (F04.FR.03)."""
    hal_run: str | None = None
    """The HAL's run that has last seen this transaction."""
    ended_values: list[MeterValueType] = field(default_factory=list)
    """Meter values collected for the Ended event (TxEndedInterval)."""
    last_reading_utc: float = 0.0
    """When `last_reading` was true; 0: as `last_utc`."""


class Session(Saved):
    """A session in memory; the fields below are lost in a restart and rebuilt after it. Times are monotonic."""

    id_token_pending: bool = False
    """The next event carries the idToken and the remoteStartId (E03.FR.01, F01.FR.25)."""
    closing: bool = False
    """Found open after a reboot; ends as soon as the HAL has been seen."""
    held_back: bool = False
    """The contactors stay open although a vehicle is there, because the token is invalid (E05.FR.02)."""
    connect_by: float | None = None
    """EVConnectionTimeOut."""
    sample_at: float | None = None
    """Next TxUpdated sample."""
    ended_sample_at: float | None = None
    """Next sample kept for the Ended event."""
    aligned_sample_at: float | None = None
    """Next clock-aligned sample kept for the Ended event."""
    renew_at: float | None = None
    """Next renewal of the lease."""
    last_event_at: float = 0.0
    """When the last event was made; a late HAL event is not dated before it, so that seqNo and time agree."""
    former_wh: float | None = None
    """What the transaction before delivered: the display shows it until the next one begins."""

    @property
    def has_transaction(self) -> bool:
        return bool(self.id)

    @property
    def leased(self) -> bool:
        """The HAL has a permission to energise, or will have it with this unit of work."""
        return self.renew_at is not None

    @property
    def delivered_wh(self) -> float | None:
        """What this transaction has delivered, up to its last event."""
        if self.begin_wh is None or self.last_reading is None:
            return None
        return self.last_reading.energy_wh - self.begin_wh

    @staticmethod
    def none(evse: int, connector: int) -> Session:
        """No authorisation and no transaction."""
        return Session("", evse, connector, "", 0.0, 0.0)

    def next(self) -> Session:
        """The empty session after this one; of its readings none is carried over."""
        after = Session.none(self.evse, self.connector)
        after.last_event_at = self.last_event_at
        after.former_wh = self.delivered_wh if self.has_transaction else self.former_wh
        return after

    def encode(self) -> bytes:
        return msgspec.json.encode({name: getattr(self, name) for name in Saved.__struct_fields__})

    @staticmethod
    def decode(state: bytes) -> Session:
        """Raises `msgspec.DecodeError` or `UnicodeDecodeError` when the state is of another shape, or damaged."""
        return msgspec.json.decode(state, type=Session)
