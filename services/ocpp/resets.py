# SPDX-License-Identifier: Apache-2.0
"""B11, B12: resets of the station and of one EVSE.

A reset of the station waits for the transactions that it ends, and for the CSMS to have heard of them, before the board
is restarted. One of an EVSE brings its charging sequence back to the beginning, and the board does not notice.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from firmware.contract import Reboot, SetLimit, Withdraw
from services.ocpp import signals
from services.ocpp.context import Context, LinkOrder
from services.ocpp.device_model import keys
from services.ocpp.key_values import Key

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import BootReasonEnumType, ResetEnumType, ResetRequest, ResetResponse

__all__ = ["Resets"]

_log = logging.getLogger(__name__)

_LAST_WORDS_S = 0.5
"""From the last answer to the reboot: time for the frames to leave."""
_REBOOT_S = 60.0
"""How long a board that was asked to restart may take to stop us."""


@dataclass(slots=True)
class _Reset:
    """A reset that was accepted or scheduled."""

    reason: BootReasonEnumType
    give_up_at: float | None = None
    """Set when all transactions have ended: until then the reboot waits for the CSMS to hear of it (B12.FR.05)."""
    reboot_at: float | None = None
    attempts: int = 0
    told: bool = False
    """Other blocks know that it waits."""

    @property
    def waits_for_idle(self) -> bool:
        return self.reason == "ScheduledReset"


class Resets:
    """See the module; part of block B. `Key.PLANNED_BOOT` says to the next run why it was started."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._reset: _Reset | None = None
        self._evses_to_reset: set[int] = set()
        self._tasks: set[str] = set()
        """What else than drivers keeps the station from being idle."""

    def start(self) -> None:
        """What was promised before a restart of this process is still owed; one of the board has kept it."""
        owed = self.context.key_values.get(Key.RESET)
        if owed and self.context.boot_cause == "application":
            self._reset = _Reset(owed)
        else:
            self.context.key_values.put(Key.RESET, None)

    def handle(self, request: ResetRequest, now: float) -> ResetResponse:
        if "evseId" in request and request["evseId"] != 0:
            return self._reset_evse(request["evseId"], request["type"])
        if not self.context.hal.present:
            return {"status": "Rejected", "statusInfo": {"reasonCode": "InternalError"}}  # B11.FR.06
        if request["type"] == "OnIdle":
            return self._reset_on_idle(now)
        if self._reset is None or self._reset.waits_for_idle:  # else who asks again would put it off
            self._reset_now(now)
        return {"status": "Accepted"}  # B12.FR.02, B11.FR.03

    def heed(self, task: str, now: float, *, busy: bool) -> None:
        """The station has begun, or ended, a task that is not to be interrupted."""
        (self._tasks.add if busy else self._tasks.discard)(task)
        self.advance(now)

    def _reset_now(self, now: float) -> None:
        self._promise("RemoteReset")
        self.advance(now)

    def _promise(self, reason: BootReasonEnumType) -> None:
        self._reset = _Reset(reason)
        self.context.key_values.put(Key.RESET, reason)

    def _reset_on_idle(self, now: float) -> ResetResponse:
        """B12, scenario 3a: who charges goes on, and nobody else begins. It puts off no reset that is under way."""
        if self._reset is None and not self._idle:
            self._promise("ScheduledReset")
        elif self._reset is None:
            self._reset_now(now)
        scheduled = self._reset is not None and self._reset.waits_for_idle
        return {"status": "Scheduled" if scheduled else "Accepted"}  # B12.FR.01, B11.FR.03

    def _reset_evse(self, evse_id: int, kind: ResetEnumType) -> ResetResponse:
        """One EVSE starts its charging sequence from the beginning, once its transaction has ended."""
        evse = self.context.hal.evses.get(evse_id)
        if evse is None or not self.context.model.get(keys.ALLOW_RESET, evse=evse_id):  # B11.FR.09, B12.FR.09
            return {"status": "Rejected", "statusInfo": {"reasonCode": "UnsupportedRequest"}}
        self._evses_to_reset.add(evse_id)
        if not _in_use(evse):  # B11.FR.08
            return {"status": "Accepted"}
        if kind == "OnIdle":  # B12.FR.07
            return {"status": "Scheduled"}
        self.context.emit(signals.StopWanted(evse_id, "ResetCommand", "ImmediateReset"))  # B12.FR.08
        return {"status": "Accepted"}

    def _restart_evses(self) -> None:
        for evse_id in sorted(self._evses_to_reset):
            if not _in_use(self.context.hal.evses[evse_id]):
                self._evses_to_reset.discard(evse_id)
                self.context.hal.ask(Withdraw(evse_id))
                self.context.hal.ask(SetLimit(evse_id, None))

    @property
    def _idle(self) -> bool:
        """What OnIdle waits for is more than the end of transactions (erratum 2.14 of part 2)."""
        return not self._tasks and not any(_in_use(evse) for evse in self.context.hal.evses.values())

    def advance(self, now: float) -> None:
        """Reboot once every transaction has ended and the CSMS knows, or can't be told in time."""
        reset = self._reset
        if reset is None or reset.reboot_at is not None:
            return
        if not (self._idle if reset.waits_for_idle else self._end_transactions()):
            reset.give_up_at = None
            return
        if reset.give_up_at is None:
            reset.give_up_at = now + self.context.model.get(keys.MESSAGE_TIMEOUT)
        told = not self.context.outbox.has_messages() or not self.context.registration.online
        if told or now >= reset.give_up_at:
            reset.reboot_at = now + _LAST_WORDS_S

    def _end_transactions(self) -> bool:
        """B12.FR.04, also of those that have begun since; True when there are none."""
        running = [evse for evse in self.context.hal.evses.values() if evse.transaction_id is not None]
        for evse in running:
            self.context.emit(signals.StopWanted(evse.evse, "ResetCommand", "ImmediateReset"))
        return not running

    # --- time ---------------------------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        return None if self._reset is None else self._reset.reboot_at or self._reset.give_up_at

    def settle(self, now: float) -> None:
        reset = self._reset
        self.context.hal.reset_pending = reset is not None
        if reset is not None and reset.waits_for_idle and not reset.told and self.context.hal.present:
            reset.told = True
            self.context.emit(signals.ResetWaits(True))
        self._restart_evses()
        self.advance(now)

    def on_time(self, now: float) -> None:
        self.advance(now)
        reset = self._reset
        if reset is not None and reset.reboot_at is not None and now >= reset.reboot_at:
            self._reboot(reset, now)

    def _reboot(self, reset: _Reset, now: float) -> None:
        if not self.context.hal.present:
            reset.reboot_at = now + _LAST_WORDS_S  # nobody there who could restart the board
            return
        if reset.attempts > self.context.model.get(keys.RESET_RETRIES):
            self._give_up()
            return
        reset.attempts += 1
        reset.reboot_at = now + _REBOOT_S
        self.context.key_values.put(Key.PLANNED_BOOT, reset.reason)
        self.context.link_orders.append(LinkOrder("stop", "reset"))
        self.context.hal.ask(Reboot())

    def _give_up(self) -> None:
        """A board that does not restart still has a charging station on it."""
        _log.error("the board did not restart")
        self._reset = None
        self.context.key_values.put(Key.RESET, None)
        self.context.key_values.put(Key.PLANNED_BOOT, None)
        self.context.emit(signals.ResetWaits(False))
        self.context.link_orders.append(LinkOrder("redial", "the reset failed"))


def _in_use(evse: Evse) -> bool:
    """A transaction is running, or a driver was let in and has not begun."""
    return evse.transaction_id is not None or evse.id_token is not None
