# SPDX-License-Identifier: Apache-2.0
"""E Transactions: when they start and stop, what is told of them, and what becomes of them in trouble.

Everything that happens on an EVSE comes through `_happened`, which starts, updates or ends its transaction as the start
and stop points say (`transactions/points`); what is told of it is made by `transactions/events`, with the meter
values of `transactions/meter`; what the HAL may do is in `transactions/lease`.

Authorisation ends before a transaction does: `_wish_stop` withdraws the HAL's permission and the event that tells
of it waits for the meter's final reading, at most `_STOP_TIMEOUT_S` (part 2, 2.6: energy stops first).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec

from firmware.contract import (
    Cause,
    EnergyFlow,
    Event,
    Fault,
    FaultRaised,
    MeterContext,
    MeterReading,
    Phase,
    PhaseChanged,
    Plugged,
    StopPressed,
    Unplugged,
)
from services.ocpp import signals
from services.ocpp.context import Block, Context, Failure, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.id_tokens import same_token
from services.ocpp.transactions.events import TransactionEvents
from services.ocpp.transactions.lease import Energy
from services.ocpp.transactions.meter import TransactionMeter
from services.ocpp.transactions.points import ends, ends_with_authorisation, points_of, starts
from services.ocpp.transactions.session import Session, Stop, Transaction, why_faulted, why_without_energy

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        GetTransactionStatusRequest,
        GetTransactionStatusResponse,
        IdTokenInfoType,
        IdTokenType,
        MessageTriggerEnumType,
        ReasonEnumType,
        TransactionEventRequest,
        TriggerReasonEnumType,
    )

__all__ = ["Transactions"]

_log = logging.getLogger(__name__)

_STOP_TIMEOUT_S = 30.0
_HAL_ABSENCE_S = 5.0
"""How long a transaction waits for a HAL that went away before it ends without it."""

_SAMPLING = (keys.SAMPLED_TX_UPDATED_INTERVAL, keys.SAMPLED_TX_ENDED_INTERVAL, keys.ALIGNED_TX_ENDED_INTERVAL)


class Transactions(Block):
    letter = "E"
    handles = ("GetTransactionStatus",)
    asks = ("TransactionEvent",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sessions = {evse: Session(evse) for evse in context.hal.evses}
        self._energy = Energy(context)
        self._meter = TransactionMeter(context)
        self._events = TransactionEvents(context, self._meter)
        self._hal_wanted_by: float | None = None
        self._just_booted = context.boot_cause != "application"

    # --- starting up ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        for state in self.context.transaction_store.load():
            try:
                transaction = Transaction.decode(state)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.error("an open transaction could not be read: %s", error)
                continue
            session = self._sessions.get(transaction.evse)
            if session is not None:
                self._restore(session, transaction, now)
        if any(session.transaction for session in self._sessions.values()):
            self._hal_wanted_by = now + _HAL_ABSENCE_S

    def _restore(self, session: Session, transaction: Transaction, now: float) -> None:
        session.restore(transaction)
        age = self.context.time.utc(now) - transaction.last_utc
        session.told_at = now - max(0.0, age - 0.0005)  # stamps are cut to milliseconds
        self._evse(session).stopping = session.stop is not None
        session.closing = transaction.boot_id != self.context.outbox.boot_id
        session.delivering = transaction.last_reading is not None and transaction.charging_state not in (
            "Idle",
            "EVConnected",
        )
        session.show_on(self._evse(session))
        _log.info("transaction %s found open on EVSE %d", transaction.id, session.evse)

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        self._hal_wanted_by = None
        for session in self._sessions.values():
            transaction = session.transaction
            delivered = session.delivering
            self._energy.take_back(session)
            session.delivering = transaction is not None and self._is_delivering(session)
            if session.closing:
                self._close_after_boot(session, now)
            elif transaction is not None and delivered and transaction.hal_run != self.context.hal.run_id:
                self._end_without_energy(session, "AbnormalCondition", "Other", now)
            elif transaction is not None:
                self._resume(session, transaction, now)
            elif session.authorised:
                self._energy.permit(session, now)
                self._charging_state_may_have_changed(session, now)  # E01.FR.06: energy may flow since
            if self._just_booted and session.transaction is None and self._evse(session).plugged:
                self._happened(session, "CablePluggedIn", now)  # E01.FR.02: the vehicle was there before us
        self._just_booted = False

    def _is_delivering(self, session: Session) -> bool:
        """After a stop before energy flowed, in the cable check for one, no final reading comes."""
        evse = self._evse(session)
        return evse.phase in (Phase.CHARGING, Phase.PAUSED) or (session.delivering and evse.power_active)

    def _resume(self, session: Session, transaction: Transaction, now: float) -> None:
        """The HAL is with us while a transaction is open, and no restart of its own has cut the power: go on."""
        evse = self._evse(session)
        transaction.hal_run = self.context.hal.run_id
        if "EVConnected" in transaction.held and not evse.plugged and transaction.charging_state != "Idle":
            self._unplugged(session, now)
            return
        faults = sorted(fault for fault in self.context.hal.faults_of(evse) if fault.stops_charging)
        if faults:  # raised while nobody listened
            self._faulted(session, faults[0], now)
        if session.stop is not None:
            self._energy.withdraw(session)
            if not evse.power_active:
                self._complete_stop(session, now)
            return
        self._meter.plan(session, now)
        if session.authorised and not evse.plugged and session.connect_by is None:
            self._await_cable(session, now)
        if session.authorised:
            self._energy.permit(session, now)
        if transaction.suspended:
            self._energy.hold_back(session)
        self._charging_state_may_have_changed(session, now)

    def _close_after_boot(self, session: Session, now: float) -> None:
        """A transaction that a power cut or reboot left open ends now, dated with the last that is known of it.

        The meter keeps its register through a power cut, so the value that it shows now is the value then.
        """
        session.closing = False
        reason: ReasonEnumType = "PowerLoss" if self.context.boot_cause == "power_up" else "Reboot"
        self._end_without_energy(session, "AbnormalCondition", reason, now, dated_back=True)

    def _end_without_energy(
        self,
        session: Session,
        trigger: TriggerReasonEnumType,
        reason: ReasonEnumType,
        now: float,
        *,
        dated_back: bool = False,
    ) -> None:
        stop = session.stop  # what ended the authorisation before, and may not have been told yet (E07.FR.02)
        if stop is None or stop.trigger == "ChargingStateChanged":
            stop = Stop(trigger, reason, None, now)
        session.authorised = session.delivering = False
        session.stop = stop
        self._energy.withdraw(session)
        self._end(session, stop.trigger, now, reason=stop.reason, id_token=stop.id_token, dated_back=dated_back)

    def on_hal_down(self, now: float) -> None:
        if any(session.transaction for session in self._sessions.values()):
            self._hal_wanted_by = now + _HAL_ABSENCE_S

    # --- what the CSMS asks --------------------------------------------------------------------------------

    def on_call(self, action: Action, request: GetTransactionStatusRequest, now: float) -> GetTransactionStatusResponse:
        transaction_id = request.get("transactionId")
        queued = self.context.outbox.has_messages(transaction_id)  # E14.FR.04, 05, 07, 08
        if transaction_id is None:
            return {"messagesInQueue": queued}  # E14.FR.06
        ongoing = any(s.transaction and s.transaction.id == transaction_id for s in self._sessions.values())
        return {"messagesInQueue": queued, "ongoingIndicator": ongoing}  # E14.FR.01 to 03

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        if message != "TransactionEvent":
            return None
        wanted = [session for session in self._sessions.values() if evse in (None, 0, session.evse)]
        possible = self.context.registration.online and any(session.transaction for session in wanted)
        return "Accepted" if possible else "Rejected"

    def on_answer(self, action: Action, request: TransactionEventRequest, answer: Any, now: float) -> None:
        info: IdTokenInfoType | None = None if isinstance(answer, Failure) else answer.get("idTokenInfo")
        session = self._session_of(request["transactionInfo"]["transactionId"])
        # What the CSMS says of its own accord is about the token that the transaction runs on.
        id_token = request.get("idToken") or (session.id_token if session else None)
        if info is None or id_token is None:
            return
        self.context.emit(signals.TokenInformed(id_token, info))
        if session is None or session.transaction is None or not session.authorised:
            return
        if not same_token(id_token, session.id_token):
            return
        if info["status"] == "Accepted":
            if "groupIdToken" in info:  # C09.FR.12
                session.group = info["groupIdToken"]
                session.transaction.group = cast("dict[str, Any]", info["groupIdToken"])
                self._events.save(session)
                session.show_on(self._evse(session))
            return
        self._invalidate(session, now)

    def _invalidate(self, session: Session, now: float) -> None:
        """E05: the CSMS no longer accepts the token of a transaction that goes on."""
        model = self.context.model
        _log.info("EVSE %d: token not accepted for the running transaction", session.evse)
        if model.get(keys.STOP_TX_ON_INVALID_ID):
            self._wish_stop(session, "Deauthorized", "DeAuthorized", None, now)  # E05.FR.09, E05.FR.10
            return
        transaction = session.transaction
        if transaction is None or transaction.invalid_from_wh is not None or transaction.suspended:
            return
        transaction.invalid_from_wh = self._meter.register(session)
        self._check_energy_limit(session, now)  # E05.FR.02 when the limit is 0, else E05.FR.03
        self._events.save(session)

    def _check_energy_limit(self, session: Session, now: float) -> None:
        """E05.FR.02, E05.FR.03: hold energy back once MaxEnergyOnInvalidId has been delivered."""
        transaction = session.transaction
        if transaction is None or transaction.invalid_from_wh is None or transaction.suspended:
            return
        delivered = self._meter.register(session) - transaction.invalid_from_wh
        if delivered < self.context.model.get(keys.MAX_ENERGY_ON_INVALID_ID):
            return
        transaction.suspended = True
        self._energy.hold_back(session)
        self._charging_state_may_have_changed(session, now)
        self._events.save(session)

    # --- what other blocks tell --------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Authorised():
                self._authorised(self._sessions[signal.evse], signal, now)
            case signals.StopRequested():
                self._wish_stop(self._sessions[signal.evse], signal.trigger, signal.reason, signal.id_token, now)
            case signals.Triggered(message="TransactionEvent"):
                self._triggered(signal.evse, now)
            case signals.ClockMoved():
                for session in self._sessions.values():
                    self._meter.align(session, now)
            case signals.MeterSampled():
                self._clock_aligned(now)
            case signals.VariablesChanged() if _concerns_sampling(signal):
                for session in self._sessions.values():
                    self._meter.plan(session, now)

    def _authorised(self, session: Session, signal: signals.Authorised, now: float) -> None:
        if not session.authorised:
            session.permission = self.context.new_id()
        session.authorised, session.token_due = True, True
        session.id_token = signal.id_token
        session.group = signal.info.get("groupIdToken") if signal.info else None
        session.remote_start_id = signal.remote_start_id
        evse = self._evse(session)
        if not evse.plugged:
            self._await_cable(session, now)
        if session.transaction is not None:
            self._energy.release(session)
            session.transaction.invalid_from_wh = session.transaction.stop_reason = None
            session.keep()
        self._energy.permit(session, now)
        # F01.FR.19, E02.FR.01
        self._happened(session, "RemoteStart" if signal.remote_start_id is not None else "Authorized", now)

    def _triggered(self, evse: int | None, now: float) -> None:
        """F06.FR.07."""
        for session in self._sessions.values():
            if session.transaction is not None and evse in (None, 0, session.evse):
                values = self._meter.values(
                    session, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Trigger", self.context.time.text(now)
                )
                self._events.make(session, "Updated", "Trigger", now, values=values)

    def _clock_aligned(self, now: float) -> None:
        """J01.FR.22: EVSEs in a transaction report clock-aligned values in a TransactionEvent."""
        for session in self._sessions.values():
            if session.transaction is not None and session.stop is None:
                values = self._meter.values(
                    session, keys.ALIGNED_MEASURANDS, "Sample.Clock", self.context.time.text(now)
                )
                if values:
                    self._events.make(session, "Updated", "MeterValueClock", now, values=values)

    # --- what the hardware tells -----------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        session = self._sessions.get(getattr(event, "evse", None) or 0)
        if session is not None:
            now = max(now, session.told_at)
        match event:
            case FaultRaised() if event.fault.stops_charging:
                for each in self._sessions.values():
                    if event.evse in (None, each.evse):
                        self._faulted(each, event.fault, max(now, each.told_at))
            case Plugged() if session:
                session.connect_by = None
                self._happened(session, "CablePluggedIn", now)
                if session.transaction is not None and session.transaction.suspended:
                    self._energy.hold_back(session)
                    self._charging_state_may_have_changed(session, now)
            case Unplugged() if session:
                self._unplugged(session, now)
            case MeterReading() if session:
                self._read(session, event, now)
            case PhaseChanged() if session:
                self._phase_changed(session, event, now)
            case StopPressed() if session and session.authorised:
                self._wish_stop(session, "StopAuthorized", "Local", None, now)  # E07.FR.05
            case _ if session:
                self._charging_state_may_have_changed(session, now)

    def _faulted(self, session: Session, fault: Fault, now: float) -> None:
        if session.transaction is None:
            self._deauthorise(session)
            return
        self._wish_stop(session, "AbnormalCondition", why_faulted(fault), None, now)  # E06.FR.16

    def _unplugged(self, session: Session, now: float) -> None:
        evse = self._evse(session)
        evse.plugged = evse.held_back = False
        if session.transaction is None:
            if session.authorised:
                self._await_cable(session, now)
            return
        if session.stop is not None:
            if session.stop.trigger == "ChargingStateChanged":
                session.stop.trigger = "EVCommunicationLost"  # the more specific one (E02.FR.17)
            if not session.delivering:
                self._complete_stop(session, now)
            return
        deauthorises = self.context.model.get(keys.STOP_TX_ON_EV_SIDE_DISCONNECT)  # E09.FR.01
        if session.authorised and (deauthorises or self._would_end(session)):  # E06.FR.02, E06.FR.06, E06.FR.07
            self._wish_stop(session, "EVCommunicationLost", "EVDisconnected", None, now)
            return
        if session.authorised:  # E10.FR.02
            self._await_cable(session, now)
        self._happened(session, "EVCommunicationLost", now, reason="EVDisconnected")

    def _read(self, session: Session, reading: MeterReading, now: float) -> None:
        if reading.context is MeterContext.START:
            session.delivering = True
        elif reading.context is MeterContext.STOP:
            session.delivering = False
            if session.stop is not None:
                self._complete_stop(session, now)
                return
        self._check_energy_limit(session, now)

    def _phase_changed(self, session: Session, event: PhaseChanged, now: float) -> None:
        evse = self._evse(session)
        if session.stop is not None:
            if not evse.power_active and not session.delivering:
                self._complete_stop(session, now)
            return
        if session.transaction is not None and event.phase is Phase.FINISHED and session.authorised:
            if event.cause is Cause.VEHICLE:
                self._wish_stop(session, "StopAuthorized", "StoppedByEV", None, now)  # E15.FR.04
                return
            if event.cause in (Cause.LEASE, Cause.SERVICE):
                self._energy.permit(session, now)
        self._charging_state_may_have_changed(session, now)

    def _charging_state_may_have_changed(self, session: Session, now: float) -> None:
        """E01.FR.18."""
        evse = self._evse(session)
        transaction = session.transaction
        if session.stop is not None or not self.context.hal.present:
            return
        if transaction is None:
            if evse.flow is EnergyFlow.FLOWING and session.authorised:
                self._happened(session, "ChargingStateChanged", now)  # E01.FR.06
            return
        if evse.flow is EnergyFlow.NONE and session.delivering and self._would_end(session):
            return  # E06.FR.07: not before the final reading, and the HAL says why
        if evse.observed_charging_state != transaction.charging_state:
            self._happened(session, "ChargingStateChanged", now, reason=why_without_energy(evse, transaction))

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        deadlines = [self._hal_wanted_by]
        for session in self._sessions.values():
            deadlines += [session.connect_by, session.renew_at]
            deadlines += [session.sample_at, session.ended_sample_at, session.aligned_sample_at]
            if session.stop is not None:
                deadlines.append(session.stop.deadline)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: float) -> None:
        if self._hal_wanted_by is not None and now >= self._hal_wanted_by:
            self._hal_wanted_by = None
            self._give_up_on_hal(now)
        for session in self._sessions.values():
            if session.stop is not None and now >= session.stop.deadline:
                _log.error("EVSE %d: no final meter reading; the transaction ends with the last one", session.evse)
                session.delivering = False
                self._complete_stop(session, now)
            if session.connect_by is not None and now >= session.connect_by:
                self._connection_timed_out(session, now)
            if session.renew_at is not None and now >= session.renew_at:
                self._energy.permit(session, now)
            self._sample(session, now)

    def _give_up_on_hal(self, now: float) -> None:
        for session in self._sessions.values():
            if session.closing:
                self._close_after_boot(session, now)
            elif session.transaction is not None and session.delivering:
                self._end_without_energy(session, "AbnormalCondition", "Other", now)

    def _await_cable(self, session: Session, now: float) -> None:
        session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)

    def _connection_timed_out(self, session: Session, now: float) -> None:
        """The cable was not plugged in within EVConnectionTimeOut (C01.FR.26)."""
        session.connect_by = None
        if self._evse(session).plugged:
            return
        if session.transaction is None:
            self._deauthorise(session)
            return
        self._deauthorise(session)
        self._end(session, "EVConnectTimeout", now, reason="Timeout")  # E03.FR.05, F02.FR.07

    def _sample(self, session: Session, now: float) -> None:
        values = self._meter.periodic(session, now)
        if session.stop is None and values:
            self._events.make(session, "Updated", "MeterValuePeriodic", now, values=values)  # J02.FR.11
        if self._meter.keep_for_the_end(session, now):
            session.told_at = max(session.told_at, now)
            self._events.save(session)

    # --- authorisation ends -------------------------------------------------------------------------------------------

    def _wish_stop(
        self,
        session: Session,
        trigger: TriggerReasonEnumType,
        reason: ReasonEnumType,
        id_token: IdTokenType | None,
        now: float,
    ) -> None:
        reset = reason == "ImmediateReset"
        if session.stop is not None and (session.stop.ends or not reset):
            return
        if session.transaction is None:
            self._deauthorise(session)
            return
        evse = self._evse(session)
        ends = reset or ends_with_authorisation(self.context.model)  # B12.FR.04, B12.FR.08, whatever the stop points
        session.stop = Stop(trigger, reason, id_token, now + _STOP_TIMEOUT_S, ends)
        session.transaction.stop_reason = reason if reset else session.transaction.stop_reason or reason
        self._deauthorise(session)
        if evse.plugged and not ends:
            # E07 alternative, F03.FR.02: the transaction goes on, so the CSMS hears of it at once.
            self._events.make(session, "Updated", trigger, now, id_token=id_token)
            session.stop.trigger, session.stop.id_token = "ChargingStateChanged", None
        evse.stopping = True
        self._events.save(session)
        if not session.delivering and not evse.power_active:
            self._complete_stop(session, now)

    def _complete_stop(self, session: Session, now: float) -> None:
        """Energy is off: tell the CSMS."""
        evse, stop = self._evse(session), session.stop
        if stop is None:
            return
        session.stop = None
        told = session.transaction is not None and session.transaction.charging_state == evse.observed_charging_state
        if stop.ends:  # E05.FR.10, F03.FR.03, whatever had been reached of the stop points
            self._end(session, stop.trigger, now, reason=stop.reason, id_token=stop.id_token)
        elif stop.trigger == "ChargingStateChanged" and told:  # E02.FR.13: there had been no energy
            self._events.save(session)
        else:
            self._happened(session, stop.trigger, now, reason=stop.reason, id_token=stop.id_token)
        evse.stopping = False

    def _deauthorise(self, session: Session) -> None:
        session.authorised = session.token_due = False
        session.connect_by = session.renew_at = None
        self._evse(session).held_back = False
        if session.transaction is not None:
            session.transaction.authorised = False
        else:  # the next transaction here is another driver's
            session.id_token = session.group = session.remote_start_id = None
        self._energy.withdraw(session)
        session.show_on(self._evse(session))

    # --- events -------------------------------------------------------------------------------------------------------

    def _happened(
        self,
        session: Session,
        trigger: TriggerReasonEnumType,
        now: float,
        *,
        reason: ReasonEnumType = "Other",
        id_token: IdTokenType | None = None,
    ) -> None:
        """Something happened on this EVSE: the transaction starts, goes on or ends."""
        points = points_of(session, self._evse(session))
        transaction = session.transaction
        if transaction is None:
            if starts(self.context.model, points):
                self._begin(session, trigger, now)
            else:
                session.show_on(self._evse(session))
            return
        if session.stop is None and self._would_end(session):  # else the end has a cause of its own to tell
            self._end(session, trigger, now, reason=reason, id_token=id_token)
            return
        transaction.held |= points
        self._events.make(session, "Updated", trigger, now, id_token=id_token)

    def _would_end(self, session: Session) -> bool:
        """Has the transaction come to a stop point?"""
        transaction = session.transaction
        points = points_of(session, self._evse(session))
        return transaction is not None and ends(self.context.model, transaction.held, points)

    def _begin(self, session: Session, trigger: TriggerReasonEnumType, now: float) -> None:
        evse, context = self._evse(session), self.context
        session.transaction = Transaction(
            id=context.new_id(),  # E01.FR.08
            evse=session.evse,
            connector=evse.connector,
            boot_id=context.outbox.boot_id,
            started_utc=context.time.utc(now),
            last_utc=context.time.utc(now),
            begin_wh=evse.reading.energy_wh if evse.reading else None,
            held=points_of(session, evse),
            hal_run=context.hal.run_id,
        )
        session.keep()
        session.transaction.ended_values = self._meter.begin_values(session, self.context.time.text(now))
        self._events.make(session, "Started", trigger, now)
        self._meter.plan(session, now)
        self._energy.permit(session, now)

    def _end(
        self,
        session: Session,
        trigger: TriggerReasonEnumType,
        now: float,
        *,
        reason: ReasonEnumType,
        id_token: IdTokenType | None = None,
        dated_back: bool = False,
    ) -> None:
        """Tell of the end, and be ready for the next driver."""
        self._events.make(session, "Ended", trigger, now, reason=reason, id_token=id_token, dated_back=dated_back)
        self._energy.release(session)
        self._energy.withdraw(session)
        self._evse(session).stopping = False
        session.reset()
        session.show_on(self._evse(session))

    # --- small helpers -----------------------------------------------------------------------------------------------

    def _evse(self, session: Session) -> Evse:
        return self.context.hal.evses[session.evse]

    def _session_of(self, transaction_id: str) -> Session | None:
        for session in self._sessions.values():
            if session.transaction is not None and session.transaction.id == transaction_id:
                return session
        return None


def _concerns_sampling(signal: signals.VariablesChanged) -> bool:
    """An interval that is set to what it was goes on, or samples would never be due (J02.FR.11)."""
    return any(change.is_new and change.of(key) for change in signal.changes for key in _SAMPLING)
