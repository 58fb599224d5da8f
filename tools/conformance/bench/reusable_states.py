# SPDX-License-Identifier: Apache-2.0
"""The reusable and memory states of part 6 (2.18, 2.19, with errata 6.2.116 to 6.2.123), as functions of the bench.

Each does the manual actions and the steps of its state and makes the state's tool validations, following the
station's TxStartPoint and TxStopPoint. The `Session` of an EVSE records its states: a state whose predecessor is
missing executes that first, as part 6 requires. `how` chooses between the two ways of a state: `"local"` (a card) and
`"remote"` (RequestStartTransaction, RequestStopTransaction). The parking bay has no sensor, so the two ParkingBay
states, which part 6 makes optional, do nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tools.conformance.bench.bench import Bench, Card, Session
from tools.conformance.bench.transaction_events import members, optional_event, transaction_event, tx_points
from tools.conformance.checks import values
from tools.conformance.checks.expected import CaseFailed, Expected, expected_status
from tools.conformance.peer.endpoint import OnConnect
from tools.conformance.peer.transcript import Message

__all__ = [
    "authorized",
    "booted",
    "booting",
    "certificate_installed",
    "deauthorized",
    "energy_transfer_started",
    "energy_transfer_suspended",
    "ev_connected_post_session",
    "ev_connected_pre_session",
    "ev_disconnected",
    "id_token_cached",
    "offline",
    "start_offline_transaction",
    "statuses_after_boot",
    "stop_authorized",
    "transaction_events_in_queue_ended",
    "unavailable",
]

_ENDS_ON_STOP = frozenset({"Authorized", "PowerPathClosed", "EnergyTransfer"})
_CHARGING_WITHIN_S = 60.0
_STOP_WITHIN_S = 30.0
_NOTICED_S = 0.3
_CARD_AWAY_S = 0.6
"""Until the card has left the reader, which refuses two at once."""


# -- the station -----------------------------------------------------------------------------------------------------


async def booting(t: Bench) -> None:
    """Booting: Reset Immediate accepted; the station has not connected again yet."""
    await t.call("Reset", {"type": "Immediate"}, {"status": "Accepted"}, req="B11.FR.01")


async def booted(
    t: Bench,
    *,
    how: str = "power",
    statuses: str | Mapping[int, str] = "Available",
    check: Mapping[str, Any] | None = None,
    req: str = "B01.FR.01",
) -> Message:
    """Booted: power cycle (`how="power"`) or Reset (`"reset"`); returns the BootNotification, checked with `check`."""
    if how == "power":
        await t.manual("power_cycle")
    else:
        await t.call("Reset", {"type": "OnIdle"}, {"status": "Accepted"}, req="B11.FR.03")
    boot = await t.expect("BootNotification", check, req=req, within=30)
    await statuses_after_boot(t, statuses)
    return boot


async def statuses_after_boot(
    t: Bench, statuses: str | Mapping[int, str] = "Available", *, security_event: bool = True
) -> None:
    """The end of Booted: every connector's status, and the security event of a start (A04.FR.01)."""
    each = dict.fromkeys(t.fixtures.evses, statuses) if isinstance(statuses, str) else statuses
    messages = [expected_status(value, evse=evse, connector=t.connector) for evse, value in each.items()]
    if security_event:
        messages.append(_startup_event())
    await t.expect_all(messages, req="B01.FR.05", within=15)


def _startup_event() -> Expected:
    allowed = ("StartupOfTheDevice", "ResetOrReboot")
    name = "SecurityEventNotification " + " or ".join(allowed)
    return Expected(
        name, lambda m: [] if m.action == "SecurityEventNotification" and m.get("type") in allowed else None
    )


async def unavailable(t: Bench, evse: int | None = None, connector: int | None = None) -> None:
    """Unavailable: the connector, the EVSE, or (both left out) the whole station is made Inoperative."""
    payload: dict[str, Any] = {"operationalStatus": "Inoperative"}
    if evse is not None:
        payload["evse"] = {"id": evse} | ({"connectorId": connector} if connector is not None else {})
    await t.call("ChangeAvailability", payload, {"status": "Accepted"}, req="G03.FR.01")
    affected = t.fixtures.evses if evse is None else (evse,)
    await t.expect_statuses(dict.fromkeys(affected, "Unavailable"), req="G03.FR.04")


