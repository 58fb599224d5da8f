# SPDX-License-Identifier: Apache-2.0
"""The TransactionEvents of a session, with the general rules of part 6, 2.1; TxStartPoint and TxStopPoint."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.conformance.bench.bench import Bench, Session
from tools.conformance.bench.preconditions import variable_ref
from tools.conformance.checks import values
from tools.conformance.checks.expected import Expected
from tools.conformance.peer.transcript import Message

__all__ = ["members", "optional_event", "transaction_event", "tx_points"]


async def tx_points(t: Bench) -> tuple[frozenset[str], frozenset[str]]:
    """The station's TxStartPoint and TxStopPoint."""
    return await members(t, "TxCtrlr.TxStartPoint"), await members(t, "TxCtrlr.TxStopPoint")


async def members(t: Bench, name: str) -> frozenset[str]:
    """The members of a list variable; read once."""
    text = t.known.get(name)
    if text is None:
        # Not by `t.call`: this request is not an act of the case.
        data = {"getVariableData": [variable_ref(name).payload()]}
        answer = await t.csms.call("GetVariables", data, 10)
        text = t.known[name] = str(answer.get("getVariableResult.0.attributeValue", ""))
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _about(t: Bench, session: Session, check: Mapping[str, Any]) -> Expected:
    """An event of this session's transaction; while it has none, of a transaction that no other session has."""

    def compare(message: Message) -> list[str] | None:
        if message.action != "TransactionEvent":
            return None
        number = message.get("transactionInfo.transactionId")
        others = {other.transaction_id for other in t.sessions.values() if other is not session}
        if number in others or (session.transaction_id is not None and number != session.transaction_id):
            return None
        return values.mismatches(message.payload, check)

    return Expected(f"TransactionEvent of EVSE {session.evse} with {_brief(check)}", compare)


def _brief(check: Mapping[str, Any]) -> str:
    return ", ".join(f"{k}={v.name if isinstance(v, values.Rule) else v}" for k, v in check.items()) or "anything"


def _remember(session: Session, message: Message) -> Message:
    session.transaction_id = message.get("transactionInfo.transactionId", session.transaction_id)
    session.ended = session.ended or message.get("eventType") == "Ended"
    if message.get("idToken") is not None:
        session.token_due = False
    if message.get("transactionInfo.remoteStartId") is not None:
        session.remote_due = False
    return message


async def transaction_event(
    t: Bench,
    evse: int | None = None,
    check: Mapping[str, Any] | None = None,
    *,
    req: str = "",
    within: float | None = None,
) -> Message:
    """The next TransactionEvent of the session at `evse`, which must hold `check`; updates the session.

    The general rules of part 6, 2.1 are added: the first event of a transaction is Started, the first one after a
    card carries its idToken, the first one after RequestStartTransaction has RemoteStart and the remoteStartId.
    """
    session = t.session(evse)
    wanted = dict(check or {})
    if session.transaction_id is None:
        wanted["eventType"] = "Started"
    if session.token_due:
        wanted |= session.card.fields()
    if session.remote_due:
        wanted |= {"triggerReason": "RemoteStart", "transactionInfo.remoteStartId": session.remote_start_id}
    message = _remember(session, await t.expect_message(_about(t, session, wanted), req=req, within=within))
    session.token_due = session.remote_due = False  # an event that lacks them is the failure, not those after it
    return message


async def optional_event(
    t: Bench, evse: int | None = None, check: Mapping[str, Any] | None = None, *, within: float = 1.0
) -> Message | None:
    """The next TransactionEvent of the session that holds `check`, or `None` if none comes."""
    session = t.session(evse)
    message = await t.optional_message(_about(t, session, check or {}), within=within)
    return _remember(session, message) if message is not None else None
