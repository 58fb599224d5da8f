# SPDX-License-Identifier: Apache-2.0
"""A misbehaving CSMS or network: the station keeps to the protocol, continues charging and loses no message."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from firmware.clock import format_utc, parse_utc
from services.ocpp.no_connection import Cause
from tests.support.csms import CallFailed, Fault, ScriptedCsms
from tests.support.rig import ROOT
from tests.support.scenario import Site, site, within
from tools.rig.client import RigRefused

PRODUCT = ROOT / "firmware" / "product" / "c7am-400-cc.toml"
RETRY_AT_ONCE = {("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"): "0"}
IN_HANDSHAKE = (
    Fault.REFUSE_401,
    Fault.REFUSE_404,
    Fault.REFUSE_503,
    Fault.REDIRECT,
    Fault.NO_SUBPROTOCOL,
    Fault.WRONG_SUBPROTOCOL,
    Fault.CLOSE_IN_HANDSHAKE,
    Fault.NONSENSE_IN_HANDSHAKE,
)
IN_ANSWERS = (
    Fault.CALLERROR,
    Fault.STALL,
    Fault.CLOSE,
    Fault.NONSENSE,
    Fault.INVALID_ANSWER,
    Fault.WRONG_ID,
    Fault.OVERSIZED,
    Fault.BINARY,
    Fault.BAD_UTF8,
    Fault.DUPLICATE,
)


# --- connecting ---------------------------------------------------------------------------------------------------


async def test_csms_that_refuses_connections(csms: ScriptedCsms, tmp_path: Path) -> None:
    """At the first boot and later: each refusal is logged, the station dials again, and charging is not affected."""
    csms.fail(IN_HANDSHAKE[0], times=2)
    async with site(tmp_path, csms=csms) as here:
        assert csms.attempts == 3
        transaction_id = await here.charge(1)
        for fault in IN_HANDSHAKE[1:]:
            connections = csms.connections
            csms.fail(fault, times=1)
            await here.rig.op("network", mode="close")
            await csms.until_connected(connections + 1, timeout=20)
            await here.settled()
        log = here.log("ocpp")
        for words in ("HTTP 401", "HTTP 404", "HTTP 503", "HTTP 302", "ocpp2.0.1", "during the handshake"):
            assert words in log, words
        assert (await here.rig.evse(1))["contactor"] == "closed"
        transaction = await here.stop_with_card(1)
        transaction.check()
        assert transaction.id == transaction_id
        assert transaction.states == ["Idle", "EVConnected", "Charging", "EVConnected"]
        assert len(here.sent("BootNotification")) == 1, "a lost connection is no boot"


@pytest.mark.slow
async def test_csms_that_never_answers_the_handshake(csms: ScriptedCsms, tmp_path: Path) -> None:
    """The attempt is abandoned after 20 s; until then the display shows that the operator can't be reached."""
    csms.fail(Fault.STALL_HANDSHAKE, times=1)
    async with site(tmp_path, csms=csms, accepted=False) as here:
        await here.rig.wait("booted")
        await here.until_page(1, "offline")
        assert await here.card(1) == "offline"
        await here.rig.wait("connected", timeout_s=25)
        await here.settled()
        await here.until_page(2, "idle")
        assert "no connection within 20 s" in here.log("ocpp")


async def test_a_reconnection_is_no_boot(here: Site) -> None:
    """After a short outage: no BootNotification, and no StatusNotification without a change (B04)."""
    before = len(here.csms.received)
    for mode in ("close", "down", "refuse"):
        since = here.rig.mark
        await here.rig.op("network", mode=mode)
        if mode == "refuse":
            await here.rig.op("network", mode="close")
        await here.rig.wait("disconnected", since=since)
        await here.until_page(1, "offline")
        await here.rig.op("network", mode="up")
        await here.rig.wait("connected", since=since)
        await here.settled()
        await here.until_page(1, "idle")
    assert [call.action for call in here.csms.received[before:]] == ["Heartbeat"] * 3  # B04, step 5


