# SPDX-License-Identifier: Apache-2.0
"""The floor: a bare `websockets` station that answers canned text. `python -m tools.benchmark.floor URL`."""

from __future__ import annotations

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

_HEARTBEAT = '[2,"h","Heartbeat",{}]'
_VARIABLE = {
    "component": {"name": "OCPPCommCtrlr"},
    "variable": {"name": "HeartbeatInterval"},
    "variableAttribute": [{"value": "60", "mutability": "ReadWrite"}],
    "variableCharacteristics": {"dataType": "integer", "supportsMonitoring": False},
}
_PAGE = json.dumps(
    [
        2,
        "r",
        "NotifyReport",
        {"requestId": 1, "generatedAt": "2026-11-23T10:00:00Z", "seqNo": 0, "reportData": [_VARIABLE] * 50},
    ]
)
_EVENT = json.dumps(
    [
        2,
        "t",
        "TransactionEvent",
        {
            "eventType": "Updated",
            "timestamp": "2026-11-23T10:00:00Z",
            "triggerReason": "MeterValuePeriodic",
            "seqNo": 1,
            "transactionInfo": {"transactionId": "07ed34c0-f464-4e21-8550-932593af21d2"},
        },
    ]
)


async def main(url: str) -> None:
    async with connect(f"{url}/FLOOR", subprotocols=[Subprotocol("ocpp2.0.1")], compression=None) as connection:
        await connection.send(
            '[2,"b","BootNotification",{"reason":"PowerUp","chargingStation":{"model":"m","vendorName":"v"}}]'
        )
        async for frame in connection:
            message = json.loads(frame)
            if message[0] != 2:
                continue
            await connection.send(json.dumps([3, message[1], {"status": "Accepted"}]))
            match message[2]:
                case "TriggerMessage":
                    await connection.send(_HEARTBEAT)
                case "GetBaseReport":
                    for _ in range(6):
                        await connection.send(_PAGE)
                        await connection.recv()
                case "RequestStartTransaction" | "RequestStopTransaction":
                    await connection.send(_EVENT)
                case "DataTransfer":
                    for _ in range(message[3]["data"]):
                        await connection.send(_EVENT)
                        await connection.recv()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
