# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from firmware.clock import format_utc
from tools.conformance.peer.answers import silence
from tools.ocppj.frames import Call

Make = Callable[..., Any]


async def test_a_wrong_request_of_the_case_is_an_error(make_bench: Make) -> None:
    t = await make_bench()
    with pytest.raises(ValueError, match="own request is wrong"):
        await t.call("Reset", {"type": "Never"})


async def test_a_payload_against_its_schema_fails_the_case(make_bench: Make) -> None:
    t = await make_bench("bad_schema")
    assert await t.station.call("Heartbeat", {"no": "such field"}) == {"error": "FormatViolation"}
    await t.call("RequestStartTransaction", {"idToken": t.card.id_token, "remoteStartId": 1})
    assert [f.requirement for f in t.failures] == ["part 6, 1.2", "part 6, 1.2"]


async def test_a_second_call_before_the_answer_fails_the_case(make_bench: Make) -> None:
    t = await make_bench()
    t.answer("DataTransfer", silence())
    for _ in range(2):
        await t.station.send(Call(str(time.monotonic_ns()), "DataTransfer", {"vendorId": "x"}))
    await t.until(lambda: len(t.messages) >= 2 and t.failures, text="the second call")
    assert t.failures[0].requirement == "OCPP-J 4.1.1"


@pytest.mark.parametrize(
    "frame",
    [
        "no json",
        "[2]",
        '[9, "u", {}]',
        f'[2, "{"x" * 37}", "Heartbeat", {{}}]',
        '[2, "u", "Heartbeat", []]',
        '[3, "stray", {}]',
        '[4, "stray", "E", "", {}]',
    ],
)
async def test_a_broken_frame_or_a_stray_answer_fails_the_case(make_bench: Make, frame: str) -> None:
    t = await make_bench()
    await t.station.send(frame)
    await t.until(lambda: t.failures, text="a failure")
    assert t.failures[0].requirement.startswith("OCPP-J 4.2")


async def test_timestamps_must_be_rfc_3339(make_bench: Make) -> None:
    t = await make_bench()
    payload = {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}
    await t.station.call("StatusNotification", {**payload, "timestamp": format_utc(time.time())})
    assert t.failures == []
    await t.station.call("StatusNotification", {**payload, "timestamp": "yesterday"})
    assert "a date and time" in t.failures[0].text
