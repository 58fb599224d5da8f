# SPDX-License-Identifier: Apache-2.0
"""What the station has to tell the CSMS, in the order and with the durability that each message deserves.

Two lanes, one message on the wire at a time:

- the durable lane holds transaction messages (and, with QueueAllMessages, whatever happens while offline). They are
  on disk before they are on the wire, leave in order, and are retried and discarded by E13 alone. What is kept for
  another reason (A04.FR.02) is never discarded unheard: when the CSMS does not answer messages of its kind, these
  are put off for a while, so that the others need not wait behind them;
- the memory lane holds the rest. They fail with the link unless QueueAllMessages is true.

What was queued before the present connection (the backlog after an outage) lets fresh messages pass: a driver's
card must not wait behind an hour of meter values. Fresh messages of both lanes leave in the order they were made.
Only a window of the durable lane is in memory (and what is put off, which is bounded), so that a month offline costs
disk and not RAM.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from firmware.clock import format_utc, parse_utc

if TYPE_CHECKING:
    from services.ocpp.messages import Action

__all__ = ["Item", "Outbox", "OutboxRow", "OutboxStore", "RetryRule"]

_log = logging.getLogger(__name__)

_WINDOW = 200
_MEMORY_LANE_LIMIT = 500
_KEPT_LIMIT = 10_000
"""Durable messages that are not about a transaction: a month without a CSMS, and no more than a few MB of disk for
one that asks for messages and never takes them."""
_PUT_OFF_S = 3600.0
"""How long kept messages of a kind wait which the CSMS leaves unanswered, if no new connection comes first. Then the
oldest is tried once: a CSMS that never answers such costs the others one time-out an hour."""
_AWAITED = frozenset({"BootNotification", "Authorize"})
"""Messages without whose answer the station or a driver would wait for ever."""
_NEVER_QUEUED: frozenset[str] = frozenset({"BootNotification", "Heartbeat", "StatusNotification", "Authorize"})
"""Messages that only say how things are now: after an outage they are made anew (B04)."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One message as it lies on disk. `clock_offset` is UTC minus monotonic when it was made, or None when
    the clock was right."""

    id: int
    action: Action
    transaction_id: str | None
    payload: Any
    attempts: int
    boot_id: str
    clock_offset: float | None


class OutboxStore(Protocol):
    """The durable lane's disk; every write is part of the unit of work of the event being handled."""

    def add(self, row: OutboxRow) -> None: ...

    def remove(self, row_id: int) -> None: ...

    def set_attempts(self, row_id: int, attempts: int) -> None: ...

    def read(self, after: int, limit: int) -> list[OutboxRow]:
        """Rows with an id above `after`, in order; what can't be read any more is removed."""

    def census(self) -> tuple[int, dict[str, int]]:
        """The greatest id (0 when empty), and how many rows there are for each transaction ('' for none)."""

    def thin(self, limit: int, after: int) -> list[tuple[str, int]]:
        """E04.FR.08: drop every other Updated message until at most `limit` rows are left, as far as that goes.

        Returns (transaction_id, dropped) pairs. Never drops a Started, an Ended, or a row up to the id `after`.
        """


@dataclass(frozen=True, slots=True)
class RetryRule:
    """MessageAttempts and MessageAttemptInterval for TransactionEvent (E13.FR.01)."""

    attempts: int
    interval_s: float


@dataclass(slots=True)
class Item:
    """One message to the CSMS."""

    action: Action
    payload: Any
    order: int
    """Its place among the messages of this run, 0 when it was made before."""
    row: OutboxRow | None = None
    attempts: int = 0
    failed_at: float | None = None
    """When it was not accepted the last time, if it has to wait before the next."""
    early: bool = False
    """May go out before the CSMS accepted us (B02.FR.02)."""

    @property
    def durable(self) -> bool:
        return self.row is not None

    @property
    def kept(self) -> bool:
        """Durable, but not about a transaction."""
        return self.row is not None and self.row.transaction_id is None


