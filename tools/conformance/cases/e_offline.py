# SPDX-License-Identifier: Apache-2.0
"""Block E, transactions: events while there is no connection (E08, E11), and GetTransactionStatus after it (E14).

The test system requests the status as soon as the connection is there, when the station has begun to send its queue.
To keep that queue, it answers the first TransactionEvent only after the station has answered this request.
"""

from __future__ import annotations

import asyncio
import time

from firmware.clock import parse_utc
from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Session
from tools.conformance.bench.transaction_events import transaction_event, tx_points
from tools.conformance.checks.values import ABSENT, PRESENT
from tools.conformance.peer.answers import Payload
from tools.conformance.peer.csms import Answer
from tools.conformance.peer.endpoint import OnConnect
from tools.conformance.peer.transcript import Message
from tools.conformance.run.registry import case

_BACK_OFF_S = 5
"""RetryBackOffWaitMinimum."""
_SAMPLE_S = 2
"""TxUpdatedInterval for cases with meter values in the queue; shorter than the time offline."""
_SETTLED_S = 1.0
_STOP_WITHIN_S = 30.0


async def _configure(t: Bench, *, offline_s: int = _BACK_OFF_S, sampling: bool = True) -> None:
    """The Configuration State that the cases share; every back-off lasts `offline_s`."""
    settings = {
        "OCPPCommCtrlr.OfflineThreshold": str(offline_s + 60),
        "OCPPCommCtrlr.RetryBackOffWaitMinimum": str(offline_s),
        "OCPPCommCtrlr.RetryBackOffRandomRange": "0",
    }
    if sampling:
        settings["SampledDataCtrlr.TxUpdatedMeasurands"] = "Energy.Active.Import.Register"
        settings["SampledDataCtrlr.TxUpdatedInterval"] = str(_SAMPLE_S)
        await t.configure({"SampledDataCtrlr.Enabled": "true"}, if_implemented=True)
    await t.configure(settings)


async def _back_online(t: Bench) -> None:
    """The test system accepts connections again, and the station connects."""
    t.on_connect(OnConnect.ACCEPT)
    await t.connected(within=4 * _BACK_OFF_S + 20, req="OCPP-J 5.3")


async def _offline_while_charging(t: Bench) -> Session:
    """Energy flows; steps 1 and 2: offline for RetryBackOffWaitMinimum."""
    await _configure(t)
    session = await reusable_states.energy_transfer_started(t)
    t.step(1)
    await t.hang_up(OnConnect.REFUSE)
    t.step(2)
    await asyncio.sleep(_BACK_OFF_S)
    return session


async def _ask(t: Bench, *, transaction_id: str | None) -> Answer:
    """GetTransactionStatus as soon as the connection is there; no queued event is answered before it."""
    status_answered = asyncio.Event()

    async def after_the_status(message: Message) -> Payload:
        await status_answered.wait()
        return t.csms.replies.default(message)

    t.answer("TransactionEvent", after_the_status)
    await _back_online(t)
    answer = await t.call("GetTransactionStatus", {"transactionId": transaction_id} if transaction_id else {})
    status_answered.set()
    return answer


async def _queued(t: Bench) -> list[Message]:
    """All events from before the present connection, when they have arrived."""
    await t.quiet(_SETTLED_S)
    connected = time.time() - (t.elapsed - t.csms.attempts[-1].at)
    return [
        message
        for message in t.messages
        if message.action == "TransactionEvent"
        and message.connection == t.csms.connections
        and parse_utc(message.get("timestamp")) < connected
    ]


async def _check_queued_samples(t: Bench, requirement: str) -> None:
    """All queued events are updates with meter values and the offline flag."""
    queue = await _queued(t)
    t.check(queue, requirement, "no TransactionEvent was queued while offline")
    for message in queue:
        message.taken = True
        t.match(message, {"eventType": "Updated", "meterValue": PRESENT, "offline": True}, requirement)


@case("TC_E_29_CS")
async def tc_e_29_cs(t: Bench) -> None:
    """Red when: an event that was sent and is not answered yet does not count as queued."""
    session = await _offline_while_charging(t)
    t.step(3)
    answer = await _ask(t, transaction_id=session.transaction_id)
    t.match(answer, {"ongoingIndicator": True}, "E14.FR.02")
    t.match(answer, {"messagesInQueue": True}, "E14.FR.04")
    t.step(5)
    await _check_queued_samples(t, "E11.FR.02")


@case("TC_E_33_CS")
async def tc_e_33_cs(t: Bench) -> None:
    """Red when: the answer has an ongoingIndicator, or only messages of ended transactions count as queued."""
    await _offline_while_charging(t)
    t.step(3)
    answer = await _ask(t, transaction_id=None)
    t.match(answer, {"ongoingIndicator": ABSENT}, "E14.FR.06")
    t.match(answer, {"messagesInQueue": True}, "E14.FR.07")
    t.step(5)
    await _check_queued_samples(t, "E11.FR.02")


@case("TC_E_40_CS")
async def tc_e_40_cs(t: Bench) -> None:
    """Red when: no meter values are taken while offline, or they are sent without the offline flag."""
    await _offline_while_charging(t)
    await _back_online(t)
    t.step(3)
    await _check_queued_samples(t, "E11.FR.02")


