# SPDX-License-Identifier: Apache-2.0
"""What the bench CSMS gives away: exports, the device model, installed certificates."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from services.ocpp.certificates.hashes import hash_data, key_bits
from tests.support.scripted_station import ScriptedStation, connected
from tests.support.sockets import eventually
from tools.csms.server import Running, running
from tools.csms.settings import Settings

T0 = "2026-11-23T12:00:00.000Z"


class Api:
    """The API of a running bench."""

    def __init__(self, bench: Running, http: aiohttp.ClientSession) -> None:
        self.bench, self.http = bench, http

    async def get(self, path: str, status: int = 200) -> Any:
        async with self.http.get(f"{self.bench.url}api/{path}") as response:
            assert response.status == status, await response.text()
            return await response.json() if response.content_type == "application/json" else await response.text()

    async def post(self, path: str, body: Any, status: int = 200) -> Any:
        async with self.http.post(f"{self.bench.url}api/{path}", json=body) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def call(self, action: str, payload: Any) -> Any:
        return await self.post("stations/CP001/call", {"action": action, "payload": payload})

    def station(self, identity: str = "CP001") -> Any:
        return connected(f"{self.bench.ocpp_url}/{identity}")


@asynccontextmanager
async def _api(folder: Path) -> AsyncIterator[Api]:
    async with running(Settings(folder / "csms.sqlite3", port=0)) as bench, aiohttp.ClientSession() as http:
        yield Api(bench, http)


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with _api(tmp_path) as found:
        yield found


async def _transaction(station: ScriptedStation, name: str) -> None:
    info = {"transactionId": name, "chargingState": "EVConnected"}
    event = {"eventType": "Started", "timestamp": T0, "triggerReason": "CablePluggedIn", "seqNo": 0}
    await station.ask("TransactionEvent", {**event, "transactionInfo": info})


async def test_messages_are_exported_whole_and_in_order(api: Api) -> None:
    async with api.station() as station, api.station("CP002") as other:
        for number in range(450):
            await station.ask("Heartbeat", {"customData": {"vendorId": str(number)}})
        await other.ask("Heartbeat", {})
        await station.refused_text("=cmd|' /C calc'!A0")
        held = await api.get("messages?limit=1000&station=CP001")
        assert await api.get("export/messages?station=CP001") == held
        assert len(await api.get("export/messages")) > len(held)
        table = list(csv.DictReader(io.StringIO(await api.get("export/messages?station=CP001&format=csv"), newline="")))
        assert [int(row["id"]) for row in table] == [row["id"] for row in held]
        assert table[-2]["text"] == "'=cmd|' /C calc'!A0"
        assert (await api.get("export/messages?format=xml", 400))["detail"] == "format must be json or csv, not 'xml'"


async def test_transactions_are_exported(api: Api) -> None:
    async with api.station() as station:
        for name in ("t1", "@t2"):
            await _transaction(station, name)
    text = await api.get("export/transactions?format=csv&station=CP001")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert [(row["id"], row["active"], row["energy_wh"]) for row in rows] == [("'@t2", "True", ""), ("t1", "True", "")]
    assert await api.get("export/transactions?station=CP009") == []


async def test_a_message_that_is_no_longer_held(api: Api) -> None:
    assert (await api.get("messages/999", 404))["error"] == "unknown_message"


async def test_the_device_model_is_filled_and_kept_true(api: Api) -> None:
    place = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    item = {**place, "variableAttribute": [{"value": "60"}]}
    async with api.station() as station:
        station.answers["GetBaseReport"] = {"status": "Accepted"}
        await api.call("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
        part = {"requestId": 5, "generatedAt": T0, "seqNo": 0, "reportData": [item]}
        await station.ask("NotifyReport", {**part, "tbc": True})
        assert (await api.get("stations/CP001/variables"))["progress"]["complete"] is False
        await station.ask("NotifyReport", {**part, "seqNo": 1})
        result = {**place, "attributeStatus": "Accepted"}
        station.answers["SetVariables"] = {"setVariableResult": [result]}
        await api.call("SetVariables", {"setVariableData": [{**place, "attributeValue": "90"}]})
        found = await api.get("stations/CP001/variables")
    assert found["progress"] == {"request_id": 5, "parts": 2, "variables": 1, "complete": True, "cut": False}
    assert [entry["variableAttribute"] for entry in found["variables"]] == [[{"value": "90"}]]


async def test_installed_certificates_are_recognised_also_after_a_restart(api: Api, tmp_path: Path) -> None:
    foreign = {"hashAlgorithm": "SHA256", "issuerNameHash": "00", "issuerKeyHash": "11", "serialNumber": "01"}
    root = x509.load_pem_x509_certificate(api.bench.pki.root_pem.encode())
    name = hash_data(root, key_bits(root))
    own = {"hashAlgorithm": "SHA256", "issuerNameHash": name.issuer_name_hash}
    own |= {"issuerKeyHash": name.issuer_key_hash, "serialNumber": name.serial_number}
    chain = [
        {"certificateType": "CSMSRootCertificate", "certificateHashData": own},
        {"certificateType": "ManufacturerRootCertificate", "certificateHashData": foreign},
    ]
    async with api.station() as station:
        station.answers["GetInstalledCertificateIds"] = {"status": "Accepted", "certificateHashDataChain": chain}
        ours, other = await api.get("stations/CP001/certificates")
        assert (ours["type"], ours["hash_data"], "bench CSMS root" in ours["facts"]["subject"]) == (
            "CSMSRootCertificate",
            own,
            True,
        )
        assert other["facts"] is None
        station.answers["GetInstalledCertificateIds"] = {"status": "NotFound"}
        assert await api.get("stations/CP001/certificates") == []
        station.answers["GetInstalledCertificateIds"] = ["NotSupported", "", {}]
        assert "NotSupported" in (await api.get("stations/CP001/certificates", 502))["detail"]
    facts = await api.post("certificate", {"pem": api.bench.pki.root_pem})
    assert facts == ours["facts"]
    await api.post("certificate", {"pem": "nothing"}, 422)


async def test_a_reader_of_one_station_hears_of_others_in_a_line_only(api: Api) -> None:
    kinds: list[tuple[str, str]] = []

    async def listen() -> None:
        async with api.http.get(f"{api.bench.url}api/events?station=CP001") as response:
            kind = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    kinds.append((kind, "CP002" if b"CP002" in line else "CP001" if b"CP001" in line else ""))

    listener = asyncio.create_task(listen())
    await eventually(lambda: kinds)
    async with api.station("CP002") as other:
        await other.boot()
        await _transaction(other, "t1")
        async with api.station() as station:
            await station.boot()
            await eventually(lambda: ("station", "CP001") in kinds)
    assert {kind for kind, station in kinds if station == "CP002"} == {"line"}
    assert [line["id"] for line in await api.get("lines")] == ["CP001", "CP002"]
    listener.cancel()
