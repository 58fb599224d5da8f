# SPDX-License-Identifier: Apache-2.0
"""Log uploads of a station that charges: they arrive, contain no secret, and do not affect charging."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support.file_servers import ftp_server
from tests.support.scenario import CARD, PASSWORD, Site

pytestmark = pytest.mark.slow

URL_PASSWORD = "Pl4nted-in-the-url"


async def get_log(here: Site, port: int, request_id: int, log_type: str = "DiagnosticsLog") -> dict[str, Any]:
    location = f"ftp://me:{URL_PASSWORD}@127.0.0.1:{port}/"
    request = {"logType": log_type, "requestId": request_id, "log": {"remoteLocation": location}, "retries": 0}
    return await here.csms.call("GetLog", request)


def statuses(here: Site, request_id: int) -> list[str]:
    return [each["status"] for each in here.sent("LogStatusNotification") if each.get("requestId") == request_id]


async def until(here: Site, request_id: int, status: str) -> None:
    await here.csms.until(lambda: status in statuses(here, request_id), f"{status} of {request_id}")


async def test_logs_of_a_charging_station(here: Site, tmp_path: Path) -> None:
    folder = tmp_path / "ftp"
    folder.mkdir()
    await here.charge(1)
    with ftp_server(folder, password=URL_PASSWORD) as server:
        diagnostics = await get_log(here, server.port, 1)
        assert diagnostics["status"] == "Accepted"
        await until(here, 1, "Uploaded")
        security = await get_log(here, server.port, 2, "SecurityLog")
        await until(here, 2, "Uploaded")
    assert statuses(here, 1) == statuses(here, 2) == ["Uploading", "Uploaded"]

    with tarfile.open(folder / diagnostics["filename"]) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive.getmembers()}
        texts = {name: file.read().decode() for name, file in files.items() if file is not None}
    assert {"inventory.json", "versions.json", "state.json", "log/hal.log", "log/ocpp.log"} <= set(texts)
    assert json.loads(texts["state.json"])["evses"][0]["charging_state"] == "Charging"
    types = [json.loads(line)["type"] for line in (folder / security["filename"]).read_text().splitlines()]
    assert "StartupOfTheDevice" in types

    everything = "".join(texts.values()) + (folder / security["filename"]).read_text()
    for secret in (PASSWORD, URL_PASSWORD, CARD):
        assert secret.casefold() not in everything.casefold()
        assert secret.casefold() not in (here.log("ocpp") + here.log("hal") + here.log("rig")).casefold()
    (await here.stop_with_card(1)).check()
    assert list((here.rig.directory / "data" / "uploads").iterdir()) == []


async def test_a_server_that_hangs_and_a_killed_service(here: Site) -> None:
    """Charging is not affected, further requests are Rejected, and after the restart UploadFailure is reported."""

    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await reader.read()
        writer.close()

    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as server:
        await _hang(here, server.sockets[0].getsockname()[1])


async def _hang(here: Site, port: int) -> None:
    assert (await get_log(here, port, 1))["status"] == "Accepted"
    await until(here, 1, "Uploading")
    assert (await get_log(here, port, 2))["status"] == "Rejected"
    await here.charge(1)
    mark = here.rig.mark
    await here.rig.op("process", kill="ocpp")
    await here.rig.wait("registration", since=mark, status="Accepted")
    await until(here, 1, "UploadFailure")
    assert (await get_log(here, port, 3))["status"] == "Accepted"
    (await here.stop_with_card(1)).check()
