# SPDX-License-Identifier: Apache-2.0
"""Block F, remote control: TriggerMessage (F06)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench
from tools.conformance.bench.transaction_events import transaction_event
from tools.conformance.checks.expected import expected
from tools.conformance.checks.values import PRESENT, absent_or
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case

_TRIGGERED = {"meterValue.0.sampledValue.0.context": "Trigger"}


async def _trigger(t: Bench, message: str, *, connector: bool = False, evse: int | None = None) -> int:
    """Steps 1 and 2: the station accepts to send `message`. Returns the number of its calls before this answer."""
    t.step(1)
    payload: dict[str, Any] = {"requestedMessage": message}
    if evse is not None:
        payload["evse"] = {"id": evse} | ({"connectorId": t.connector} if connector else {})
    await t.call("TriggerMessage", payload, {"status": "Accepted"}, req="F06.FR.05")
    t.step(3)
    calls = 0
    before = 0
    for entry in t.transcript.entries:
        if entry.who == "station" and entry.what == "call":
            calls += 1
        elif entry.who == "station" and (entry.what, entry.action) == ("result", "TriggerMessage"):
            before = calls
    return before


def _answered_first(t: Bench, before: int, *messages: Message) -> None:
    """None of the messages came before the TriggerMessageResponse."""
    for message in messages:
        t.check(message.index >= before, "F06.FR.04", "it came before the TriggerMessageResponse", message)


@case("TC_F_11_CS")
async def tc_f_11_cs(t: Bench) -> None:
    """Red when: the MeterValues of another EVSE are sent, or their context is not Trigger."""
    mark = t.mark()
    before = await _trigger(t, "MeterValues", evse=t.evse)
    values = await t.expect("MeterValues", {"evseId": t.evse, **_TRIGGERED}, req="F06.FR.06")
    _answered_first(t, before, values)
    await t.never("MeterValues", 0.5, where=_TRIGGERED, req="F06.FR.02", since=mark)


@case("TC_F_12_CS")
async def tc_f_12_cs(t: Bench) -> None:
    """Red when: without an evse in the request, one EVSE sends no MeterValues."""
    before = await _trigger(t, "MeterValues")
    values = [expected("MeterValues", {"evseId": evse, **_TRIGGERED}) for evse in t.fixtures.evses]
    _answered_first(t, before, *await t.expect_all(values, req="F06.FR.11"))


def _event(evse_id: Any) -> Mapping[str, Any]:
    """The checks of the TransactionEvent that the CSMS requested while energy flows."""
    return {
        "evse.id": evse_id,
        "triggerReason": "Trigger",
        "transactionInfo.chargingState": "Charging",
        "meterValue": PRESENT,
        **_TRIGGERED,
    }


@case("TC_F_13_CS")
async def tc_f_13_cs(t: Bench) -> None:
    """Red when: the TransactionEvent has another triggerReason than Trigger, or no meterValue."""
    await reusable_states.energy_transfer_started(t)
    before = await _trigger(t, "TransactionEvent", evse=t.evse)
    event = await transaction_event(t, t.evse, _event(absent_or(t.evse)), req="F06.FR.07")
    _answered_first(t, before, event)


@case("TC_F_14_CS", limit_s=120)
async def tc_f_14_cs(t: Bench) -> None:
    """Red when: without an evse one transaction is not reported, or its event does not name the EVSE."""
    for evse in t.fixtures.evses:
        await reusable_states.energy_transfer_started(t, evse)
    before = await _trigger(t, "TransactionEvent")
    for evse in t.fixtures.evses:
        _answered_first(t, before, await transaction_event(t, evse, _event(evse), req="F06.FR.11"))


@case("TC_F_15_CS")
async def tc_f_15_cs(t: Bench) -> None:
    """Red when: LogStatusNotification can't be triggered, or its status without an upload is not Idle."""
    before = await _trigger(t, "LogStatusNotification")
    _answered_first(t, before, await t.expect("LogStatusNotification", {"status": "Idle"}, req="F06.FR.15"))


@case("TC_F_17_CS")
async def tc_f_17_cs(t: Bench) -> None:
    """Red when: FirmwareStatusNotification is rejected because the request names an EVSE."""
    before = await _trigger(t, "FirmwareStatusNotification", evse=t.evse)
    _answered_first(t, before, await t.expect("FirmwareStatusNotification", {"status": "Idle"}, req="F06.FR.03"))


@case("TC_F_18_CS")
async def tc_f_18_cs(t: Bench) -> None:
    """Red when: FirmwareStatusNotification can't be triggered, or its status without an update is not Idle."""
    before = await _trigger(t, "FirmwareStatusNotification")
    _answered_first(t, before, await t.expect("FirmwareStatusNotification", {"status": "Idle"}, req="F06.FR.16"))


@case("TC_F_20_CS")
async def tc_f_20_cs(t: Bench) -> None:
    """Red when: a triggered Heartbeat does not come at once."""
    before = await _trigger(t, "Heartbeat")
    _answered_first(t, before, await t.expect("Heartbeat", req="F06.FR.10"))


@case("TC_F_23_CS")
async def tc_f_23_cs(t: Bench) -> None:
    """Red when: the status of a free connector is not sent on request because it has not changed."""
    before = await _trigger(t, "StatusNotification", evse=t.evse, connector=True)
    _answered_first(t, before, await t.expect_status("Available", req="F06.FR.10"))


@case("TC_F_24_CS")
async def tc_f_24_cs(t: Bench) -> None:
    """Red when: the status of an occupied connector is not sent on request, or is Available."""
    await reusable_states.ev_connected_pre_session(t)
    before = await _trigger(t, "StatusNotification", evse=t.evse, connector=True)
    _answered_first(t, before, await t.expect_status("Occupied", req="F06.FR.10"))


@case("TC_F_26_CS")
async def tc_f_26_cs(t: Bench) -> None:
    """Red when: a BootNotification can be triggered although the last one was accepted."""
    t.step(1)
    check = {"status": "Rejected"}
    await t.call("TriggerMessage", {"requestedMessage": "BootNotification"}, check, req="F06.FR.17")