# --- answers ------------------------------------------------------------------------------------------------------


async def test_csms_that_answers_wrongly(csms: ScriptedCsms, tmp_path: Path) -> None:
    """Each kind of wrong answer to a meter value: the event is sent again, and the transaction is complete."""
    async with site(tmp_path, csms=csms, timeout_s=1, variables=RETRY_AT_ONCE) as here:
        transaction_id = await here.charge(2)
        for fault in IN_ANSWERS:
            csms.fail(fault, times=1)
            await here.until_more_events(transaction_id)
            await here.settled()
            assert (await here.rig.evse(2))["contactor"] == "closed", fault
        transaction = await here.stop_with_card(2)
        transaction.check()
        assert transaction.repeated >= 4, "unanswered events were not sent again"
        assert transaction.states == ["Idle", "EVConnected", "Charging", "EVConnected"]
        assert len(here.transactions) == 1


async def test_csms_that_always_refuses_one_message(csms: ScriptedCsms, tmp_path: Path) -> None:
    """A CALLERROR for every attempt: after MessageAttempts the message is dropped, and the next one is sent."""
    async with site(tmp_path, csms=csms, variables=RETRY_AT_ONCE) as here:
        transaction_id = await here.charge(1)
        csms.answers["TransactionEvent"] = CallFailed("InternalError", "never")
        await csms.until(lambda: here.transaction(transaction_id).repeated >= 2, "three attempts", timeout=20)
        csms.answers["TransactionEvent"] = {}
        transaction = await here.stop_with_card(1)
        transaction.check()
        await here.settled()
        assert "discarded" in here.log("ocpp")


async def test_csms_that_does_not_support_authorize(here: Site) -> None:
    """A CALLERROR to Authorize: the display shows it, no transaction starts, and a card works once it is answered."""
    here.csms.answers["Authorize"] = CallFailed("NotSupported", "not today")
    assert await here.card(1) == "error"
    assert (await here.until_page(1, "rejected"))["reason"]
    assert here.sent("TransactionEvent") == []
    here.csms.answers["Authorize"] = {"idTokenInfo": {"status": "Accepted"}}
    assert await here.card(1) == "started"


def no_zone(_: dict[str, Any]) -> str:
    """As `datetime.utcnow().isoformat()` writes it."""
    return format_utc(time.time()).removesuffix("Z")


SLOPPY: dict[str, Any] = {
    "BootNotification": lambda _: {
        "currentTime": no_zone(_),
        "interval": 300,
        "status": "Accepted",
        "statusInfo": None,
        "serverVersion": "2.0",
    },
    "Heartbeat": lambda _: {"currentTime": no_zone(_), "customData": None},
    "Authorize": {
        "idTokenInfo": {
            "status": "Accepted",
            "cacheExpiryDateTime": "2126-11-23 10:00:00",
            "groupIdToken": None,
            "evseId": None,
            "personalMessage": None,
        },
        "certificateStatus": None,
    },
    "TransactionEvent": {"totalCost": None, "idTokenInfo": None, "status": "ok"},
    "StatusNotification": {"timestamp": "now"},
}


async def test_csms_that_answers_sloppily(csms: ScriptedCsms, tmp_path: Path) -> None:
    """No zone, null for an absent field, unknown fields: a whole session, nothing is repeated, one warning a rule."""
    csms.answers |= SLOPPY
    async with site(tmp_path, csms=csms) as here:
        await here.charge(1)
        transaction = await here.stop_with_card(1)
        transaction.check()
        assert transaction.repeated == 0
        await here.leave(1)
        assert len(here.sent("BootNotification")) == 1
        found = (line.partition("answer of the CSMS to ")[2] for line in here.log("ocpp").splitlines())
        warnings = [text for text in found if text]
        assert sorted(warnings) == [
            "BootNotification accepted, though invalid: currentTime: a date-time without a zone is read as UTC",
            "BootNotification accepted, though invalid: serverVersion: an unknown field is ignored",
            "BootNotification accepted, though invalid: statusInfo: null counts as absent",
        ]


