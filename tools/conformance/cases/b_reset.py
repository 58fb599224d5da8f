# SPDX-License-Identifier: Apache-2.0
"""Block B, provisioning: Reset with and without transactions (B11, B12)."""

from __future__ import annotations

from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.values import ABSENT
from tools.conformance.run.registry import case

_BOOT_WITHIN_S = 45.0


async def _reset(t: Bench, kind: str, status: str, req: str, evse: int | None = None) -> None:
    payload: dict[str, Any] = {"type": kind} | ({} if evse is None else {"evseId": evse})
    await t.call("Reset", payload, {"status": status}, req=req)


@case("TC_B_20_CS")
async def tc_b_20_cs(t: Bench) -> None:
    """Red when: the station does not reboot, or reports another reason than RemoteReset."""
    t.step(2)
    await _reset(t, "OnIdle", "Accepted", "B11.FR.03")
    t.step(3)
    await t.expect("BootNotification", {"reason": "RemoteReset"}, req="B01.FR.09", within=_BOOT_WITHIN_S)
    t.step(5)
    await reusable_states.statuses_after_boot(t, security_event=False)


@case("TC_B_21_CS", limit_s=180)
async def tc_b_21_cs(t: Bench) -> None:
    """Red when: the station reboots before the transaction has ended, or reports another reason than ScheduledReset."""
    session = await reusable_states.energy_transfer_started(t)
    t.step(2)
    await _reset(t, "OnIdle", "Scheduled", "B12.FR.01")
    t.step(3)
    await reusable_states.stop_authorized(t)
    plugged = session.ended
    if not session.ended:
        t.step(4)
        await reusable_states.ev_connected_post_session(t)
        plugged = session.ended
        if not session.ended:
            t.step(5)
            await reusable_states.ev_disconnected(t)
    t.step(7)
    await t.expect("BootNotification", {"reason": "ScheduledReset"}, req="B12.FR.03", within=_BOOT_WITHIN_S)
    t.step(9)
    each = dict.fromkeys(t.fixtures.evses, "Available") | ({t.evse: "Occupied"} if plugged else {})
    await reusable_states.statuses_after_boot(t, each)


@case("TC_B_22_CS", limit_s=180)
async def tc_b_22_cs(t: Bench) -> None:
    """Red when: the transaction's last event has another stoppedReason than ImmediateReset, or is never sent."""
    await reusable_states.energy_transfer_started(t)
    t.step(2)
    await _reset(t, "Immediate", "Accepted", "B12.FR.02")
    t.step(3)
    check = {
        "eventType": "Ended",
        "triggerReason": "ResetCommand",
        "transactionInfo.chargingState": "EVConnected",
        "transactionInfo.stoppedReason": "ImmediateReset",
        "idToken": ABSENT,
    }
    await transaction_event(t, t.evse, check, req="B12.FR.04", within=_BOOT_WITHIN_S)
    t.step(5)
    await t.expect("BootNotification", {"reason": "RemoteReset"}, req="B01.FR.09", within=_BOOT_WITHIN_S)
    t.step(7)
    each = dict.fromkeys(t.fixtures.evses, "Available") | {t.evse: "Occupied"}
    await reusable_states.statuses_after_boot(t, each, security_event=False)


@case("TC_B_23_CS")
async def tc_b_23_cs(t: Bench) -> None:
    """Red when: a connector that was made Inoperative is Available after the reset."""
    await reusable_states.unavailable(t, t.evse, t.connector)
    t.step(2)
    await _reset(t, "OnIdle", "Accepted", "B11.FR.03")
    t.step(3)
    await t.expect("BootNotification", {"reason": "RemoteReset"}, req="B01.FR.09", within=_BOOT_WITHIN_S)
    t.step(5)
    each = dict.fromkeys(t.fixtures.evses, "Available") | {t.evse: "Unavailable"}
    await reusable_states.statuses_after_boot(t, each, security_event=False)
    t.step("after")
    place = {"id": t.evse, "connectorId": t.connector}
    operative = {"operationalStatus": "Operative", "evse": place}
    await t.call("ChangeAvailability", operative, {"status": "Accepted"}, req="G03.FR.01")
    await t.expect_status("Available", req="G03.FR.04")


