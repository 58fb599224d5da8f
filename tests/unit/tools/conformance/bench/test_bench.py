# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tools.conformance.checks.expected import CaseFailed
from tools.conformance.peer.endpoint import OnConnect

Make = Callable[..., Any]


async def test_a_call_requires_a_result_and_checks_it(make_bench: Make) -> None:
    t = await make_bench()
    with pytest.raises(CaseFailed, match="NotImplemented"):
        await t.call("ClearCache", {})
    t.failures.clear()
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Scheduled"}, req="B12.FR.01")  # the last: it restarts
    assert [f.requirement for f in t.failures] == ["B12.FR.01"]


async def test_a_call_error_requires_its_code(make_bench: Make) -> None:
    t = await make_bench()
    await t.call_error("ClearCache", {}, ("NotSupported", "NotImplemented"))
    assert t.failures == []
    await t.call_error("ClearCache", {}, "SecurityError", req="B03.FR.08")
    await t.call_error("Reset", {"type": "OnIdle"}, "SecurityError", req="B03.FR.08")
    assert [f.requirement for f in t.failures] == ["B03.FR.08", "B03.FR.08"]


async def test_no_answer_ends_the_case(make_bench: Make) -> None:
    t = await make_bench("silent")
    with pytest.raises(CaseFailed, match="NoAnswer"):
        await t.call("Reset", {"type": "OnIdle"}, within=0.2)


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
    t = await make_bench("wrong_password", boot=False)
    await t.until(lambda: t.failures, text="a failure", within=10)
    assert t.failures[0].requirement == "A00.FR.205"
    assert t.csms.connection is None
