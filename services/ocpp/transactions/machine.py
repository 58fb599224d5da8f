# SPDX-License-Identifier: Apache-2.0
"""Finds the inputs of `table.py` and carries out its actions."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from firmware.contract import EnergyFlow
from services.ocpp.device_model import keys
from services.ocpp.session import Stop
from services.ocpp.transactions.events import Cause, TransactionEvents
from services.ocpp.transactions.lease import EnergyLease
from services.ocpp.transactions.meter import TransactionMeter
from services.ocpp.transactions.points import ends, ends_with_authorisation, points_of, starts
from services.ocpp.transactions.reasons import why_without_energy
from services.ocpp.transactions.table import TRANSITIONS, Action, Input, state_of

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.signals import Authorised

__all__ = ["SessionMachine"]

_STOP_TIMEOUT_S = 30.0
"""How long a stop waits for the meter's final reading."""


class SessionMachine:
    """The sessions of all EVSEs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.lease = EnergyLease(context)
        self.meter = TransactionMeter(context)
        self.events = TransactionEvents(context, self.meter)
        self._actions: dict[Action, Callable[[Evse, Cause, float], None]] = {
            Action.GRANT: self._grant,
            Action.BEGIN: self._begin,
            Action.SEND_STARTED: self._send_started,
            Action.SEND_UPDATED: self._send_updated,
            Action.SEND_ENDED: self._send_ended,
            Action.PERMIT: self._permit,
            Action.REVOKE: self._revoke,
            Action.REMEMBER_STOP: self._remember_stop,
            Action.REMEMBER_CHANGE: self._remember_change,
            Action.FORGET_STOP: self._forget_stop,
            Action.CLEAR: self._clear,
        }

    def fire(self, evse: Evse, given: Input, cause: Cause, now: float) -> None:
        """Carry out a transition."""
        for action in TRANSITIONS[state_of(evse.session), given].actions:
            self._actions[action](evse, cause, now)

    # --- inputs ---------------------------------------------------------------------------------------------------

    def authorise(self, evse: Evse, signal: Authorised, now: float) -> None:
        """A token was accepted for this EVSE."""
        session = evse.session
        session.id_token, session.remote_start_id = signal.id_token, signal.remote_start_id
        session.group = signal.info.get("groupIdToken") if signal.info else None
        cause = Cause("RemoteStart" if signal.remote_start_id is not None else "Authorized")  # F01.FR.19, E02.FR.01
        self.fire(evse, Input.AUTHORISE, cause, now)
        self.happened(evse, cause, now)
        self.lease.permit(evse, now)  # after the event, which reports the chargingState before it

    def happened(self, evse: Evse, cause: Cause, now: float) -> None:
        """Start, update or end the transaction, as the start and stop points require: one event a cause (E03.FR.12)."""
        session, model = evse.session, self._context.model
        if not session.has_transaction:
            given = Input.START if starts(model, points_of(evse)) else Input.CHANGE
        else:  # the end of a stop has a cause of its own
            given = Input.END if session.stop is None and ends(model, evse) else Input.CHANGE
        self.fire(evse, given, cause, now)

    def plugged(self, evse: Evse, now: float) -> None:
        """The cable was plugged in."""
        evse.session.connect_by = None
        self.happened(evse, Cause("CablePluggedIn"), now)
        if evse.session.suspended:
            self.lease.hold_back(evse)
            self.check_charging_state(evse, now)

    def unplugged(self, evse: Evse, now: float) -> None:
        """The cable was pulled, or that is what the snapshot shows."""
        session = evse.session
        evse.plugged = session.held_back = False
        lost = Cause("EVCommunicationLost", "EVDisconnected")
        if session.stop is not None:
            self._unplugged_while_stopping(evse, session.stop, now)
            return
        if session.has_transaction and session.authorised and self._unplugging_deauthorises(evse):
            self.stop(evse, lost, now)
            return
        if session.authorised:  # E10.FR.02
            self.await_cable(evse, now)
        if session.has_transaction:
            self.happened(evse, lost, now)

    def _unplugged_while_stopping(self, evse: Evse, stop: Stop, now: float) -> None:
        if stop.trigger == "ChargingStateChanged":
            stop.trigger = "EVCommunicationLost"  # the more specific one (E02.FR.17)
        if not evse.delivering:
            self.energy_off(evse, now)

    def _unplugging_deauthorises(self, evse: Evse) -> bool:
        """By StopTxOnEVSideDisconnect (E09.FR.01), or as a stop point (E06.FR.02, E06.FR.06, E06.FR.07)."""
        return self._context.model.get(keys.STOP_TX_ON_EV_SIDE_DISCONNECT) or ends(self._context.model, evse)

    def check_charging_state(self, evse: Evse, now: float) -> None:
        """Report a chargingState that has changed (E01.FR.18)."""
        session = evse.session
        if session.stop is not None or not self._context.hal.present:
            return
        if not session.has_transaction:
            if evse.flow is EnergyFlow.FLOWING and session.authorised:
                self.happened(evse, Cause("ChargingStateChanged"), now)  # E01.FR.06
            return
        if evse.flow is EnergyFlow.NONE and evse.delivering and ends(self._context.model, evse):
            return  # E06.FR.07: not before the final reading, and with the cause that the HAL reports
        if evse.observed_charging_state == session.charging_state:
            return
        cause = Cause("ChargingStateChanged", why_without_energy(evse))
        if evse.delivering and ends(self._context.model, evse):
            self.stop(evse, cause, now)  # E06.FR.07: it ends EVConnected, because nothing is offered any more
        else:
            self.happened(evse, cause, now)

    def stop(self, evse: Evse, cause: Cause, now: float) -> None:
        """End the authorisation, and the transaction too where its stop points require that."""
        session = evse.session
        if session.stop is not None and (session.stop.ends or not _ends_always(cause)):
            return  # the first cause counts
        outlasts = session.has_transaction and evse.plugged and not self._ends_transaction(cause)
        unseen = session.leased and not self._context.hal.present  # energy may begin to flow until the lease ends
        self.fire(evse, Input.DEAUTHORISE if outlasts else Input.STOP, cause, now)
        if not (evse.delivering or evse.power_active or unseen):
            self.energy_off(evse, now)

    def await_energy_off(self, evse: Evse, now: float) -> None:
        """Bound the wait for the HAL's final reading, from now on."""
        if evse.session.stop is not None:
            evse.session.stop.deadline = now + _STOP_TIMEOUT_S

    def energy_off_by(self, evse: Evse) -> float | None:
        """When a stop no longer waits for the final reading; `recovery.py` bounds the wait for an absent HAL."""
        stop = evse.session.stop
        return stop.deadline if stop is not None and self._context.hal.present else None

    def energy_off(self, evse: Evse, now: float) -> None:
        """The energy is off: report the stop that waited for it, if there is one."""
        stop = evse.session.stop
        if stop is not None:
            self.fire(evse, self._when_energy_is_off(evse, stop), Cause(stop.trigger, stop.reason, stop.id_token), now)

    def _when_energy_is_off(self, evse: Evse, stop: Stop) -> Input:
        if stop.ends:
            return Input.END  # E05.FR.10, F03.FR.03, whichever stop points had been reached
        if stop.trigger == "ChargingStateChanged" and evse.session.charging_state == evse.observed_charging_state:
            return Input.ALREADY_OFF
        return Input.END if ends(self._context.model, evse) else Input.ENERGY_OFF

    def abandon(self, evse: Evse, cause: Cause, now: float) -> None:
        """End the transaction without waiting for the energy; an unreported stop takes the place of `cause`."""
        evse.delivering = False
        stop = evse.session.stop
        if stop is not None and stop.trigger != "ChargingStateChanged":  # E07.FR.02
            cause = replace(cause, trigger=stop.trigger, reason=stop.reason, id_token=stop.id_token)
        self.fire(evse, Input.END, cause, now)

    def await_cable(self, evse: Evse, now: float) -> None:
        """Start EVConnectionTimeOut."""
        evse.session.connect_by = now + self._context.model.get(keys.EV_CONNECTION_TIME_OUT)

    def _ends_transaction(self, cause: Cause) -> bool:
        return _ends_always(cause) or ends_with_authorisation(self._context.model)

    # --- actions --------------------------------------------------------------------------------------------------

    def _grant(self, evse: Evse, _cause: Cause, now: float) -> None:
        session = evse.session
        if not session.authorised:
            session.permission = self._context.new_id()
        session.authorised, session.id_token_pending = True, True
        session.invalid_from_wh = session.stop_reason = None
        self.lease.release(evse)
        if not evse.plugged:
            self.await_cable(evse, now)

    def _begin(self, evse: Evse, _cause: Cause, now: float) -> None:
        session, context = evse.session, self._context
        session.id = context.new_id()  # E01.FR.08
        session.boot_id = context.outbox.boot_id
        session.started_utc = session.last_utc = context.time.utc(now)
        session.begin_wh = evse.reading.energy_wh if evse.reading else None
        session.held = points_of(evse)
        session.hal_run = context.hal.run_id
        session.ended_values = self.meter.begin_values(evse, now)
        self.meter.plan(evse, now)

    def _send_started(self, evse: Evse, cause: Cause, now: float) -> None:
        self.events.make(evse, "Started", cause, now)

    def _send_updated(self, evse: Evse, cause: Cause, now: float) -> None:
        evse.session.held |= points_of(evse)
        self.events.make(evse, "Updated", cause, now)

    def _send_ended(self, evse: Evse, cause: Cause, now: float) -> None:
        self.events.make(evse, "Ended", cause, now)

    def _permit(self, evse: Evse, _cause: Cause, now: float) -> None:
        self.lease.permit(evse, now)

    def _revoke(self, evse: Evse, _cause: Cause, _now: float) -> None:
        session = evse.session
        session.authorised = session.id_token_pending = session.held_back = False
        session.connect_by = session.renew_at = None
        self.lease.withdraw(evse)

    def _remember_stop(self, evse: Evse, cause: Cause, now: float) -> None:
        session = evse.session
        session.stop_reason = cause.reason if _is_reset(cause) else session.stop_reason or cause.reason
        deadline, ends_it = now + _STOP_TIMEOUT_S, self._ends_transaction(cause)
        session.stop = Stop(cause.trigger, cause.reason, cause.id_token, deadline, ends_it)
        self.events.save(session)

    def _remember_change(self, evse: Evse, cause: Cause, now: float) -> None:
        self._remember_stop(evse, replace(cause, trigger="ChargingStateChanged", id_token=None), now)

    def _forget_stop(self, evse: Evse, _cause: Cause, _now: float) -> None:
        evse.session.stop = None
        self.events.save(evse.session)

    def _clear(self, evse: Evse, _cause: Cause, _now: float) -> None:
        self.lease.release(evse)
        self.lease.withdraw(evse)
        evse.session = evse.session.next()


def _ends_always(cause: Cause) -> bool:
    """Whether the transaction ends whatever its stop points are: by a reset too (B12.FR.04, B12.FR.08)."""
    return cause.ends or _is_reset(cause)


def _is_reset(cause: Cause) -> bool:
    return cause.reason == "ImmediateReset"