@case("TC_B_41_CS", limit_s=240)
async def tc_b_41_cs(t: Bench) -> None:
    """Red when: the station reboots when the first of two transactions has ended."""
    first, second = t.fixtures.evses[:2]
    await reusable_states.energy_transfer_started(t, first)
    await reusable_states.energy_transfer_started(t, second, card=t.fixtures.card2)
    t.step(2)
    await _reset(t, "OnIdle", "Scheduled", "B12.FR.01")
    t.step(3)
    await reusable_states.stop_authorized(t, first)
    t.step(4)
    await reusable_states.ev_connected_post_session(t, first)
    t.step(5)
    await reusable_states.ev_disconnected(t, first)
    await t.never("BootNotification", 1.0, req="B12.FR.03")
    t.step(7)
    session = await reusable_states.stop_authorized(t, second)
    t.step(8)
    await reusable_states.ev_connected_post_session(t, second)
    plugged = session.ended
    if not session.ended:
        t.step(9)
        await reusable_states.ev_disconnected(t, second)
    t.step(11)
    await t.expect("BootNotification", {"reason": "ScheduledReset"}, req="B12.FR.03", within=_BOOT_WITHIN_S)
    t.step(13)
    each = dict.fromkeys(t.fixtures.evses, "Available") | ({second: "Occupied"} if plugged else {})
    await reusable_states.statuses_after_boot(t, each, security_event=False)


@case("TC_B_28_CS")
async def tc_b_28_cs(t: Bench) -> None:
    """Red when: a station that can't reset one EVSE accepts it, or reboots."""
    t.step(2)
    await _reset(t, "OnIdle", "Rejected", "B11.FR.09", t.evse)
    await t.never("BootNotification", 2.0, req="B11.FR.09")


@case("TC_B_29_CS", limit_s=150)
async def tc_b_29_cs(t: Bench) -> None:
    """Red when: a station that can't reset one EVSE schedules it for the end of a transaction."""
    await reusable_states.energy_transfer_started(t)
    t.step(2)
    await _reset(t, "OnIdle", "Rejected", "B12.FR.09", t.evse)
    await t.never("TransactionEvent", 2.0, where={"eventType": "Ended"}, req="B12.FR.09")


@case("TC_B_25_CS")
async def tc_b_25_cs(t: Bench) -> None:
    """Red when: the Reset of an idle EVSE is not Accepted, or the whole station reboots."""
    t.step(2)
    await _reset(t, "OnIdle", "Accepted", "B11.FR.08", t.evse)
    await t.never("BootNotification", 2.0, req="B11.FR.08")


@case("TC_B_26_CS", limit_s=150)
async def tc_b_26_cs(t: Bench) -> None:
    """Red when: the Reset OnIdle of an EVSE ends its transaction instead of waiting for its end."""
    session = await reusable_states.energy_transfer_started(t)
    t.step(2)
    await _reset(t, "OnIdle", "Scheduled", "B12.FR.01", t.evse)
    await t.never("TransactionEvent", 1.0, where={"eventType": "Ended"}, req="B12.FR.07")
    t.step(3)
    await reusable_states.stop_authorized(t)
    if not session.ended:
        t.step(4)
        await reusable_states.ev_connected_post_session(t)
    t.step(5)
    await reusable_states.ev_disconnected(t)


@case("TC_B_27_CS", limit_s=150)
async def tc_b_27_cs(t: Bench) -> None:
    """Red when: the transaction's last event has other reasons than ResetCommand and ImmediateReset."""
    await reusable_states.energy_transfer_started(t)
    t.step(2)
    await _reset(t, "Immediate", "Accepted", "B12.FR.02", t.evse)
    t.step(3)
    check = {
        "eventType": "Ended",
        "triggerReason": "ResetCommand",
        "transactionInfo.chargingState": "EVConnected",
        "transactionInfo.stoppedReason": "ImmediateReset",
    }
    await transaction_event(t, t.evse, check, req="B12.FR.08", within=_BOOT_WITHIN_S)
