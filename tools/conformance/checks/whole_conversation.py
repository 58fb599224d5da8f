# SPDX-License-Identifier: Apache-2.0
"""The checks at the end of a case: messages that no step has taken, and the general rules for transactions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from firmware.clock import parse_utc
from tools.conformance.checks.expected import Failure, tolerated
from tools.conformance.peer.transcript import Message

__all__ = ["failures"]

_REGISTER = "Energy.Active.Import.Register"


def failures(messages: Sequence[Message]) -> list[Failure]:
    """The failures that only the whole conversation shows."""
    return _leftovers(messages) + _transactions(messages)


def _leftovers(messages: Sequence[Message]) -> list[Failure]:
    return [
        Failure("end", "", f"unexpected {message.action}", str(message))
        for message in messages
        if not message.taken and not tolerated(message)
    ]


def _transactions(messages: Sequence[Message]) -> list[Failure]:
    """Part 6, 2.1: seqNo counts without gaps within a transaction, whose first event is Started; its register never
    falls (J02.FR.16)."""
    events: dict[str, dict[int, Message]] = defaultdict(dict)
    failures = []
    for message in messages:
        if message.action != "TransactionEvent":
            continue
        number, seen = message.get("seqNo", -1), events[str(message.get("transactionInfo.transactionId"))]
        if number in seen and _content(seen[number]) != _content(message):
            failures.append(Failure("end", "E01.FR.07", f"two different events with seqNo {number}", str(message)))
        seen[number] = message
    for seen in events.values():
        failures += _sequence(seen) + _register(seen)
    return failures


def _register(events: dict[int, Message]) -> list[Failure]:
    """Checks the readings in the order of their times: the last event repeats those of the beginning."""
    readings = [reading for event in events.values() for reading in _readings(event)]
    readings.sort(key=lambda reading: reading[:2])
    fallen = [(before, after) for before, after in pairwise(readings) if after[1] < before[1]]
    return [
        Failure("end", "J02.FR.16", f"the register fell from {before[1]:g} to {after[1]:g}", str(after[2]))
        for before, after in fallen
    ]


def _readings(event: Message) -> Iterator[tuple[float, float, Message]]:
    """Time and value of each reading of the outlet's energy register in the event."""
    for value in event.get("meterValue", ()):
        for sample in value["sampledValue"]:
            register = sample.get("measurand", _REGISTER) == _REGISTER and "phase" not in sample
            if register and sample.get("location", "Outlet") == "Outlet":
                yield parse_utc(value["timestamp"]), sample["value"], event


def _content(message: Message) -> tuple[object, ...]:
    return message.get("eventType"), message.get("triggerReason"), message.get("timestamp")


def _sequence(events: dict[int, Message]) -> list[Failure]:
    numbers = sorted(events)
    first, last = events[numbers[0]], events[numbers[-1]]
    failures = []
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        failures.append(Failure("end", "E01.FR.07", f"seqNo has gaps: {numbers}", str(last)))
    # A conversation that began in the middle of a transaction (an attached station) has no Started.
    if numbers[0] == 0 and first.get("eventType") != "Started":
        failures.append(Failure("end", "part 6, 2.1", "the first event of the transaction is not Started", str(first)))
    if any(event.get("eventType") == "Started" for event in events.values() if event is not first):
        failures.append(Failure("end", "part 6, 2.1", "a later event of the transaction is Started", str(last)))
    return failures
