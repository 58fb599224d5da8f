# SPDX-License-Identifier: Apache-2.0
"""The durable lane of the outbox: messages that are on disk before they are on the wire.

- They leave in the order they were queued. A transaction message is retried and discarded only by E13 or, in a full
  lane, by E04.FR.08; those behind it wait.
- A kept message (A04.FR.02: not about a transaction, and not to be lost) is never discarded because it is unanswered:
  after the last attempt all kept messages of its action are deferred for `_DEFERRAL_S` or until the next connection, so
  that the others need not wait behind them.
- Only the first rows (the window) are in memory, so that a month offline costs disk and not RAM; and the deferred
  messages, which are bounded, and the tail: messages behind the window that may not be on disk yet.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from msgspec import Struct

if TYPE_CHECKING:
    from services.ocpp.messages import Action

__all__ = ["DurableItem", "DurableLane", "OutboxRow", "OutboxStore", "RetryRule"]

_log = logging.getLogger(__name__)

_WINDOW = 200
_KEPT_LIMIT = 10_000
"""Messages that are not about a transaction: a month without a CSMS, and no more than a few MB of disk for one that
requests messages and never accepts them."""
_SHORTEST_INTERVAL_S = 1.0
"""An interval of 0 counts as this much: the waits between the attempts of one message still grow (E13.FR.03), so that a
CSMS that fails to process it does not get the same message hundreds of times a second."""
_DEFERRAL_S = 3600.0
"""How long kept messages of an action that the CSMS leaves unanswered are deferred, unless it reconnects earlier. Then
the oldest is tried once: a CSMS that never answers them costs the others one time-out an hour."""


class OutboxRow(Struct, frozen=True):
    """One stored message. `clock_offset`: UTC minus monotonic when it was made, or None when the clock was right."""

    id: int
    action: Action
    transaction_id: str | None
    payload: Any
    attempts: int
    boot_id: str
    clock_offset: float | None


class OutboxStore(Protocol):
    """The lane's disk; every write is part of the open unit of work."""

    def add(self, row: OutboxRow) -> None: ...

    def remove(self, row_id: int) -> None:
        """It may be there again after a power cut, until something has left the station."""

    def set_attempts(self, row_id: int, attempts: int) -> None: ...

    def read(self, after: int, limit: int) -> list[OutboxRow]:
        """Rows with an id above `after`, in order; removes unreadable ones."""

    def census(self) -> tuple[int, dict[str, int]]:
        """The greatest id (0 when empty), and the number of rows by transaction ('' for none)."""

    def thin(self, limit: int, after: int) -> list[tuple[str, int]]:
        """E04.FR.08: drop every other Updated message until at most `limit` rows are left, as far as that goes.

        Returns (transaction_id, dropped) pairs. Never drops a Started, an Ended, or a row up to the id `after`.
        """


class RetryRule(Struct, frozen=True):
    """MessageAttempts and MessageAttemptInterval for TransactionEvent (E13.FR.01)."""

    attempts: int
    interval_s: float


class DurableItem(Struct, eq=False):
    """A row in memory."""

    action: Action
    payload: Any
    order: int
    """Its position among the messages of this run, 0 if an earlier run made it."""
    row: OutboxRow
    attempts: int = 0
    failed_at: float | None = None
    """When it was last refused or unanswered, if the next attempt has to wait."""

    @property
    def kept(self) -> bool:
        """It is not about a transaction."""
        return self.row.transaction_id is None


