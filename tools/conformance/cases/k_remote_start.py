# SPDX-License-Identifier: Apache-2.0
"""Block K, smart charging: a remote start with a charging profile, at a station without smart charging."""

from __future__ import annotations

from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Session
from tools.conformance.bench.transaction_events import transaction_event, tx_points
from tools.conformance.checks.values import PRESENT
from tools.conformance.run.registry import case

_LIMIT_W = 6000.0


def _tx_profile(t: Bench) -> dict[str, Any]:
    """A TxProfile without a transactionId, as a RequestStartTransactionRequest carries it."""
    period = {"startPeriod": 0, "limit": _LIMIT_W, "numberPhases": 3}
    schedule = {"id": t.new_id(), "chargingRateUnit": "W", "chargingSchedulePeriod": [period]}
    return {
        "id": t.new_id(),
        "stackLevel": 0,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [schedule],
    }


async def _request_start(t: Bench, session: Session) -> None:
    """Steps 1 and 2."""
    session.remote = session.remote_due = session.token_due = True
    session.remote_start_id = t.new_id()
    payload = {
        "idToken": session.card.id_token,
        "evseId": session.evse,
        "remoteStartId": session.remote_start_id,
        "chargingProfile": _tx_profile(t),
    }
    check: dict[str, Any] = {"status": "Accepted"}
    if session.transaction_id is not None:
        check["transactionId"] = session.transaction_id  # F01.FR.13
    await t.call("RequestStartTransaction", payload, check, req="F01.FR.12")


@case("TC_K_38_CS")
async def tc_k_38_cs(t: Bench) -> None:
    """Red when: a RequestStartTransaction is rejected because it has a charging profile."""
    session = await reusable_states.ev_connected_pre_session(t)
    start, _ = await tx_points(t)
    asks = await t.get_variable("AuthCtrlr.AuthorizeRemoteStart")
    t.step(1)
    await _request_start(t, session)
    t.step(3)
    if asks == "true":
        await t.expect("Authorize", session.card.fields(), req="F01.FR.01")
    session.authorized = True
    t.step(5)
    if session.transaction_id is not None or start & {"Authorized", "PowerPathClosed"}:
        check = {"triggerReason": "RemoteStart", "transactionInfo.remoteStartId": PRESENT}
        await transaction_event(t, session.evse, check, req="F01.FR.25")
    t.step(7)
    await reusable_states.energy_transfer_started(t)
