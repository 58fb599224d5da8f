# SPDX-License-Identifier: Apache-2.0
"""The requests that are measured with the station and with the floor alike. Times are milliseconds."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from tools.benchmark.csms import BenchCsms
from tools.benchmark.table import Figures

__all__ = ["QUEUED", "answer_and_message", "common_figures"]

QUEUED = 10_000
"""How many messages are drained."""

_VARIABLES = [
    ("OCPPCommCtrlr", "HeartbeatInterval"),
    ("OCPPCommCtrlr", "OfflineThreshold"),
    ("OCPPCommCtrlr", "WebSocketPingInterval"),
    ("OCPPCommCtrlr", "RetryBackOffRepeatTimes"),
    ("TxCtrlr", "EVConnectionTimeOut"),
    ("TxCtrlr", "StopTxOnInvalidId"),
    ("TxCtrlr", "TxStartPoint"),
    ("TxCtrlr", "TxStopPoint"),
    ("AuthCtrlr", "AuthorizeRemoteStart"),
    ("SampledDataCtrlr", "TxUpdatedInterval"),
    ("AlignedDataCtrlr", "Interval"),
    ("ClockCtrlr", "TimeSource"),
]
_SET = {
    "setVariableData": [
        {
            "component": {"name": "OCPPCommCtrlr"},
            "variable": {"name": "OfflineThreshold"},
            "attributeValue": "61",
        }
    ]
}


async def common_figures(csms: BenchCsms, *, count: int) -> Figures:
    """`count` is for the two quickest requests; 500 of the others."""
    return {
        "get 1": await _calls(csms, "GetVariables", _variables(_VARIABLES[:1]), count),
        "get 12": await _calls(csms, "GetVariables", _variables(_VARIABLES), 500),
        "set 1": await _calls(csms, "SetVariables", _SET, 500),
        **await _triggered(csms, count),
    }


def _variables(names: list[tuple[str, str]]) -> dict[str, Any]:
    data = [{"component": {"name": component}, "variable": {"name": variable}} for component, variable in names]
    return {"getVariableData": data}


async def _calls(csms: BenchCsms, action: str, payload: Any, count: int) -> list[float]:
    for _ in range(20):
        await csms.call(action, payload)
    return [1000 * await csms.call(action, payload) for _ in range(count)]


async def answer_and_message(
    csms: BenchCsms, action: str, payload: Any, message: str, **fields: Any
) -> tuple[float, float]:
    """Milliseconds from a request to its answer, and to the station's message that follows from it."""
    seen, began = len(csms.seen), time.monotonic()
    call = asyncio.create_task(csms.call(action, payload))
    at = await csms.wait(message, after=seen, **fields)
    return 1000 * await call, 1000 * (at - began)


_HEARTBEAT = {"requestedMessage": "Heartbeat"}


async def _triggered(csms: BenchCsms, count: int) -> Figures:
    """First each request after the Heartbeat of the one before; then each after the answer, Heartbeats under way."""
    apart = [(await answer_and_message(csms, "TriggerMessage", _HEARTBEAT, "Heartbeat"))[1] for _ in range(count)]
    seen = len(csms.seen)
    answers = [1000 * await csms.call("TriggerMessage", _HEARTBEAT) for _ in range(count)]
    await csms.wait("Heartbeat", after=seen)
    return {"trigger": apart, "trigger answer": answers}
