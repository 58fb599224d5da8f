# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: GetTransactionStatus with an empty queue (E14)."""

from __future__ import annotations

import uuid

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.checks.values import ABSENT
from tools.conformance.run.registry import case

_SETTLED_S = 0.5
"""After this time without a message the station has received the answer to its last one."""


@case("TC_E_28_CS")
async def tc_e_28_cs(t: Bench) -> None:
    """Red when: a transaction that never existed is reported as ongoing."""
    t.step(1)
    check = {"ongoingIndicator": False, "messagesInQueue": False}
    await t.call("GetTransactionStatus", {"transactionId": str(uuid.uuid4())}, check, req="E14.FR.01")


@case("TC_E_30_CS")
async def tc_e_30_cs(t: Bench) -> None:
    """Red when: the running transaction is not reported as ongoing, or a message that was answered as queued."""
    session = await reusable_states.energy_transfer_started(t)
    await t.quiet(_SETTLED_S)
    t.step(1)
    answer = await t.call("GetTransactionStatus", {"transactionId": session.transaction_id})
    t.match(answer, {"ongoingIndicator": True}, "E14.FR.02")
    t.match(answer, {"messagesInQueue": False}, "E14.FR.05")


@case("TC_E_32_CS", limit_s=120)
async def tc_e_32_cs(t: Bench) -> None:
    """Red when: a transaction that has ended is reported as ongoing, or with messages in the queue."""
    session = await reusable_states.energy_transfer_started(t)
    await reusable_states.stop_authorized(t)
    await reusable_states.ev_connected_post_session(t)
    await reusable_states.ev_disconnected(t)
    await t.quiet(_SETTLED_S)
    t.step(1)
    answer = await t.call("GetTransactionStatus", {"transactionId": session.transaction_id})
    t.match(answer, {"ongoingIndicator": False}, "E14.FR.03")
    t.match(answer, {"messagesInQueue": False}, "E14.FR.05")


@case("TC_E_34_CS")
async def tc_e_34_cs(t: Bench) -> None:
    """Red when: the answer without a transactionId has an ongoingIndicator, or reports messages in the queue."""
    t.step(1)
    answer = await t.call("GetTransactionStatus", {})
    t.match(answer, {"ongoingIndicator": ABSENT}, "E14.FR.06")
    t.match(answer, {"messagesInQueue": False}, "E14.FR.08")
