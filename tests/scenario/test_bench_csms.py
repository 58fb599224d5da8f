# SPDX-License-Identifier: Apache-2.0
"""The bench CSMS over the loopback, with scripted stations and the API of its page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

import tools.csms
from firmware.web import LOOK
from tests.support.scripted_station import ScriptedStation, connected
from tests.support.sockets import eventually
from tools.csms.server import Running, running
from tools.csms.settings import Behaviour, Settings
from tools.ocppj.frames import Result, encode

PAGE = Path(tools.csms.__file__).parent / "page"
TOKEN = {"idToken": "04A1B2C3D4E580", "type": "ISO14443"}
T0 = "2026-11-23T12:00:00.000Z"
TIMEOUT_S = 10.0


class CsmsBench:
    """A running bench CSMS, and a client of its API."""

    def __init__(self, bench: Running, http: aiohttp.ClientSession) -> None:
        self.url, self.ocpp_url, self.http = bench.url, bench.ocpp_url, http

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def call(self, action: str, payload: Any, station: str = "CP001", **more: Any) -> tuple[int, Any]:
        body = {"action": action, "payload": payload, **more}
        async with self.http.post(f"{self.url}api/stations/{station}/call", json=body) as response:
            return response.status, await response.json()

    async def until_absent(self, station: str = "CP001") -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while (await self.get(f"api/stations/{station}"))["connected"]:
                pass

    async def put(self, path: str, body: Any) -> int:
        async with self.http.put(self.url + path, json=body) as response:
            return response.status

    def station(self, identity: str = "CP001", **how: Any) -> Any:
        return connected(f"{self.ocpp_url}/{identity}", **how)


@asynccontextmanager
async def _bench(tmp_path: Path, **settings: Any) -> AsyncIterator[CsmsBench]:
    chosen = Settings(tmp_path / "csms.sqlite3", port=0, **settings)
    async with running(chosen) as bench, aiohttp.ClientSession() as http:
        yield CsmsBench(bench, http)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[CsmsBench]:
    async with _bench(tmp_path) as found:
        yield found


def _event(seq_no: int, kind: str = "Updated", wh: float | None = None, **more: Any) -> dict[str, Any]:
    stamp = f"2026-11-23T12:00:{seq_no:02}.000Z"
    info = {"transactionId": "t1", "chargingState": "Charging", **more.pop("info", {})}
    event = {"eventType": kind, "timestamp": stamp, "triggerReason": "MeterValuePeriodic", "seqNo": seq_no, **more}
    event |= {"transactionInfo": info, "evse": {"id": 1, "connectorId": 1}}
    if wh is not None:
        soc = {"value": 40 + seq_no, "measurand": "SoC", "location": "EV"}
        power = {"value": 50, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "kW"}}
        event["meterValue"] = [{"timestamp": stamp, "sampledValue": [{"value": wh}, soc, power]}]
    return event


async def _charge(station: ScriptedStation, *numbers: int) -> None:
    for number in numbers:
        await station.ask("TransactionEvent", _event(number, wh=1000.0 + 100 * number))


async def test_boot_and_status_are_shown(bench: CsmsBench) -> None:
    async with bench.station(password="secret") as station:
        answer = await station.boot()
        assert (answer["status"], answer["interval"]) == ("Accepted", 60)
        status = {"timestamp": T0, "connectorStatus": "Available", "evseId": 1, "connectorId": 1}
        assert await station.ask("StatusNotification", status) == {}
        assert "currentTime" in await station.ask("Heartbeat", {})
        (seen,) = await bench.get("api/stations")
        assert (seen["id"], seen["connected"], seen["registration"], seen["security_profile"]) == (
            "CP001",
            True,
            "Accepted",
            1,
        )
        assert seen["boot"]["serialNumber"] == "BW-0001"
        assert [(at["evse"], at["status"]) for at in seen["connectors"]] == [(1, "Available")]


async def test_a_whole_transaction(bench: CsmsBench) -> None:
    async with bench.station() as station:
        await station.boot()
        assert await station.ask("Authorize", {"idToken": TOKEN}) == {"idTokenInfo": {"status": "Accepted"}}
        started = await station.ask("TransactionEvent", _event(0, "Started", 1000.0, idToken=TOKEN))
        assert started == {"idTokenInfo": {"status": "Accepted"}}
        await _charge(station, 1, 2, 3)
        (running_now,) = (await bench.get("api/stations/CP001"))["active_transactions"]
        assert (running_now["power_w"], running_now["soc_percent"]) == (50_000.0, 43.0)
        ended = _event(4, "Ended", 1450.0, info={"stoppedReason": "Remote", "chargingState": "Idle"})
        assert await station.ask("TransactionEvent", ended) == {}
    (row,) = await bench.get("api/transactions")
    expected = {
        "id": "t1",
        "station": "CP001",
        "evse": 1,
        "connector": 1,
        "id_token": TOKEN["idToken"],
        "started": "2026-11-23T12:00:00.000Z",
        "ended": "2026-11-23T12:00:04.000Z",
        "stopped_reason": "Remote",
        "events": 5,
        "seq_ok": True,
        "energy_wh": 450.0,
        "meter_start_wh": 1000.0,
        "meter_stop_wh": 1450.0,
        "active": False,
    }
    assert {name: row[name] for name in expected} == expected
    detail = await bench.get("api/transactions/detail?station=CP001&id=t1")
    assert [point["energy_wh"] for point in detail["series"]] == [1000.0, 1100.0, 1200.0, 1300.0, 1450.0]
    assert [event["seq_no"] for event in detail["events"]] == [0, 1, 2, 3, 4]


async def test_a_retransmission_after_a_lost_answer_changes_nothing(bench: CsmsBench) -> None:
    async with bench.station() as station:
        await station.boot()
        await station.request("TransactionEvent", _event(0, "Started", 1000.0), message_id="same")
    async with bench.station() as station:
        answer = await station.request("TransactionEvent", _event(0, "Started", 1000.0), message_id="same")
        assert answer == Result("same", {})
        await _charge(station, 1)
    (row,) = await bench.get("api/transactions")
    assert (row["events"], row["repeated"], row["seq_ok"], row["energy_wh"]) == (2, 1, True, 100.0)


async def test_gaps_are_flagged_and_filled_late(bench: CsmsBench) -> None:
    async with bench.station() as station:
        await station.boot()
        await station.ask("TransactionEvent", _event(0, "Started", 1000.0))
        await _charge(station, 1, 4)
        (row,) = await bench.get("api/transactions")
        assert (row["seq_ok"], row["missing"], row["problems"]) == (False, 2, ["missing seqNo 2 to 3"])
        await _charge(station, 2, 3)
        (row,) = await bench.get("api/transactions")
        assert (row["missing"], row["late"], row["problems"]) == (0, 2, ["seqNo 2, 3 came late"])


async def test_authorize_is_answered_by_the_token_list(bench: CsmsBench) -> None:
    async def status(uid: str) -> Any:
        answer = await station.ask("Authorize", {"idToken": {"idToken": uid, "type": "ISO14443"}})
        return answer["idTokenInfo"]

    async with bench.station() as station:
        await station.boot()
        assert await status("deadbeef") == {"status": "Blocked"}
        assert await status("99") == {"status": "Invalid"}
        assert await bench.put("api/tokens/99", {"status": "Accepted", "group_id_token": "FLEET"}) == 200
        assert await status("99") == {"status": "Accepted", "groupIdToken": {"idToken": "FLEET", "type": "Central"}}
        assert await bench.put("api/tokens/99", {"status": "Perhaps"}) == 422
        async with bench.http.delete(bench.url + "api/tokens/99") as response:
            assert response.status == 200
        assert await bench.put("api/behaviour", {"accept_unknown": True}) == 200
        assert await status("99") == {"status": "Accepted"}


@pytest.mark.parametrize("registration", ["Pending", "Rejected"])
async def test_requests_of_a_station_that_is_not_accepted_are_refused(bench: CsmsBench, registration: str) -> None:
    assert await bench.put("api/behaviour", {"boot_status": registration, "heartbeat_interval_s": 5}) == 200
    async with bench.station() as station:
        answer = await station.boot()
        assert (answer["status"], answer["interval"]) == (registration, 5)
        assert await station.refused("Heartbeat", {}) == "SecurityError"
        station.answers["TriggerMessage"] = {"status": "Accepted"}
        status, body = await bench.call("TriggerMessage", {"requestedMessage": "Heartbeat"})
        if registration == "Rejected":
            assert (status, body["error"]) == (409, "rejected")
            assert await station.refused("Heartbeat", {}) == "SecurityError"
        else:
            assert status == 200
            await station.ask("Heartbeat", {})


async def test_any_request_can_be_sent(bench: CsmsBench) -> None:
    async with bench.station() as station:
        station.answers["Reset"] = {"status": "Accepted"}
        status, body = await bench.call("Reset", {"type": "OnIdle"})
        assert (status, body["result"], body["problem"]) == (200, {"status": "Accepted"}, None)
        assert station.asked == [("Reset", {"type": "OnIdle"})]

        station.answers["Reset"] = ["SecurityError", "not now", {"why": "busy"}]
        status, body = await bench.call("Reset", {"type": "OnIdle"})
        error = {"code": "SecurityError", "description": "not now", "details": {"why": "busy"}}
        assert (status, body["call_error"]) == (200, error)

        station.answers["Reset"] = {"status": "Perhaps"}
        status, body = await bench.call("Reset", {"type": "OnIdle"})
        assert (status, body["result"]) == (200, {"status": "Perhaps"})
        assert body["problem"] == "ResetResponse: status: expected one of Accepted, Rejected, Scheduled"


async def test_raw_sends_what_the_schema_forbids(bench: CsmsBench) -> None:
    async with bench.station() as station:
        status, body = await bench.call("Sing", {"song": [1]}, raw=True)
        assert (status, body["call_error"]["code"]) == (200, "NotImplemented")
        assert station.asked == [("Sing", {"song": [1]})]


@pytest.mark.parametrize(
    ("action", "payload", "status", "error"),
    [
        ("Reset", {}, 422, "schema"),
        ("Heartbeat", {}, 400, "unknown_action"),
        ("Sing", {}, 400, "unknown_action"),
        ("Reset", [], 400, "malformed"),
        (7, {}, 400, "malformed"),
    ],
)
async def test_invalid_requests_are_refused(
    bench: CsmsBench, action: Any, payload: Any, status: int, error: str
) -> None:
    async with bench.station() as station:
        got, body = await bench.call(action, payload)
        assert (got, body["error"]) == (status, error)
        assert body["detail"]
        assert station.asked == []


async def test_no_answer_a_late_answer_and_no_station(bench: CsmsBench) -> None:
    status, body = await bench.call("ClearCache", {}, station="UNKNOWN")
    assert (status, body["error"]) == (404, "unknown_station")
    async with bench.station() as station:
        station.answers["ClearCache"] = None
        status, body = await bench.call("ClearCache", {}, timeout_s=0.05)
        assert (status, body["error"]) == (504, "no_answer")
        (call,) = [row for row in await bench.get("api/messages") if row["kind"] == "call"]
        await station.socket.send(encode(Result(call["message_id"], {"status": "Accepted"})))
        station.answers["ClearCache"] = {"status": "Rejected"}
        status, body = await bench.call("ClearCache", {})
        assert body["result"] == {"status": "Rejected"}
        assert "too late" in next(row for row in await bench.get("api/messages") if row["kind"] == "result")["problem"]

        station.answers["ClearCache"] = '[3,"$id"]'
        status, body = await bench.call("ClearCache", {})
        assert (status, body["error"]) == (502, "bad_answer")
    await bench.until_absent()
    status, body = await bench.call("ClearCache", {})
    assert (status, body["error"]) == (409, "not_connected")


async def test_requests_go_out_one_at_a_time(bench: CsmsBench) -> None:
    async with bench.station() as station:
        station.answers["ClearCache"] = None
        first = asyncio.create_task(bench.call("ClearCache", {}, timeout_s=0.3))
        await eventually(lambda: station.asked)
        station.answers["GetLocalListVersion"] = {"versionNumber": 1}
        second = asyncio.create_task(bench.call("GetLocalListVersion", {}))
        done, _ = await asyncio.wait({first, second}, return_when=asyncio.FIRST_COMPLETED)
        assert done == {first}
        assert (await first)[0] == 504
        assert (await second)[1]["result"] == {"versionNumber": 1}


async def test_the_answer_to_another_request_is_not_accepted(bench: CsmsBench) -> None:
    async with bench.station() as station:
        station.answers["ClearCache"] = '[3,"another",{"status":"Rejected"}]'
        call = asyncio.create_task(bench.call("ClearCache", {}, timeout_s=0.2))
        assert (await call)[0] == 504


async def test_a_connection_lost_before_the_answer(bench: CsmsBench) -> None:
    async with bench.station() as station:
        station.answers["ClearCache"] = None
        call = asyncio.create_task(bench.call("ClearCache", {}))
        await eventually(lambda: station.asked)
    assert (await call)[0] == 409


async def test_broken_frames_are_answered_and_shown(bench: CsmsBench) -> None:
    async with bench.station() as station:
        assert await station.refused_text("what?") == ("-1", "RpcFrameworkError")
        assert await station.refused_text('[2,"x","Heartbeat",') == ("x", "FormatViolation")
        assert await station.refused_text("[" * 200_000) == ("-1", "RpcFrameworkError")
        assert await station.refused("Sing", {}) == "NotImplemented"
        assert await station.refused("Reset", {"type": "OnIdle"}) == "NotSupported"
        assert await station.refused("Authorize", {}) == "OccurrenceConstraintViolation"
        deep: Any = {"vendorId": "x"}
        for _ in range(600):
            deep = {"vendorId": "x", "more": deep}
        assert isinstance(await station.request("Heartbeat", {"customData": deep}), Result)
        await station.socket.send('[3,"no-such-call",{}]')
        await station.ask("Heartbeat", {})
        assert (await bench.get("api/stations/CP001"))["malformed"] == 3
        rows = await bench.get("api/messages")
        assert next(row["text"] for row in rows if row["kind"] == "malformed") == "what?"


async def test_a_huge_frame_ends_its_connection_only(bench: CsmsBench) -> None:
    async with bench.station("CP002") as other:
        async with bench.station() as station, asyncio.timeout(5):
            with contextlib.suppress(ConnectionClosed):
                await station.socket.send("x" * 2_000_000)
            await station.socket.wait_closed()
            assert station.socket.close_code == 1009
        async with bench.station() as station, asyncio.timeout(5):
            await station.socket.send(b"\x00binary")
            await station.socket.wait_closed()
            assert station.socket.close_code == 1003
        await other.ask("Heartbeat", {})
    rows = await bench.get("api/messages?station=CP001")
    links = [row["text"] for row in rows if row["kind"] == "link"]
    assert any("1009" in text for text in links), links
    assert any("binary" in text for text in links)


async def test_a_new_connection_replaces_the_old_one(bench: CsmsBench) -> None:
    async with bench.station() as older, bench.station() as newer:
        async with asyncio.timeout(5):
            await older.socket.wait_closed()
        assert (older.socket.close_code, older.socket.close_reason) == (1008, "replaced")
        newer.answers["ClearCache"] = {"status": "Accepted"}
        assert (await bench.call("ClearCache", {}))[0] == 200
        seen = await bench.get("api/stations/CP001")
        assert (seen["connected"], seen["replaced"], seen["connections"]) == (True, 1, 2)


async def test_passwords_identities_and_subprotocols(tmp_path: Path) -> None:
    async with _bench(tmp_path, passwords={"CP001": "right"}) as bench:
        for how in ({"password": "wrong"}, {}):
            with pytest.raises(InvalidStatus) as refused:
                async with bench.station(**how):
                    pass
            assert refused.value.response.status_code == 401
        async with bench.station(password="right") as station:
            await station.boot()
        async with bench.station("OTHER", password="any") as station:
            await station.boot()
        with pytest.raises(InvalidStatus) as refused:
            async with connect(f"{bench.ocpp_url}/a:b", proxy=None):
                pass
        assert refused.value.response.status_code == 404
        async with connect(f"{bench.ocpp_url}/OLD", subprotocols=["ocpp1.6"], proxy=None) as old:  # type: ignore[list-item]
            with pytest.raises(ConnectionClosed):
                await old.recv()
            assert old.subprotocol is None
        texts = await bench.get("api/messages")
        assert "right" not in json.dumps(texts)


async def test_the_page_is_served_and_other_origins_are_refused(bench: CsmsBench) -> None:
    async with bench.http.get(bench.url) as response:
        page = await response.text()
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
    files = [f"static/{file.name}" for file in PAGE.iterdir() if file.suffix != ".html"]
    files += [f"look/{file.name}" for file in LOOK.iterdir() if file.suffix in (".js", ".css", ".svg")]
    assert len(files) > 15
    for name in files:
        async with bench.http.get(f"{bench.url}{name}") as response:
            assert response.status == 200
            text = await response.text()
            assert "://" not in text.replace("http://www.w3.org/2000/svg", ""), f"{name} loads from elsewhere"
    assert "/static/app.js" in page
    for headers, status in [
        ({"Host": "evil.example"}, 421),
        ({"Host": "["}, 421),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": bench.url.rstrip("/")}, 200),
    ]:
        async with bench.http.get(bench.url + "api/stations", headers=headers) as response:
            assert response.status == status
    for origin, refused in (("http://127.0.0.1", False), ("http://evil.example", True), ("http://[", True)):
        with pytest.raises(InvalidStatus) if refused else contextlib.nullcontext():
            async with connect(f"{bench.ocpp_url}/CP001", origin=Origin(origin), proxy=None):
                pass
    async with bench.http.put(bench.url + "api/behaviour", data='{"accept_unknown":true}') as response:
        assert response.status == 415


async def test_the_page_is_notified_of_every_change(bench: CsmsBench) -> None:
    received: dict[str, Any] = {}

    async def listen() -> None:
        async with bench.http.get(bench.url + "api/events") as response:
            assert response.content_type == "text/event-stream"
            kind = ""
            async for line in response.content:
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    received[kind] = json.loads(line[6:])

    listener = asyncio.create_task(listen())
    await eventually(lambda: "hello" in received)
    async with bench.station() as station:
        await station.boot()
        await station.ask("TransactionEvent", _event(0, "Started", 1000.0))
        await bench.put("api/tokens/AB", {"status": "Blocked"})
        await eventually(lambda: {"station", "message", "transaction", "token"} <= received.keys())
    assert received["transaction"]["transaction"]["id"] == "t1"
    assert received["transaction"]["points"][0]["power_w"] == 50_000.0
    assert received["token"] == {"id_token": "AB", "type": "ISO14443", "status": "Blocked", "group_id_token": None}
    listener.cancel()


async def test_every_message_is_stored_verbatim_and_in_order(bench: CsmsBench) -> None:
    async with bench.station() as station:
        await station.socket.send('[2, "spaced" , "Heartbeat",  {}]')
        await asyncio.wait_for(station.unexpected.get(), 5)
        rows = [row for row in await bench.get("api/messages?station=CP001") if row["kind"] != "link"]
        assert [(row["direction"], row["kind"], row["action"]) for row in rows] == [
            ("in", "call", "Heartbeat"),
            ("out", "result", "Heartbeat"),
        ]
        assert rows[0]["text"] == '[2, "spaced" , "Heartbeat",  {}]'
        assert await bench.get(f"api/messages?after={rows[0]['id']}&limit=1") == rows[1:]
        cut = (await bench.get("api/messages?max_text=5"))[-1]
        assert (len(cut["text"]), cut["cut"]) == (5, True)
        assert await bench.get(f"api/messages/{rows[1]['id']}") == rows[1]


async def test_data_outlives_a_restart_of_the_bench(tmp_path: Path) -> None:
    async with _bench(tmp_path) as bench, bench.station() as station:
        await station.boot()
        await station.ask("TransactionEvent", _event(0, "Started", 1000.0))
    async with _bench(tmp_path, behaviour=Behaviour("Pending")) as bench:
        (seen,) = await bench.get("api/stations")
        assert (seen["connected"], seen["registration"]) == (False, "Accepted")
        async with bench.station() as station:
            await station.ask("TransactionEvent", _event(1, wh=1100.0))
        (row,) = await bench.get("api/transactions")
        assert (row["events"], row["energy_wh"]) == (2, 100.0)


async def _run(*argv: str) -> tuple[int | None, str, str]:
    command = [sys.executable, "-m", "tools.csms", *argv]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_the_command_line(tmp_path: Path, how: signal.Signals) -> None:
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.csms", "up", "--port", "0", "--state", str(tmp_path / "state")),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert up.stdout
    ready = json.loads(await up.stdout.readline())
    assert (ready["csms"], ready["pid"]) == ("ready", up.pid)
    async with connected(ready["ocpp"] + "/CP001") as station:
        await station.boot()
        if how is signal.SIGTERM:
            await _use_the_command_line(station, "--url", ready["url"])
        os.kill(up.pid, how)
        async with asyncio.timeout(10):
            await station.socket.wait_closed()
            _, err = await up.communicate()
    assert up.returncode == 0, err.decode()
    assert "any password" in err.decode()
    assert station.socket.close_code == 1001


async def _use_the_command_line(station: ScriptedStation, *url: str) -> None:
    station.answers["GetLocalListVersion"] = {"versionNumber": 3}
    assert await _run("call", "CP001", "GetLocalListVersion", *url) == (0, '{\n  "versionNumber": 3\n}\n', "")
    code, out, _ = await _run("call", "CP001", "Reset", '{"type":"OnIdle"}', *url)
    assert (code, json.loads(out)["code"]) == (1, "NotImplemented")
    code, _, err = await _run("call", "CP001", "Reset", *url)
    assert (code, "ResetRequest: type is missing" in err) == (1, True)
    code, out, _ = await _run("stations", *url)
    assert (code, "CP001" in out) == (0, True)
    code, out, _ = await _run("tokens", "set", "abc", "--status", "Expired", *url, "--json")
    assert {"id_token": "ABC", "type": "ISO14443", "status": "Expired", "group_id_token": None} in json.loads(out)
    code, out, _ = await _run("messages", *url)
    assert (code, '"BootNotification"' in out) == (0, True)
    assert (await _run("transactions", *url))[0] == 0


async def test_a_port_in_use_is_an_error_of_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = await _run("up", "--port", port, "--state", str(tmp_path))
    assert (code, out) == (2, "")
    assert f"--port {port}: another program listens there" in err
