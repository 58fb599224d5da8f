# SPDX-License-Identifier: Apache-2.0
"""How a case fails, and the messages that a step expects.

`Expected.compare` returns `None` for another message, `[]` for one that is as expected, else what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tools.conformance.checks import values
from tools.conformance.peer.transcript import Message

__all__ = ["CaseFailed", "CaseSkipped", "Expected", "Failure", "expected", "expected_status", "tolerated"]


@dataclass(frozen=True)
class Failure:
    """Why a case failed: the step, the requirement, what was wrong, and the message that broke it."""

    step: str
    requirement: str
    text: str
    message: str = ""

    def __str__(self) -> str:
        place = f"step {self.step}" + (f", {self.requirement}" if self.requirement else "")
        return f"{place}: {self.text}" + (f"; {self.message}" if self.message else "")


class CaseFailed(Exception):
    """The case can't continue."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(str(failure))
        self.failure = failure


class CaseSkipped(Exception):
    """The case can't be run on this station; the text gives the reason."""


@dataclass(frozen=True)
class Expected:
    """What a step waits for."""

    name: str
    compare: Callable[[Message], list[str] | None]


def expected(
    action: str, check: Mapping[str, Any] | None = None, *, where: Mapping[str, Any] | None = None
) -> Expected:
    """A call of `action`; `where` selects it, `check` is what it must hold."""

    def compare(message: Message) -> list[str] | None:
        if message.action != action or (where and values.mismatches(message.payload, where)):
            return None
        return values.mismatches(message.payload, check or {})

    detail = ", ".join(f"{path}={_name(rule)}" for path, rule in {**(where or {}), **(check or {})}.items())
    return Expected(f"{action}({detail})" if detail else action, compare)


def _name(rule: Any) -> str:
    return rule.name if isinstance(rule, values.Rule) else str(rule)


def expected_status(status: str | tuple[str, ...], *, evse: int, connector: int = 1) -> Expected:
    """The status of a connector, reported by StatusNotification or by NotifyEvent (part 6 accepts either)."""
    allowed = (status,) if isinstance(status, str) else status

    def compare(message: Message) -> list[str] | None:
        reported = reported_status(message)
        if reported is None or reported[:2] != (evse, connector):
            return None
        wrong = [] if reported[2] in allowed else [f"status is {reported[2]}, expected {' or '.join(allowed)}"]
        if message.action == "NotifyEvent" and reported[3] != "Delta":
            wrong.append(f"trigger is {reported[3]}, expected Delta")
        return wrong

    return Expected(f"status {' or '.join(allowed)} of EVSE {evse} connector {connector}", compare)


def reported_status(message: Message) -> tuple[int, int, str, str] | None:
    """EVSE, connector, status and trigger that `message` reports; `None` if it reports no connector's status."""
    if message.action == "StatusNotification":
        status = str(message.get("connectorStatus"))
        return int(message.get("evseId", 0)), int(message.get("connectorId", 0)), status, "Delta"
    if message.action == "NotifyEvent":
        for event in message.get("eventData", []):
            place = event.get("component", {}).get("evse", {})
            named = event.get("component", {}).get("name"), event.get("variable", {}).get("name")
            if named == ("Connector", "AvailabilityState"):
                value, trigger = str(event.get("actualValue")), str(event.get("trigger"))
                return int(place.get("id", 0)), int(place.get("connectorId", 0)), value, trigger
    return None


_ANY_TIME = frozenset({"Heartbeat", "MeterValues", "NotifyEvent", "SecurityEventNotification", "StatusNotification"})
_ANY_TIME_TRIGGERS = frozenset({"MeterValuePeriodic", "MeterValueClock", "ChargingStateChanged"})


def tolerated(message: Message) -> bool:
    """Whether a station may send `message` at any time, without a step that expects it.

    Of the TransactionEvents these are updates with meter values and changes of the charging state.
    """
    if message.action == "TransactionEvent":
        updated = message.get("eventType") == "Updated"
        return updated and message.get("triggerReason") in _ANY_TIME_TRIGGERS
    if message.action == "StatusNotification":
        return bool(message.get("connectorStatus") != "Faulted")
    return message.action in _ANY_TIME
