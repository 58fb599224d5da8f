# SPDX-License-Identifier: Apache-2.0
"""Transactions as a CSMS received them, and the rules that every one of them obeys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from firmware.clock import CLOCK_FLOOR, parse_utc
from tools.ocppj.frames import Call

__all__ = ["ReceivedTransaction", "received_transactions"]

_REGISTER = "Energy.Active.Import.Register"


@dataclass
class ReceivedTransaction:
    """One transaction as the CSMS received it; `events` are its TransactionEvents in order of arrival, each once."""

    id: str
    events: list[dict[str, Any]] = field(default_factory=list)
    repeated: int = 0
    """Count of events that were sent again, identical except for the `offline` flag, as after a lost answer."""
    conflicts: list[dict[str, Any]] = field(default_factory=list)
    """Different events with a seqNo that had been used before."""

    @property
    def triggers(self) -> list[str]:
        """The triggerReasons, without those of periodic meter values."""
        return [each["triggerReason"] for each in self.events if each["triggerReason"] != "MeterValuePeriodic"]

    @property
    def states(self) -> list[str]:
        """The chargingStates, without repetitions."""
        states: list[str] = []
        for each in self.events:
            state = each["transactionInfo"]["chargingState"]
            if states[-1:] != [state]:
                states.append(state)
        return states

    @property
    def ended(self) -> bool:
        return bool(self.events[-1]["eventType"] == "Ended")

    @property
    def reason(self) -> str | None:
        """The stoppedReason."""
        reason: str | None = self.events[-1]["transactionInfo"].get("stoppedReason")
        return reason

    @property
    def registers(self) -> list[float]:
        """The reported energy register in Wh, in the order of its readings.

        The last event repeats the reading at the beginning.
        """
        return [value for _, value in self._reported()]

    def _reported(self) -> list[tuple[float, float]]:
        """(time, register) of every meter value, in order of time."""
        reported = [(parse_utc(stamp), value) for event in self.events for stamp, value in _registers(event)]
        return sorted(reported, key=lambda each: each[0])

    @property
    def energy_wh(self) -> float:
        return self.registers[-1] - self.registers[0]

    @property
    def evse(self) -> int | None:
        """The EVSE that the events name."""
        named = {each["evse"]["id"] for each in self.events if "evse" in each}
        assert len(named) <= 1, f"{self.id} is at several EVSEs: {named}"
        return named.pop() if named else None

    def check(self, *, ended: bool = True) -> None:
        """No event is lost, doubled or out of order, and each ChargingStateChanged has a new state; the register never
        falls, and there is one at a time; times are plausible and in order."""
        assert not self.conflicts, (self.conflicts, self.outline)
        kinds = [each["eventType"] for each in self.events]
        assert [each["seqNo"] for each in self.events] == list(range(len(self.events))), self.outline
        assert kinds[0] == "Started", self.outline
        assert kinds[1:-1].count("Updated") == len(kinds[1:-1]), self.outline
        assert not ended or kinds[-1] == "Ended", self.outline
        assert not self.unchanged, self.outline
        assert not self.ended or self.reason is not None, self.outline
        assert self.registers == sorted(self.registers), (self.registers, self.outline)
        at_once = [(a, b) for a, b in pairwise(self._reported()) if a[0] == b[0] and a[1] != b[1]]
        assert not at_once, (at_once, self.outline)
        stamps = [parse_utc(each["timestamp"]) for each in self.events]
        assert stamps == sorted(stamps), [each["timestamp"] for each in self.events]
        assert stamps[0] >= CLOCK_FLOOR, self.events[0]["timestamp"]
        if ended:
            assert _registers(self.events[-1]), f"no meter value at the end: {self.events[-1]}"

    @property
    def unchanged(self) -> list[int]:
        """The seqNo of each event that reports a change of the chargingState although there is none."""
        return [
            after["seqNo"]
            for before, after in pairwise(self.events)
            if (after["eventType"], after["triggerReason"]) == ("Updated", "ChargingStateChanged")
            and after["transactionInfo"]["chargingState"] == before["transactionInfo"]["chargingState"]
        ]

    @property
    def outline(self) -> list[str]:
        """A line for each event, for assertion messages."""
        return [
            f"{each['seqNo']} {each['eventType']} {each['triggerReason']} {each['transactionInfo']['chargingState']}"
            for each in self.events
        ]


def _registers(event: dict[str, Any]) -> list[tuple[str, float]]:
    return [
        (value["timestamp"], sample["value"])
        for value in event.get("meterValue", ())
        for sample in value["sampledValue"]
        if sample.get("measurand", _REGISTER) == _REGISTER
    ]


def received_transactions(received: Iterable[Call]) -> dict[str, ReceivedTransaction]:
    """The transactions in the requests that a CSMS received, in the order of their first events."""
    found: dict[str, ReceivedTransaction] = {}
    for call in received:
        if call.action != "TransactionEvent":
            continue
        event = call.payload
        transaction_id = event["transactionInfo"]["transactionId"]
        transaction = found.setdefault(transaction_id, ReceivedTransaction(transaction_id))
        before = next((each for each in transaction.events if each["seqNo"] == event["seqNo"]), None)
        if before is None:
            transaction.events.append(event)
        elif _without_offline(before) == _without_offline(event):
            transaction.repeated += 1
        else:
            transaction.conflicts.append(event)
    return found


def _without_offline(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "offline"}
