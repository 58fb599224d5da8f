# SPDX-License-Identifier: Apache-2.0
"""Fills the outbox of a stopped station, as after a month offline."""

from __future__ import annotations

from pathlib import Path

from firmware.clock import SystemClock, format_utc
from services.ocpp.durable_lane import OutboxRow
from services.ocpp.storage import Database
from services.ocpp.storage.tables import OutboxTable

__all__ = ["fill"]


def fill(path: Path, count: int) -> None:
    """Queue `count` TransactionEvents with seqNo 0, 1, 2 ... as if the station had been offline."""
    clock = SystemClock()
    database = Database(path, clock=clock)
    table = OutboxTable(database)
    last, _counts = table.census()
    for number in range(count):
        table.add(
            OutboxRow(last + 1 + number, "TransactionEvent", "backlog", _event(number, clock), 0, "earlier", None)
        )
    database.commit()
    database.close()


def _event(number: int, clock: SystemClock) -> dict[str, object]:
    sampled = {
        "value": 1000.0 + number,
        "context": "Sample.Periodic",
        "measurand": "Energy.Active.Import.Register",
        "unitOfMeasure": {"unit": "Wh"},
    }
    stamp = format_utc(clock.utc())
    return {
        "eventType": "Updated",
        "timestamp": stamp,
        "triggerReason": "MeterValuePeriodic",
        "seqNo": number,
        "transactionInfo": {"transactionId": "backlog", "chargingState": "Charging"},
        "meterValue": [{"timestamp": stamp, "sampledValue": [sampled]}],
    }
