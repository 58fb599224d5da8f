# SPDX-License-Identifier: Apache-2.0
"""Makes TransactionEvents: their fields, their place on disk, and the signal that follows (E)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from firmware.clock import format_utc, parse_utc
from services.ocpp import signals
from services.ocpp.transactions.meter import RESOLUTION_S

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        ChargingStateEnumType,
        IdTokenType,
        MeterValueType,
        ReasonEnumType,
        TransactionEventEnumType,
        TransactionEventRequest,
        TriggerReasonEnumType,
    )
    from services.ocpp.session import Session
    from services.ocpp.transactions.meter import TransactionMeter

__all__ = ["Cause", "TransactionEvents"]


class Cause(Struct, frozen=True):
    """Why a TransactionEvent is made."""

    trigger: TriggerReasonEnumType
    reason: ReasonEnumType = "Other"
    """The stoppedReason, if this ends the transaction."""
    id_token: IdTokenType | None = None
    """The token that was presented."""
    dated_back: bool = False
    """It gets the time of the last event."""
    ends: bool = False
    """It ends the transaction, whatever its stop points are."""


class TransactionEvents:
    """The events of all EVSEs, each durable together with the state of its transaction."""

    def __init__(self, context: Context, meter: TransactionMeter) -> None:
        self._context = context
        self._meter = meter

    def save(self, session: Session) -> None:
        if session.has_transaction:
            self._context.transaction_store.save(session.id, session.evse, session.encode())

    def make(
        self,
        evse: Evse,
        kind: TransactionEventEnumType,
        cause: Cause,
        now: float,
        *,
        values: list[MeterValueType] | None = None,
    ) -> None:
        """Make and queue one event of the open transaction; `values` replace the meter values that belong to `kind`."""
        session, time = evse.session, self._context.time
        # No two events at one moment: the registers that they report may differ.
        now = max(now, session.last_event_at + RESOLUTION_S)
        trigger = cause.trigger
        if session.id_token_pending and session.remote_start_id is not None and kind != "Ended":
            trigger = "RemoteStart"  # F01.FR.19, F02.FR.21
        request: TransactionEventRequest = {
            "eventType": kind,
            "timestamp": format_utc(session.last_utc) if cause.dated_back else time.text(now),
            "triggerReason": trigger,  # E01.FR.15
            "seqNo": session.seq_no,  # E03.FR.06
            "transactionInfo": {
                "transactionId": session.id,
                "chargingState": self._charging_state(evse, sampled=values is not None),  # E02.FR.13
            },
        }
        if kind == "Ended":
            request["transactionInfo"]["stoppedReason"] = session.stop_reason or cause.reason  # E06.FR.08
        self._add_identity(session, request, cause)
        self._add_evse(evse, request)
        if values is None:
            values = self._meter.of_event(evse, kind, now)
        if values:
            request["meterValue"] = values
        session.last_event_at = now
        self._meter.remember(evse, now)
        self._queue(evse, request, None if cause.dated_back else time.provisional_offset(now))

    def _charging_state(self, evse: Evse, *, sampled: bool) -> ChargingStateEnumType:
        """The state to report: the last one, in a sample taken while the HAL is disconnected."""
        session = evse.session
        if self._context.hal.present or not sampled or session.charging_state is None:
            session.charging_state = evse.observed_charging_state
        return session.charging_state

    def _add_identity(self, session: Session, request: TransactionEventRequest, cause: Cause) -> None:
        if cause.id_token is not None:
            request["idToken"] = cause.id_token  # E07.FR.02
        elif session.id_token_pending and session.id_token is not None and request["eventType"] != "Ended":
            request["idToken"] = session.id_token  # E03.FR.01, F02.FR.05
        if session.id_token_pending and session.remote_start_id is not None:
            request["transactionInfo"]["remoteStartId"] = session.remote_start_id  # F01.FR.25, F02.FR.01
        session.id_token_pending = False

    def _add_evse(self, evse: Evse, request: TransactionEventRequest) -> None:
        """E01.FR.16; also include the EVSE in events requested by TriggerMessage (TC_F_14_CS)."""
        session = evse.session
        asked = request["eventType"] == "Started" or request["triggerReason"] == "Trigger"
        if asked or (evse.plugged and not session.evse_reported):
            request["evse"] = {"id": evse.evse, "connectorId": evse.connector}
            session.evse_reported = evse.plugged

    def _queue(self, evse: Evse, request: TransactionEventRequest, clock_offset: float | None) -> None:
        context, session, kind = self._context, evse.session, request["eventType"]
        session.seq_no += 1
        session.last_utc = parse_utc(request["timestamp"])
        context.outbox.send_durable("TransactionEvent", request, session.id, clock_offset=clock_offset)
        if kind == "Ended":
            context.transaction_store.drop(session.id)
        else:
            self.save(session)
        trigger, seq_no = request["triggerReason"], request["seqNo"]
        reason = request["transactionInfo"].get("stoppedReason")
        context.emit(signals.TransactionChanged(evse.evse, session.id, kind.lower(), trigger, seq_no, reason))
