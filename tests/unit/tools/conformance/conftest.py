# SPDX-License-Identifier: Apache-2.0
"""A small charging station for tests of the runner: enough of OCPP for a boot, variables, a reset and a session.

It has named faults, each of which a check of the runner must notice.
"""

from __future__ import annotations

import asyncio
import base64
import time
import tomllib
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from firmware.clock import format_utc
from tools.conformance.bench.bench import Bench, Fixtures
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.peer.csms import Csms
from tools.conformance.peer.transcript import Transcript
from tools.ocppj.frames import Call, Error, Frame, Result, decode, encode


class StationDouble:
    """Implements the runner's `Station` over a real WebSocket. `faults` are the names of its faults."""

    own = True

    def __init__(self, *faults: str) -> None:
        self.faults = set(faults)
        self.variables: dict[tuple[str, str], str] = {
            ("TxCtrlr", "TxStartPoint"): "Authorized",
            ("TxCtrlr", "TxStopPoint"): "Authorized",
            ("AuthCtrlr", "AuthorizeRemoteStart"): "true",
            ("OCPPCommCtrlr", "OfflineThreshold"): "60",
        }
        self.plugged: set[int] = set()
        self.done: list[tuple[str, dict[str, Any]]] = []
        self._transactions: dict[int, dict[str, Any]] = {}
        self._factory: dict[str, Any] = {}
        self._ws: ClientConnection | None = None
        self._answers: dict[str, asyncio.Future[Any]] = {}
        self._lock = asyncio.Lock()
        self._life: asyncio.Task[None] | None = None
        self._jobs: set[asyncio.Task[None]] = set()
        self._reason = "PowerUp"

    async def start(self, factory: str | None, *, power: bool) -> None:
        self._factory = tomllib.loads(factory or "")
        if power:
            self._boot()

    def _boot(self) -> None:
        self._life = asyncio.create_task(self._live())

    async def stop(self) -> None:
        for task in [self._life, *self._jobs]:
            if task is not None:
                task.cancel()
        if self._ws is not None:
            await self._ws.close()

    async def manual(self, op: str, **fields: Any) -> dict[str, Any]:
        self.done.append((op, fields))
        if op in ("power_cycle", "reboot"):
            self._later(self._restart("PowerUp"))
        elif op == "power_on":
            self._boot()
        elif op == "plug_in":
            self.plugged.add(fields["evse"])
            self._later(self._plugged_in(fields["evse"]))
        elif op == "plug_out":
            self.plugged.discard(fields["evse"])
            self._later(self.status(fields["evse"]))
        elif op == "present_card":
            self._later(self._card(fields["uid"], fields["evse"]))
        return {"ok": True, "state": {}}

    def _later(self, work: Any) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _restart(self, reason: str) -> None:
        await asyncio.sleep(0.01)
        self._reason = reason
        if self._life is not None:
            self._life.cancel()
        if self._ws is not None:
            await self._ws.close()
        self._boot()

    async def _live(self) -> None:
        profile = self._factory["network_profile"][0]
        name, password = self._factory["identity"], self._factory["basic_auth_password"]
        if "wrong_password" in self.faults:
            password = "f" * 16
        token = base64.b64encode(f"{name}:{password}".encode()).decode()
        rebooted = True
        while True:
            try:
                async with connect(
                    f"{profile['url']}/{name}",
                    subprotocols=[Subprotocol("ocpp2.0.1")],
                    additional_headers={"Authorization": f"Basic {token}"},
                    compression=None,
                ) as self._ws:
                    self._later(self._greet() if rebooted else asyncio.sleep(0))
                    rebooted = False
                    async for frame in self._ws:
                        self._later(self._frame(decode(frame)))
            except (OSError, ConnectionClosed, InvalidHandshake):
                pass
            await asyncio.sleep(0.05)

    async def _greet(self) -> None:
        status = ""
        while status != "Accepted":
            answer = await self.call(
                "BootNotification",
                {"reason": self._reason, "chargingStation": {"model": "M", "vendorName": "V"}},
            )
            status = answer.get("status", "")
            if status != "Accepted":
                await asyncio.sleep(0.05)
        for evse in (1, 2):
            if not ("silent_evse_2" in self.faults and evse == 2):
                await self.status(evse)
        if "no_security_event" not in self.faults:
            await self.call(
                "SecurityEventNotification", {"type": "StartupOfTheDevice", "timestamp": format_utc(time.time())}
            )

    async def status(self, evse: int) -> None:
        status = "Occupied" if evse in self.plugged else "Available"
        payload = {"timestamp": format_utc(time.time()), "connectorStatus": status, "evseId": evse, "connectorId": 1}
        await self.call("StatusNotification", payload)

    async def _plugged_in(self, evse: int) -> None:
        await self.status(evse)
        if evse in self._transactions:
            await self._event(evse, "Updated", "CablePluggedIn", "EVConnected")
            await self._event(evse, "Updated", "ChargingStateChanged", "SuspendedEVSE")
            await self._event(evse, "Updated", "ChargingStateChanged", "Charging")

    async def _card(self, uid: str, evse: int) -> None:
        token = {"idToken": uid.lower(), "type": "ISO14443"}
        if evse in self._transactions:
            await self._event(evse, "Ended", "StopAuthorized", "EVConnected", stoppedReason="Local")
            del self._transactions[evse]
            return
        answer = await self.call("Authorize", {"idToken": token})
        if answer["idTokenInfo"]["status"] == "Accepted":
            self._transactions[evse] = {"id": str(uuid.uuid4()), "seq": 0, "token": token}
            await self._event(evse, "Started", "Authorized", "Idle", token=token)

    async def _event(
        self, evse: int, kind: str, trigger: str, state: str, *, token: dict[str, str] | None = None, **info: Any
    ) -> None:
        transaction = self._transactions[evse]
        payload = {
            "eventType": kind,
            "triggerReason": trigger,
            "seqNo": transaction["seq"],
            "timestamp": format_utc(time.time()),
            "transactionInfo": {"transactionId": transaction["id"], "chargingState": state, **info},
            "evse": {"id": evse, "connectorId": 1},
        }
        if token is not None:
            payload["idToken"] = token
        transaction["seq"] += 2 if "seq_gaps" in self.faults else 1
        await self.call("TransactionEvent", payload)

    async def call(self, action: str, payload: Any) -> Any:
        async with self._lock:
            return await self.call_at_once(action, payload)

    async def call_at_once(self, action: str, payload: Any) -> Any:
        """Sends although an earlier call may be unanswered."""
        uid = str(uuid.uuid4())
        answered = self._answers[uid] = asyncio.get_running_loop().create_future()
        await self.send(Call(uid, action, payload))
        return await answered

    async def send(self, frame: Frame | str) -> None:
        assert self._ws is not None
        await self._ws.send(frame if isinstance(frame, str) else encode(frame))

    async def _frame(self, frame: Frame) -> None:
        match frame:
            case Result():
                self._answers.pop(frame.message_id).set_result(frame.payload)
            case Error():
                self._answers.pop(frame.message_id).set_result({"error": frame.code})
            case Call() if "silent" not in self.faults:
                answer = self._respond(frame.action, frame.payload)
                error = Error(frame.message_id, "NotImplemented", "", {})
                await self.send(error if answer is None else Result(frame.message_id, answer))

    def _respond(self, action: str, payload: dict[str, Any]) -> dict[str, Any] | None:
        if action == "Reset":
            self._later(self._restart("RemoteReset"))
            return {"status": "Accepted"}
        if action == "GetVariables":
            return {"getVariableResult": [self._get(item) for item in payload["getVariableData"]]}
        if action == "SetVariables":
            return {"setVariableResult": [self._set(item) for item in payload["setVariableData"]]}
        if action == "RequestStartTransaction":
            return {"status": "surely"} if "bad_schema" in self.faults else {"status": "Rejected"}
        return None

    def _get(self, item: dict[str, Any]) -> dict[str, Any]:
        value = self.variables.get((item["component"]["name"], item["variable"]["name"]))
        found = {"attributeStatus": "Accepted", "attributeValue": value} if value else {}
        return {"attributeStatus": "UnknownVariable", **found, **_named(item)}

    def _set(self, item: dict[str, Any]) -> dict[str, Any]:
        key = item["component"]["name"], item["variable"]["name"]
        if key not in self.variables:
            return {"attributeStatus": "UnknownVariable", **_named(item)}
        self.variables[key] = item["attributeValue"]
        return {"attributeStatus": "Accepted", **_named(item)}


