# SPDX-License-Identifier: Apache-2.0
"""J Meter values outside transactions: clock-aligned samples and values on demand.

The sampled values of a transaction are block E's; clock-aligned samples are timed here for both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from firmware.contract import Fault
from services.ocpp import signals
from services.ocpp.context import Block, Context, TriggerAnswer
from services.ocpp.device_model import keys
from services.ocpp.metering import meter_value, until_aligned, value_time

if TYPE_CHECKING:
    from services.ocpp.hal_view import Evse
    from services.ocpp.messages import (
        MessageTriggerEnumType,
        MeterValuesRequest,
        MeterValueType,
        ReadingContextEnumType,
    )

__all__ = ["MeterValues"]


class MeterValues(Block):
    letter = "J"

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._aligned_at: float | None = None

    def start(self, now: float) -> None:
        self._plan(now)

    def on_signal(self, signal: signals.Signal, now: float) -> None:
        match signal:
            case signals.VariablesChanged() | signals.Registered() | signals.ClockMoved():
                self._plan(now)
            case signals.Triggered(message="MeterValues"):
                for evse in self._reportable(signal.evse):
                    self._send(evse, "Trigger", now, early=True)  # F06.FR.06

    def triggers(
        self, message: MessageTriggerEnumType, evse: int | None, connector: int | None
    ) -> TriggerAnswer | None:
        if message != "MeterValues":
            return None
        return "Accepted" if self._reportable(evse) else "Rejected"

    def _reportable(self, evse: int | None) -> list[Evse]:
        """The EVSEs to report: all, if none is named (F06.FR.11), but only those that have a value (F06.FR.10)."""
        return [
            each
            for each in self.context.hal.evses.values()
            if evse in (None, 0, each.evse) and self._value(each, "Trigger", each.reading_mono) is not None
        ]

    def next_deadline(self) -> float | None:
        return self._aligned_at

    def on_time(self, now: float) -> None:
        if self._aligned_at is None or now < self._aligned_at:
            return
        self._plan(now)
        evses = self.context.hal.evses.values()
        if self.context.model.find(keys.ALIGNED_SEND_DURING_IDLE) and any(evse.transaction_id for evse in evses):
            return  # J01.FR.20
        for evse in evses:
            if evse.transaction_id is None:  # J01.FR.14
                self._send(evse, "Sample.Clock", now)
        self.context.emit(signals.MeterSampled(self.context.time.utc(now)))  # J01.FR.22

    def _plan(self, now: float) -> None:
        interval = self.context.model.get(keys.ALIGNED_INTERVAL)
        self._aligned_at = now + until_aligned(self.context.time.utc(now), interval) if interval > 0 else None

    def _send(self, evse: Evse, context: ReadingContextEnumType, now: float, *, early: bool = False) -> None:
        value = self._value(evse, context, now)
        if value is not None:
            request: MeterValuesRequest = {"evseId": evse.evse, "meterValue": [value]}  # J01.FR.02
            self.context.outbox.send("MeterValues", request, early=early)

    def _value(self, evse: Evse, context: ReadingContextEnumType, now: float) -> MeterValueType | None:
        measurands = self.context.model.get(keys.ALIGNED_MEASURANDS)
        outdated = not self.context.hal.present or Fault.METER in evse.faults
        if evse.reading is None or outdated:  # the last reading of a broken meter, or from a HAL that is lost
            return None
        stamp = self.context.time.text(value_time(evse.reading_mono, now))
        return meter_value(evse.reading, measurands, context=context, timestamp=stamp)
