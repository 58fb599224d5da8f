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
from typing import TYPE_CHECKING, Any

import msgspec

from firmware.contract import Cause as HalCause
from firmware.contract import (
    EnergyFlow,
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
from services.ocpp import signals
from services.ocpp.context import Block, Context, Failure, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.id_tokens import same_token
from services.ocpp.session import Session, Stop
from services.ocpp.transactions.events import Cause, TransactionEvents
from services.ocpp.transactions.lease import EnergyLease
from services.ocpp.transactions.meter import TransactionMeter
from services.ocpp.transactions.points import ends, ends_with_authorisation, points_of, starts
from services.ocpp.transactions.reasons import why_faulted, why_without_energy

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        Action,
        GetTransactionStatusRequest,
        GetTransactionStatusResponse,
        IdTokenInfoType,
        MessageTriggerEnumType,
        ReasonEnumType,
        TransactionEventRequest,
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
        self._evses = context.hal.evses
        self._lease = EnergyLease(context)
        self._meter = TransactionMeter(context)
        self._events = TransactionEvents(context, self._meter)
        self._hal_needed_by: float | None = None
        self._just_booted = context.boot_cause != "application"

    # --- starting up ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        for state in self.context.transaction_store.load():
            try:
                session = Session.decode(state)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.error("an open transaction could not be read: %s", error)
                continue
            if session.evse in self._evses:
                self._restore(session, now)
        self._await_hal(now)

    def _restore(self, session: Session, now: float) -> None:
        evse = self._evses[session.evse]
        evse.session = session
        evse.delivering = session.last_reading is not None and session.charging_state not in ("Idle", "EVConnected")
        session.closing = session.boot_id != self.context.outbox.boot_id
        age = self.context.time.utc(now) - session.last_utc
        session.last_event_at = now - max(0.0, age - 0.0005)  # time stamps are cut to milliseconds
        _log.info("transaction %s found open on EVSE %d", session.id, session.evse)

    def _await_hal(self, now: float) -> None:
        if any(evse.session.id for evse in self._evses.values()):
            self._hal_needed_by = now + _HAL_ABSENCE_S

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        self._hal_needed_by = None
        for evse in self._evses.values():
            session, delivered = evse.session, evse.delivering
            self._lease.take_back(evse)
            evse.delivering = bool(session.id) and _is_delivering(evse)
            if session.closing:
                self._close_after_boot(evse, now)
            elif session.id and delivered and session.hal_run != self.context.hal.run_id:
                self._end_without_energy(evse, "Other", now)
            elif session.id:
                self._resume(evse, now)
            elif session.authorised:
                self._lease.permit(evse, now)
                self._check_charging_state(evse, now)  # E01.FR.06: energy may have begun to flow
            if self._just_booted and not evse.session.id and evse.plugged:
                self._happened(evse, Cause("CablePluggedIn"), now)  # E01.FR.02: the vehicle was there before us
        self._just_booted = False

    def _resume(self, evse: Evse, now: float) -> None:
        """Continue an open transaction: the HAL is there, and no restart of its own has cut the power."""
        session = evse.session
        session.hal_run = self.context.hal.run_id
        if "EVConnected" in session.held and not evse.plugged and session.charging_state != "Idle":
            self._unplugged(evse, now)
            return
        faults = sorted(fault for fault in self.context.hal.faults_of(evse) if fault.stops_charging)
        if faults:  # raised while this process or the connection was down
            self._wish_stop(evse, Cause("AbnormalCondition", why_faulted(faults[0])), now)
        if evse.stopping:
            self._lease.withdraw(evse)
            if not evse.power_active:
                self._complete_stop(evse, now)
        elif evse.session.id:
            self._resume_energy(evse, now)

    def _resume_energy(self, evse: Evse, now: float) -> None:
        session = evse.session
        self._meter.plan(evse, now)
        if session.authorised and not evse.plugged and session.connect_by is None:
            self._await_cable(evse, now)
        if session.authorised:
            self._lease.permit(evse, now)
        if session.suspended:
            self._lease.hold_back(evse)
        self._check_charging_state(evse, now)

    def _close_after_boot(self, evse: Evse, now: float) -> None:
        """End a transaction that a power cut or reboot left open, dated with the last that is known of it.

        The meter keeps its register through a power cut, so the value that it shows now is the value then.
        """
        reason: ReasonEnumType = "PowerLoss" if self.context.boot_cause == "power_up" else "Reboot"
        self._end_without_energy(evse, reason, now, dated_back=True)

    def _end_without_energy(self, evse: Evse, reason: ReasonEnumType, now: float, *, dated_back: bool = False) -> None:
        stop = evse.session.stop  # what ended the authorisation before, and may not have been reported yet (E07.FR.02)
        if stop is None or stop.trigger == "ChargingStateChanged":
            cause = Cause("AbnormalCondition", reason, dated_back=dated_back)
        else:
            cause = Cause(stop.trigger, stop.reason, stop.id_token, dated_back)
        evse.delivering = False
        self._end(evse, cause, now)

    def on_hal_down(self, now: float) -> None:
        self._await_hal(now)

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
        # In answer to an event without a token, idTokenInfo is about the one that the transaction runs on.
        id_token = request.get("idToken") or (evse.session.id_token if evse else None)
        if info is None or id_token is None:
            return
        self.context.emit(signals.TokenInformed(id_token, info))
        if evse is None or not same_token(id_token, evse.id_token):
            return
        if info["status"] != "Accepted":
            self._invalidate(evse, now)
        elif "groupIdToken" in info:  # C09.FR.12
            evse.session.group = info["groupIdToken"]
            self._events.save(evse.session)

    def _invalidate(self, evse: Evse, now: float) -> None:
        """E05: the CSMS no longer accepts the token of a running transaction."""
        _log.info("EVSE %d: token not accepted for the running transaction", evse.evse)
        if self.context.model.get(keys.STOP_TX_ON_INVALID_ID):
            self._wish_stop(evse, Cause("Deauthorized", "DeAuthorized"), now)  # E05.FR.09, E05.FR.10
        elif evse.session.invalid_from_wh is None and not evse.session.suspended:
            evse.session.invalid_from_wh = self._meter.register(evse)
            self._check_energy_limit(evse, now)  # E05.FR.02 when the limit is 0, else E05.FR.03
            self._events.save(evse.session)

    def _check_energy_limit(self, evse: Evse, now: float) -> None:
        """E05.FR.02, E05.FR.03: hold energy back once MaxEnergyOnInvalidId has been delivered."""
        session = evse.session
        if session.invalid_from_wh is None or session.suspended:
            return
        delivered = self._meter.register(evse) - session.invalid_from_wh
        if delivered < self.context.model.get(keys.MAX_ENERGY_ON_INVALID_ID):
            return
        session.suspended = True
        self._lease.hold_back(evse)
        self._check_charging_state(evse, now)
        self._events.save(evse.session)

    # --- signals of other blocks -------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Authorised():
                self._authorised(self._evses[signal.evse], signal, now)
            case signals.StopRequested():
                cause = Cause(signal.trigger, signal.reason, signal.id_token)
                self._wish_stop(self._evses[signal.evse], cause, now)
            case signals.Triggered(message="TransactionEvent"):
                self._triggered(signal.evse, now)
            case signals.ClockMoved():
                for evse in self._evses.values():
                    self._meter.align(evse, now)
            case signals.MeterSampled():
                self._clock_aligned(now)
            case signals.VariablesChanged() if _concerns_sampling(signal):
                for evse in self._evses.values():
                    self._meter.plan(evse, now)

    def _authorised(self, evse: Evse, signal: signals.Authorised, now: float) -> None:
        session = evse.session
        if not session.authorised:
            session.permission = self.context.new_id()
        session.authorised, session.id_token_pending = True, True
        session.id_token = signal.id_token
        session.group = signal.info.get("groupIdToken") if signal.info else None
        session.remote_start_id = signal.remote_start_id
        session.invalid_from_wh = session.stop_reason = None
        if not evse.plugged:
            self._await_cable(evse, now)
        self._lease.release(evse)
        # F01.FR.19, E02.FR.01
        self._happened(evse, Cause("RemoteStart" if signal.remote_start_id is not None else "Authorized"), now)
        self._lease.permit(evse, now)  # afterwards: the event reports the state before it

    def _triggered(self, wanted: int | None, now: float) -> None:
        """F06.FR.07."""
        for evse in self._evses.values():
            if evse.session.id and wanted in (None, 0, evse.evse):
                stamp = self.context.time.text(now)
                values = self._meter.values(evse, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Trigger", stamp)
                self._events.make(evse, "Updated", Cause("Trigger"), now, values=values)

    def _clock_aligned(self, now: float) -> None:
        """J01.FR.22: EVSEs in a transaction report clock-aligned values in a TransactionEvent."""
        for evse in self._evses.values():
            if evse.session.id and not evse.stopping:
                stamp = self.context.time.text(now)
                values = self._meter.values(evse, keys.ALIGNED_MEASURANDS, "Sample.Clock", stamp)
                if values:
                    self._events.make(evse, "Updated", Cause("MeterValueClock"), now, values=values)

    # --- HAL events ------------------------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        if isinstance(event, FaultRaised) and event.fault.stops_charging:
            for each in self._evses.values():
                if event.evse in (None, each.evse):
                    cause = Cause("AbnormalCondition", why_faulted(event.fault))  # E06.FR.16
                    self._wish_stop(each, cause, max(now, each.session.last_event_at))
            return
        evse = self._evses.get(getattr(event, "evse", None) or 0)
        if evse is not None:
            self._on_evse_event(evse, event, max(now, evse.session.last_event_at))

    def _on_evse_event(self, evse: Evse, event: Event, now: float) -> None:
        match event:
            case Plugged():
                self._plugged(evse, now)
            case Unplugged():
                self._unplugged(evse, now)
            case MeterReading():
                self._read(evse, event, now)
            case PhaseChanged():
                self._phase_changed(evse, event, now)
            case StopPressed() if evse.session.authorised:
                self._wish_stop(evse, Cause("StopAuthorized", "Local"), now)  # E07.FR.05
            case _:
                self._check_charging_state(evse, now)

    def _plugged(self, evse: Evse, now: float) -> None:
        evse.session.connect_by = None
        self._happened(evse, Cause("CablePluggedIn"), now)
        if evse.session.suspended:
            self._lease.hold_back(evse)
            self._check_charging_state(evse, now)

    def _unplugged(self, evse: Evse, now: float) -> None:
        session = evse.session
        evse.plugged = session.held_back = False
        lost = Cause("EVCommunicationLost", "EVDisconnected")
        if session.stop is not None:
            self._unplugged_while_stopping(evse, session.stop, now)
            return
        if session.id and session.authorised and self._unplugging_deauthorises(evse):
            self._wish_stop(evse, lost, now)
            return
        if session.authorised:  # E10.FR.02
            self._await_cable(evse, now)
        if session.id:
            self._happened(evse, lost, now)

    def _unplugged_while_stopping(self, evse: Evse, stop: Stop, now: float) -> None:
        if stop.trigger == "ChargingStateChanged":
            stop.trigger = "EVCommunicationLost"  # the more specific one (E02.FR.17)
        if not evse.delivering:
            self._complete_stop(evse, now)

    def _unplugging_deauthorises(self, evse: Evse) -> bool:
        """E09.FR.01; E06.FR.02, E06.FR.06, E06.FR.07."""
        return self.context.model.get(keys.STOP_TX_ON_EV_SIDE_DISCONNECT) or ends(self.context.model, evse)

    def _read(self, evse: Evse, reading: MeterReading, now: float) -> None:
        if reading.context is MeterContext.START:
            evse.delivering = True
        elif reading.context is MeterContext.STOP:
            evse.delivering = False
            if evse.stopping:
                self._complete_stop(evse, now)
                return
        self._check_energy_limit(evse, now)

    def _phase_changed(self, evse: Evse, event: PhaseChanged, now: float) -> None:
        session = evse.session
        if session.stop is not None:
            if not evse.power_active and not evse.delivering:
                self._complete_stop(evse, now)
            return
        if session.id and session.authorised and event.phase is Phase.FINISHED:
            if event.cause is HalCause.VEHICLE:
                self._wish_stop(evse, Cause("StopAuthorized", "StoppedByEV"), now)  # E15.FR.04
                return
            if event.cause in (HalCause.LEASE, HalCause.SERVICE):
                self._lease.permit(evse, now)
        self._check_charging_state(evse, now)

    def _check_charging_state(self, evse: Evse, now: float) -> None:
        """Report a new chargingState (E01.FR.18)."""
        session = evse.session
        if session.stop is not None or not self.context.hal.present:
            return
        if not session.id:
            if evse.flow is EnergyFlow.FLOWING and session.authorised:
                self._happened(evse, Cause("ChargingStateChanged"), now)  # E01.FR.06
            return
        if evse.flow is EnergyFlow.NONE and evse.delivering and ends(self.context.model, evse):
            return  # E06.FR.07: not before the final reading, and the HAL says why
        if evse.observed_charging_state != session.charging_state:
            self._happened(evse, Cause("ChargingStateChanged", why_without_energy(evse)), now)

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        deadlines = [self._hal_needed_by]
        for evse in self._evses.values():
            session = evse.session
            deadlines += [session.connect_by, session.renew_at]
            deadlines += [session.sample_at, session.ended_sample_at, session.aligned_sample_at]
            deadlines.append(session.stop.deadline if session.stop is not None else None)
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def on_time(self, now: float) -> None:
        if _is_due(self._hal_needed_by, now):
            self._hal_needed_by = None
            self._give_up_on_hal(now)
        for evse in self._evses.values():
            if evse.session.stop is not None and now >= evse.session.stop.deadline:
                _log.error("EVSE %d: no final meter reading; the transaction ends with the last one", evse.evse)
                evse.delivering = False
                self._complete_stop(evse, now)
            if _is_due(evse.session.connect_by, now):
                self._connection_timed_out(evse, now)
            if _is_due(evse.session.renew_at, now):
                self._lease.permit(evse, now)
            self._sample(evse, now)

    def _give_up_on_hal(self, now: float) -> None:
        for evse in self._evses.values():
            if evse.session.closing:
                self._close_after_boot(evse, now)
            elif evse.session.id and evse.delivering:
                self._end_without_energy(evse, "Other", now)

    def _await_cable(self, evse: Evse, now: float) -> None:
        evse.session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)

    def _connection_timed_out(self, evse: Evse, now: float) -> None:
        """The cable was not plugged in within EVConnectionTimeOut (C01.FR.26)."""
        evse.session.connect_by = None
        if evse.plugged:
            return
        running = bool(evse.session.id)
        self._deauthorise(evse)
        if running:
            self._end(evse, Cause("EVConnectTimeout", "Timeout"), now)  # E03.FR.05, F02.FR.07

    def _sample(self, evse: Evse, now: float) -> None:
        values = self._meter.periodic(evse, now)
        if values and not evse.stopping:
            self._events.make(evse, "Updated", Cause("MeterValuePeriodic"), now, values=values)  # J02.FR.11
        if self._meter.sample_for_the_end(evse, now):
            self._events.save(evse.session)

    # --- authorisation ends -------------------------------------------------------------------------------------------

    def _wish_stop(self, evse: Evse, cause: Cause, now: float) -> None:
        session, reset = evse.session, cause.reason == "ImmediateReset"
        if session.stop is not None and (session.stop.ends or not reset):
            return
        self._deauthorise(evse)
        if not session.id:
            return
        ends = reset or ends_with_authorisation(self.context.model)  # B12.FR.04, B12.FR.08, whatever the stop points
        session.stop_reason = cause.reason if reset else session.stop_reason or cause.reason
        stop = Stop(cause.trigger, cause.reason, cause.id_token, now + _STOP_TIMEOUT_S, ends)
        if evse.plugged and not ends:
            # E07 alternative, F03.FR.02: the transaction continues, so the stop is reported at once.
            self._events.make(evse, "Updated", cause, now)
            stop.trigger, stop.id_token = "ChargingStateChanged", None
        session.stop = stop
        self._events.save(session)
        if not evse.delivering and not evse.power_active:
            self._complete_stop(evse, now)

    def _complete_stop(self, evse: Evse, now: float) -> None:
        """Energy is off: report it."""
        session, stop = evse.session, evse.session.stop
        if stop is None:
            return
        known = stop.trigger == "ChargingStateChanged" and session.charging_state == evse.observed_charging_state
        cause = Cause(stop.trigger, stop.reason, stop.id_token)
        if stop.ends or (not known and ends(self.context.model, evse)):
            self._end(evse, cause, now)  # E05.FR.10, F03.FR.03, whatever had been reached of the stop points
            return
        if not known:  # E02.FR.13: there had been energy
            session.held |= points_of(evse)
            self._events.make(evse, "Updated", cause, now)
        session.stop = None
        self._events.save(session)

    def _deauthorise(self, evse: Evse) -> None:
        session = evse.session
        if session.id:
            session.authorised = session.id_token_pending = session.held_back = False
            session.connect_by = session.renew_at = None
        else:  # the next transaction here is another driver's
            evse.session = session.next()
        self._lease.withdraw(evse)

    # --- events -------------------------------------------------------------------------------------------------------

    def _happened(self, evse: Evse, cause: Cause, now: float) -> None:
        """Start, update or end the transaction, as the start and stop points say."""
        session, model = evse.session, self.context.model
        if not session.id:
            if starts(model, points_of(evse)):
                self._begin(evse, cause, now)
        elif session.stop is None and ends(model, evse):  # else the end has a cause of its own
            self._end(evse, cause, now)
        else:
            session.held |= points_of(evse)
            self._events.make(evse, "Updated", cause, now)

    def _begin(self, evse: Evse, cause: Cause, now: float) -> None:
        session, context = evse.session, self.context
        session.id = context.new_id()  # E01.FR.08
        session.boot_id = context.outbox.boot_id
        session.started_utc = session.last_utc = context.time.utc(now)
        session.begin_wh = evse.reading.energy_wh if evse.reading else None
        session.held = points_of(evse)
        session.hal_run = context.hal.run_id
        session.ended_values = self._meter.begin_values(evse, context.time.text(now))
        self._events.make(evse, "Started", cause, now)
        self._meter.plan(evse, now)
        self._lease.permit(evse, now)

    def _end(self, evse: Evse, cause: Cause, now: float) -> None:
        """Report the end; the EVSE is free for the next EV driver."""
        self._events.make(evse, "Ended", cause, now)
        self._lease.release(evse)
        self._lease.withdraw(evse)
        evse.session = evse.session.next()

    def _evse_of(self, transaction_id: str) -> Evse | None:
        return next((evse for evse in self._evses.values() if evse.transaction_id == transaction_id), None)


def _is_delivering(evse: Evse) -> bool:
    """After a stop before energy flowed, for example in the cable check, no final reading comes."""
    return evse.phase in (Phase.CHARGING, Phase.PAUSED) or (evse.delivering and evse.power_active)


def _is_due(deadline: float | None, now: float) -> bool:
    return deadline is not None and now >= deadline


def _concerns_sampling(signal: signals.VariablesChanged) -> bool:
    """An interval set to its old value continues, or no sample would ever be due (J02.FR.11)."""
    return any(change.is_new and change.of(key) for change in signal.changes for key in _SAMPLING)
