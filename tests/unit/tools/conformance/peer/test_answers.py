# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tools.conformance.peer.answers import error

Make = Callable[..., Any]


async def test_replies_can_be_replaced_a_number_of_times(make_bench: Make) -> None:
    t = await make_bench()
    t.answer("DataTransfer", {"status": "Accepted"}, times=1)
    t.answer("DataTransfer", error("InternalError"), times=1)
    answers = [await t.station.call("DataTransfer", {"vendorId": "x"}) for _ in range(3)]
    assert answers == [{"status": "Accepted"}, {"error": "InternalError"}, {"status": "UnknownVendorId"}]


async def test_a_reply_may_depend_on_the_message_and_wait(make_bench: Make) -> None:
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
