# SPDX-License-Identifier: Apache-2.0
"""Which meter values a transaction reports, and when the next sample is due (J02; part 2, J, 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from firmware.clock import format_utc, parse_utc
from services.ocpp.device_model import keys
from services.ocpp.metering import CURRENT_S, meter_value, until_aligned, value_time

if TYPE_CHECKING:
    from firmware.contract import MeterReading
    from services.ocpp.context import Context
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import MeterValueType, ReadingContextEnumType, TransactionEventEnumType

__all__ = ["RESOLUTION_S", "TransactionMeter", "next_multiple"]

RESOLUTION_S = 0.002
"""Time stamps have three decimals: the next moment that differs from this one in its text, whatever is cut off."""

_ENDED_VALUES = 100
"""How many meter values an Ended event carries at most (J02.FR.20)."""
_LATE_S = 5.0
"""How much older than its event a reading may be."""


class TransactionMeter:
    """The meters of all EVSEs; samples for the Ended event are kept in the session."""

    def __init__(self, context: Context) -> None:
        self._context = context

    # --- values -------------------------------------------------------------------------------------------------

    def values(
        self, evse: Evse, measurands: keys.Key[tuple[str, ...]], context: ReadingContextEnumType, now: float
    ) -> list[MeterValueType]:
        reading = self.reading(evse)
        if reading is None:
            return []
        stamp = format_utc(self.read_utc(evse, now))
        value = meter_value(reading, self._context.model.get(measurands), context=context, timestamp=stamp)
        return [value] if value else []  # one at most, of now: J02.FR.10

    def read_utc(self, evse: Evse, now: float) -> float:
        """When the values of `reading` are true.

        After a power cut they are newer than the last event, even if the board's clock has forgotten the time.
        """
        session = evse.session
        if self._is_foreign(evse):  # or the HAL has not been seen in this run of the process
            return session.last_reading_utc or session.last_utc
        utc = self._context.time.utc(value_time(evse.reading_mono, now))
        return max(utc, session.last_utc + RESOLUTION_S) if session.closing else self._after_last(evse, utc)

    def _after_last(self, evse: Evse, utc: float) -> float:
        """`utc`, but not before the last reported value, which may have counted as of now for CURRENT_S (J02.FR.16)."""
        reading, last, last_utc = evse.reading, evse.session.last_reading, evse.session.last_reading_utc
        if reading is None or last is None or last_utc is None or not 0.0 <= last_utc - utc <= CURRENT_S:
            return utc
        return last_utc if reading.energy_wh == last.energy_wh else last_utc + RESOLUTION_S

    def of_event(self, evse: Evse, kind: TransactionEventEnumType, now: float) -> list[MeterValueType]:
        """The meter values that belong to this kind of event."""
        session = evse.session
        if kind == "Ended":
            end = self.values(evse, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.End", now)  # E06.FR.11
            return session.ended_values + end
        if session.begun:
            return []
        if self.reading(evse) is not None:  # E02.FR.09; measurands configured later do not count
            session.begun = True
            session.ended_values = session.ended_values or self.begin_values(evse, now)
        return self.values(evse, keys.SAMPLED_TX_STARTED_MEASURANDS, "Transaction.Begin", now)

    def begin_values(self, evse: Evse, now: float) -> list[MeterValueType]:
        """The values of the start that the Ended event reports, even if no other does (E06.FR.11; part 2, J, 2.5)."""
        return self.values(evse, keys.SAMPLED_TX_ENDED_MEASURANDS, "Transaction.Begin", now)

    def register(self, evse: Evse) -> float:
        """Wh; 0 before the first reading."""
        reading = self.reading(evse)
        return reading.energy_wh if reading else 0.0

    def reading(self, evse: Evse) -> MeterReading | None:
        """The newest reading of this EVSE that belongs to its transaction (J02.FR.22)."""
        return evse.session.last_reading if self._is_foreign(evse) else evse.reading

    def _is_foreign(self, evse: Evse) -> bool:
        """Whether the register can't have become what it is since the transaction's last event (J02.FR.16).

        The HAL judges the register within one of its runs. After another one it may be another meter's.
        """
        reading, last = evse.reading, evse.session.last_reading
        if reading is None or last is None:
            return reading is None
        rise_wh = reading.energy_wh - last.energy_wh
        if evse.max_wh_per_s is None or not self._context.time.is_known:
            return rise_wh < 0.0
        elapsed = max(0.0, evse.reading_mono - evse.session.last_event_at) + _LATE_S
        return not 0.0 <= rise_wh <= evse.max_wh_per_s * elapsed

    def remember(self, evse: Evse, now: float) -> None:
        """Keep the reading with the session, for an end without the HAL."""
        session, reading = evse.session, self.reading(evse)
        session.last_reading_utc = self.read_utc(evse, now)
        session.last_reading = msgspec.structs.replace(reading, age_s=0.0) if reading is not None else None

    # --- samples ------------------------------------------------------------------------------------------------

    def plan(self, evse: Evse, now: float) -> None:
        """Plan all samples; the intervals start now."""
        model, session = self._context.model, evse.session
        interval, ended = model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), model.get(keys.SAMPLED_TX_ENDED_INTERVAL)
        session.sample_at = now + interval if session.has_transaction and interval > 0 else None
        session.ended_sample_at = now + ended if session.has_transaction and ended > 0 else None
        self.align(evse, now)

    def align(self, evse: Evse, now: float) -> None:
        """Plan the next clock-aligned sample, by the clock as it is now."""
        evse.session.aligned_sample_at = self._next_aligned(now) if evse.session.has_transaction else None

    def periodic(self, evse: Evse, now: float) -> list[MeterValueType]:
        """The values of the TxUpdatedInterval that is over, if one is (J02.FR.11)."""
        due = evse.session.sample_at
        if due is None or now < due:
            return []
        evse.session.sample_at = next_multiple(due, self._context.model.get(keys.SAMPLED_TX_UPDATED_INTERVAL), now)
        return self.values(evse, keys.SAMPLED_TX_UPDATED_MEASURANDS, "Sample.Periodic", now)

    def sample_for_the_end(self, evse: Evse, now: float) -> bool:
        """Keep the samples of the intervals that are over for the Ended event; True when there were any."""
        session, kept = evse.session, False
        if session.ended_sample_at is not None and now >= session.ended_sample_at:
            interval = self._context.model.get(keys.SAMPLED_TX_ENDED_INTERVAL)
            session.ended_sample_at = next_multiple(session.ended_sample_at, interval, now)
            kept = self._keep(evse, keys.SAMPLED_TX_ENDED_MEASURANDS, "Sample.Periodic", now)
        if session.aligned_sample_at is not None and now >= session.aligned_sample_at:
            session.aligned_sample_at = self._next_aligned(now)
            kept = self._keep(evse, keys.ALIGNED_TX_ENDED_MEASURANDS, "Sample.Clock", now) or kept
        return kept

    def _keep(
        self, evse: Evse, measurands: keys.Key[tuple[str, ...]], context: ReadingContextEnumType, now: float
    ) -> bool:
        session = evse.session
        values = self.values(evse, measurands, context, now)
        if not session.has_transaction or not values:
            return False
        session.ended_values += values
        self.remember(evse, now)
        session.last_utc = self._context.time.utc(now)  # a power cut is not dated before it
        session.last_event_at = max(session.last_event_at, now)
        if len(session.ended_values) > _ENDED_VALUES:
            del session.ended_values[_dispensable(session.ended_values)]
        return True

    def _next_aligned(self, now: float) -> float | None:
        interval = self._context.model.get(keys.ALIGNED_TX_ENDED_INTERVAL)
        return now + until_aligned(self._context.time.utc(now), interval) if interval > 0 else None


def next_multiple(due: float, interval: float, now: float) -> float | None:
    """The next multiple of the interval after `due` that is still ahead; None when sampling is off."""
    if interval <= 0:
        return None
    missed = int((now - due) // interval)
    return due + (missed + 1) * interval


def _dispensable(values: list[MeterValueType]) -> int:
    """The index of the value with the closest neighbours: first the 1st, the 3rd, the 5th in between (E06.FR.13), then
    the same of the rest, so that the beginning of a long transaction is reported as evenly as its end."""
    times = [parse_utc(value["timestamp"]) for value in values]
    return min(range(1, len(times) - 1), key=lambda place: times[place + 1] - times[place - 1])