async def test_all_waits_set_to_0(csms: ScriptedCsms, tmp_path: Path) -> None:
    """They stay as they are set; yet a CSMS that refuses gets a handshake a second, and one that fails to process a
    message gets it after growing waits."""
    attempts = {("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"): "1000"}
    async with site(tmp_path, csms=csms, variables={**RETRY_AT_ONCE, **attempts}) as here:
        csms.fail(Fault.REFUSE_503)
        await here.rig.op("network", mode="close")
        before, times = len(csms.handshakes), list[float]()
        while len(times) < 4:
            await csms.until(lambda: len(csms.handshakes) > before + len(times), "a handshake")
            times.append(time.monotonic())
        assert times[-1] - times[0] > 2.0
        csms.fail(None)
        await here.settled()
        csms.answers["TransactionEvent"] = CallFailed("InternalError", "never")
        assert await here.card(1) == "started"
        await csms.until(lambda: len(here.sent("TransactionEvent")) >= 4, "four attempts", timeout=20)
        csms.answers["TransactionEvent"] = {}
        lines = here.log("ocpp").splitlines()
        failed = [parse_utc(line.partition(" ")[0]) for line in lines if "TransactionEvent failed" in line]
        gaps = [later - earlier for earlier, later in itertools.pairwise(failed)]
        assert [round(gap) >= number for number, gap in enumerate(gaps, start=1)] == [True] * len(gaps)
        place = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "RetryBackOffWaitMinimum"}}
        answer = await csms.call("GetVariables", {"getVariableData": [place]})
        assert answer["getVariableResult"][0]["attributeValue"] == "0"
        await here.settled()


# --- the network ------------------------------------------------------------------------------------------------------


async def test_black_hole_is_detected_by_ping(csms: ScriptedCsms, tmp_path: Path) -> None:
    """The connection is open, no byte arrives: detected within the ping interval and the 10 s for the pong.

    The product's shortest interval is 20 s; this one has 1 s, to keep the test short.
    """
    product = tmp_path / "short-ping.toml"
    text = (
        PRODUCT.read_text()
        .replace("ping_min_s = 20", "ping_min_s = 1")
        .replace("ping_default_s = 20", "ping_default_s = 1")
    )
    product.write_text(text)
    async with site(tmp_path, csms=csms, product=str(product), speed=5.0) as here:
        transaction_id = await here.charge(1)
        since = here.rig.mark
        with within(1 + 10 + 2):
            await here.rig.op("network", mode="blackhole")
            await here.rig.wait("disconnected", since=since, timeout_s=15)
        failure = (await here.rig.state())["ocpp"]["last_failure"]
        assert failure["kind"] == "timeout"
        assert failure["text"].startswith(f"no pong in time: 127.0.0.1:{csms.port} did not answer a ping")
        assert failure["text"] in here.log("ocpp")
        assert failure["text"] in here.rig.errors.read_text()
        await here.until_page(2, "offline", offline=Cause.NO_PONG.for_driver.value)
        await here.until_register(1, above_wh=await here.register_wh(1))
        await here.rig.client.until(lambda state: state["ocpp"]["queued_messages"] > 3)
        await here.rig.op("network", mode="down")  # ends the present attempt, which would take 20 s
        await here.rig.op("network", mode="up")
        await here.rig.client.until(lambda state: state["ocpp"]["connected"])
        transaction = await here.stop_with_card(1)
        transaction.check()
        assert transaction.id == transaction_id
        assert any(event.get("offline") for event in transaction.events)