async def certificate_installed(t: Bench, kind: str, pem: str) -> None:
    """CertificateInstalled: `pem` is accepted as a `kind` (`CSMSRootCertificate` ...)."""
    payload = {"certificateType": kind, "certificate": pem}
    await t.call("InstallCertificate", payload, {"status": "Accepted"}, req="M05.FR.01")


# -- transactions ----------------------------------------------------------------------------------------------------


async def ev_connected_pre_session(t: Bench, evse: int | None = None, **car: Any) -> Session:
    """EVConnectedPreSession: the cable goes into the car; `car` are fields of the rig's `plug_in`."""
    session, (start, _) = t.session(evse), await tx_points(t)
    await _plug_in(t, session, car)
    path_closed = session.authorized and "PowerPathClosed" in start
    if session.transaction_id is not None or "EVConnected" in start or path_closed:
        states = ("EVConnected", "SuspendedEVSE", "Charging") if session.authorized else "EVConnected"
        await _plugged_event(t, session, ("CablePluggedIn", "ChargingStateChanged", "RemoteStart"), states)
    return session


async def _plug_in(t: Bench, session: Session, car: Mapping[str, Any]) -> None:
    await t.manual("plug_in", evse=session.evse, **({"car": dict(car)} if car else {}))
    session.connected = True
    await t.expect_status("Occupied", evse=session.evse)


async def _plugged_event(t: Bench, session: Session, triggers: Any, states: Any) -> None:
    await transaction_event(
        t,
        session.evse,
        {
            "triggerReason": triggers,
            "transactionInfo.chargingState": states,
            "evse.id": session.evse,
            "evse.connectorId": t.connector,
        },
        req="E02.FR.13",
    )


async def authorized(
    t: Bench, evse: int | None = None, *, how: str = "local", card: Card | None = None, cached: bool = False
) -> Session:
    """Authorized: by a card at the reader (`cached`: without an Authorize request), or by RequestStartTransaction."""
    session, (start, _) = t.session(evse), await tx_points(t)
    session.card = card or t.card
    session.token_due = True
    if how == "local":
        await t.present(session.card, evse=session.evse)
        if not cached:
            await t.expect("Authorize", session.card.fields(), req="C01.FR.02")
    else:
        await _request_start(t, session)
    session.authorized = True
    at_once = "Authorized" in start or (session.connected and "PowerPathClosed" in start)
    if session.transaction_id is not None or at_once:
        trigger = "Authorized" if how == "local" else "RemoteStart"
        rule = "E02.FR.01" if how == "local" else "F01.FR.19"
        await transaction_event(t, session.evse, {"triggerReason": trigger}, req=rule)
    else:  # no message shows that the card was accepted; the station reads this one after the answer to Authorize
        await t.get_variable("TxCtrlr.TxStartPoint")
    return session


async def _request_start(t: Bench, session: Session) -> None:
    session.remote = session.remote_due = True
    session.remote_start_id = t.new_id()
    payload = {
        "idToken": session.card.id_token,
        "remoteStartId": session.remote_start_id,
        "evseId": session.evse,
    }
    check: dict[str, Any] = {"status": "Accepted"}
    if session.transaction_id is not None:
        check["transactionId"] = session.transaction_id
    answer = await t.call("RequestStartTransaction", payload, check, req="F01.FR.01")
    if answer.get("status") != "Accepted":
        raise CaseFailed(t.failures[-1])  # no message follows that could be waited for
    if "true" in {value.casefold() for value in await members(t, "AuthCtrlr.AuthorizeRemoteStart")}:
        await t.expect("Authorize", session.card.fields(), req="F01.FR.01")


