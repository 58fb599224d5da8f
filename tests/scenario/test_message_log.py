# SPDX-License-Identifier: Apache-2.0
"""The message log of a real station: on trouble, when it is switched on over OCPP, over TLS, in an upload, live."""

from __future__ import annotations

import asyncio
import json
import sys
import tarfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.csms import CallFailed, ScriptedCsms
from tests.support.file_servers import ftp_server
from tests.support.rig import ROOT, Rig
from tests.support.scenario import CARD, PASSWORD, PATIENCE_S, QUICK, Site
from tests.support.sockets import eventually
from tests.support.station_bench import set_variables
from tests.support.tls import make_files, server_context
from tools.rig.factory_file import factory_file

pytestmark = pytest.mark.slow

ON: Any = set_variables("MessageLogCtrlr", "Enabled", "true")
OFF: Any = set_variables("MessageLogCtrlr", "Enabled", "false")


def log_of(here: Site) -> Path:
    return here.rig.directory / "log" / "messages.jsonl"


def lines(here: Site) -> list[dict[str, Any]]:
    path = log_of(here)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


async def until_line(here: Site, **members: Any) -> dict[str, Any]:
    """Wait for a line with these members; returns the first."""

    def found() -> list[dict[str, Any]]:
        return [line for line in lines(here) if members.items() <= line.items()]

    await eventually(found)
    return found()[0]


async def switch(here: Site, request: Any) -> None:
    answer = await here.csms.call("SetVariables", request)
    assert answer["setVariableResult"][0]["attributeStatus"] == "Accepted"


@asynccontextmanager
async def following(here: Site, *more: str) -> AsyncIterator[Callable[[], str]]:
    """`baywatt rig log --ocpp --follow` in a process; what it has printed so far."""
    output = here.rig.directory.parent / "follow.out"
    with output.open("wb") as file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tools.rig", "log", "--ocpp", "--follow", "--control", str(here.rig.control), *more),
            cwd=ROOT,
            stdout=file,
            stderr=file,
        )
    try:
        yield output.read_text
    finally:
        process.terminate()
        await process.wait()


async def test_trouble_is_written_with_what_led_to_it(here: Site) -> None:
    """Nothing is written while all is well; each call without an answer and each error has its line."""
    assert lines(here) == []
    here.csms.answers["Authorize"] = CallFailed("InternalError", f"no card {CARD}", {"card": CARD})
    await here.rig.op("present_card", uid=CARD, evse=1)
    error = await until_line(here, type="CALLERROR", action="Authorize")
    assert (error["direction"], error["outcome"], error["payload"]["description"]) == ("in", "InternalError", "***")
    written = lines(here)
    boot = next(line for line in written if line.get("action") == "BootNotification")
    assert (boot["type"], boot["payload"]["reason"]) == ("CALL", "PowerUp")
    result = next(line for line in written if line.get("id") == boot["id"] and line["type"] == "CALLRESULT")
    assert (result["outcome"], result["payload"]["status"]) == ("result", "Accepted")
    assert 0 < result["ms"] < 20_000
    here.csms.cut()
    await until_line(here, type="DISCONNECTED")
    assert log_of(here).stat().st_mode & 0o777 == 0o600
    assert CARD not in log_of(here).read_text()


async def test_every_message_while_it_is_switched_on(here: Site, tmp_path: Path) -> None:
    await switch(here, ON)
    await until_line(here, type="RECORDING", text="on")
    async with following(here) as printed:
        await here.charge(1)
        await here.stop_with_card(1)
        await eventually(lambda: " -> CALL TransactionEvent " in printed() and '"eventType":"Ended"' in printed())
        assert " <- CALLRESULT Authorize " in printed()
        assert "MessageLogCtrlr" not in printed().splitlines()[0]
    calls = [line for line in lines(here) if line["type"] == "CALL" and line["direction"] == "out"]
    events = [line["payload"] for line in calls if line["action"] == "TransactionEvent"]
    assert [event["seqNo"] for event in events] == list(range(len(events)))
    assert (events[0]["eventType"], events[-1]["eventType"]) == ("Started", "Ended")

    await here.rig.op("process", kill="ocpp")  # the setting survives
    await eventually(lambda: [line.get("text") for line in lines(here) if line["type"] == "RECORDING"] == ["on"] * 2)
    await here.settled()
    await switch(here, OFF)
    await until_line(here, type="RECORDING", text="off")
    await _upload(here, tmp_path / "ftp")


