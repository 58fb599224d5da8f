# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: a CSMS that does not answer TransactionEvent, or answers with a CALLERROR (E13).

A message is sent `MessageAttempts` times. Between two attempts the station waits MessageAttemptInterval times the
attempts so far (E13.FR.03), and before that for MessageTimeout if there is no answer. The text of TC_E_51 adds
MessageTimeout although a CALLERROR comes at once; that of TC_E_50, for the same behaviour, does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.values import mismatches
from tools.conformance.peer.answers import Payload, Reply, error, silence
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case

_ATTEMPTS = 3
_INTERVAL_S = 2
_MESSAGE_TIMEOUT_S = 3
_PRECONDITIONS = Preconditions(message_timeout_s=_MESSAGE_TIMEOUT_S)

_EARLY_S = 0.3
_LATE_S = 1.0
"""Tolerances of the time of an attempt."""


def _may_come_before(message: Message) -> bool:
    """The events of steps 1 and 3, which are optional: they are answered as usual."""
    suspended = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "SuspendedEVSE"}
    return message.get("triggerReason") == "SignedDataReceived" or not mismatches(message.payload, suspended)


@dataclass
class _RefuseAllBut:
    """Answers every event with `refusal`, except the one with number `accepted`, counted from step 5 on."""

    accepted: int | None
    refusal: Reply
    seen: int = 0

    def __call__(self, message: Message) -> Payload | Reply:
        if _may_come_before(message):
            return {}
        self.seen += 1
        return {} if self.seen == self.accepted else self.refusal


async def _repeated(t: Bench, refusal: Reply, *, waits_s: float, accepted: int | None = None) -> None:
    """The four cases: `refusal` comes `waits_s` after each attempt, except after number `accepted`."""
    await t.configure(
        {
            "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": str(_ATTEMPTS),
            "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": str(_INTERVAL_S),
        }
    )
    await reusable_states.authorized(t)
    await reusable_states.ev_connected_pre_session(t)
    t.answer("TransactionEvent", _RefuseAllBut(accepted, refusal))
    last = await _first_attempt(t)
    attempts = accepted or _ATTEMPTS
    for preceding in range(1, attempts):
        last = await _next_attempt(t, last, waits_s + _INTERVAL_S * preceding)
    done_after = waits_s + _INTERVAL_S * attempts + _LATE_S
    same = {"seqNo": last.get("seqNo")}
    await t.never("TransactionEvent", done_after, where=same, req="E13.FR.02" if accepted else "E13.FR.04")


async def _first_attempt(t: Bench) -> Message:
    """The event of step 5, the first one that is refused."""
    t.step(1)
    event = await transaction_event(t, t.evse, within=60)
    while _may_come_before(event):
        t.step(3)
        event = await transaction_event(t, t.evse, within=60)
    t.step(5)
    return event


async def _next_attempt(t: Bench, last: Message, wait_s: float) -> Message:
    """The same message again, `wait_s` after its last attempt."""
    same = {"seqNo": last.get("seqNo"), "transactionInfo.transactionId": last.get("transactionInfo.transactionId")}
    again = await t.expect("TransactionEvent", where=same, req="E13.FR.02", within=wait_s + 10)
    waited = again.at - last.at
    in_time = wait_s - _EARLY_S <= waited <= wait_s + _LATE_S * t.patience
    t.check(in_time, "E13.FR.03", f"sent again after {waited:.1f} s, not {wait_s:g}", again)
    t.check(again.payload == last.payload, "E13.FR.02", "the repeated message differs from the first", again)
    return again


@case("TC_E_41_CS", preconditions=_PRECONDITIONS, limit_s=120)
async def tc_e_41_cs(t: Bench) -> None:
    """Red when: the interval does not grow with each attempt, or an unanswered message is sent too often."""
    await _repeated(t, silence(), waits_s=_MESSAGE_TIMEOUT_S)


@case("TC_E_42_CS", preconditions=_PRECONDITIONS, limit_s=120)
async def tc_e_42_cs(t: Bench) -> None:
    """Red when: a message is sent again although its second attempt was answered."""
    await _repeated(t, silence(), waits_s=_MESSAGE_TIMEOUT_S, accepted=2)


@case("TC_E_50_CS", preconditions=_PRECONDITIONS, limit_s=120)
async def tc_e_50_cs(t: Bench) -> None:
    """Red when: a message that was answered with a CALLERROR is dropped at once, or repeated without a pause."""
    await _repeated(t, error("InternalError"), waits_s=0)


@case("TC_E_51_CS", preconditions=_PRECONDITIONS, limit_s=120)
async def tc_e_51_cs(t: Bench) -> None:
    """Red when: a message is sent again although its second attempt was answered."""
    await _repeated(t, error("InternalError"), waits_s=0, accepted=2)