async def energy_transfer_started(
    t: Bench, evse: int | None = None, *, how: str = "local", card: Card | None = None, **car: Any
) -> Session:
    """EnergyTransferStarted: authorises and connects if that is not done yet; then the car charges."""
    session, (start, _) = t.session(evse), await tx_points(t)
    if not session.authorized:
        await authorized(t, session.evse, how=how, card=card)
    if not session.connected:
        await _plug_in(t, session, car)
        if session.transaction_id is not None or "EVConnected" in start:
            await _plugged_event(t, session, ("CablePluggedIn", "RemoteStart"), "EVConnected")
    if "DataSigned" in start and session.transaction_id is None:
        await transaction_event(t, session.evse, {"triggerReason": "SignedDataReceived"}, req="E01.FR.04")
    if "PowerPathClosed" in start and session.transaction_id is None:
        states = ("SuspendedEVSE", "SuspendedEV", "EVConnected", "Charging")
        check = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": states}
        await transaction_event(t, session.evse, check, req="E01.FR.05")
    check = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "Charging"}
    await transaction_event(t, session.evse, check, req="E02.FR.13", within=_CHARGING_WITHIN_S)
    session.energy = True
    return session


async def energy_transfer_suspended(t: Bench, evse: int | None = None) -> Session:
    """EnergyTransferSuspended: the car stops taking energy (rig: `car suspended=true`)."""
    session, (_, stop) = t.session(evse), await tx_points(t)
    if not session.energy:
        await energy_transfer_started(t, session.evse)
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.manual("car", evse=session.evse, suspended=True)
    check: dict[str, Any] = {"transactionInfo.chargingState": ("EVConnected", "SuspendedEV")}
    if "EnergyTransfer" in stop:
        check |= {"eventType": "Ended", "transactionInfo.stoppedReason": "StoppedByEV"}
    else:
        check |= {"eventType": "Updated", "triggerReason": "ChargingStateChanged"}
    await transaction_event(t, session.evse, check, req="E02.FR.13", within=_STOP_WITHIN_S)
    return session


async def stop_authorized(
    t: Bench, evse: int | None = None, *, how: str = "local", card: Card | None = None
) -> Session:
    """StopAuthorized (erratum 6.2.117): stopped by the same card, or by RequestStopTransaction."""
    session, (_, stop) = t.session(evse), await tx_points(t)
    if not session.energy:
        await energy_transfer_started(t, session.evse)
    await asyncio.sleep(t.fixtures.transaction_s)
    if how == "local":
        await t.present(card or session.card, evse=session.evse)
        first = {"triggerReason": "StopAuthorized", **_token_or_none(card or session.card)}
        reason: Any = values.absent_or("Local")
    else:
        payload = {"transactionId": session.transaction_id or ""}
        await t.call("RequestStopTransaction", payload, {"status": "Accepted"}, req="F03.FR.07")
        first, reason = {"triggerReason": "RemoteStop"}, "Remote"
    session.stopping = True
    await _stop_events(t, session, first, reason if stop & _ENDS_ON_STOP else None)
    return session


def _token_or_none(card: Card) -> dict[str, Any]:
    return {"idToken.idToken": values.Rule(f"absent or {card.uid}", lambda v: v is values.MISSING or _same(v, card))}


def _same(value: Any, card: Card) -> bool:
    return isinstance(value, str) and value.casefold() == card.uid.casefold()


async def _stop_events(t: Bench, session: Session, first: Mapping[str, Any], reason: Any) -> None:
    """The one or two events after a stop; the last one ends the transaction for `reason`, unless that is `None`."""
    event = await transaction_event(t, session.evse, first, req="E07.FR.01", within=_STOP_WITHIN_S)
    second = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "EVConnected"}
    ending = {"eventType": "Ended", "transactionInfo.stoppedReason": reason}
    if reason is None:
        t.match(event, {"eventType": "Updated"}, "E06.FR.03")
        session.connected_again = await optional_event(t, session.evse, {**second, "eventType": "Updated"}) is not None
    elif event.get("eventType") == "Ended":
        t.match(event, ending, "E06.FR.03")
    else:
        await transaction_event(t, session.evse, {**second, **ending}, req="E06.FR.03", within=_STOP_WITHIN_S)


