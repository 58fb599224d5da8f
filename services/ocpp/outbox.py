# SPDX-License-Identifier: Apache-2.0
"""What the station has to send to the CSMS, in order, and as durable as each message requires.

Two lanes, one message on the wire at a time:

- the durable lane (`durable_lane.py`) holds transaction messages, kept ones (A04.FR.02) and, with QueueAllMessages,
  what happens while offline;
- the volatile lane, in memory, holds the rest. Its messages fail with the connection unless QueueAllMessages is true.

Fresh messages overtake the backlog, which was queued before the present connection: an EV driver's card must not wait
behind an hour of meter values. Fresh messages of both lanes leave in the order they were made.
"""

from __future__ import annotations

import itertools
import logging
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec import Struct

from firmware.clock import format_utc, parse_utc
from services.ocpp.durable_lane import DurableItem, DurableLane, OutboxStore, RetryRule

if TYPE_CHECKING:
    from services.ocpp.messages import Action

__all__ = ["Item", "Outbox"]

_log = logging.getLogger(__name__)

_VOLATILE_LIMIT = 500
_AWAITED = frozenset({"BootNotification", "Authorize"})
"""Without an answer to these the station or an EV driver would wait for ever."""
_NEVER_QUEUED: frozenset[str] = frozenset({"BootNotification", "Heartbeat", "StatusNotification", "Authorize"})
"""These report only the present state: after an outage they are made anew (B04)."""


class VolatileItem(Struct, eq=False):
    action: Action
    payload: Any
    order: int
    """As in `DurableItem`."""
    early: bool
    """May leave before the CSMS has accepted us (B02.FR.02)."""


Item: TypeAlias = DurableItem | VolatileItem
"""One queued message."""