async def _stop_while_offline(t: Bench) -> None:
    """The EV driver stops with the card and unplugs the cable."""
    await reusable_states.offline(t)
    await t.present()
    await t.unplug()


@case("TC_E_31_CS", limit_s=120)
async def tc_e_31_cs(t: Bench) -> None:
    """Red when: a transaction that has ended while offline counts as ongoing until its events are sent."""
    await _configure(t, offline_s=_BACK_OFF_S + round(t.fixtures.transaction_s))
    session = await reusable_states.energy_transfer_started(t)
    await _stop_while_offline(t)
    await asyncio.sleep(t.fixtures.transaction_s)
    t.step(1)
    answer = await _ask(t, transaction_id=session.transaction_id)
    t.match(answer, {"ongoingIndicator": False}, "E14.FR.03")
    t.match(answer, {"messagesInQueue": True}, "E14.FR.04")
    t.step(3)
    await _check_queued_stop(t, session)


async def _check_queued_stop(t: Bench, session: Session) -> None:
    """The events of StopAuthorized, EVConnectedPostSession and EVDisconnected, the last of which ends the transaction.

    TxStopPoint decides which of them there are.
    """
    _, stop = await tx_points(t)
    first = {"triggerReason": "StopAuthorized", **session.card.fields(), "offline": True}
    event = await transaction_event(t, t.evse, first, req="E08.FR.04")
    expected = [("ChargingStateChanged", "EVConnected"), ("EVCommunicationLost", "Idle")]
    for trigger, charging_state in expected:
        if session.ended:
            break
        check = {"triggerReason": trigger, "transactionInfo.chargingState": charging_state, "offline": True}
        event = await transaction_event(t, t.evse, check, req="E06.FR.02")
    t.match(event, {"eventType": "Ended"}, "E08.FR.04")
    if stop & {"Authorized", "PowerPathClosed", "EnergyTransfer"}:
        in_time = event.get("triggerReason") != "EVCommunicationLost"
        t.check(in_time, "E06.FR.03", "the transaction ended with the cable, not with the stop", event)


@case("TC_E_44_CS", limit_s=120)
async def tc_e_44_cs(t: Bench) -> None:
    """Red when: after an outage the end of the transaction is not reported, or without the offline flag."""
    await _configure(t, sampling=False)
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await _stop_while_offline(t)
    t.step(2)
    await _back_online(t)
    t.step(3)
    await _check_queued_end(t, "Ended")


# -- for products that start or stop transactions without the CSMS ----------------------------------------------------


async def _check_queued_end(t: Bench, *kinds: str) -> None:
    """All queued events have the offline flag, and events of these types are among them."""
    queue = await _queued(t)
    for message in queue:
        message.taken = True
        t.match(message, {"offline": True}, "E08.FR.07")
    for kind in kinds:
        t.check(any(message.get("eventType") == kind for message in queue), "E12.FR.01", f"no queued event is {kind}")


async def _may_start_offline(t: Bench) -> None:
    """The Configuration State and Memory State for a start while offline, as far as the station has them."""
    settings = {
        "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
        "AuthCtrlr.LocalAuthorizeOffline": "true",
        "AuthCtrlr.LocalPreAuthorize": "true",
    }
    await t.configure(settings, if_implemented=True)
    if await t.get_variable("AuthCacheCtrlr.Enabled") is not None:
        await reusable_states.id_token_cached(t, t.card)


@case("TC_E_16_CS", limit_s=150)
async def tc_e_16_cs(t: Bench) -> None:
    """Red when: a transaction that started offline continues although the CSMS does not accept its card."""
    await t.configure({"TxCtrlr.TxStopPoint": "Authorized", "TxCtrlr.StopTxOnInvalidId": "true"})
    await _may_start_offline(t)
    t.tokens({t.card: {"status": "Invalid"}})
    await reusable_states.start_offline_transaction(t)
    t.step(1)
    event = await transaction_event(t, t.evse, {"offline": True}, req="E12.FR.02")
    while event.get("offline") is True:
        event = await transaction_event(t, t.evse, within=_STOP_WITHIN_S)
    t.step(3)
    check = {
        "eventType": "Ended",
        "triggerReason": "Deauthorized",
        "transactionInfo.stoppedReason": "DeAuthorized",
    }
    t.match(event, check, "C15.FR.04")


@case("TC_E_43_CS", limit_s=150)
async def tc_e_43_cs(t: Bench) -> None:
    """Red when: only the end of a transaction that began and ended offline is reported."""
    await _may_start_offline(t)
    await reusable_states.transaction_events_in_queue_ended(t)
    t.step(1)
    await _check_queued_end(t, "Started", "Ended")


@case("TC_E_45_CS", limit_s=150)
async def tc_e_45_cs(t: Bench) -> None:
    """Red when: while offline a cached card of the same group does not stop the transaction."""
    await _configure(t, sampling=False)
    other = t.fixtures.card2
    info = {"status": "Accepted", "groupIdToken": {"idToken": "FAMILY-7", "type": "Central"}}
    t.tokens({t.card: info, other: info})
    await reusable_states.id_token_cached(t, other)
    await reusable_states.authorized(t)
    await reusable_states.energy_transfer_started(t)
    t.step(1)
    await reusable_states.offline(t)
    await t.present(other)
    await t.unplug()
    t.step(2)
    await _back_online(t)
    t.step(3)
    await _check_queued_end(t, "Ended")
