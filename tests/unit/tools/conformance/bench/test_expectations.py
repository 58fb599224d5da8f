# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tools.conformance.checks.expected import CaseFailed, expected, expected_status

Make = Callable[..., Any]


async def test_expect_waits_and_names_what_is_wrong_without_ending_the_case(make_bench: Make) -> None:
    t = await make_bench()
    t.step(3)
    await t.station.call("DataTransfer", {"vendorId": "acme", "messageId": "m"})
    got = await t.expect("DataTransfer", {"messageId": "n", "vendorId": "acme"}, req="P02.FR.01")
    assert got.get("messageId") == "m"
    (failure,) = t.failures
    assert str(failure).startswith('step 3, P02.FR.01: DataTransfer: messageId is "m", expected "n"; DataTransfer {')


async def test_expect_ends_the_case_when_nothing_comes(make_bench: Make) -> None:
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


async def test_checks_and_post_validations_record_their_place(make_bench: Make) -> None:
    t = await make_bench()
    t.step(4)
    assert t.check(True, "X", "fine")
    t.check(None, "G01.FR.03", "it is not there")
    t.post([], "B01.FR.05", "all connectors")
    assert [(f.step, f.requirement) for f in t.failures] == [("4", "G01.FR.03"), ("post", "B01.FR.05")]
