# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from firmware.clock import format_utc
from tools.conformance.checks.expected import CaseFailed, expected, expected_status
from tools.conformance.peer.answers import error, silence
from tools.conformance.peer.endpoint import OnConnect

Make = Callable[..., Any]


async def test_expect_waits_and_names_what_is_wrong_without_ending_the_case(make_bench: Make) -> None:
    t = await make_bench()
    t.step(3)
    await t.station.call("DataTransfer", {"vendorId": "acme", "messageId": "m"})
    got = await t.expect("DataTransfer", {"messageId": "n", "vendorId": "acme"}, req="P02.FR.01")
    assert got.get("messageId") == "m"
    (failure,) = t.failures
    assert str(failure).startswith('step 3, P02.FR.01: DataTransfer: messageId is "m", expected "n"; DataTransfer {')


async def test_expect_gives_up_when_nothing_comes(make_bench: Make) -> None:
    t = await make_bench()
    with pytest.raises(CaseFailed, match=r"no Authorize within 0\.02 s"):
        await t.expect("Authorize", within=0.1)
    assert len(t.failures) == 1


async def test_what_may_come_at_any_time_is_passed_over(make_bench: Make) -> None:
    t = await make_bench()
    t.station.plugged.add(1)
    for evse in (2, 1):
        await t.station.status(evse)
    await t.expect_status("Occupied", evse=1)
    assert t.failures == []


async def test_a_status_from_before_the_tools_last_act_is_stale(make_bench: Make) -> None:
    t = await make_bench()
    await t.station.status(1)
    mark = t.mark() - 1
    await t.manual("nothing")
    with pytest.raises(CaseFailed):
        await t.expect_status("Available", evse=1, within=0.2)
    t.failures.clear()
    await t.expect("StatusNotification", since=mark)
    assert t.failures == []


async def test_what_must_be_accounted_for_waits_over_acts_and_fails_at_the_end(make_bench: Make) -> None:
    t = await make_bench()
    await t.station.call("DataTransfer", {"vendorId": "one"})
    await t.station.call("DataTransfer", {"vendorId": "two"})
    await t.manual("nothing")
    first = await t.expect("DataTransfer", where={"vendorId": "two"})
    assert first.get("vendorId") == "two"
    t.finish()
    assert [f.text for f in t.failures] == ["unexpected DataTransfer"]
    assert '"one"' in t.failures[0].message


async def test_expect_all_takes_any_order(make_bench: Make) -> None:
    t = await make_bench()
    for evse in (2, 1):
        await t.station.status(evse)
    await t.station.call("DataTransfer", {"vendorId": "x"})
    wants = [expected("DataTransfer"), expected_status("Available", evse=1), expected_status("Available", evse=2)]
    found = await t.expect_all(wants)
    assert [message.action for message in found] == ["DataTransfer", "StatusNotification", "StatusNotification"]
    with pytest.raises(CaseFailed, match="status Occupied of EVSE 2"):
        await t.expect_all([expected_status("Occupied", evse=2)], within=0.1)


async def test_optional_leaves_what_does_not_fit(make_bench: Make) -> None:
    t = await make_bench()
    await t.station.call("DataTransfer", {"vendorId": "x"})
    assert await t.optional("DataTransfer", {"vendorId": "y"}, within=0.1) is None
    assert await t.optional("DataTransfer", {"vendorId": "x"}, within=0.1) is not None


async def test_never_fails_on_what_comes(make_bench: Make) -> None:
    t = await make_bench()
    await t.never("DataTransfer", 0.05)
    mark = t.mark()
    await t.station.call("DataTransfer", {"vendorId": "x"})
    with pytest.raises(CaseFailed, match="not to be sent"):
        await t.never(None, 0.05, since=mark, allow=("Heartbeat",), req="B02.FR.02")


async def test_a_call_wants_a_result_and_checks_it(make_bench: Make) -> None:
    t = await make_bench()
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Scheduled"}, req="B12.FR.01")
    assert [f.requirement for f in t.failures] == ["B12.FR.01"]
    with pytest.raises(CaseFailed, match="NotImplemented"):
        await t.call("ClearCache", {})


async def test_a_call_error_wants_its_code(make_bench: Make) -> None:
    t = await make_bench()
    await t.call_error("ClearCache", {}, ("NotSupported", "NotImplemented"))
    assert t.failures == []
    await t.call_error("ClearCache", {}, "SecurityError", req="B03.FR.08")
    await t.call_error("Reset", {"type": "OnIdle"}, "SecurityError", req="B03.FR.08")
    assert [f.requirement for f in t.failures] == ["B03.FR.08", "B03.FR.08"]


async def test_no_answer_ends_the_case(make_bench: Make) -> None:
    t = await make_bench("deaf")
    with pytest.raises(CaseFailed, match="NoAnswer"):
        await t.call("Reset", {"type": "OnIdle"}, within=0.2)


async def test_a_wrong_request_of_the_case_is_the_cases_fault(make_bench: Make) -> None:
    t = await make_bench()
    with pytest.raises(ValueError, match="own request is wrong"):
        await t.call("Reset", {"type": "Never"})


async def test_replies_can_be_replaced_a_number_of_times(make_bench: Make) -> None:
    t = await make_bench()
    t.answer("DataTransfer", {"status": "Accepted"}, times=1)
    t.answer("DataTransfer", error("InternalError"), times=1)
    answers = [await t.station.call("DataTransfer", {"vendorId": "x"}) for _ in range(3)]
    assert answers == [{"status": "Accepted"}, {"error": "InternalError"}, {"status": "UnknownVendorId"}]


