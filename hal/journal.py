# SPDX-License-Identifier: Apache-2.0
"""Numbers the HAL's events and keeps those that matter for billing until they are acknowledged; without I/O.

`firmware/contract/README.md`, "Snapshot, events, acknowledgement". At most `limit` are kept; beyond that the oldest
card is dropped first (the EV driver can present it again), then the oldest event of any kind.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Iterator

from msgspec.structs import replace

from firmware.contract.messages import BILLING_EVENTS, CardPresented, Event, MeterContext, MeterReading, Stamped
from firmware.errors import ContractError

__all__ = ["MAX_KEPT", "Journal", "is_kept"]

MAX_KEPT = 10_000
_log = logging.getLogger(__name__)


def is_kept(event: Event) -> bool:
    """Whether `event` is kept until it is acknowledged."""
    if isinstance(event, MeterReading):
        return event.context is not MeterContext.PERIODIC
    return isinstance(event, BILLING_EVENTS)


class Journal:
    """The events of one run of the HAL."""

    def __init__(self, limit: int = MAX_KEPT) -> None:
        self._limit = limit
        self._kept: OrderedDict[int, Stamped] = OrderedDict()
        self._cards: deque[int] = deque()
        self.last_seq = 0

    def __len__(self) -> int:
        return len(self._kept)

    def stamp(self, event: Event, mono_s: float, utc_s: float) -> Stamped:
        """Return `event` with its stamps and the next number, which is not taken before it is recorded."""
        return Stamped(seq=self.last_seq + 1, mono_s=mono_s, utc_s=utc_s, event=event, keep=is_kept(event))

    def record(self, stamped: Stamped) -> None:
        """Take the number that `stamp` gave; keep the event if it is a kept one."""
        self.last_seq = stamped.seq
        if not stamped.keep:
            return
        self._kept[stamped.seq] = stamped
        if isinstance(stamped.event, CardPresented):
            self._cards.append(stamped.seq)
        if len(self._kept) > self._limit:
            self._drop_one()

    def _drop_one(self) -> None:
        if self._cards:
            seq = self._cards.popleft()
            dropped = self._kept.pop(seq)
        else:
            seq, dropped = self._kept.popitem(last=False)
        _log.error("event %d (%s) is dropped: %d are unacknowledged", seq, type(dropped.event).__name__, self._limit)

    def acknowledge(self, seq: int) -> None:
        """Drop every kept event up to `seq`; raises `ContractError` for a number that was never given."""
        if not 0 < seq <= self.last_seq:
            raise ContractError(f"event {seq} acknowledged, the last was {self.last_seq}")
        while self._kept and next(iter(self._kept)) <= seq:
            self._kept.popitem(last=False)
        while self._cards and self._cards[0] <= seq:
            self._cards.popleft()

    def unacknowledged(self) -> Iterator[Stamped]:
        """The events now kept, in order and marked as replayed, to be sent to a service that has connected."""
        kept = tuple(self._kept.values())
        return (replace(stamped, replayed=True) for stamped in kept)