class Outbox:
    """The choice between two lanes; blocks queue here, the shell loads and flushes `durable`."""

    def __init__(
        self,
        store: OutboxStore,
        boot_id: str,
        retry_rule: Callable[[], RetryRule],
        queue_all: Callable[[], bool],
    ) -> None:
        """`queue_all`: QueueAllMessages."""
        self.boot_id = boot_id
        self.durable = DurableLane(store, retry_rule)
        self._queue_all = queue_all
        self._volatile: deque[VolatileItem] = deque()
        self._order = itertools.count(1)
        self._online = False

    # --- for blocks -------------------------------------------------------------------------------------------

    def send(self, action: Action, payload: Any, *, early: bool = False) -> None:
        """Queue a message whose loss is tolerable; `early` when the CSMS requested it before accepting us.

        A BootNotification goes first: a report that the CSMS has requested must not delay it (B02.FR.08, B03.FR.06).
        """
        if not self._online and not early:
            if self._outlasts_outage(action):
                self._add_durable(action, payload, None, None)
            return
        if len(self._volatile) >= _VOLATILE_LIMIT and not self._make_room(action):
            return
        add = self._volatile.appendleft if action == "BootNotification" else self._volatile.append
        add(VolatileItem(action, payload, next(self._order), early))

    def send_kept(self, action: Action, payload: Any, *, clock_offset: float | None = None) -> None:
        """Queue a message that is not about a transaction and yet must not be lost (A04.FR.02).

        `clock_offset` as in `send_durable`.
        """
        self._add_durable(action, payload, None, clock_offset)

    def send_durable(
        self, action: Action, payload: Any, transaction_id: str, *, clock_offset: float | None = None
    ) -> None:
        """Queue a message that must not be lost (E04.FR.01, E12.FR.01).

        `clock_offset`: UTC minus monotonic, given only while the clock is not known to be right; its time stamps
        are corrected before it leaves if the true time has become known in the same boot.
        """
        self._add_durable(action, payload, transaction_id, clock_offset)

    def has_room(self, messages: int) -> bool:
        """Can this number of messages be added at the CSMS's request? Half of the lane is reserved for events."""
        return len(self._volatile) + messages <= _VOLATILE_LIMIT // 2

    def forget_early(self) -> None:
        """B03.FR.02: the CSMS has rejected us; drop what it requested before."""
        self._volatile = deque(item for item in self._volatile if not item.early)

    def has_messages(self, transaction_id: str | None = None) -> bool:
        """E14: are messages of this transaction queued, or of any (None)?"""
        return self.durable.has_messages(transaction_id)

    def __len__(self) -> int:
        return len(self.durable) + len(self._volatile)

    @property
    def durable_count(self) -> int:
        return len(self.durable)

    # --- for the station --------------------------------------------------------------------------------------

    def go_online(self) -> None:
        """We are connected and accepted: messages made from now on are fresh."""
        self._online = True
        self.durable.connected()

    def go_offline(self) -> list[Item]:
        """The connection is lost. Returns the messages that fail with it."""
        self._online = False
        self.durable.disconnected()
        lost: list[Item] = []
        for item in self._volatile:
            if self._outlasts_outage(item.action):
                self._add_durable(item.action, item.payload, None, None)
            else:
                lost.append(item)
        self._volatile.clear()
        return lost

    def next(self, now: float, *, registered: bool) -> Item | None:
        """The message to send next, or None. It stays queued until `done`, `failed` or `interrupted`."""
        volatile = next((item for item in self._volatile if registered or item.early), None)
        durable = self.durable.next(now) if registered else None
        if volatile is None or durable is None:
            return volatile or durable
        return durable if self.durable.is_fresh(durable) and durable.order < volatile.order else volatile

    def next_deadline(self) -> float | None:
        """When `next` may return a message that has to wait now."""
        return self.durable.next_deadline()

    def payload(self, item: Item, *, clock_offset: float | None) -> Any:
        """What to send for `item`: its payload with the offline flag and the time stamps as they must be now.

        `clock_offset`: UTC minus monotonic, None while that is not known. Whatever was made outside this
        connection (E04.FR.03, E11.FR.02, E12.FR.02) or left waiting there (E11.FR.07) is `offline`.
        """
        payload = item.payload
        if isinstance(item, VolatileItem):
            return payload
        if item.action == "TransactionEvent" and not self.durable.is_fresh(item):
            payload = {**payload, "offline": True}
        row = item.row
        if row.clock_offset is not None and clock_offset is not None and row.boot_id == self.boot_id:
            payload = _shift_stamps(payload, clock_offset - row.clock_offset)
        return payload

    def done(self, item: Item) -> None:
        """The CSMS has accepted it."""
        if isinstance(item, DurableItem):
            self.durable.remove(item)
        elif item in self._volatile:
            self._volatile.remove(item)

    def failed(self, item: Item, now: float, *, timed_out: bool = False) -> bool:
        """The CSMS refused it, or did not answer in time. True when it is dropped, False when it will be retried."""
        if isinstance(item, DurableItem):
            return self.durable.failed(item, now, timed_out=timed_out)
        self.done(item)
        return True

    def interrupted(self, item: Item) -> bool:
        """The connection broke before an answer. True when the message is lost with it; a durable one is not."""
        if isinstance(item, DurableItem):
            item.failed_at = None
            return False
        if item in self._volatile:
            self._volatile.remove(item)
            if self._outlasts_outage(item.action):
                self._add_durable(item.action, item.payload, None, None)
                return False
        return True

    # --- inside -----------------------------------------------------------------------------------------------

    def _outlasts_outage(self, action: Action) -> bool:
        return self._queue_all() and action not in _NEVER_QUEUED

    def _add_durable(
        self, action: Action, payload: Any, transaction_id: str | None, clock_offset: float | None
    ) -> None:
        self.durable.add(
            action,
            payload,
            transaction_id=transaction_id,
            order=next(self._order),
            boot_id=self.boot_id,
            clock_offset=clock_offset,
        )

    def _make_room(self, action: Action) -> bool:
        """Drop the oldest message whose answer nobody awaits. Returns False if there is none and `action` itself may be
        dropped."""
        victim = next((item for item in self._volatile if item.action not in _AWAITED), None)
        _log.warning("volatile lane full: %s dropped", victim.action if victim else action)
        if victim is not None:
            self._volatile.remove(victim)
        return victim is not None or action in _AWAITED


def _shift_stamps(payload: Any, seconds: float) -> Any:
    """The payload with every time stamp in it moved; for messages made before the time was known."""
    if abs(seconds) < 1.0:
        return payload
    shifted = {**payload, "timestamp": format_utc(parse_utc(payload["timestamp"]) + seconds)}
    if "meterValue" in payload:
        shifted["meterValue"] = [
            {**value, "timestamp": format_utc(parse_utc(value["timestamp"]) + seconds)}
            for value in payload["meterValue"]
        ]
    return shifted