def _named(item: dict[str, Any]) -> dict[str, Any]:
    return {"component": item["component"], "variable": item["variable"]}


@pytest.fixture
def fixtures() -> Fixtures:
    return Fixtures(product="c7am-400-cc", identity="CP001", password="0123456789abcdef", transaction_s=0.01)


@pytest.fixture
def station_double() -> type[StationDouble]:
    return StationDouble


@pytest.fixture
async def make_bench(fixtures: Fixtures, tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Makes a bench, by default with a station that has booted: `t = await make_bench("fault", ...)`."""
    benches: list[Bench] = []

    async def make(*faults: str, boot: bool = True) -> Bench:
        csms = Csms(Transcript(time.monotonic), lambda *_: None, time.monotonic, fixtures.identity)
        station = StationDouble(*faults)
        bench = Bench(station, csms, fixtures, preconditions=Preconditions(), folder=tmp_path, patience=0.2)
        benches.append(bench)
        bench.tokens({fixtures.card: {"status": "Accepted"}, fixtures.card2: {"status": "Accepted"}})
        endpoint = await csms.open_endpoint("main", password=fixtures.password)
        factory = (
            f'identity = "{fixtures.identity}"\nbasic_auth_password = "{fixtures.password}"\n'
            f'[[network_profile]]\nslot = 1\nurl = "{endpoint.url}"\n'
        )
        await station.start(factory, power=True)
        if boot:
            await bench.first_boot()
        return bench

    yield make
    for bench in benches:
        await bench.station.stop()
        await bench.csms.close()
