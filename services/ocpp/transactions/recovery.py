# SPDX-License-Identifier: Apache-2.0
"""Open transactions after a restart of this process, of the HAL or of the board (E).

After a restart of this process the vehicle is still charging and the transaction continues. After one of the HAL the
power was cut: a transaction in which energy flowed ends. After one of the board every transaction ends, dated with its
last event. Each waits for the HAL, which has the meter's register, at most `HAL_ABSENCE_S`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from firmware.contract import Fault, Phase
from firmware.log import fields
from firmware.type_words import json_problem
from services.ocpp.session import Session
from services.ocpp.transactions.events import Cause
from services.ocpp.transactions.reasons import caused_by
from services.ocpp.transactions.table import State, state_of

if TYPE_CHECKING:
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import ReasonEnumType
    from services.ocpp.transactions.machine import SessionMachine

__all__ = ["HAL_ABSENCE_S", "Recovery"]

_log = logging.getLogger(__name__)

HAL_ABSENCE_S = 60.0
"""How long a transaction waits for a HAL that is disconnected before it ends without it.

Only the connection may be lost: then energy flows until the lease ends, and it belongs to this transaction. So the
wait is longer than the lease and the stop that follows it, and than a HAL takes to restart.
"""


class Recovery:
    """`hal_needed_by`: when open transactions end without the HAL."""

    def __init__(self, context: Context, machine: SessionMachine) -> None:
        self.hal_needed_by: float | None = None
        self._context = context
        self._machine = machine
        self._evses = context.hal.evses
        self._just_booted = context.boot_cause != "application"

    def start(self, now: float) -> None:
        """Read the open transactions from the disk."""
        for state in self._context.transaction_store.load():
            try:
                session = Session.decode(state)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                _log.error("an open transaction could not be read: %s", json_problem(error, Session, state))
                continue
            if session.evse in self._evses:
                self._restore(session, now)

    def _restore(self, session: Session, now: float) -> None:
        evse = self._evses[session.evse]
        evse.session = session
        evse.delivering = session.last_reading is not None and session.charging_state not in ("Idle", "EVConnected")
        session.closing = session.boot_id != self._context.outbox.boot_id
        age = self._context.time.utc(now) - session.last_utc
        session.last_event_at = now - max(0.0, age - 0.0005)  # time stamps are cut to milliseconds
        extra = fields(evse=session.evse, transaction=session.id)
        _log.info("transaction %s found open on EVSE %d", session.id, session.evse, extra=extra)

    # --- the HAL -----------------------------------------------------------------------------------

    def settle(self, now: float) -> None:
        """Bound the wait for the HAL, if it is disconnected and a transaction needs it."""
        if self.hal_needed_by is None and not self._context.hal.present and any(map(_needs_hal, self._evses.values())):
            self.hal_needed_by = now + HAL_ABSENCE_S

    def on_hal_up(self, now: float) -> None:
        self.hal_needed_by = None
        for evse in self._evses.values():
            cut_off = evse.delivering and evse.session.hal_run != self._context.hal.run_id
            self._machine.lease.take_back(evse)
            evse.delivering = evse.session.has_transaction and _is_delivering(evse)
            self._catch_up(evse, now, cut_off=cut_off)
            if self._just_booted and not evse.session.has_transaction and evse.plugged:
                # E01.FR.02: the vehicle was there at power-on
                self._machine.happened(evse, Cause("CablePluggedIn"), now)
        self._just_booted = False

    def _catch_up(self, evse: Evse, now: float, *, cut_off: bool) -> None:
        match state_of(evse.session):
            case State.AUTHORISED:
                self._machine.lease.permit(evse, now)
                self._machine.check_charging_state(evse, now)  # E01.FR.06: energy may have begun to flow
            case State.CLOSING:
                self._close(evse, now)
            case State.RUNNING | State.STOPPING if cut_off:
                self._machine.abandon(evse, Cause("AbnormalCondition"), now)
            case State.RUNNING | State.STOPPING:
                self._resume(evse, now)

    def on_time(self, now: float) -> None:
        if self.hal_needed_by is None or now < self.hal_needed_by:
            return
        self.hal_needed_by = None
        for evse in filter(_needs_hal, self._evses.values()):
            extra = fields(evse=evse.evse, transaction=evse.transaction_id)
            _log.error("EVSE %d: no HAL for %g s, using the last meter reading", evse.evse, HAL_ABSENCE_S, extra=extra)
            if evse.session.closing:
                self._close(evse, now)
            elif evse.session.stop is not None and not evse.delivering:
                self._machine.energy_off(evse, now)
            else:
                self._machine.abandon(evse, Cause("AbnormalCondition"), now)

    # --- one transaction ------------------------------------------------------------------------------------------

    def _close(self, evse: Evse, now: float) -> None:
        """End a transaction of an earlier boot.

        The meter keeps its register through a power cut, so the value that it shows now is the value then.
        """
        reason: ReasonEnumType = "PowerLoss" if self._context.boot_cause == "power_up" else "Reboot"
        self._machine.abandon(evse, Cause("AbnormalCondition", reason, dated_back=True), now)

    def _resume(self, evse: Evse, now: float) -> None:
        """Continue a transaction, after the events that this process or a broken connection has missed."""
        session = evse.session
        session.hal_run = self._context.hal.run_id
        if "EVConnected" in session.held and not evse.plugged and session.charging_state != "Idle":
            self._machine.unplugged(evse, now)
            return
        faults = sorted(fault for fault in self._context.hal.faults_of(evse) if fault.stops_charging)
        if faults:
            self._machine.stop(evse, replace(caused_by(faults[0]), ends=Fault.METER in faults), now)
        match state_of(evse.session):
            case State.STOPPING:
                self._machine.lease.withdraw(evse)
                if evse.power_active:
                    self._machine.await_energy_off(evse, now)
                else:
                    self._machine.energy_off(evse, now)
            case State.RUNNING:
                self._resume_energy(evse, now)

    def _resume_energy(self, evse: Evse, now: float) -> None:
        session = evse.session
        self._machine.meter.plan(evse, now)
        if session.authorised and not evse.plugged and session.connect_by is None:
            self._machine.await_cable(evse, now)
        if session.authorised:
            self._machine.lease.permit(evse, now)
        if session.suspended:
            self._machine.lease.hold_back(evse)
        self._machine.check_charging_state(evse, now)


def _needs_hal(evse: Evse) -> bool:
    """Whether the transaction can't continue without the HAL: it may deliver energy, or is about to end."""
    session = evse.session
    waits = session.closing or session.authorised or session.stop is not None
    return session.has_transaction and (waits or evse.delivering)


def _is_delivering(evse: Evse) -> bool:
    """Whether a final reading will come; none does after a stop before energy flowed, as in the cable check."""
    return evse.phase in (Phase.CHARGING, Phase.PAUSED) or (evse.delivering and evse.power_active)