async def test_a_reply_may_look_at_the_message_and_wait(make_bench: Make) -> None:
    t = await make_bench()

    async def reply(message: Any) -> dict[str, Any]:
        return {"status": "Accepted", "data": message.get("vendorId")}

    t.answer("DataTransfer", reply)
    assert (await t.station.call("DataTransfer", {"vendorId": "x"}))["data"] == "x"
    t.answer_normally("DataTransfer")
    assert (await t.station.call("DataTransfer", {"vendorId": "x"}))["status"] == "UnknownVendorId"


async def test_tokens_decide_about_cards(make_bench: Make) -> None:
    t = await make_bench()
    token = {"idToken": t.card.uid.lower(), "type": "ISO14443"}
    assert (await t.station.call("Authorize", {"idToken": token}))["idTokenInfo"]["status"] == "Accepted"
    t.tokens({t.card: {"status": "Blocked"}})
    assert (await t.station.call("Authorize", {"idToken": token}))["idTokenInfo"]["status"] == "Blocked"
    unknown = {"idToken": "00", "type": "ISO14443"}
    assert (await t.station.call("Authorize", {"idToken": unknown}))["idTokenInfo"]["status"] == "Unknown"


async def test_configure_sets_reads_and_forgives_what_is_not_there(make_bench: Make) -> None:
    t = await make_bench()
    await t.configure({"OCPPCommCtrlr.OfflineThreshold": "300"})
    assert await t.get_variable("OCPPCommCtrlr.OfflineThreshold") == "300"
    assert await t.get_variable("OCPPCommCtrlr.Nothing") is None
    done = await t.configure(
        {"AuthCacheCtrlr.Enabled": "true", "TxCtrlr.TxStartPoint": "EVConnected"}, if_implemented=True
    )
    assert done == ["TxCtrlr.TxStartPoint"]
    with pytest.raises(CaseFailed, match="UnknownVariable"):
        await t.configure({"AuthCacheCtrlr.Enabled": "true"})


@pytest.mark.parametrize("reaction", [OnConnect.REFUSE, OnConnect.DROP, OnConnect.HANG])
async def test_a_refused_connection_is_recorded_as_an_attempt(make_bench: Make, reaction: OnConnect) -> None:
    t = await make_bench()
    before = len(t.csms.attempts)
    await t.hang_up(reaction)
    attempt = await t.attempt(before, within=5)
    assert attempt.outcome == reaction.value
    assert attempt.at <= t.elapsed
    assert t.csms.connection is None
    if reaction is not OnConnect.HANG:
        t.on_connect(OnConnect.ACCEPT)
        await t.connected(within=25)
        assert t.csms.connections == 2


async def test_a_wrong_password_is_noticed_and_kept_out(make_bench: Make) -> None:
    t = await make_bench("wrong_password", settled=False)
    await t.until(lambda: t.failures, text="a failure", within=10)
    assert t.failures[0].requirement == "A00.FR.205"
    assert t.csms.connection is None


async def test_a_payload_against_its_schema_fails_the_case(make_bench: Make) -> None:
    t = await make_bench("bad_schema")
    assert await t.station.call("Heartbeat", {"no": "such field"}) == {"error": "FormatViolation"}
    await t.call("RequestStartTransaction", {"idToken": t.card.id_token, "remoteStartId": 1})
    assert [f.requirement for f in t.failures] == ["part 6, 1.2", "part 6, 1.2"]


async def test_a_second_call_before_the_answer_fails_the_case(make_bench: Make) -> None:
    t = await make_bench()
    t.answer("DataTransfer", silence())
    for _ in range(2):
        frame = [2, str(time.monotonic_ns()), "DataTransfer", {"vendorId": "x"}]
        await t.station.send(frame)
    await t.until(lambda: len(t.messages) >= 2 and t.failures, text="the second call")
    assert t.failures[0].requirement == "OCPP-J 4.1.1"


@pytest.mark.parametrize("frame", ["no json", "[2]", '[9, "u", {}]', '[3, "stray", {}]', '[4, "stray", "E", "", {}]'])
async def test_what_is_no_frame_or_answers_nothing_fails_the_case(make_bench: Make, frame: str) -> None:
    t = await make_bench()
    await t.station.send(frame)
    await t.until(lambda: t.failures, text="a failure")
    assert t.failures[0].requirement.startswith("OCPP-J 4.2")


async def test_checks_and_post_validations_record_their_place(make_bench: Make) -> None:
    t = await make_bench()
    t.step(4)
    assert t.check(True, "X", "fine")
    t.check(None, "G01.FR.03", "it is not there")
    t.post([], "B01.FR.05", "all connectors")
    assert [(f.step, f.requirement) for f in t.failures] == [("4", "G01.FR.03"), ("post", "B01.FR.05")]


async def test_timestamps_must_be_rfc_3339(make_bench: Make) -> None:
    t = await make_bench()
    payload = {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    await t.station.call("StatusNotification", {**payload, "timestamp": format_utc(time.time())})
    assert t.failures == []
    await t.station.call("StatusNotification", {**payload, "timestamp": "yesterday"})
    assert "date-time" in t.failures[0].text