async def test_session_continues_offline(here: Site) -> None:
    """Charging and stopping work without a CSMS; it receives everything afterwards, in order and marked offline."""
    before = await here.register_wh(2)
    transaction_id = await here.charge(2)
    await here.rig.op("network", mode="down")
    await here.rig.wait("disconnected")
    assert await here.card(1) == "offline"
    assert await here.page(2) == "charging"
    received = len(here.csms.received)
    assert await here.card(2) == "stopped"
    await here.until_evse(2, lambda it: it["transaction_id"] is None)
    await here.plug_out(2)
    await here.until_evse(2, lambda it: it["phase"] == "idle")
    assert len(here.csms.received) == received
    await here.rig.op("network", mode="up")
    transaction = await here.end_of(transaction_id)
    transaction.check()
    assert transaction.events[-1]["offline"] is True
    assert transaction.reason == "Local"
    assert transaction.energy_wh == pytest.approx(await here.register_wh(2) - before, abs=0.01)
    await here.settled()
    assert here.statuses(2) == ["Available", "Occupied", "Available"]


async def test_slow_network(here: Site) -> None:
    """A latency of 300 ms: everything takes longer, and no message is repeated."""
    await here.rig.op("network", latency_ms=300)
    await here.charge(1)
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.repeated == 0
    assert (await here.csms.call("GetVariables", VENDOR))["getVariableResult"][0]["attributeStatus"] == "Accepted"
    await here.rig.op("network", latency_ms=0)


async def test_network_that_comes_and_goes(here: Site) -> None:
    """Ten lost connections within one session: one complete transaction, and at most one repetition for each loss."""
    transaction_id = await here.charge(2)
    for number in range(10):
        since = here.rig.mark
        await here.rig.op("network", mode="close" if number % 2 else "down")
        await here.rig.wait("disconnected", since=since)
        await here.rig.op("network", mode="up")
        await here.rig.wait("connected", since=since)
    transaction = await here.stop_with_card(2)
    transaction.check()
    assert transaction.id == transaction_id
    assert transaction.repeated <= 10
    assert len(here.sent("BootNotification")) == 1


# --- registration -----------------------------------------------------------------------------------------------------


def boot_answer(status: str, interval: int) -> dict[str, Any]:
    return {"currentTime": format_utc(time.time()), "interval": interval, "status": status}


async def test_pending_and_then_accepted(csms: ScriptedCsms, tmp_path: Path) -> None:
    """While Pending only BootNotification is sent, cards are refused, and requests of the CSMS are answered."""
    csms.answers["BootNotification"] = lambda _: boot_answer("Pending", 1)
    async with site(tmp_path, csms=csms, accepted=False) as here:
        await here.rig.wait("registration", status="Pending")
        assert await here.card(1) == "offline"
        await here.until_page(1, "rejected")
        request = {"idToken": {"idToken": "AA", "type": "ISO14443"}, "remoteStartId": 1, "evseId": 1}
        assert (await csms.call("RequestStartTransaction", request))["status"] == "Rejected"
        assert (await csms.call("GetVariables", VENDOR))["getVariableResult"][0]["attributeStatus"] == "Accepted"
        await csms.until(lambda: len(here.sent("BootNotification")) >= 2, "another BootNotification")
        assert {call.action for call in csms.received} == {"BootNotification"}
        csms.answers["BootNotification"] = lambda _: boot_answer("Accepted", 300)
        await here.rig.wait("registration", status="Accepted")
        await csms.until(lambda: here.statuses(1) == here.statuses(2) == ["Available"], "Available")
        assert await here.card(1) == "started"


async def test_rejected_and_then_accepted(csms: ScriptedCsms, tmp_path: Path) -> None:
    """While Rejected every request gets a SecurityError, and BootNotification is repeated after the interval."""
    csms.answers["BootNotification"] = lambda _: boot_answer("Rejected", 1)
    async with site(tmp_path, csms=csms, accepted=False) as here:
        await here.rig.wait("registration", status="Rejected")
        with pytest.raises(CallFailed, match="SecurityError"):
            await csms.call("GetVariables", VENDOR)
        await csms.until(lambda: len(here.sent("BootNotification")) >= 2, "another BootNotification")
        assert {call.action for call in csms.received} == {"BootNotification"}
        csms.answers["BootNotification"] = lambda _: boot_answer("Accepted", 300)
        await here.rig.wait("registration", status="Accepted")
        await here.settled()


