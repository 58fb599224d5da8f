# SPDX-License-Identifier: Apache-2.0
"""E Transactions: when they start and stop, what is told of them, and what becomes of them in trouble.

An EVSE has up to four of the specification's start and stop points at any time (`_points`). A transaction starts
when a configured start point becomes true and ends when a configured stop point that was true during it no longer is
(E01, E06). Everything that happens on the EVSE comes through `_happened`, which starts, updates or ends.

Authorisation ends before a transaction does: `_wish_stop` withdraws the HAL's permission and the event that tells
of it waits for the meter's final reading, at most `_STOP_TIMEOUT_S` (part 2, 2.6: energy stops first).
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, cast

import msgspec

from firmware.clock import format_utc, parse_utc
from firmware.contract import (
    Cause,
    EnergyFlow,
    Event,
    Fault,
    FaultRaised,
    MeterContext,
    MeterReading,
    Permit,
    Phase,
    PhaseChanged,
    Plugged,
    SetLimit,
    StopPressed,
    Unplugged,
    Withdraw,
)
from services.ocpp import signals
from services.ocpp.context import Block, Context, Failure, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.metering import meter_value, until_aligned
from services.ocpp.transaction import Session, Stop, Transaction, same_token

if TYPE_CHECKING:
    from services.ocpp.evses import Evse
    from services.ocpp.messages import (
        Action,
        GetTransactionStatusRequest,
        GetTransactionStatusResponse,
        IdTokenInfoType,
        IdTokenType,
        MessageTriggerEnumType,
        MeterValueType,
        ReasonEnumType,
        TransactionEventEnumType,
        TransactionEventRequest,
        TriggerReasonEnumType,
    )

__all__ = ["Transactions"]

_log = logging.getLogger(__name__)

_LEASE_S = 15.0
_RENEW_S = 5.0
_STOP_TIMEOUT_S = 30.0
_HAL_ABSENCE_S = 5.0
"""How long a transaction waits for a HAL that went away before it ends without it."""

_ENDED_VALUES = 100
"""How many meter values an Ended event carries at most (J02.FR.20)."""

_SAMPLING = (keys.SAMPLED_TX_UPDATED_INTERVAL, keys.SAMPLED_TX_ENDED_INTERVAL, keys.ALIGNED_TX_ENDED_INTERVAL)
_DEAUTHORISING_STOP_POINTS = frozenset({"Authorized", "PowerPathClosed", "EnergyTransfer"})

_STOPPED_REASON: dict[Fault, ReasonEnumType] = {
    Fault.EMERGENCY_STOP: "EmergencyStop",
    Fault.GROUND_FAULT: "GroundFault",
    Fault.ISOLATION: "GroundFault",
    Fault.OVER_CURRENT: "OvercurrentFault",
    Fault.OVER_VOLTAGE: "PowerQuality",
    Fault.UNDER_VOLTAGE: "PowerQuality",
    Fault.POWER_LOSS: "PowerLoss",
}


class Transactions(Block):
    letter = "E"
    handles = ("GetTransactionStatus",)
    asks = ("TransactionEvent",)

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._sessions = {evse: Session(evse) for evse in context.hal.evses}
        self._hal_wanted_by: float | None = None
        self._just_booted = context.boot_cause != "application"

    # --- starting up ------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        for state in self.context.store.load():
            try:
                transaction = Transaction.decode(state)
            except msgspec.ValidationError as error:
                _log.error("an open transaction could not be read: %s", error)
                continue
            session = self._sessions.get(transaction.evse)
            if session is not None:
                self._restore(session, transaction)
        if any(session.transaction for session in self._sessions.values()):
            self._hal_wanted_by = now + _HAL_ABSENCE_S

    def _restore(self, session: Session, transaction: Transaction) -> None:
        session.transaction = transaction
        session.authorised, session.permission = transaction.authorised, transaction.permission
        session.id_token = cast("IdTokenType | None", transaction.id_token)
        session.group = cast("IdTokenType | None", transaction.group)
        session.stop = transaction.stop
        self._evse(session).stopping = session.stop is not None
        session.closing = transaction.boot_id != self.context.outbox.boot_id
        session.delivering = transaction.last_reading is not None and transaction.charging_state not in (
            "Idle",
            "EVConnected",
        )
        self._share(session)
        _log.info("transaction %s found open on EVSE %d", transaction.id, session.evse)

    def on_hal_up(self, *, same_run: bool, now: float) -> None:
        self._hal_wanted_by = None
        for session in self._sessions.values():
            transaction = session.transaction
            delivered = session.delivering
            if self._evse(session).permission not in (None, session.permission):
                self.context.hal.ask(Withdraw(session.evse))  # from before a restart of ours
            session.delivering = self._evse(session).power_active and transaction is not None
            if session.closing:
                self._close_after_boot(session, now)
            elif transaction is not None and delivered and transaction.hal_run != self.context.hal.run_id:
                self._end_without_energy(session, "AbnormalCondition", "Other", now)
            elif transaction is not None:
                self._resume(session, transaction, now)
            elif session.authorised:
                self._permit(session, now)
            if self._just_booted and session.transaction is None and self._evse(session).plugged:
                self._happened(session, "CablePluggedIn", now)  # E01.FR.02: the vehicle was there before us
        self._just_booted = False

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
            self.context.hal.ask(Withdraw(session.evse))
            if not evse.power_active:
                self._complete_stop(session, now)
            return
        self._plan_samples(session, now)
        if session.authorised and not evse.plugged and session.connect_by is None:
            session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)
        if session.authorised:
            self._permit(session, now)
        if transaction.suspended:
            self.context.hal.ask(SetLimit(session.evse, 0.0))
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
        session.authorised = session.delivering = False
        session.stop = Stop(trigger, reason, None, now)
        self.context.hal.ask(Withdraw(session.evse))
        self._event(session, "Ended", trigger, now, reason=reason, dated_back=dated_back)

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
        if info is None or "idToken" not in request:
            return
        self.context.emit(signals.TokenInformed(request["idToken"], info))
        session = self._session_of(request["transactionInfo"]["transactionId"])
        if session is None or session.transaction is None or not session.authorised:
            return
        if not same_token(request["idToken"], session.id_token):
            return
        if info["status"] == "Accepted":
            if "groupIdToken" in info:  # C09.FR.12
                session.group = info["groupIdToken"]
                session.transaction.group = cast("dict[str, Any]", info["groupIdToken"])
                self._save(session)
                self._share(session)
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
        transaction.invalid_from_wh = self._register(session)
        self._check_energy_limit(session, now)  # E05.FR.02 when the limit is 0, else E05.FR.03
        self._save(session)

    def _check_energy_limit(self, session: Session, now: float) -> None:
        """E05.FR.02, E05.FR.03: hold energy back once MaxEnergyOnInvalidId has been delivered."""
        transaction = session.transaction
        if transaction is None or transaction.invalid_from_wh is None or transaction.suspended:
            return
        delivered = self._register(session) - transaction.invalid_from_wh
        if delivered < self.context.model.get(keys.MAX_ENERGY_ON_INVALID_ID):
            return
        transaction.suspended = True
        self.context.hal.ask(SetLimit(session.evse, 0.0))
        self._save(session)

    # --- what other blocks tell --------------------------------------------------------------------------

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.Authorised():
                self._authorised(self._sessions[signal.evse], signal, now)
            case signals.StopWanted():
                self._wish_stop(self._sessions[signal.evse], signal.trigger, signal.reason, signal.id_token, now)
            case signals.Triggered(message="TransactionEvent"):
                self._triggered(signal.evse, now)
            case signals.MeterSampled():
                self._clock_aligned(now)
            case signals.VariablesChanged() if any(change.of(key) for change in signal.changes for key in _SAMPLING):
                for session in self._sessions.values():
                    self._plan_samples(session, now)

    def _authorised(self, session: Session, signal: signals.Authorised, now: float) -> None:
        if not session.authorised:
            session.permission = self.context.new_id()
        session.authorised, session.token_due = True, True
        session.id_token = signal.id_token
        session.group = signal.info.get("groupIdToken") if signal.info else None
        session.remote_start_id = signal.remote_start_id
        evse = self._evse(session)
        if not evse.plugged:
            session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)
        if session.transaction is not None:
            session.transaction.invalid_from_wh = session.transaction.stop_reason = None
            session.transaction.authorised = True
            session.transaction.permission = session.permission
            session.transaction.id_token = cast("dict[str, Any]", session.id_token)
            session.transaction.group = cast("dict[str, Any] | None", session.group)
        self._permit(session, now)
        # F01.FR.19, E02.FR.01
        self._happened(session, "RemoteStart" if signal.remote_start_id is not None else "Authorized", now)

    def _triggered(self, evse: int | None, now: float) -> None:
        """F06.FR.07."""
        for session in self._sessions.values():
            if session.transaction is not None and evse in (None, 0, session.evse):
                values = self._values(
                    session, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Trigger", self.context.time.text(now)
                )
                self._event(session, "Updated", "Trigger", now, values=values)

    def _clock_aligned(self, now: float) -> None:
        """J01.FR.22: EVSEs in a transaction report clock-aligned values in a TransactionEvent."""
        for session in self._sessions.values():
            if session.transaction is not None and session.stop is None:
                values = self._values(session, keys.ALIGNED_MEASURANDS, "Sample.Clock", self.context.time.text(now))
                if values:
                    self._event(session, "Updated", "MeterValueClock", now, values=values)

    # --- what the hardware tells -----------------------------------------------------------------------------

    def on_hal_event(self, event: Event, now: float) -> None:
        session = self._sessions.get(getattr(event, "evse", None) or 0)
        match event:
            case FaultRaised() if event.fault.stops_charging:
                for each in self._sessions.values():
                    if event.evse in (None, each.evse):
                        self._faulted(each, event.fault, now)
            case Plugged() if session:
                session.connect_by = None
                self._plan_samples(session, now)
                self._happened(session, "CablePluggedIn", now)
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
        self._wish_stop(session, "AbnormalCondition", _STOPPED_REASON.get(fault, "Other"), None, now)  # E06.FR.16

    def _unplugged(self, session: Session, now: float) -> None:
        evse = self._evse(session)
        evse.plugged = False
        if session.transaction is None:
            if session.authorised:
                session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)
            return
        if session.stop is not None:
            if session.stop.trigger == "ChargingStateChanged":
                session.stop.trigger = "EVCommunicationLost"  # the more specific one (E02.FR.17)
            if not session.delivering:
                self._complete_stop(session, now)
            return
        if session.authorised and self.context.model.get(keys.STOP_TX_ON_EV_SIDE_DISCONNECT):
            self._wish_stop(session, "EVCommunicationLost", "EVDisconnected", None, now)  # E09.FR.01
            return
        if session.authorised:  # E10.FR.02
            session.connect_by = now + self.context.model.get(keys.EV_CONNECTION_TIME_OUT)
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
                self._permit(session, now)
        self._charging_state_may_have_changed(session, now)

    def _charging_state_may_have_changed(self, session: Session, now: float) -> None:
        """E01.FR.18."""
        evse = self._evse(session)
        transaction = session.transaction
        if session.stop is not None:
            return
        if transaction is None:
            if evse.flow is EnergyFlow.FLOWING and session.authorised:
                self._happened(session, "ChargingStateChanged", now)  # E01.FR.06
            return
        if evse.state_of_charging != transaction.charging_state:
            by_vehicle = evse.flow is EnergyFlow.SUSPENDED_BY_VEHICLE
            self._happened(session, "ChargingStateChanged", now, reason="StoppedByEV" if by_vehicle else "Other")

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
                self._permit(session, now)
            self._sample(session, now)

    def _give_up_on_hal(self, now: float) -> None:
        for session in self._sessions.values():
            if session.closing:
                self._close_after_boot(session, now)
            elif session.transaction is not None and session.delivering:
                self._end_without_energy(session, "AbnormalCondition", "Other", now)

    def _connection_timed_out(self, session: Session, now: float) -> None:
        """The cable was not plugged in within EVConnectionTimeOut (C01.FR.26)."""
        session.connect_by = None
        if self._evse(session).plugged:
            return
        if session.transaction is None:
            self._deauthorise(session)
            return
        self._deauthorise(session)
        self._event(session, "Ended", "EVConnectTimeout", now, reason="Timeout")  # E03.FR.05, F02.FR.07

    def _sample(self, session: Session, now: float) -> None:
        model = self.context.model
        if session.sample_at is not None and now >= session.sample_at:
            session.sample_at = _next(session.sample_at, model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), now)
            values = self._values(
                session, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Sample.Periodic", self.context.time.text(now)
            )
            if session.stop is None and values:
                self._event(session, "Updated", "MeterValuePeriodic", now, values=values)  # J02.FR.11
        if session.ended_sample_at is not None and now >= session.ended_sample_at:
            session.ended_sample_at = _next(session.ended_sample_at, model.get(keys.SAMPLED_TX_ENDED_INTERVAL), now)
            self._keep_for_the_end(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Sample.Periodic", now)
        if session.aligned_sample_at is not None and now >= session.aligned_sample_at:
            session.aligned_sample_at = self._next_aligned(now)
            self._keep_for_the_end(session, keys.ALIGNED_TX_ENDED_MEASURANDS, "Sample.Clock", now)

    def _keep_for_the_end(self, session: Session, measurands: Any, context: Any, now: float) -> None:
        transaction = session.transaction
        values = self._values(session, measurands, context, self.context.time.text(now))
        if transaction is None or not values:
            return
        transaction.ended_values += cast("list[dict[str, Any]]", values)
        if len(transaction.ended_values) > _ENDED_VALUES:
            del transaction.ended_values[1:-1:2]  # E06.FR.13: every other one in between
        self._save(session)

    def _next_aligned(self, now: float) -> float | None:
        interval = self.context.model.get(keys.ALIGNED_TX_ENDED_INTERVAL)
        return now + until_aligned(self.context.time.utc(now), interval) if interval > 0 else None

    def _plan_samples(self, session: Session, now: float) -> None:
        model = self.context.model
        interval, ended = model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), model.get(keys.SAMPLED_TX_ENDED_INTERVAL)
        running = session.transaction is not None
        session.sample_at = now + interval if running and interval > 0 else None
        session.ended_sample_at = now + ended if running and ended > 0 else None
        session.aligned_sample_at = self._next_aligned(now) if running else None

    # --- authorisation ends -------------------------------------------------------------------------------------------

    def _wish_stop(
        self,
        session: Session,
        trigger: TriggerReasonEnumType,
        reason: ReasonEnumType,
        id_token: IdTokenType | None,
        now: float,
    ) -> None:
        if session.stop is not None:
            return
        if session.transaction is None:
            self._deauthorise(session)
            return
        evse = self._evse(session)
        session.stop = Stop(trigger, reason, id_token, now + _STOP_TIMEOUT_S)
        session.transaction.stop_reason = reason
        self._deauthorise(session)
        evse.stopping = True
        if evse.plugged and not self._ends_with_authorisation():
            # E07 alternative, F03.FR.02: the transaction goes on, so the CSMS hears of it at once.
            self._event(session, "Updated", trigger, now, id_token=id_token)
            session.stop.trigger, session.stop.id_token = "ChargingStateChanged", None
        self._save(session)
        if not session.delivering and not evse.power_active:
            self._complete_stop(session, now)

    def _complete_stop(self, session: Session, now: float) -> None:
        """Energy is off: tell the CSMS."""
        stop = session.stop
        if stop is None:
            return
        session.stop = None
        if self._ends_with_authorisation():  # E05.FR.10, F03.FR.03, whatever had been reached of the stop points
            self._event(session, "Ended", stop.trigger, now, reason=stop.reason, id_token=stop.id_token)
        else:
            self._happened(session, stop.trigger, now, reason=stop.reason, id_token=stop.id_token)
        self._evse(session).stopping = False

    def _ends_with_authorisation(self) -> bool:
        return bool(_DEAUTHORISING_STOP_POINTS & set(self.context.model.get(keys.TX_STOP_POINT)))

    def _deauthorise(self, session: Session) -> None:
        session.authorised = session.token_due = False
        session.connect_by = session.renew_at = None
        if session.transaction is not None:
            session.transaction.authorised = False
        self.context.hal.ask(Withdraw(session.evse))
        self._share(session)

    def _permit(self, session: Session, now: float) -> None:
        """Grant or renew the energising lease; its name is the same as long as the authorisation is."""
        if not session.authorised or session.stop is not None:
            session.renew_at = None
            return
        self.context.hal.ask(Permit(session.evse, session.permission, _LEASE_S))
        session.renew_at = now + _RENEW_S

    # --- events -------------------------------------------------------------------------------------------------------

    def _points(self, session: Session) -> set[str]:
        """The start and stop points that are true now."""
        evse = self._evse(session)
        authorised = session.authorised
        points = set()
        if evse.plugged:
            points.add("EVConnected")
        if authorised:
            points.add("Authorized")
        if evse.plugged and authorised:
            points.add("PowerPathClosed")
        if evse.flow is EnergyFlow.FLOWING and session.stop is None and authorised:
            points.add("EnergyTransfer")
        return points

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
        model = self.context.model
        points = self._points(session)
        transaction = session.transaction
        if transaction is None:
            if points & set(model.get(keys.TX_START_POINT)):  # E01.FR.02, 03, 05, 06
                self._begin(session, trigger, now)
            else:
                self._share(session)
            return
        stop_points = set(model.get(keys.TX_STOP_POINT))
        if "PowerPathClosed" in stop_points:
            stop_points |= {"EVConnected", "Authorized"}  # exactly the same (part 2, 2.6.6.2)
        # E06.FR.02, 03, 04, 06, 07; and when neither driver nor vehicle is left, or it would never end
        if (transaction.held - points) & stop_points or not points:
            self._event(session, "Ended", trigger, now, reason=reason, id_token=id_token)
            return
        transaction.held |= points
        self._event(session, "Updated", trigger, now, id_token=id_token)

    def _begin(self, session: Session, trigger: TriggerReasonEnumType, now: float) -> None:
        evse = self._evse(session)
        utc = self.context.time.utc(now)
        session.transaction = Transaction(
            id=self.context.new_id(),  # E01.FR.08
            evse=session.evse,
            connector=evse.connector,
            boot_id=self.context.outbox.boot_id,
            started_utc=utc,
            begin_wh=evse.reading.energy_wh if evse.reading else None,
            last_utc=utc,
            held=self._points(session),
            id_token=cast("dict[str, Any] | None", session.id_token),
            group=cast("dict[str, Any] | None", session.group),
            authorised=session.authorised,
            permission=session.permission,
            hal_run=self.context.hal.run_id,
        )
        session.transaction.ended_values = self._begin_values(session, self.context.time.text(now))
        self._event(session, "Started", trigger, now)
        self._plan_samples(session, now)
        self._permit(session, now)

    def _event(
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
        """Make one TransactionEvent, durable together with the transaction's own state."""
        transaction = session.transaction
        if transaction is None:
            return
        evse = self._evse(session)
        if session.remote_start_id is not None and kind != "Ended":
            trigger = "RemoteStart"  # F01.FR.19, F02.FR.21
        transaction.charging_state = evse.state_of_charging
        request: TransactionEventRequest = {
            "eventType": kind,
            "timestamp": self.context.time.text(now),
            "triggerReason": trigger,
            "seqNo": transaction.seq_no,  # E03.FR.06
            "transactionInfo": {
                "transactionId": transaction.id,
                "chargingState": evse.state_of_charging,  # E02.FR.13
            },
        }
        if dated_back:
            request["timestamp"] = format_utc(transaction.last_utc)
        stamp = request["timestamp"]
        if kind == "Ended":
            request["transactionInfo"]["stoppedReason"] = transaction.stop_reason or reason or "Other"  # E06.FR.08
        self._add_identity(session, transaction, request, id_token)
        # E01.FR.16; and whoever asks which transactions there are is told where (TC_F_14_CS).
        if kind == "Started" or trigger == "Trigger" or (evse.plugged and not transaction.evse_reported):
            request["evse"] = {"id": session.evse, "connectorId": evse.connector}
            transaction.evse_reported = evse.plugged
        measured = self._measured(session, transaction, kind, stamp) if values is None else values
        if measured:
            request["meterValue"] = measured
        self._send(session, transaction, request, None if dated_back else self.context.time.provisional_offset(now))

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

    def _send(
        self,
        session: Session,
        transaction: Transaction,
        request: TransactionEventRequest,
        clock_offset: float | None,
    ) -> None:
        context = self.context
        kind = request["eventType"]
        transaction.seq_no += 1
        transaction.last_utc = max(transaction.last_utc, parse_utc(request["timestamp"]))
        transaction.last_reading = self._evse(session).reading or transaction.last_reading
        context.outbox.send_durable("TransactionEvent", request, transaction.id, clock_offset=clock_offset)
        if kind == "Ended":
            context.store.drop(transaction.id)
            self._forget(session)
        else:
            self._save(session)
        _log.info(
            "EVSE %d: transaction %s (%s, seqNo %d)",
            session.evse,
            kind.lower(),
            request["triggerReason"],
            request["seqNo"],
        )
        self._share(session)
        context.emit(signals.TransactionChanged(session.evse, transaction.id, kind.lower()))

    def _forget(self, session: Session) -> None:
        """The transaction is over; a limit that came with it goes too."""
        if session.transaction is not None and session.transaction.suspended:
            self.context.hal.ask(SetLimit(session.evse, None))
        self.context.hal.ask(Withdraw(session.evse))
        self._evse(session).stopping = False
        session.reset()
        self._share(session)

    # --- meter values -------------------------------------------------------------------------------------------

    def _measured(
        self, session: Session, transaction: Transaction, kind: TransactionEventEnumType, stamp: str
    ) -> list[MeterValueType]:
        """The meter values that belong to this kind of event (J02)."""
        if kind == "Ended":
            kept = cast("list[MeterValueType]", transaction.ended_values)
            return kept + self._values(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.End", stamp)  # E06.FR.11
        if transaction.begun:
            return []
        values_begun = self._values(session, keys.SAMPLED_TX_STARTED_MEASURANDS, "Transaction.Begin", stamp)
        if values_begun:  # E02.FR.09
            transaction.begun = True
            transaction.ended_values = transaction.ended_values or self._begin_values(session, stamp)
        return values_begun

    def _begin_values(self, session: Session, stamp: str) -> list[dict[str, Any]]:
        """What the Ended event will tell of the start, even if nothing else does (E06.FR.11; part 2, J, 2.5)."""
        values = self._values(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.Begin", stamp)
        return cast("list[dict[str, Any]]", values)

    def _values(self, session: Session, measurands: Any, context: Any, stamp: str) -> list[MeterValueType]:
        reading = self._reading(session)
        if reading is None:
            return []
        value = meter_value(reading, self.context.model.get(measurands), context=context, timestamp=stamp)
        return [value] if value else []

    def _reading(self, session: Session) -> MeterReading | None:
        """The newest reading; a register below one that was already reported is a meter's error (J02.FR.16)."""
        reading = self._evse(session).reading
        last = session.transaction.last_reading if session.transaction else None
        if reading is None or (last is not None and reading.energy_wh < last.energy_wh):
            return last
        return reading

    def _register(self, session: Session) -> float:
        reading = self._reading(session)
        return reading.energy_wh if reading else 0.0

    # --- small helpers -----------------------------------------------------------------------------------------------

    def _evse(self, session: Session) -> Evse:
        return self.context.hal.evses[session.evse]

    def _session_of(self, transaction_id: str) -> Session | None:
        for session in self._sessions.values():
            if session.transaction is not None and session.transaction.id == transaction_id:
                return session
        return None

    def _save(self, session: Session) -> None:
        if session.transaction is not None:
            session.transaction.stop = session.stop
            self.context.store.save(session.transaction.id, session.evse, session.transaction.encode())

    def _share(self, session: Session) -> None:
        """Show other blocks where this EVSE stands."""
        evse = self._evse(session)
        transaction = session.transaction
        evse.transaction_id = transaction.id if transaction else None
        evse.id_token = session.id_token if session.authorised else None
        evse.starter = session.id_token if transaction else None
        if transaction is not None:
            evse.begin_wh = transaction.begin_wh
        evse.group = session.group
        evse.charging_state = cast("Any", transaction.charging_state) if transaction else None


def _next(due: float, interval: float, now: float) -> float | None:
    """The next multiple of the interval after `due` that is still ahead; None when sampling is off."""
    if interval <= 0:
        return None
    missed = int((now - due) // interval)
    return due + (missed + 1) * interval
