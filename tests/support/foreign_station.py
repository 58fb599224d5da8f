# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="misc, untyped-decorator"
"""A small charging station on the PyPI package `ocpp` alone: no line of it is the project's.

It stands for a station that somebody brings to the conformance runner. `faults` are planted:

    forgets_type     GetVariables answers without attributeType
    stuck            a triggered Heartbeat is accepted, and from then on nothing leaves its queue
    starts_anyway    a card that the CSMS refuses starts a transaction

The package has no type hints, which is why two checks of mypy are off here.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
import uuid
from datetime import UTC, datetime
from typing import Any

from ocpp.routing import after, on
from ocpp.v201 import ChargePoint, call, call_result
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

__all__ = ["ForeignStation"]


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class _Connection(ChargePoint):
    station: ForeignStation

    @on("GetVariables")
    def get_variables(self, get_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        return call_result.GetVariables([self._value(asked) for asked in get_variable_data])

    def _value(self, asked: dict[str, Any]) -> dict[str, Any]:
        named = {"component": asked["component"], "variable": asked["variable"]}
        value = self.station.variables.get((asked["component"]["name"], asked["variable"]["name"]))
        found = {"attribute_status": "UnknownVariable"} if value is None else {"attribute_status": "Accepted"}
        if value is not None:
            found["attribute_value"] = value
        if "forgets_type" not in self.station.faults:
            found["attribute_type"] = "Actual"
        return {**named, **found}

    @on("SetVariables")
    def set_variables(self, set_variable_data: list[dict[str, Any]], **_: Any) -> Any:
        results = []
        for wanted in set_variable_data:
            address = (wanted["component"]["name"], wanted["variable"]["name"])
            known = address in self.station.variables
            if known:
                self.station.variables[address] = wanted["attribute_value"]
            status = "Accepted" if known else "UnknownVariable"
            named = {"component": wanted["component"], "variable": wanted["variable"]}
            results.append({**named, "attribute_status": status, "attribute_type": "Actual"})
        return call_result.SetVariables(results)

    @on("TriggerMessage")
    def trigger(self, requested_message: str, **_: Any) -> Any:
        return call_result.TriggerMessage("Accepted" if requested_message == "Heartbeat" else "NotImplemented")

    @after("TriggerMessage")
    async def triggered(self, requested_message: str, **_: Any) -> None:
        if requested_message == "Heartbeat":
            self.station.is_stuck = self.station.is_stuck or "stuck" in self.station.faults
            await self.station.send(call.Heartbeat())


class ForeignStation:
    """Connects to `url` until it is closed; the methods are what people do at it."""

    def __init__(
        self,
        url: str,
        identity: str,
        password: str,
        *faults: str,
        subprotocol: str = "ocpp2.0.1",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.faults = faults
        self.is_stuck = False
        self.variables = {
            ("OCPPCommCtrlr", "OfflineThreshold"): "60",
            ("AuthCtrlr", "LocalAuthorizeOffline"): "false",
        }
        self._url = f"{url}/{identity}"
        self._identity = identity
        self._token = base64.b64encode(f"{identity}:{password}".encode()).decode()
        self._tls = tls
        self._subprotocol = Subprotocol(subprotocol)
        self._connection: _Connection | None = None
        self._booted = False
        self._life = asyncio.create_task(self._live())

    async def close(self) -> None:
        self._life.cancel()
        await asyncio.gather(self._life, return_exceptions=True)

    async def plug(self, evse: int, *, plugged: bool) -> None:
        await self._status(evse, "Occupied" if plugged else "Available")

    async def present(self, uid: str, evse: int) -> None:
        token = {"id_token": uid, "type": "ISO14443"}
        answer = await self.send(call.Authorize(id_token=token))
        accepted = answer is not None and answer.id_token_info["status"] == "Accepted"
        if accepted or "starts_anyway" in self.faults:
            await self.send(
                call.TransactionEvent(
                    event_type="Started",
                    timestamp=_now(),
                    trigger_reason="Authorized",
                    seq_no=0,
                    transaction_info={"transaction_id": str(uuid.uuid4())},
                    evse={"id": evse, "connector_id": 1},
                    id_token=token,
                )
            )

    async def send(self, request: Any) -> Any:
        if self.is_stuck or self._connection is None:
            return None
        return await self._connection.call(request)

    async def _live(self) -> None:
        while True:
            try:
                async with connect(
                    self._url,
                    subprotocols=[self._subprotocol],
                    ssl=self._tls,
                    additional_headers={"Authorization": f"Basic {self._token}"},
                ) as socket:
                    self._connection = _Connection(self._identity, socket)
                    self._connection.station = self
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self._connection.start())
                        group.create_task(self._greet())
            except* (OSError, ConnectionClosed, InvalidHandshake):
                self._connection = None
            await asyncio.sleep(0.1)

    async def _greet(self) -> None:
        if not self._booted:
            who = {"model": "Foreign", "vendor_name": "Somebody", "firmware_version": "7"}
            await self.send(call.BootNotification(charging_station=who, reason="PowerUp"))
            self._booted = True
            for evse in (1, 2):
                await self._status(evse, "Available")
            return
        await self.send(call.Heartbeat())

    async def _status(self, evse: int, status: str) -> None:
        await self.send(
            call.StatusNotification(timestamp=_now(), connector_status=status, evse_id=evse, connector_id=1)
        )