# --- frames ---------------------------------------------------------------------------------------------------------

VENDOR = {"getVariableData": [{"component": {"name": "ChargingStation"}, "variable": {"name": "VendorName"}}]}
MALFORMED: list[tuple[str, str | bytes, str, str]] = [
    ("no JSON", "<html>It works!</html>", "-1", "RpcFrameworkError"),
    ("cut off", '[2,"cut","GetVariables",{"getVariableData":[', "cut", "FormatViolation"),
    ("no array", '{"kind":"call"}', "-1", "RpcFrameworkError"),
    ("empty", "[]", "-1", "RpcFrameworkError"),
    ("no action", '[2,"short"]', "short", "RpcFrameworkError"),
    ("action of another type", '[2,"odd",7,{}]', "odd", "RpcFrameworkError"),
    ("payload of another type", '[2,"list","GetVariables",[]]', "list", "FormatViolation"),
    ("unknown message type", '[9,"nine","GetVariables",{}]', "nine", "MessageTypeNotSupported"),
    ("unknown action", '[2,"what","MakeCoffee",{}]', "what", "NotImplemented"),
    (
        "action of a block that is not implemented",
        '[2,"resv","CancelReservation",{"reservationId":1}]',
        "resv",
        "NotSupported",
    ),
    ("missing field", '[2,"less","GetVariables",{}]', "less", "OccurrenceConstraintViolation"),
    ("wrong type", '[2,"type","Reset",{"type":7}]', "type", "TypeConstraintViolation"),
    ("value not in the list", '[2,"enum","Reset",{"type":"Warm"}]', "enum", "PropertyConstraintViolation"),
    ("binary", json.dumps([2, "bin", "GetVariables", VENDOR]).encode(), "bin", "RpcFrameworkError"),
    ("id too long", json.dumps([2, "x" * 40, "GetVariables", VENDOR]), "-1", "RpcFrameworkError"),
    (
        "too deep",
        f'[2,"deep","DataTransfer",{{"vendorId":"x","data":{"[" * 200}{"]" * 200}}}]',
        "deep",
        "FormatViolation",
    ),
]


async def test_malformed_frames(here: Site) -> None:
    """Each kind gets its CALLERROR, with the message id if it is readable; charging and the connection continue.

    Only a message of more than 256 KiB ends the connection (1009); the station dials again.
    """
    transaction_id = await here.charge(1)
    for name, frame, message_id, code in MALFORMED:
        await here.csms.send_raw(frame)
        error = await here.csms.expect_error()
        assert (error.message_id, error.code) == (message_id, code), name
    await here.csms.send_raw('[3,"no-such-call",{}]')
    await here.csms.send_raw('[4,"no-such-call","InternalError","",{}]')
    await here.csms.send_raw("[3]")
    assert (await here.csms.call("GetVariables", VENDOR))["getVariableResult"][0]["attributeStatus"] == "Accepted"
    assert here.csms.connections == 1
    assert not here.transaction(transaction_id).ended

    since = here.rig.mark
    padding = {"customData": {"vendorId": "x" * 300_000}}
    await here.csms.send_raw(json.dumps([2, "large", "GetVariables", {**VENDOR, **padding}]))
    await here.rig.wait("connected", since=since)
    await here.settled()
    assert "1009" in here.log("ocpp")
    transaction = await here.stop_with_card(1)
    transaction.check()
    assert transaction.id == transaction_id


async def test_same_call_twice(here: Site) -> None:
    """A request that is repeated with the same message id: both are answered, and one transaction starts."""
    request = {"idToken": {"idToken": "04AA", "type": "ISO14443"}, "remoteStartId": 9, "evseId": 1}
    frame = json.dumps([2, "again", "RequestStartTransaction", request])
    await here.csms.send_raw(frame)
    await here.csms.send_raw(frame)
    await here.csms.until(lambda: len(here.csms.results) >= 2, "two answers")
    assert sorted(each.payload["status"] for each in here.csms.results) == ["Accepted", "Rejected"]
    here.csms.results.clear()
    await here.csms.until(lambda: len(here.transactions) == 1, "a transaction")
    assert len(here.sent("Authorize")) == 1


