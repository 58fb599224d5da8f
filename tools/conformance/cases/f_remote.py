# SPDX-License-Identifier: Apache-2.0
"""Block F, remote control: RequestStartTransaction (F01, F02) and RequestStopTransaction (F03)."""

from __future__ import annotations

import uuid

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.run.registry import case

_TIMEOUT_S = 6
"""EVConnectionTimeOut where a case waits for it."""
_EARLY_S = 0.5
"""How much earlier than EVConnectionTimeOut its event may seem to come, because the times of messages are compared."""
_LATE_S = 5.0


async def _authorization(t: Bench, *, authorize_remote_start: str | None = None) -> None:
    """The Configuration State of the remote start cases."""
    settings = {"AuthCtrlr.Enabled": "true", "AuthCtrlr.DisableRemoteAuthorization": "false"}
    await t.configure(settings, if_implemented=True)
    if authorize_remote_start is not None:
        await t.configure({"AuthCtrlr.AuthorizeRemoteStart": authorize_remote_start})


@case("TC_F_01_CS")
async def tc_f_01_cs(t: Bench) -> None:
    """Red when: a remote start at an EVSE with a cable plugged in is rejected, or its remoteStartId is not reported."""
    await _authorization(t)
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t, how="remote")
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_F_02_CS")
async def tc_f_02_cs(t: Bench) -> None:
    """Red when: with AuthorizeRemoteStart no AuthorizeRequest is sent after a remote start."""
    await _authorization(t, authorize_remote_start="true")
    t.step(1)
    await reusable_states.authorized(t, how="remote")
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_F_03_CS")
async def tc_f_03_cs(t: Bench) -> None:
    """Red when: without AuthorizeRemoteStart an AuthorizeRequest is sent after a remote start (F01.FR.02)."""
    await _authorization(t, authorize_remote_start="false")
    mark = t.mark()
    t.step(1)
    await reusable_states.authorized(t, how="remote")
    t.step(2)
    await reusable_states.energy_transfer_started(t)
    asked = [message for message in t.messages[mark:] if message.action == "Authorize"]
    t.check(not asked, "F01.FR.02", "an AuthorizeRequest was sent although the CSMS started the transaction")


@case("TC_F_04_CS")
async def tc_f_04_cs(t: Bench) -> None:
    """Red when: EVConnectionTimeOut does not end the transaction, or the EVSE accepts no further start after it."""
    await t.configure({"TxCtrlr.EVConnectionTimeOut": str(_TIMEOUT_S)})
    await _authorization(t)
    await t.configure({"TxCtrlr.TxStartPoint": "Authorized"})
    await reusable_states.authorized(t, how="remote")
    authorized_at = t.elapsed
    t.step(1)
    check = {"triggerReason": "EVConnectTimeout", "eventType": "Ended"}
    ended = await transaction_event(t, t.evse, check, req="F02.FR.07", within=_TIMEOUT_S + _LATE_S)
    waited = ended.at - authorized_at
    text = f"it came after {waited:.1f} s, EVConnectionTimeOut is {_TIMEOUT_S}"
    t.check(waited >= _TIMEOUT_S - _EARLY_S, "E03.FR.05", text, ended)
    t.sessions.pop(t.evse)
    t.step(3)
    await reusable_states.authorized(t, how="remote")


@case("TC_F_08_CS")
async def tc_f_08_cs(t: Bench) -> None:
    """Red when: the event after a RequestStopTransaction has another trigger than RemoteStop."""
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.stop_authorized(t, how="remote")


@case("TC_F_09_CS")
async def tc_f_09_cs(t: Bench) -> None:
    """Red when: a RequestStopTransaction for an unknown transaction is accepted, or stops the running one."""
    session = await reusable_states.energy_transfer_started(t)
    t.step(1)
    unknown = str(uuid.uuid4())
    await t.call("RequestStopTransaction", {"transactionId": unknown}, {"status": "Rejected"}, req="F03.FR.08")
    ongoing = {"transactionId": session.transaction_id}
    await t.call("GetTransactionStatus", ongoing, {"ongoingIndicator": True}, req="F03.FR.08")
