# SPDX-License-Identifier: Apache-2.0
"""B11, B12: resets of the station and of one EVSE.

A reset of the station waits until its transactions have ended and the CSMS has received their events; then the board
is restarted. A reset of one EVSE returns its charging sequence to the beginning, without a restart.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from msgspec import Struct

from firmware.contract import SetLimit, Withdraw
from services.ocpp import signals
from services.ocpp.context import Context, LinkOrder
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key
from services.ocpp.restart import Restart

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import BootReasonEnumType, ResetEnumType, ResetRequest, ResetResponse

__all__ = ["Resets"]

_log = logging.getLogger(__name__)

_REBOOT_S = 60.0
"""How long a board may take from the request to restart until this process is stopped."""


class _Reset(Struct):
    """A reset that was accepted or scheduled."""

    reason: BootReasonEnumType
    restart: Restart
    announced: bool = False
    """`ResetWaits` was emitted."""

    @property
    def waits_for_idle(self) -> bool:
        return self.reason == "ScheduledReset"


class Resets:
    """See the module; part of block B."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._reset: _Reset | None = None
        self._evses_to_reset: set[int] = set()
        self._busy_with: set[str] = set()
        """Tasks that keep the station from being idle, besides EV drivers."""

    def start(self) -> None:
        """A reset accepted before this process restarted is still pending; if the board has restarted, it is done."""
        pending = self.context.key_values.get(Key.RESET)
        if pending and self.context.boot_cause == "application":
            self._accept(pending)
        else:
            self.context.key_values.put(Key.RESET, None)

    def handle(self, request: ResetRequest, now: float, *, local: bool = False) -> ResetResponse:
        """B11.FR.01: answer a request to reset the station or an EVSE, and begin with it. `local`: a person at the
        station has requested it."""
        evse_id = request.get("evseId", 0)
        if evse_id and not self._can_reset(evse_id):
            return _rejected("UnsupportedRequest", f"EVSE {evse_id} can't be reset by itself")
        if not self.context.hal.present:  # B11.FR.06, B12.FR.10
            return _rejected("InternalError", "the charging hardware does not answer")
        if evse_id:
            return self._reset_evse(evse_id, request["type"])
        if request["type"] == "OnIdle":
            return self._reset_on_idle(now, local=local)
        if self._reset is None or self._reset.waits_for_idle:  # a repeated request does not delay the reset
            self._reset_now(now, local=local)
        return {"status": "Accepted"}  # B12.FR.02, B11.FR.03

    def on_busy_changed(self, task: str, now: float, *, busy: bool) -> None:
        """The station has begun, or ended, a task that must not be interrupted."""
        (self._busy_with.add if busy else self._busy_with.discard)(task)
        self.advance(now)

    def _reset_now(self, now: float, *, local: bool) -> None:
        self._accept("LocalReset" if local else "RemoteReset")
        self.advance(now)

    def _accept(self, reason: BootReasonEnumType) -> None:
        outbox = self.context.outbox
        restart = Restart(
            self.context, reason, "reset", queue_is_empty=lambda: not outbox.has_messages(), repeat_s=_REBOOT_S
        )
        self._reset = _Reset(reason, restart)
        self.context.key_values.put(Key.RESET, reason)

    def _reset_on_idle(self, now: float, *, local: bool) -> ResetResponse:
        """B12, scenario 3a: running sessions continue, new ones are refused. Delays no reset already in progress."""
        if self._reset is None and not self._idle:
            self._accept("ScheduledReset")
        elif self._reset is None:
            self._reset_now(now, local=local)
        scheduled = self._reset is not None and self._reset.waits_for_idle
        return {"status": "Scheduled" if scheduled else "Accepted"}  # B12.FR.01, B11.FR.03

    def _can_reset(self, evse_id: int) -> bool:
        """B11.FR.09, B12.FR.09; AllowReset is true exactly where this is supported (B11.FR.10)."""
        return evse_id in self.context.hal.evses and self.context.model.get(keys.ALLOW_RESET, evse=evse_id)

    def _reset_evse(self, evse_id: int, kind: ResetEnumType) -> ResetResponse:
        """One EVSE starts its charging sequence from the beginning, once its transaction has ended."""
        self._evses_to_reset.add(evse_id)
        if not _in_use(self.context.hal.evses[evse_id]):  # B11.FR.08
            return {"status": "Accepted"}
        if kind == "OnIdle":  # B12.FR.07
            return {"status": "Scheduled"}
        self.context.emit(signals.StopRequested(evse_id, "ResetCommand", "ImmediateReset"))  # B12.FR.08
        return {"status": "Accepted"}

    def _restart_evses(self) -> None:
        if not self.context.hal.present:
            return
        for evse_id in sorted(self._evses_to_reset):
            if not _in_use(self.context.hal.evses[evse_id]):
                self._evses_to_reset.discard(evse_id)
                self.context.hal.ask(Withdraw(evse_id))
                self.context.hal.ask(SetLimit(evse_id, None))

    @property
    def _idle(self) -> bool:
        """OnIdle waits for the normal end of transactions (B12.FR.03), and for more (erratum 2.14 of part 2)."""
        return not self._busy_with and not any(_in_use(evse) for evse in self.context.hal.evses.values())

    def advance(self, now: float) -> None:
        """Restart once every transaction has ended and the CSMS has its events, or can't be reached in time."""
        reset = self._reset
        if reset is None:
            return
        ready = reset.restart.is_certain or (self._idle if reset.waits_for_idle else self._end_transactions())
        model = self.context.model
        attempts = 1 + model.get(keys.RESET_RETRIES)
        patience_s = model.get(keys.MESSAGE_TIMEOUT)  # B12.FR.05
        if not reset.restart.advance(now, ready=ready, patience_s=patience_s, attempts=attempts):
            self._abandon()

    def _end_transactions(self) -> bool:
        """B12.FR.04, including those that have begun since; returns True if there are none."""
        running = [evse for evse in self.context.hal.evses.values() if evse.transaction_id is not None]
        for evse in running:
            self.context.emit(signals.StopRequested(evse.evse, "ResetCommand", "ImmediateReset"))
        return not running

    def _abandon(self) -> None:
        """The board does not restart: the station serves EV drivers again."""
        _log.error("the board did not restart: the reset is abandoned")
        self._reset = None
        self.context.key_values.put(Key.RESET, None)
        self.context.key_values.put(Key.PLANNED_BOOT, None)
        self.context.emit(signals.ResetWaits(False))
        self.context.link_orders.append(LinkOrder("redial", "the reset failed"))

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        return None if self._reset is None else self._reset.restart.next_deadline()

    def settle(self, now: float) -> None:
        self.advance(now)
        reset = self._reset
        self.context.hal.reset_pending = reset is not None
        if reset is not None and reset.waits_for_idle and not reset.announced and self.context.hal.present:
            reset.announced = True
            self.context.emit(signals.ResetWaits(True))
        self._restart_evses()


def _rejected(code: str, why: str) -> ResetResponse:
    return {"status": "Rejected", "statusInfo": {"reasonCode": code, "additionalInfo": why}}


def _in_use(evse: Evse) -> bool:
    """A transaction is running, or an EV driver is authorised and has not begun."""
    return evse.transaction_id is not None or evse.id_token is not None
