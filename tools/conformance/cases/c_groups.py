# SPDX-License-Identifier: Apache-2.0
"""Block C, authorization: cards of one group (C09), and the master pass group (C16)."""

from __future__ import annotations

import asyncio
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Card, Session
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.values import MISSING, Rule, mismatches
from tools.conformance.run.registry import case

_MESSAGE_TIMEOUT = Preconditions(message_timeout_s=6)
"""Longer than a car needs from the card to the first energy, so that a wrong start or stop is noticed."""

_GROUP = {"idToken": "FAMILY-7", "type": "Central"}
_MASTER_GROUP = {"idToken": "MASTERS-1", "type": "Central"}
_MASTER_CARD = Card("04AA11BB22CC33")
_METERING = ("MeterValuePeriodic", "MeterValueClock")


def _member(status: str, group: dict[str, str]) -> dict[str, Any]:
    """The idTokenInfo of a card of `group`."""
    return {"status": status, "groupIdToken": group}


def _token_or_none(card: Card) -> Rule:
    """The idToken is absent, or that of `card`."""
    return Rule(
        f"absent or {card.uid}",
        lambda token: token is MISSING or not mismatches({"idToken": token}, card.fields()),
    )


async def _start_as_member(t: Bench, other: Card, status: str) -> Session:
    """Steps 1 to 5 of the two group cases: the first card starts; `other` is in its group and has `status`."""
    t.tokens({t.card: _member("Accepted", _GROUP), other: _member(status, _GROUP)})
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(5)
    return await reusable_states.energy_transfer_started(t)


@case("TC_C_39_CS", limit_s=120)
async def tc_c_39_cs(t: Bench) -> None:
    """Red when: an accepted card of the same group does not stop the transaction, or its event names another card."""
    other = t.fixtures.card2
    session = await _start_as_member(t, other, "Accepted")
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.present(other)
    t.step(6)
    await t.expect("Authorize", other.fields(), req="C09.FR.05")
    t.step(8)
    check = {"triggerReason": "StopAuthorized", **other.fields()}
    await transaction_event(t, t.evse, check, req="C09.FR.03", within=30)
    session.stopping = True
    t.step(10)
    await reusable_states.ev_connected_post_session(t)
    t.step(11)
    await reusable_states.ev_disconnected(t)


@case("TC_C_42_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_42_cs(t: Bench) -> None:
    """Red when: a card of the same group stops the transaction although its status is Invalid."""
    other = t.fixtures.bad_card
    session = await _start_as_member(t, other, "Invalid")
    await t.present(other)
    t.step(6)
    asked = await t.expect("Authorize", other.fields(), req="C09.FR.05")
    t.step(7)
    no_metering = {"triggerReason": Rule("no meter values", lambda reason: reason not in _METERING)}
    await t.never(
        "TransactionEvent", t.preconditions.message_timeout_s, where=no_metering, since=asked.index, req="C09.FR.11"
    )
    t.post(not session.ended, "C09.FR.11", "the energy transfer is not stopped")
    status = await t.call("GetTransactionStatus", {"transactionId": session.transaction_id})
    t.match(status, {"ongoingIndicator": True}, "C09.FR.11")


@case("TC_C_45_CS", preconditions=_MESSAGE_TIMEOUT)
async def tc_c_45_cs(t: Bench) -> None:
    """Red when: a card of the master pass group starts a transaction."""
    await t.configure({"TxCtrlr.TxStartPoint": "Authorized", "AuthCtrlr.MasterPassGroupId": _MASTER_GROUP["idToken"]})
    t.tokens({_MASTER_CARD: _member("Accepted", _MASTER_GROUP)})
    await t.present(_MASTER_CARD)
    t.step(1)
    asked = await t.expect("Authorize", _MASTER_CARD.fields(), req="C01.FR.02")
    t.step(3)
    await reusable_states.ev_connected_pre_session(t)
    t.step(4)
    await t.never("TransactionEvent", t.preconditions.message_timeout_s, since=asked.index, req="C16.FR.03")


@case("TC_C_49_CS", limit_s=150)
async def tc_c_49_cs(t: Bench) -> None:
    """Red when: the master pass stops the transaction of only one EVSE, or with another stoppedReason."""
    await t.configure({"AuthCtrlr.MasterPassGroupId": _MASTER_GROUP["idToken"]})
    t.tokens({_MASTER_CARD: _member("Accepted", _MASTER_GROUP)})
    evses = t.fixtures.evses[:2]
    for evse, card in zip(evses, (t.card, t.fixtures.card2), strict=False):
        await reusable_states.energy_transfer_started(t, evse, card=card)
    await t.present(_MASTER_CARD)
    t.step(1)
    await t.expect("Authorize", _MASTER_CARD.fields(), req="C16.FR.02")
    t.step(3)
    check = {"transactionInfo.stoppedReason": "MasterPass", "idToken": _token_or_none(_MASTER_CARD)}
    for evse in evses:
        await transaction_event(t, evse, check, req="C16.FR.07", within=30)
        t.session(evse).stopping = True
    t.step(5)
    for evse in evses:
        await reusable_states.ev_connected_post_session(t, evse)
    t.step(6)
    for evse in evses:
        await reusable_states.ev_disconnected(t, evse)