class DurableLane:
    """See the module. `limit` bounds the number of rows; `retry_rule` is read at each use."""

    def __init__(self, store: OutboxStore, retry_rule: Callable[[], RetryRule], *, limit: int = 50_000) -> None:
        self.store = store
        self.retry_rule = retry_rule
        self.limit = limit
        self._window: deque[DurableItem] = deque()
        self._more_on_disk = False
        """There are rows on disk behind the window."""
        self._tail: list[DurableItem] = []
        self._deferred: list[DurableItem] = []
        """Kept messages that reached the head of the window while deferred; their rows stay on disk."""
        self._deferred_until: dict[str, float] = {}
        """By action."""
        self._counts: Counter[str] = Counter()
        """Rows by transaction, "" for none."""
        self._next_id = 1
        self._fresh_from: int | None = None
        """The first id of the present connection; None without one."""

    def load(self) -> None:
        """Continue with the rows that an earlier run left on disk."""
        self._refill(after=0)
        last, counts = self.store.census()
        self._next_id = last + 1
        self._counts = Counter(counts)

    def __len__(self) -> int:
        return sum(self._counts.values())

    def has_messages(self, transaction_id: str | None) -> bool:
        """Are messages of this transaction queued, or of any (None)?"""
        if transaction_id is None:
            return any(count > 0 and key for key, count in self._counts.items())
        return bool(transaction_id) and self._counts[transaction_id] > 0

    def is_fresh(self, item: DurableItem) -> bool:
        """Was it queued during the present connection?"""
        return self._fresh_from is not None and item.row.id >= self._fresh_from

    def connected(self) -> None:
        """The CSMS accepts messages: those added from now on are fresh, and deferred ones are tried again."""
        self._fresh_from = self._next_id
        self._end_deferral()

    def disconnected(self) -> None:
        self._fresh_from = None

    def add(
        self,
        action: Action,
        payload: Any,
        *,
        transaction_id: str | None,
        order: int,
        boot_id: str,
        clock_offset: float | None,
    ) -> None:
        if transaction_id is None and self._counts[""] >= _KEPT_LIMIT:
            _log.warning("%d messages are queued: %s dropped", _KEPT_LIMIT, action)
            return
        row = OutboxRow(self._next_id, action, transaction_id, payload, 0, boot_id, clock_offset)
        self._next_id += 1
        self.store.add(row)
        self._counts[transaction_id or ""] += 1
        item = DurableItem(action, payload, order, row)
        if self._more_on_disk or self._tail or len(self._window) >= _WINDOW:
            self._tail.append(item)
        else:
            self._window.append(item)
        if len(self) > self.limit:
            self._thin()

    def next(self, now: float) -> DurableItem | None:
        """The message to send next; None while there is none or it has to wait. It stays queued."""
        if any(now >= until for until in self._deferred_until.values()):
            self._end_deferral()
        while self._window and self._window[0].kept and self._window[0].action in self._deferred_until:
            self._deferred.append(self._pop())
        head = self._window[0] if self._window else None
        return None if head is None or now < self._due(head, now) else head

    def next_deadline(self) -> float | None:
        """When the head may be tried again, or the deferred messages."""
        head = self._window[0] if self._window else None
        times = [] if head is None or head.failed_at is None else [self._due(head, head.failed_at)]
        return min((*times, *self._deferred_until.values()), default=None)

    def failed(self, item: DurableItem, now: float, *, timed_out: bool = False) -> bool:
        """The CSMS refused it, or did not answer in time. True when it is dropped.

        A kept message is dropped when the CSMS has refused it, but not while the CSMS may not have seen it (A04.FR.02).
        """
        if item.kept and not timed_out:
            self.remove(item)
            return True
        item.attempts += 1
        exhausted = item.attempts >= self.retry_rule().attempts
        if exhausted and not item.kept:  # E13.FR.02, E13.FR.04
            _log.warning("%s not accepted in %d attempts: discarded", item.action, item.attempts)
            self.remove(item)
            return True
        if not item.kept:
            item.failed_at = now
        elif exhausted:
            _log.warning("%s not answered in %d attempts: deferred", item.action, item.attempts)
            self._deferred_until[item.action] = now + _DEFERRAL_S
        self.store.set_attempts(item.row.id, item.attempts)
        return False

    def remove(self, item: DurableItem) -> None:
        """Drop the head, which was accepted or has failed for good; another item is ignored."""
        if not self._window or self._window[0] is not item:
            return
        self._pop()
        self.store.remove(item.row.id)
        key = item.row.transaction_id or ""
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]

    # --- the disk ---------------------------------------------------------------------------------------------

    def flushed(self) -> None:
        """Everything written so far is on disk."""
        if self._tail:
            self._more_on_disk = True
            self._tail.clear()

    def rewrite(self) -> None:
        """The database was replaced: write the rows in memory again. Salvaged rows behind them stay."""
        known = {item.row.id: item.row for item in (*self._deferred, *self._window, *self._tail)}
        for row in known.values():
            self.store.add(row)
        end = self._window[-1].row if self._window else None
        last = self._next_id if end is None else end.id
        for row in self.store.read(0, len(known) + _WINDOW):
            if row.id <= last and row.id not in known:  # removed in the unit of work that was lost with the file
                self.store.remove(row.id)
        self._counts = Counter(self.store.census()[1])
        self._more_on_disk = end is not None

    # --- inside -----------------------------------------------------------------------------------------------

    def _due(self, item: DurableItem, now: float) -> float:
        """E13.FR.03: when it may be sent again, by the interval in force now and not when it failed."""
        if item.failed_at is None:
            return now
        return item.failed_at + max(self.retry_rule().interval_s, _SHORTEST_INTERVAL_S) * item.attempts

    def _end_deferral(self) -> None:
        """Put deferred messages back at the head of the window, in their original order."""
        self._window.extendleft(reversed(self._deferred))
        self._deferred.clear()
        self._deferred_until.clear()

    def _thin(self) -> None:
        """E04.FR.07, E04.FR.08: drop intermediate Updated messages, but neither end nor the head, which may be on the
        wire."""
        head = self._window[0]
        after = head.row.id
        for transaction_id, dropped in self.store.thin(self.limit * 9 // 10, after):
            self._counts[transaction_id] -= dropped
            _log.warning("queue too long: %d intermediate messages dropped", dropped)
        self._window.clear()
        self._tail.clear()
        self._window.append(head)
        self._refill(after)

    def _pop(self) -> DurableItem:
        """Take the head out of the window; an empty window is filled again from the disk."""
        item = self._window.popleft()
        if not self._window and (self._more_on_disk or self._tail):
            self._refill(after=item.row.id)
        return item

    def _refill(self, after: int) -> None:
        rows = self.store.read(after, _WINDOW)
        self._window.extend(DurableItem(row.action, row.payload, 0, row, row.attempts) for row in rows)
        self._more_on_disk = len(rows) == _WINDOW
        last = rows[-1].id if rows else after
        self._tail = [item for item in self._tail if item.row.id > last]
