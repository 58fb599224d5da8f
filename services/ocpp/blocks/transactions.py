# SPDX-License-Identifier: Apache-2.0
"""E Transactions: when they start and stop, and what is reported of them.

This block turns requests, signals, HAL events and time into inputs of the charging sessions. Their theory is in
`transactions/table.py`: the states, and what each transition does. Beside it, `machine.py` carries out the transitions,
`points.py` has the start and stop points, `events.py` and `meter.py` make the TransactionEvents, `lease.py` permits the
HAL to energise, `invalid_token.py` is E05, and `recovery.py` handles restarts.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from firmware.contract import Cause as HalCause
from firmware.contract import (
    Event,
    FaultRaised,
    MeterContext,
    MeterReading,
    Phase,
    PhaseChanged,
    Plugged,
    StopPressed,
    Unplugged,
)
from firmware.log import fields
from services.ocpp import signals
from services.ocpp.context import Block, Context, Failure, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.id_tokens import same_token
from services.ocpp.transactions.events import Cause
from services.ocpp.transactions.invalid_token import InvalidTokens
from services.ocpp.transactions.machine import SessionMachine
from services.ocpp.transactions.reasons import caused_by
from services.ocpp.transactions.recovery import Recovery
from services.ocpp.transactions.table import Input

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        GetTransactionStatusRequest,
        GetTransactionStatusResponse,
        IdTokenInfoType,
        MessageTriggerEnumType,
        TransactionEventRequest,
    )

__all__ = ["Transactions"]

_log = logging.getLogger(__name__)

_SAMPLING = (keys.SAMPLED_TX_UPDATED_INTERVAL, keys.SAMPLED_TX_ENDED_INTERVAL, keys.ALIGNED_TX_ENDED_INTERVAL)


class Transactions(Block):
    letter = "E"
    handles = ("GetTransactionStatus",)
    reads = handles
    asks = ("TransactionEvent",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._evses = context.hal.evses
        self._machine = SessionMachine(context)
        self._recovery = Recovery(context, self._machine)
        self._invalid_tokens = InvalidTokens(context, self._machine)

    def start(self, now: float) -> None:
        self._recovery.start(now)

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        self._recovery.on_hal_up(now)

    def settle(self, now: float) -> None:
        self._recovery.settle(now)

    # --- what the CSMS asks --------------------------------------------------------------------------------

    def on_call(self, action: Action, request: GetTransactionStatusRequest, now: float) -> GetTransactionStatusResponse:
        transaction_id = request.get("transactionId")
        queued = self.context.outbox.has_messages(transaction_id)  # E14.FR.04, 05, 07, 08
        if transaction_id is None:
            return {"messagesInQueue": queued}  # E14.FR.06
        ongoing = self._evse_of(transaction_id) is not None
        return {"messagesInQueue": queued, "ongoingIndicator": ongoing}  # E14.FR.01 to 03

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        if message != "TransactionEvent":
            return None
        running = any(each.transaction_id for each in self._evses.values() if evse in (None, 0, each.evse))
        return "Accepted" if running and self.context.registration.online else "Rejected"

    def on_answer(self, action: Action, request: TransactionEventRequest, answer: Any, now: float) -> None:
        info: IdTokenInfoType | None = None if isinstance(answer, Failure) else answer.get("idTokenInfo")
        evse = self._evse_of(request["transactionInfo"]["transactionId"])
        # In answer to an event without a token, idTokenInfo is about the token of the transaction.
        id_token = request.get("idToken") or (evse.session.id_token if evse else None)
        if info is None or id_token is None:
            return
        self.context.emit(signals.TokenInformed(id_token, info))
        if evse is None or not same_token(id_token, evse.id_token):
            return
        if info["status"] != "Accepted":
            self._invalid_tokens.refuse(evse, now)
        elif "groupIdToken" in info:  # C09.FR.12
            evse.session.group = info["groupIdToken"]
            self._machine.events.save(evse.session)

    # --- signals of other blocks -------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Authorised():
                self._machine.authorise(self._evses[signal.evse], signal, now)
            case signals.StopRequested():
                cause = Cause(signal.trigger, signal.reason, signal.id_token)
                self._machine.stop(self._evses[signal.evse], cause, now)
            case signals.Triggered(message="TransactionEvent"):
                self._triggered(signal.evse, now)
            case signals.ClockMoved():
                for evse in self._evses.values():
                    self._machine.meter.align(evse, now)
            case signals.MeterSampled():
                self._clock_aligned(now)
            case signals.VariablesChanged() if _concerns_sampling(signal):
                for evse in self._evses.values():
                    self._machine.meter.plan(evse, now)

    def _triggered(self, wanted: int | None, now: float) -> None:
        """F06.FR.07."""
        for evse in self._evses.values():
            if evse.session.has_transaction and wanted in (None, 0, evse.evse):
                values = self._machine.meter.values(evse, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Trigger", now)
                self._machine.events.make(evse, "Updated", Cause("Trigger"), now, values=values)

    def _clock_aligned(self, now: float) -> None:
        """J01.FR.22: EVSEs in a transaction report clock-aligned values in a TransactionEvent."""
        for evse in self._evses.values():
            if evse.session.has_transaction and not evse.stopping:
                values = self._machine.meter.values(evse, keys.ALIGNED_MEASURANDS, "Sample.Clock", now)
                if values:
                    self._machine.events.make(evse, "Updated", Cause("MeterValueClock"), now, values=values)

    # --- HAL events ------------------------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        if isinstance(event, FaultRaised) and event.fault.stops_charging:
            for each in self._evses.values():
                if event.evse in (None, each.evse):
                    self._machine.stop(each, caused_by(event.fault), max(now, each.session.last_event_at))
            return
        evse = self._evses.get(getattr(event, "evse", None) or 0)
        if evse is not None:
            self._on_evse_event(evse, event, max(now, evse.session.last_event_at))

    def _on_evse_event(self, evse: Evse, event: Event, now: float) -> None:
        match event:
            case Plugged():
                self._machine.plugged(evse, now)
            case Unplugged():
                self._machine.unplugged(evse, now)
            case MeterReading():
                self._read(evse, event, now)
            case PhaseChanged():
                self._phase_changed(evse, event, now)
            case StopPressed() if evse.session.authorised:
                self._machine.stop(evse, Cause("StopAuthorized", "Local"), now)  # E07.FR.05
            case _:
                self._machine.check_charging_state(evse, now)

    def _read(self, evse: Evse, reading: MeterReading, now: float) -> None:
        if reading.context is MeterContext.START:
            evse.delivering = True
        elif reading.context is MeterContext.STOP:
            evse.delivering = False
            if evse.stopping:
                self._machine.energy_off(evse, now)
                return
        self._invalid_tokens.check_energy(evse, now)

    def _phase_changed(self, evse: Evse, event: PhaseChanged, now: float) -> None:
        session = evse.session
        if session.stop is not None:
            if not evse.power_active and not evse.delivering:
                self._machine.energy_off(evse, now)
            return
        if session.has_transaction and session.authorised and event.phase is Phase.FINISHED:
            if event.cause is HalCause.VEHICLE:
                self._machine.stop(evse, Cause("StopAuthorized", "StoppedByEV"), now)  # E15.FR.04, E15.FR.05
                return
            if event.cause in (HalCause.LEASE, HalCause.SERVICE):
                self._machine.lease.permit(evse, now)
        self._machine.check_charging_state(evse, now)

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        deadlines = [self._recovery.hal_needed_by]
        for evse in self._evses.values():
            session = evse.session
            deadlines += [session.connect_by, session.renew_at]
            deadlines += [session.sample_at, session.ended_sample_at, session.aligned_sample_at]
            deadlines.append(self._machine.energy_off_by(evse))
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: float) -> None:
        self._recovery.on_time(now)
        for evse in self._evses.values():
            if _is_due(self._machine.energy_off_by(evse), now):
                extra = fields(evse=evse.evse, transaction=evse.transaction_id)
                _log.error(
                    "EVSE %d: no final meter reading within the time limit; using the last one", evse.evse, extra=extra
                )
                evse.delivering = False
                self._machine.energy_off(evse, now)
            if _is_due(evse.session.connect_by, now):
                self._connection_timed_out(evse, now)
            if _is_due(evse.session.renew_at, now):
                self._machine.lease.permit(evse, now)
            self._sample(evse, now)

    def _connection_timed_out(self, evse: Evse, now: float) -> None:
        """The cable was not plugged in within EVConnectionTimeOut (C01.FR.26)."""
        evse.session.connect_by = None
        if not evse.plugged:
            self._machine.fire(evse, Input.END, Cause("EVConnectTimeout", "Timeout"), now)  # E03.FR.05, F02.FR.07

    def _sample(self, evse: Evse, now: float) -> None:
        values = self._machine.meter.periodic(evse, now)
        if values and not evse.stopping:
            self._machine.events.make(evse, "Updated", Cause("MeterValuePeriodic"), now, values=values)  # J02.FR.11
        if self._machine.meter.sample_for_the_end(evse, now):
            self._machine.events.save(evse.session)

    def _evse_of(self, transaction_id: str) -> Evse | None:
        return next((evse for evse in self._evses.values() if evse.transaction_id == transaction_id), None)


def _is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline


def _concerns_sampling(signal: signals.VariablesChanged) -> bool:
    """An interval set to its old value continues, or no sample would ever be due (J02.FR.11)."""
    return any(change.is_new and change.of(key) for change in signal.changes for key in _SAMPLING)