@dataclass(slots=True)
class Outbox:
    """The two lanes. `limit` bounds the durable lane's rows."""

    store: OutboxStore
    boot_id: str
    retry_rule: Callable[[], RetryRule]
    queue_all: Callable[[], bool]
    limit: int = 50_000
    _memory: deque[Item] = field(default_factory=deque)
    _window: deque[Item] = field(default_factory=deque)
    _tail: list[Item] = field(default_factory=list)
    """Behind the window, and not on the disk for certain: not to be lost with a damaged database."""
    _put_off: list[Item] = field(default_factory=list)
    """Kept messages that were the window's first when they were put off; their rows stay on disk."""
    _silent_until: dict[str, float] = field(default_factory=dict)
    """Whose messages are put off, and until when."""
    _beyond: bool = False
    """There are rows on disk behind the window."""
    _counts: Counter[str] = field(default_factory=Counter)
    _next_id: int = 1
    _order: int = 0
    _online: bool = False
    _fresh_from: int = 1
    """Rows from this id on were made during the present connection."""

    def load(self) -> None:
        """Take up what an earlier run left on disk."""
        self._refill(after=0)
        last, counts = self.store.census()
        self._next_id = last + 1
        self._counts = Counter(counts)

    # --- what blocks use ----------------------------------------------------------------------------

    def send(self, action: Action, payload: Any, *, early: bool = False) -> None:
        """Queue a message whose loss is tolerable; `early` when the CSMS asked for it before accepting us."""
        if not self._online and not early:
            if not self.queue_all() or action in _NEVER_QUEUED:
                return
            self._add_durable(action, payload, None, None)
            return
        if len(self._memory) >= _MEMORY_LANE_LIMIT and not self._make_room(action):
            return
        self._memory.append(Item(action, payload, self._count(), early=early))

    def has_room(self, messages: int) -> bool:
        """May so many messages be added that the CSMS asks for? Half of the lane stays free for what happens."""
        return len(self._memory) + messages <= _MEMORY_LANE_LIMIT // 2

    def _make_room(self, action: Action) -> bool:
        """Drop the oldest message that nobody waits for; False: all are such, and so is this one no longer wanted."""
        victim = next((item for item in self._memory if item.action not in _AWAITED), None)
        _log.warning("memory lane full: %s dropped", victim.action if victim else action)
        if victim is not None:
            self._memory.remove(victim)
        return victim is not None or action in _AWAITED

    def forget_early(self) -> None:
        """B03.FR.02: the CSMS has rejected us, and what it had asked for before is not sent any more."""
        self._memory = deque(item for item in self._memory if not item.early)

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

    def has_messages(self, transaction_id: str | None = None) -> bool:
        """E14: are transaction messages waiting, of one transaction or of any?"""
        if transaction_id is None:
            return any(count > 0 and key for key, count in self._counts.items())
        return bool(transaction_id) and self._counts[transaction_id] > 0

    def __len__(self) -> int:
        return sum(self._counts.values()) + len(self._memory)

    @property
    def durable_count(self) -> int:
        return sum(self._counts.values())

    # --- what the station uses ----------------------------------------------------------------------

    def go_online(self) -> None:
        """We are connected and accepted: what is made from now on is fresh."""
        self._online = True
        self._fresh_from = self._next_id
        self._take_up()

    def go_offline(self) -> list[Item]:
        """The link is gone. Returns the messages that fail with it."""
        self._online = False
        lost: list[Item] = []
        kept: list[Item] = []
        for item in self._memory:
            (kept if self.queue_all() and item.action not in _NEVER_QUEUED else lost).append(item)
        self._memory.clear()
        for item in kept:
            self._add_durable(item.action, item.payload, None, None)
        return lost

    def next(self, now: float, *, registered: bool) -> Item | None:
        """The message to send next, or None. It stays queued until `done`, `retry` or `drop`."""
        memory = next((item for item in self._memory if registered or item.early), None)
        head = self._head(now) if registered else None
        if memory is None or head is None:
            return memory or head
        return head if self._is_fresh(head) and head.order < memory.order else memory

    def _head(self, now: float) -> Item | None:
        """The durable message whose turn it is."""
        if any(now >= until for until in self._silent_until.values()):
            self._take_up()
        while self._window and self._window[0].kept and self._window[0].action in self._silent_until:
            self._put_off.append(self._pop())
        head = self._window[0] if self._window else None
        return None if head is None or now < self._due(head, now) else head

    def _take_up(self) -> None:
        """What was put off has its turn again, in the old order."""
        self._window.extendleft(reversed(self._put_off))
        self._put_off.clear()
        self._silent_until.clear()

    def payload(self, item: Item, *, clock_offset: float | None) -> Any:
        """What goes on the wire for `item`: the offline flag and the time stamps as they must be now.

        `clock_offset`: UTC minus monotonic, None while that is not known. E11.FR.07, E12.FR.02: whatever was made or
        left waiting outside this connection is `offline`.
        """
        payload = item.payload
        row = item.row
        if row is None:
            return payload
        if item.action == "TransactionEvent" and not self._is_fresh(item):
            payload = {**payload, "offline": True}
        if row.clock_offset is not None and clock_offset is not None and row.boot_id == self.boot_id:
            payload = _shift_stamps(payload, clock_offset - row.clock_offset)
        return payload

    def done(self, item: Item) -> None:
        """The CSMS has it."""
        self._remove(item)

    def failed(self, item: Item, now: float, *, timed_out: bool = False) -> bool:
        """It was not accepted, or not answered in time. True when that was the last attempt and it is gone.

        A kept message that is not about a transaction is done with when the CSMS has refused it, but not when nobody
        knows whether the CSMS has seen it (A04.FR.02).
        """
        if item.row is None or (item.kept and not timed_out):
            self._remove(item)
            return True
        item.attempts += 1
        exhausted = item.attempts >= self.retry_rule().attempts
        if exhausted and not item.kept:  # E13.FR.02, E13.FR.04
            _log.warning("%s not accepted in %d attempts: discarded", item.action, item.attempts)
            self._remove(item)
            return True
        if not item.kept:
            item.failed_at = now
        elif exhausted:
            _log.warning("%s not answered in %d attempts: put off", item.action, item.attempts)
            self._silent_until[item.action] = now + _PUT_OFF_S
        self.store.set_attempts(item.row.id, item.attempts)
        return False

    def interrupted(self, item: Item) -> bool:
        """The link broke before an answer. True when the message is lost with it; a durable one is not."""
        if item.durable:
            item.failed_at = None
            return False
        if item in self._memory:
            self._memory.remove(item)
            if self.queue_all() and item.action not in _NEVER_QUEUED:
                self._add_durable(item.action, item.payload, None, None)
                return False
        return True

    def next_deadline(self) -> float | None:
        """When the head of the durable lane may be tried again, or what was put off."""
        head = self._window[0] if self._window else None
        times = [] if head is None or head.failed_at is None else [self._due(head, head.failed_at)]
        return min((*times, *self._silent_until.values()), default=None)

    def flushed(self) -> None:
        """Everything written so far is on disk."""
        if self._tail:
            self._beyond = True
            self._tail.clear()

    def rewrite(self) -> None:
        """The database was replaced: write again what is still known. What was saved of the rows behind it follows."""
        known = {item.row.id: item.row for item in (*self._put_off, *self._window, *self._tail) if item.row is not None}
        for row in known.values():
            self.store.add(row)
        end = self._window[-1].row if self._window else None
        last = self._next_id if end is None else end.id
        for row in self.store.read(0, len(known) + _WINDOW):
            if row.id <= last and row.id not in known:  # given up in the unit of work that the damage has cost
                self.store.remove(row.id)
        self._counts = Counter(self.store.census()[1])
        self._beyond = end is not None

    # --- inside ---------------------------------------------------------------------------------------

    def _due(self, item: Item, now: float) -> float:
        """E13.FR.03: when it may be sent again, by the interval as it is now and not as it was when it failed."""
        return now if item.failed_at is None else item.failed_at + self.retry_rule().interval_s * item.attempts

    def _is_fresh(self, item: Item) -> bool:
        return self._online and item.row is not None and item.row.id >= self._fresh_from

    def _count(self) -> int:
        self._order += 1
        return self._order

    def _add_durable(
        self, action: Action, payload: Any, transaction_id: str | None, clock_offset: float | None
    ) -> None:
        if transaction_id is None and self._counts[""] >= _KEPT_LIMIT:
            _log.warning("%d messages wait: %s dropped", _KEPT_LIMIT, action)
            return
        row = OutboxRow(self._next_id, action, transaction_id, payload, 0, self.boot_id, clock_offset)
        self._next_id += 1
        self.store.add(row)
        self._counts[transaction_id or ""] += 1
        item = Item(action, payload, self._count(), row)
        if self._beyond or self._tail or len(self._window) >= _WINDOW:
            self._tail.append(item)
        else:
            self._window.append(item)
        if self.durable_count > self.limit:
            self._thin()

    def _thin(self) -> None:
        """E04.FR.07, E04.FR.08: give up intermediate Updated messages, keep both ends, and what may be on the wire."""
        head = self._window[0]
        after = head.row.id if head.row is not None else 0
        for transaction_id, dropped in self.store.thin(self.limit * 9 // 10, after):
            self._counts[transaction_id] -= dropped
            _log.warning("queue too long: %d intermediate messages dropped", dropped)
        self._window.clear()
        self._tail.clear()
        self._window.append(head)
        self._refill(after)

    def _remove(self, item: Item) -> None:
        if item.row is None:
            if item in self._memory:
                self._memory.remove(item)
            return
        if not self._window or self._window[0] is not item:
            return
        self._pop()
        self.store.remove(item.row.id)
        key = item.row.transaction_id or ""
        self._counts[key] -= 1
        if self._counts[key] <= 0:
            del self._counts[key]

    def _pop(self) -> Item:
        """Takes the first one out of the window, which is filled again from what is behind it."""
        item = self._window.popleft()
        if item.row is not None and not self._window and (self._beyond or self._tail):
            self._refill(after=item.row.id)
        return item

    def _refill(self, after: int) -> None:
        rows = self.store.read(after, _WINDOW)
        self._window.extend(_items(rows))
        self._beyond = len(rows) == _WINDOW
        last = rows[-1].id if rows else after
        self._tail = [item for item in self._tail if item.row is not None and item.row.id > last]


def _items(rows: Iterable[OutboxRow]) -> Iterable[Item]:
    return (Item(row.action, row.payload, 0, row, attempts=row.attempts) for row in rows)


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