async def _upload(here: Site, folder: Path) -> None:
    """The archive holds the request that asked for it, which was in memory alone; no secret."""
    folder.mkdir()
    with ftp_server(folder, password="Pl4nted-in-the-url") as server:
        location = f"ftp://me:Pl4nted-in-the-url@127.0.0.1:{server.port}/"
        request = {"logType": "DiagnosticsLog", "requestId": 1, "log": {"remoteLocation": location}}
        answer = await here.csms.call("GetLog", request)
        await here.csms.expect("LogStatusNotification", where=lambda it: it["status"] == "Uploaded")
    with tarfile.open(folder / answer["filename"]) as archive:
        file = archive.extractfile("log/messages.jsonl")
        assert file is not None
        text = file.read().decode()
    uploaded = [json.loads(line) for line in text.splitlines()]
    asked = next(line for line in uploaded if line.get("action") == "GetLog" and line["type"] == "CALL")
    assert asked["payload"]["log"]["remoteLocation"].startswith("ftp://***@127.0.0.1")
    for secret in (PASSWORD, CARD, "Pl4nted"):
        assert secret not in text


async def test_what_was_said_over_tls(tmp_path: Path) -> None:
    make_files(tmp_path)
    async with ScriptedCsms(tls=server_context(tmp_path), host="localhost") as csms:
        file = tmp_path / "cp.toml"
        file.write_text(
            factory_file(
                csms.url,
                password=PASSWORD,
                profile={"security_profile": 2},
                variables={**QUICK, ("MessageLogCtrlr", "Enabled"): "true"},
                certificates={"csms_root": ["root.pem"]},
            )
        )
        async with Rig(tmp_path / "cp", station=file) as rig:
            here = Site(rig, csms)
            await here.settled()
            boot = await until_line(here, type="CALL", action="BootNotification")
            assert boot["payload"]["chargingStation"]["model"] == "C7AM-400-CC"
            await until_line(here, type="CONNECTED", text=f"slot 1, {csms.url}, security profile 2")
        assert PASSWORD not in log_of(here).read_text()


async def test_a_flood(here: Site) -> None:
    """200 frames at once, and one of almost 256 KiB: all are answered, and the log has them."""
    await switch(here, ON)
    for number in range(200):
        await here.csms.send_raw(json.dumps([2, f"flood-{number}", "DataTransfer", {"vendorId": "x" * 200}]))
    await here.csms.send_raw(json.dumps([2, "large", "DataTransfer", {"vendorId": "x", "data": "x" * 250_000}]))
    await here.csms.until(lambda: len(here.csms.results) == 201, "201 answers", timeout=20.0)
    here.csms.results.clear()
    large = await until_line(here, type="UNREADABLE", id="large")
    assert large["size"] > 250_000
    await until_line(here, type="CALLRESULT", id="flood-199", outcome="result")
    await here.settled()


async def test_a_full_disk(here: Site) -> None:
    """The service goes on. When there is room again, a line says how many messages are missing."""
    await switch(here, ON)
    await until_line(here, type="RECORDING", text="on")
    pid = (await here.rig.state())["processes"]["ocpp"]
    async with asyncio.timeout(PATIENCE_S):
        while not any(line["type"] == "LEFT OUT" for line in lines(here)):
            await here.rig.op("storage", full=True)
            for _ in range(20):
                await here.csms.call("DataTransfer", {"vendorId": "x"})
            await here.rig.op("storage", full=False)
            await here.csms.call("DataTransfer", {"vendorId": "x"})
    assert (await here.rig.state())["processes"]["ocpp"] == pid