async def test_flood_of_calls(here: Site) -> None:
    """A hundred requests at once are answered, each under its own id."""
    answers = await asyncio.gather(*(here.csms.call("GetVariables", VENDOR, timeout=20) for _ in range(100)))
    assert all(each["getVariableResult"][0]["attributeStatus"] == "Accepted" for each in answers)


# --- time -------------------------------------------------------------------------------------------------------------


def stamps(value: Any) -> list[str]:
    """Every time stamp in a payload, at any depth."""
    if isinstance(value, dict):
        return [found for key, each in value.items() for found in ([each] if key == "timestamp" else stamps(each))]
    return [found for each in value for found in stamps(each)] if isinstance(value, list) else []


def check_times(here: Site, began: float) -> None:
    """All time stamps are between the test's start and now (+/- 5 s), whatever the board's clock is."""
    until = time.time() + 5
    for call in here.csms.received:
        for stamp in stamps(call.payload):
            assert began - 5 <= parse_utc(stamp) <= until, f"{call.action} of {stamp}: {call.payload}"


@pytest.mark.parametrize("trouble", [{"lost": True}, {"offset_s": -30 * 365 * 86400}], ids=["lost", "1996"])
async def test_clock_that_is_wrong_at_boot(tmp_path: Path, trouble: dict[str, Any]) -> None:
    """The real-time clock has lost its time or is decades behind: no time stamp shows it, even after a power cut."""
    began = time.time()
    async with site(tmp_path, off=True) as here:
        await here.rig.op("clock", **trouble)
        await here.rig.op("power_on")
        await here.settled()
        transaction_id = await here.charge(1)
        await here.rig.op("power_off")
        await here.rig.op("network", mode="refuse")
        await here.rig.op("power_on")
        await here.rig.client.until(lambda state: state["ocpp"]["queued_messages"] > 0)
        await here.rig.op("network", mode="up")
        transaction = await here.end_of(transaction_id)
        transaction.check()
        assert transaction.reason == "PowerLoss"
        await here.settled()
        check_times(here, began)


async def test_clock_that_is_stepped_while_charging(here: Site) -> None:
    """The board's clock is set forward and back: intervals and time stamps are not affected."""
    began = time.time()
    transaction_id = await here.charge(2)
    for trouble in ({"offset_s": 86_400}, {"offset_s": -86_400 * 400}, {"lost": True}, {"offset_s": 0}):
        await here.rig.op("clock", **trouble)
        await here.until_more_events(transaction_id)
    transaction = await here.stop_with_card(2)
    transaction.check()
    check_times(here, began)


async def test_csms_with_a_wrong_clock(csms: ScriptedCsms, tmp_path: Path) -> None:
    """A currentTime of 1970 is ignored."""
    csms.answers["BootNotification"] = {"currentTime": "1970-01-01T00:00:00Z", "interval": 300, "status": "Accepted"}
    csms.answers["Heartbeat"] = {"currentTime": "1970-01-01T00:00:00Z"}
    began = time.time()
    async with site(tmp_path, csms=csms) as here:
        await csms.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
        await csms.until(lambda: bool(here.sent("Heartbeat")), "a Heartbeat")
        assert await here.card(1) == "started"
        await here.rig.op("press_stop", evse=1)
        await here.until_ended()
        check_times(here, began)


async def test_a_card_without_power(here: Site) -> None:
    """A card at a station without power has no effect, and is not reported after the next boot."""
    await here.rig.op("power_off")
    with pytest.raises(RigRefused, match="no power"):
        await here.rig.op("present_card", uid="04AA")
    await here.rig.op("power_on")
    await here.settled()
    assert here.sent("Authorize") == []
