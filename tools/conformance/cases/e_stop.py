# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: the EV driver (E06, E07) or the CSMS (F03) stops them."""

from __future__ import annotations

import asyncio

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.run.registry import case

_STOP_WITHIN_S = 30.0
_LOCAL = {"AuthCtrlr.Enabled": "true", "AuthCtrlr.DisableRemoteAuthorization": "false"}


@case("TC_E_06_CS", limit_s=120)
async def tc_e_06_cs(t: Bench) -> None:
    """Red when: Authorize is sent for the card that started, or the event has another trigger than StopAuthorized."""
    await t.configure(_LOCAL, if_implemented=True)
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.stop_authorized(t)
    t.step(2)
    await reusable_states.ev_connected_post_session(t)
    t.step(3)
    await reusable_states.ev_disconnected(t)


@case("TC_E_15_CS")
async def tc_e_15_cs(t: Bench) -> None:
    """Red when: the stop by card is reported in an Updated event, or the stoppedReason is not Local."""
    await t.configure({"TxCtrlr.TxStopPoint": "Authorized"})
    await reusable_states.energy_transfer_started(t)
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.present()
    t.step(1)
    check = {
        "triggerReason": "StopAuthorized",
        "transactionInfo.stoppedReason": "Local",
        "eventType": "Ended",
    }
    await transaction_event(t, t.evse, check, req="E06.FR.03", within=_STOP_WITHIN_S)


@case("TC_E_21_CS")
async def tc_e_21_cs(t: Bench) -> None:
    """Red when: the remote stop is reported in an Updated event, or the stoppedReason is not Remote."""
    await t.configure({"TxCtrlr.TxStopPoint": "Authorized"})
    session = await reusable_states.energy_transfer_started(t)
    t.step(1)
    payload = {"transactionId": session.transaction_id}
    await t.call("RequestStopTransaction", payload, {"status": "Accepted"}, req="F03.FR.07")
    t.step(3)
    check = {
        "triggerReason": "RemoteStop",
        "transactionInfo.stoppedReason": "Remote",
        "eventType": "Ended",
    }
    await transaction_event(t, t.evse, check, req="F03.FR.03", within=_STOP_WITHIN_S)
