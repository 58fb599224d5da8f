# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: how they start (E01, E02, E03, F02)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.bench.transaction_events import transaction_event, tx_points
from tools.conformance.run.registry import case

_TIMEOUT_S = 6
"""EVConnectionTimeOut where a case waits for it."""
_EARLY_S = 0.5
"""How much earlier than EVConnectionTimeOut its event may seem to come, because the times of messages are compared."""
_LATE_S = 5.0

_LOCAL = {"AuthCtrlr.Enabled": "true", "AuthCtrlr.DisableRemoteAuthorization": "false"}
"""Enables local authorization; part 6 sets these variables if the station has them."""


async def _start_at_authorized(t: Bench) -> None:
    """The Configuration State of the two cases with TxStartPoint Authorized."""
    await t.configure({"TxCtrlr.TxStartPoint": "Authorized"})
    await t.configure(_LOCAL, if_implemented=True)


@case("TC_E_03_CS")
async def tc_e_03_cs(t: Bench) -> None:
    """Red when: a card at an EVSE with a cable plugged in starts no transaction, or no energy flows after it."""
    await t.configure(_LOCAL, if_implemented=True)
    await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_04_CS")
async def tc_e_04_cs(t: Bench) -> None:
    """Red when: the event after plugging in does not name EVSE and connector, or no energy flows after it."""
    await t.configure(_LOCAL, if_implemented=True)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_10_CS")
async def tc_e_10_cs(t: Bench) -> None:
    """Red when: the transaction starts with the cable instead of the card, or its first event has no idToken."""
    await _start_at_authorized(t)
    t.step(1)
    await reusable_states.authorized(t)
    t.step(2)
    await reusable_states.ev_connected_pre_session(t)
    t.step(3)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_13_CS")
async def tc_e_13_cs(t: Bench) -> None:
    """Red when: the transaction's first event has Authorized instead of RemoteStart, or lacks the remoteStartId."""
    await _start_at_authorized(t)
    t.step(1)
    await reusable_states.authorized(t, how="remote")
    t.step(2)
    await reusable_states.ev_connected_pre_session(t)
    t.step(3)
    await reusable_states.energy_transfer_started(t)


async def _connection_times_out(t: Bench, check: Mapping[str, Any]) -> None:
    """Authorized, and no cable for EVConnectionTimeOut; a running transaction reports it."""
    session, started = await reusable_states.authorized(t), t.elapsed
    t.step(1)
    if session.transaction_id is None:
        await asyncio.sleep(_TIMEOUT_S + _LATE_S)
    else:
        check = {"triggerReason": "EVConnectTimeout", **check}
        event = await transaction_event(t, t.evse, check, req="E03.FR.05", within=_TIMEOUT_S + _LATE_S)
        waited = event.at - started
        text = f"EVConnectTimeout came after {waited:.1f} s, not {_TIMEOUT_S}"
        t.check(waited >= _TIMEOUT_S - _EARLY_S, "E03.FR.05", text, event)
    session.authorized = False
    if session.ended:
        t.sessions.pop(t.evse)


@case("TC_E_05_CS")
async def tc_e_05_cs(t: Bench) -> None:
    """Red when: EVConnectionTimeOut is ignored, or the EVSE accepts no card after it."""
    await t.configure({"TxCtrlr.EVConnectionTimeOut": str(_TIMEOUT_S), "AuthCtrlr.LocalPreAuthorize": "false"})
    await t.configure({**_LOCAL, "AuthCacheCtrlr.Enabled": "false"}, if_implemented=True)
    _, stop = await tx_points(t)
    ends = {"eventType": "Ended", "transactionInfo.stoppedReason": "Timeout"}
    await _connection_times_out(t, ends if "Authorized" in stop else {"eventType": "Updated"})
    t.step(3)
    await reusable_states.authorized(t)
    t.step(4)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_38_CS")
async def tc_e_38_cs(t: Bench) -> None:
    """Red when: a car that takes no energy is reported as Charging, or as SuspendedEVSE."""
    await reusable_states.authorized(t)
    t.step(1)
    await reusable_states.ev_connected_pre_session(t, ready=False)
    t.step(2)
    check = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "SuspendedEV"}
    await transaction_event(t, t.evse, check, req="E02.FR.13", within=60)


@case("TC_E_39_CS", preconditions=Preconditions(message_timeout_s=6))
async def tc_e_39_cs(t: Bench) -> None:
    """Red when: the transaction continues after EVConnectionTimeOut, or a cable plugged in later starts energy."""
    await t.configure({"TxCtrlr.TxStopPoint": "Authorized", "TxCtrlr.EVConnectionTimeOut": str(_TIMEOUT_S)})
    await t.configure(_LOCAL, if_implemented=True)
    await _connection_times_out(t, {"eventType": "Ended", "transactionInfo.stoppedReason": "Timeout"})
    await t.manual("plug_in", evse=t.evse)
    t.step(3)
    occupied = await t.expect_status("Occupied")
    t.step(5)
    charging = {"transactionInfo.chargingState": "Charging"}
    await t.never(
        "TransactionEvent", t.preconditions.message_timeout_s, where=charging, since=occupied.index, req="C01.FR.26"
    )


@case("TC_E_52_CS", preconditions=Preconditions(message_timeout_s=6))
async def tc_e_52_cs(t: Bench) -> None:
    """Red when: Authorize is sent although DisableRemoteAuthorization is true, or the card starts a transaction."""
    await t.configure({"AuthCtrlr.Enabled": "true"}, if_implemented=True)
    await t.configure({"AuthCtrlr.DisableRemoteAuthorization": "true"})
    mark = t.mark()
    await t.present()
    t.step(1)
    await t.never(None, t.preconditions.message_timeout_s, since=mark, allow=("Heartbeat",), req="part 2, 2.3.8")