async def ev_connected_post_session(t: Bench, evse: int | None = None) -> Session:
    """EVConnectedPostSession: energy has stopped, the car is still connected."""
    session = t.session(evse)
    if not session.stopping:
        await stop_authorized(t, session.evse)
    if not session.ended and not session.connected_again:
        check = {"triggerReason": "ChargingStateChanged", "transactionInfo.chargingState": "EVConnected"}
        await transaction_event(t, session.evse, check, req="E06.FR.04", within=_STOP_WITHIN_S)
    return session


async def ev_disconnected(t: Bench, evse: int | None = None, *, status: str = "Available") -> None:
    """EVDisconnected: the cable is unplugged from the car; the session at this EVSE ends."""
    session, (_, stop) = t.session(evse), await tx_points(t)
    if session.connected and not session.stopping and not session.ended:
        await ev_connected_post_session(t, session.evse)
    await t.unplug(session.evse)
    await t.expect_status(status, evse=session.evse)
    if session.transaction_id is not None and not session.ended:
        check: dict[str, Any] = {"triggerReason": "EVCommunicationLost", "transactionInfo.chargingState": "Idle"}
        if "EVConnected" in stop:
            check["eventType"] = "Ended"
        await transaction_event(t, session.evse, check, req="E06.FR.02")
    t.sessions.pop(session.evse, None)


async def deauthorized(t: Bench, evse: int | None = None) -> Session:
    """Deauthorized (erratum 6.2.118), from its step 3 on.

    Before it, set `t.answer("TransactionEvent", {"idTokenInfo": {"status": "Invalid"}}, times=1)` and execute
    `authorized` (and the states after it until the first TransactionEvent was sent).
    """
    session, (_, stop) = t.session(evse), await tx_points(t)
    check: dict[str, Any] = {"triggerReason": "Deauthorized"}
    if session.connected:
        check["transactionInfo.chargingState"] = ("EVConnected", "SuspendedEVSE")
    if stop & _ENDS_ON_STOP:
        check |= {"eventType": "Ended", "transactionInfo.stoppedReason": "DeAuthorized"}
    else:
        check |= {"eventType": "Updated"}
    await transaction_event(t, session.evse, check, req="C15.FR.04", within=_STOP_WITHIN_S)
    session.authorized = False
    return session


async def id_token_cached(t: Bench, card: Card, evse: int | None = None, *, accepted: bool = True) -> None:
    """IdTokenCached (erratum 6.2.120): the station has sent Authorize for `card`, and charged with it if `accepted`.

    The status of the card at the CSMS is set before, by `t.tokens`.
    """
    if accepted:
        await authorized(t, evse, card=card)
        await ev_connected_pre_session(t, evse)
        await energy_transfer_started(t, evse)
        await stop_authorized(t, evse)
        await ev_disconnected(t, evse)
    else:
        await t.present(card, evse=evse)
        await t.expect("Authorize", card.fields(), req="C01.FR.02")
    await asyncio.sleep(_CARD_AWAY_S)


# -- offline ---------------------------------------------------------------------------------------------------------


async def offline(t: Bench) -> None:
    """Closes the connection and accepts no other; waits until the station has noticed."""
    await t.hang_up(OnConnect.REFUSE)
    await asyncio.sleep(_NOTICED_S)


async def start_offline_transaction(t: Bench, evse: int | None = None, card: Card | None = None) -> None:
    """StartOfflineTransaction: connection closed, card, cable, connection accepted again."""
    number = t.evse if evse is None else evse
    await offline(t)
    await t.present(card, evse=number)
    await t.manual("plug_in", evse=number)
    t.on_connect(OnConnect.ACCEPT)
    await t.connected(within=60)


async def transaction_events_in_queue_ended(t: Bench, evse: int | None = None, card: Card | None = None) -> None:
    """TransactionEventsInQueueEnded: a whole session while offline; the case checks the queued events."""
    number = t.evse if evse is None else evse
    await offline(t)
    await t.manual("plug_in", evse=number)
    await t.present(card, evse=number)
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.present(card, evse=number)
    await asyncio.sleep(t.fixtures.transaction_s)
    await t.unplug(number)
    t.on_connect(OnConnect.ACCEPT)
    await t.connected(within=60)
