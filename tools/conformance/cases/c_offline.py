# SPDX-License-Identifier: Apache-2.0
"""Block C, authorization: a card that is accepted offline, and Invalid when the connection is back (C12, C13, C15).

StopTxOnInvalidId and MaxEnergyOnInvalidId decide what happens then. For products with offline authorization.
"""

from __future__ import annotations

import asyncio

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Session
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.values import absent_or
from tools.conformance.peer.endpoint import OnConnect
from tools.conformance.run.registry import case

_OFFLINE_S = 6
"""Longer than a car needs from the card to the first energy."""
_STOP_WITHIN_S = 30.0

_SUSPENDED = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "SuspendedEVSE"}


async def _configure(t: Bench, *, stop: bool, max_energy_wh: int, back_off: bool = False) -> None:
    """The Configuration State of the four cases, as far as the station has the variables."""
    settings = {
        "AuthCacheCtrlr.Enabled": "true",
        "AuthCtrlr.LocalPreAuthorize": "true",
        "AuthCtrlr.LocalAuthorizeOffline": "true",
        "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
        "TxCtrlr.StopTxOnInvalidId": str(stop).lower(),
        "TxCtrlr.MaxEnergyOnInvalidId": str(max_energy_wh),
    }
    if back_off:
        settings["OCPPCommCtrlr.OfflineThreshold"] = str(_OFFLINE_S + 60)
        settings["OCPPCommCtrlr.RetryBackOffWaitMinimum"] = str(_OFFLINE_S)
        settings["OCPPCommCtrlr.RetryBackOffRandomRange"] = "0"
    await t.configure(settings, if_implemented=True)


async def _charge_offline(t: Bench) -> Session:
    """Steps 1 to 3: a card that the cache accepts starts offline; the CSMS answers its events with Invalid."""
    await reusable_states.id_token_cached(t, t.card)
    session = await reusable_states.ev_connected_pre_session(t)
    t.step(1)
    await reusable_states.offline(t)
    t.tokens({t.card: {"status": "Invalid"}})
    session.authorized = session.token_due = True
    await t.present()
    await asyncio.sleep(_OFFLINE_S)
    t.step(2)
    t.on_connect(OnConnect.ACCEPT)
    await t.connected(within=60)
    t.step(3)
    check = {"triggerReason": "Authorized", "offline": True}
    await transaction_event(t, t.evse, check, req="C12.FR.02")
    check = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "Charging", "offline": True}
    await transaction_event(t, t.evse, check, req="E12.FR.02")
    return session


@case("TC_C_15_CS", limit_s=180)
async def tc_c_15_cs(t: Bench) -> None:
    """Red when: charging is suspended although MaxEnergyOnInvalidId has not been delivered yet.

    The case has no message for the suspension after that energy.
    """
    await _configure(t, stop=False, max_energy_wh=10_000, back_off=True)
    await _charge_offline(t)
    await t.never("TransactionEvent", _OFFLINE_S, where=_SUSPENDED, req="C15.FR.07")
    ended = [message for message in t.messages if message.get("triggerReason") == "Deauthorized"]
    t.check(not ended, "C15.FR.07", "the transaction was deauthorized")


@case("TC_C_16_CS", limit_s=180)
async def tc_c_16_cs(t: Bench) -> None:
    """Red when: the transaction continues although StopTxOnInvalidId is true."""
    await _configure(t, stop=True, max_energy_wh=0)
    session = await _charge_offline(t)
    t.step(5)
    check = {"triggerReason": "Deauthorized"}
    await transaction_event(t, t.evse, check, req="C15.FR.04", within=_STOP_WITHIN_S)
    t.post(session.ended, "C15.FR.04", "the energy flow stops when the status Invalid is received")


@case("TC_C_17_CS", limit_s=180)
async def tc_c_17_cs(t: Bench) -> None:
    """Red when: energy still flows although MaxEnergyOnInvalidId is 0."""
    await _configure(t, stop=False, max_energy_wh=0)
    await _charge_offline(t)
    t.step(5)
    await transaction_event(t, t.evse, _SUSPENDED, req="C15.FR.06", within=_STOP_WITHIN_S)


@case("TC_C_18_CS", limit_s=180)
async def tc_c_18_cs(t: Bench) -> None:
    """Red when: MaxEnergyOnInvalidId is delivered first although StopTxOnInvalidId is true."""
    await _configure(t, stop=True, max_energy_wh=500, back_off=True)
    session = await _charge_offline(t)
    t.step(5)
    check = {"triggerReason": "Deauthorized", "offline": absent_or(False)}
    await transaction_event(t, t.evse, check, req="C15.FR.04", within=_STOP_WITHIN_S)
    t.post(session.ended, "C15.FR.04", "the energy flow stops when the status Invalid is received")


@case("TC_C_26_CS", limit_s=180)
async def tc_c_26_cs(t: Bench) -> None:
    """Red when: an unknown card starts no transaction offline, or still charges after the CSMS has refused it."""
    settings = {
        "LocalAuthListCtrlr.Enabled": "true",
        "AuthCtrlr.LocalPreAuthorize": "true",
        "TxCtrlr.MaxEnergyOnInvalidId": "0",
    }
    await t.configure(settings, if_implemented=True)
    await t.configure(
        {
            "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
            "AuthCtrlr.LocalAuthorizeOffline": "true",
            "TxCtrlr.StopTxOnInvalidId": "false",
        }
    )
    t.tokens({t.card: {"status": "Invalid"}})
    await reusable_states.start_offline_transaction(t)
    session = t.session()
    session.connected = session.authorized = session.energy = True
    t.step(1)
    await t.expect_status("Occupied", req="B04.FR.01")
    event = await transaction_event(t, t.evse, {"offline": True}, req="E12.FR.02")
    while event.get("transactionInfo.chargingState") != "SuspendedEVSE":
        event = await transaction_event(t, t.evse, req="C15.FR.06", within=_STOP_WITHIN_S)
    t.step(3)
    await reusable_states.stop_authorized(t)
    t.step(4)
    await reusable_states.ev_connected_post_session(t)
    t.step(5)
    await reusable_states.ev_disconnected(t)
