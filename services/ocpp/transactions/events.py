# SPDX-License-Identifier: Apache-2.0
"""How a TransactionEvent is made: what it says, its place on disk, and who hears of it (E)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from firmware.clock import format_utc, parse_utc
from services.ocpp import signals

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.messages import (
        IdTokenType,
        MeterValueType,
        ReasonEnumType,
        TransactionEventEnumType,
        TransactionEventRequest,
        TriggerReasonEnumType,
    )
    from services.ocpp.transactions.meter import TransactionMeter
    from services.ocpp.transactions.session import Session, Transaction

__all__ = ["TransactionEvents"]

_log = logging.getLogger(__name__)


class TransactionEvents:
    """Each event is durable together with the state of its transaction."""

    def __init__(self, context: Context, meter: TransactionMeter) -> None:
        self._context = context
        self._meter = meter

    def save(self, session: Session) -> None:
        if session.transaction is not None:
            session.transaction.stop = session.stop
            self._context.transaction_store.save(session.transaction.id, session.evse, session.transaction.encode())

    def make(
        self,
        session: Session,
        kind: TransactionEventEnumType,
        trigger: TriggerReasonEnumType,
        now: float,
        *,
        reason: ReasonEnumType | None = None,
        id_token: IdTokenType | None = None,
        values: list[MeterValueType] | None = None,
        dated_back: bool = False,
    ) -> None:
        """Make and queue one event of the running transaction.

        `values`: meter values in place of those that belong to this kind of event; `dated_back`: it happened when the
        last event did.
        """
        transaction = session.transaction
        if transaction is None:
            return
        time = self._context.time
        if session.remote_start_id is not None and kind != "Ended":
            trigger = "RemoteStart"  # F01.FR.19, F02.FR.21
        hal = self._context.hal
        # A sample that is taken while the HAL is away tells of no change: nobody has seen one.
        if hal.present or values is None or transaction.charging_state is None:
            transaction.charging_state = hal.evses[session.evse].observed_charging_state
        request: TransactionEventRequest = {
            "eventType": kind,
            "timestamp": format_utc(transaction.last_utc) if dated_back else time.text(now),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,  # E03.FR.06
            "transactionInfo": {
                "transactionId": transaction.id,
                "chargingState": transaction.charging_state,  # E02.FR.13
            },
        }
        if kind == "Ended":
            request["transactionInfo"]["stoppedReason"] = transaction.stop_reason or reason or "Other"  # E06.FR.08
        self._add_identity(session, transaction, request, id_token)
        self._add_evse(session, transaction, request)
        if values is None:
            values = self._meter.of_event(session, transaction, kind, request["timestamp"])
        if values:
            request["meterValue"] = values
        session.told_at = max(session.told_at, now)
        self._queue(session, transaction, request, None if dated_back else time.provisional_offset(now))

    def _add_identity(
        self,
        session: Session,
        transaction: Transaction,
        request: TransactionEventRequest,
        id_token: IdTokenType | None,
    ) -> None:
        if id_token is not None:
            request["idToken"] = id_token  # E07.FR.02
        elif session.token_due and session.id_token is not None and request["eventType"] != "Ended":
            request["idToken"] = session.id_token  # E03.FR.01, F02.FR.05
            session.token_due = False
        if session.remote_start_id is not None:
            request["transactionInfo"]["remoteStartId"] = session.remote_start_id  # F01.FR.25, F02.FR.01
            transaction.remote_start_id = session.remote_start_id
            session.remote_start_id = None

    def _add_evse(self, session: Session, transaction: Transaction, request: TransactionEventRequest) -> None:
        """E01.FR.16; and whoever asks which transactions there are is told where (TC_F_14_CS)."""
        evse = self._context.hal.evses[session.evse]
        asked = request["eventType"] == "Started" or request["triggerReason"] == "Trigger"
        if asked or (evse.plugged and not transaction.evse_reported):
            request["evse"] = {"id": session.evse, "connectorId": evse.connector}
            transaction.evse_reported = evse.plugged

    def _queue(
        self,
        session: Session,
        transaction: Transaction,
        request: TransactionEventRequest,
        clock_offset: float | None,
    ) -> None:
        context, kind = self._context, request["eventType"]
        transaction.seq_no += 1
        transaction.last_utc = parse_utc(request["timestamp"])
        transaction.last_reading = self._meter.reading(session)
        context.outbox.send_durable("TransactionEvent", request, transaction.id, clock_offset=clock_offset)
        if kind == "Ended":
            context.transaction_store.drop(transaction.id)
        else:
            self.save(session)
            session.show_on(context.hal.evses[session.evse])
        _log.info(
            "EVSE %d: transaction %s (%s, seqNo %d)",
            session.evse,
            kind.lower(),
            request["triggerReason"],
            request["seqNo"],
        )
        context.emit(signals.TransactionChanged(session.evse, transaction.id, kind.lower()))
