# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from typing import Any

import pytest

from tools.conformance.peer.transcript import Entry as Line
from tools.conformance.run.measure import measure, summarise


def line(at: float, who: str, what: str, action: str, body: Any, uid: str = "") -> Line:
    return Line(at, who, what, action, body, uid)


def test_answers_and_the_messages_after_them_are_measured() -> None:
    entries = [
        line(1.0, "csms", "call", "TriggerMessage", {"requestedMessage": "Heartbeat"}, "a"),
        line(1.1, "station", "result", "TriggerMessage", {"status": "Accepted"}, "a"),
        line(1.5, "station", "call", "Heartbeat", {}),
        line(2.0, "csms", "call", "RequestStartTransaction", {"remoteStartId": 7}, "b"),
        line(2.2, "station", "result", "RequestStartTransaction", {"status": "Accepted"}, "b"),
        line(2.3, "station", "call", "TransactionEvent", {"transactionInfo": {"remoteStartId": 6}}),
        line(3.0, "station", "call", "TransactionEvent", {"transactionInfo": {"remoteStartId": 7}}),
        line(4.0, "csms", "call", "RequestStopTransaction", {}, "c"),
        line(4.1, "station", "result", "RequestStopTransaction", {"status": "Rejected"}, "c"),
        line(4.2, "station", "call", "TransactionEvent", {"triggerReason": "RemoteStop"}),
        line(5.0, "csms", "call", "Reset", {}, "d"),
        line(5.1, "station", "error", "Reset", {}, "d"),
    ]
    found = measure(entries)
    assert found["response"] == [pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.1)]
    assert found["triggered"] == [pytest.approx(0.5)]
    assert found["remote_start"] == [pytest.approx(1.0)]
    assert found["remote_stop"] == []
    figures = summarise([found, found], {"response": 5, "triggered": 5, "remote_start": 2, "remote_stop": 30})
    assert [(f.count, f.limit_s) for f in figures] == [(6, 5), (2, 5), (2, 2)]
