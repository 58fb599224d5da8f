# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: the start and stop points other than Authorized (E01, E06), for products that have them."""

from __future__ import annotations

import asyncio

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.values import PRESENT
from tools.conformance.run.registry import case

_CHARGING_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0


@case("TC_E_01_CS")
async def tc_e_01_cs(t: Bench) -> None:
    """Red when: the transaction starts with the card, before the cable is plugged in, or only with the energy."""
    await t.configure({"TxCtrlr.TxStartPoint": "PowerPathClosed"})
    await reusable_states.authorized(t)
    t.step(1)
    await reusable_states.ev_connected_pre_session(t)
    t.step(2)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_02_CS")
async def tc_e_02_cs(t: Bench) -> None:
    """Red when: the transaction starts before energy flows, or its first event lacks the idToken or the connector."""
    await t.configure({"TxCtrlr.TxStartPoint": "EnergyTransfer"})
    session = await reusable_states.authorized(t)
    await t.manual("plug_in", evse=t.evse)
    session.connected = True
    t.step(1)
    await t.expect_status("Occupied")
    t.step(3)
    check = {
        "triggerReason": ("ChargingStateChanged", "Authorized"),
        "evse.id": PRESENT,
        "evse.connectorId": PRESENT,
        "transactionInfo.chargingState": "Charging",
    }
    await transaction_event(t, t.evse, check, req="E01.FR.06", within=_CHARGING_WITHIN_S)


@case("TC_E_09_CS")
async def tc_e_09_cs(t: Bench) -> None:
    """Red when: the cable starts no transaction, or the card starts a second one."""
    await t.configure({"TxCtrlr.TxStartPoint": "EVConnected"})
    t.step(1)
    await reusable_states.ev_connected_pre_session(t)
    t.step(2)
    await reusable_states.authorized(t)
    t.step(3)
    await reusable_states.energy_transfer_started(t)


@case("TC_E_07_CS")
async def tc_e_07_cs(t: Bench) -> None:
    """Red when: the transaction continues until the cable is unplugged although the power path is open."""
    await t.configure({"TxCtrlr.TxStopPoint": "PowerPathClosed"})
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.stop_authorized(t)


@case("TC_E_35_CS")
async def tc_e_35_cs(t: Bench) -> None:
    """Red when: the transaction continues after a RequestStopTransaction, or the stoppedReason is not Remote."""
    await t.configure({"TxCtrlr.TxStopPoint": "PowerPathClosed"})
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.stop_authorized(t, how="remote")


@case("TC_E_08_CS")
async def tc_e_08_cs(t: Bench) -> None:
    """Red when: the transaction continues until the cable is unplugged although no energy flows."""
    await t.configure({"TxCtrlr.TxStopPoint": "EnergyTransfer"})
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.stop_authorized(t)


@case("TC_E_22_CS")
async def tc_e_22_cs(t: Bench) -> None:
    """Red when: a car that stops taking energy does not end the transaction, or with another stoppedReason."""
    await t.configure({"TxCtrlr.TxStopPoint": "EnergyTransfer"})
    await reusable_states.energy_transfer_started(t)
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.manual("car", evse=t.evse, suspended=True)
    t.step(1)
    check = {
        "triggerReason": "ChargingStateChanged",
        "transactionInfo.chargingState": ("EVConnected", "SuspendedEV"),
        "transactionInfo.stoppedReason": "StoppedByEV",
        "eventType": "Ended",
    }
    await transaction_event(t, t.evse, check, req="E06.FR.07", within=_STOP_WITHIN_S)


@case("TC_E_54_CS", limit_s=120)
async def tc_e_54_cs(t: Bench) -> None:
    """Red when: the transaction continues without a car, or ends before the cable is unplugged."""
    await t.configure({"TxCtrlr.TxStopPoint": "EVConnected"})
    await t.configure({"TxCtrlr.StopTxOnEVSideDisconnect": "false"}, if_implemented=True)
    await reusable_states.energy_transfer_suspended(t)
    await t.manual("plug_out", evse=t.evse, force=True)
    t.step(1)
    check = {
        "triggerReason": "EVCommunicationLost",
        "transactionInfo.chargingState": "Idle",
        "transactionInfo.stoppedReason": ("StoppedByEV", "EVDisconnected"),
        "eventType": "Ended",
    }
    await transaction_event(t, t.evse, check, req="E06.FR.02", within=_STOP_WITHIN_S)
