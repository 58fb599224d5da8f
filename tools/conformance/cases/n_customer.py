# SPDX-License-Identifier: Apache-2.0
"""Block N, diagnostics: what is kept about a customer (N10)."""

from __future__ import annotations

from tools.conformance.bench import Bench
from tools.conformance.registry import case
from tools.conformance.values import PRESENT, absent_or


@case("TC_N_32_CS")
async def tc_n_32_cs(t: Bench) -> None:
    """Red when: nothing, or more than one message, says that the data was cleared."""
    t.step(1)
    request_id = t.new_id()
    payload = {"requestId": request_id, "report": False, "clear": True, "idToken": t.card.id_token}
    mark = t.mark()
    await t.call("CustomerInformation", payload, {"status": "Accepted"}, req="N10.FR.01")
    t.step(3)
    check = {"requestId": request_id, "seqNo": 0, "tbc": absent_or(False), "data": PRESENT, "generatedAt": PRESENT}
    await t.expect("NotifyCustomerInformation", check, req="N10.FR.06")
    await t.never("NotifyCustomerInformation", 0.5, req="N10.FR.06", since=mark)
