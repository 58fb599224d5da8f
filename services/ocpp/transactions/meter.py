# SPDX-License-Identifier: Apache-2.0
"""What a transaction tells of its meter, and when the next sample is due (J02; part 2, J, 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from firmware.clock import parse_utc
from services.ocpp.device_model import keys
from services.ocpp.metering import meter_value, until_aligned

if TYPE_CHECKING:
    from firmware.contract import MeterReading
    from services.ocpp.context import Context
    from services.ocpp.messages import MeterValueType, ReadingContextEnumType, TransactionEventEnumType
    from services.ocpp.transactions.session import Session, Transaction

__all__ = ["TransactionMeter"]

_ENDED_VALUES = 100
"""How many meter values an Ended event carries at most (J02.FR.20)."""


class TransactionMeter:
    """The meters of all sessions; what has been sampled is kept in the session's transaction."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- values -------------------------------------------------------------------------------------------------

    def values(
        self, session: Session, measurands: Any, context: ReadingContextEnumType, stamp: str
    ) -> list[MeterValueType]:
        reading = self.reading(session)
        if reading is None:
            return []
        value = meter_value(reading, self._context.model.get(measurands), context=context, timestamp=stamp)
        return [value] if value else []

    def of_event(
        self, session: Session, transaction: Transaction, kind: TransactionEventEnumType, stamp: str
    ) -> list[MeterValueType]:
        """The meter values that belong to this kind of event."""
        if kind == "Ended":
            kept = cast("list[MeterValueType]", transaction.ended_values)
            return kept + self.values(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.End", stamp)  # E06.FR.11
        if transaction.begun:
            return []
        if self.reading(session) is not None:  # E02.FR.09; what is configured later is not of the beginning
            transaction.begun = True
            transaction.ended_values = transaction.ended_values or self.begin_values(session, stamp)
        return self.values(session, keys.SAMPLED_TX_STARTED_MEASURANDS, "Transaction.Begin", stamp)

    def begin_values(self, session: Session, stamp: str) -> list[dict[str, Any]]:
        """What the Ended event will tell of the start, even if nothing else does (E06.FR.11; part 2, J, 2.5)."""
        values = self.values(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.Begin", stamp)
        return cast("list[dict[str, Any]]", values)

    def register(self, session: Session) -> float:
        reading = self.reading(session)
        return reading.energy_wh if reading else 0.0

    def reading(self, session: Session) -> MeterReading | None:
        """The newest reading; a register below one that was already reported is a meter's error (J02.FR.16)."""
        reading = self._context.hal.evses[session.evse].reading
        last = session.transaction.last_reading if session.transaction else None
        if reading is None or last is None:
            return reading or last
        return msgspec.structs.replace(reading, energy_wh=max(reading.energy_wh, last.energy_wh))

    # --- samples ------------------------------------------------------------------------------------------------

    def plan(self, session: Session, now: float) -> None:
        model = self._context.model
        interval, ended = model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), model.get(keys.SAMPLED_TX_ENDED_INTERVAL)
        running = session.transaction is not None
        session.sample_at = now + interval if running and interval > 0 else None
        session.ended_sample_at = now + ended if running and ended > 0 else None
        self.align(session, now)

    def align(self, session: Session, now: float) -> None:
        """Plan the next clock-aligned sample, by the clock as it is now."""
        session.aligned_sample_at = self._next_aligned(now) if session.transaction is not None else None

    def periodic(self, session: Session, now: float) -> list[MeterValueType]:
        """The values of the TxUpdatedInterval that is over, if one is (J02.FR.11)."""
        if session.sample_at is None or now < session.sample_at:
            return []
        session.sample_at = _next(session.sample_at, self._context.model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), now)
        stamp = self._context.time.text(now)
        return self.values(session, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Sample.Periodic", stamp)

    def keep_for_the_end(self, session: Session, now: float) -> bool:
        """Keep the samples of the intervals that are over for the Ended event; True when there were any."""
        kept = False
        if session.ended_sample_at is not None and now >= session.ended_sample_at:
            interval = self._context.model.get(keys.SAMPLED_TX_ENDED_INTERVAL)
            session.ended_sample_at = _next(session.ended_sample_at, interval, now)
            kept = self._keep(session, keys.SAMPLED_TX_ENDED_MEASURANDS, "Sample.Periodic", now)
        if session.aligned_sample_at is not None and now >= session.aligned_sample_at:
            session.aligned_sample_at = self._next_aligned(now)
            kept = self._keep(session, keys.ALIGNED_TX_ENDED_MEASURANDS, "Sample.Clock", now) or kept
        return kept

    def _keep(self, session: Session, measurands: Any, context: ReadingContextEnumType, now: float) -> bool:
        transaction = session.transaction
        values = self.values(session, measurands, context, self._context.time.text(now))
        if transaction is None or not values:
            return False
        transaction.ended_values += cast("list[dict[str, Any]]", values)
        transaction.last_reading = self.reading(session)
        transaction.last_utc = self._context.time.utc(now)  # a power cut is not before it
        if len(transaction.ended_values) > _ENDED_VALUES:
            del transaction.ended_values[_dispensable(transaction.ended_values)]
        return True

    def _next_aligned(self, now: float) -> float | None:
        interval = self._context.model.get(keys.ALIGNED_TX_ENDED_INTERVAL)
        return now + until_aligned(self._context.time.utc(now), interval) if interval > 0 else None


def _next(due: float, interval: float, now: float) -> float | None:
    """The next multiple of the interval after `due` that is still ahead; None when sampling is off."""
    if interval <= 0:
        return None
    missed = int((now - due) // interval)
    return due + (missed + 1) * interval


def _dispensable(values: list[dict[str, Any]]) -> int:
    """Which value has the closest neighbours: in turn the 1st, the 3rd, the 5th in between (E06.FR.13), and then the
    same of what is left, so that the beginning of a long transaction is told as evenly as its end."""
    times = [parse_utc(value["timestamp"]) for value in values]
    return min(range(1, len(times) - 1), key=lambda place: times[place + 1] - times[place - 1])
