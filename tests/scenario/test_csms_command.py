# SPDX-License-Identifier: Apache-2.0
"""`baywatt csms ...` beside a running bench CSMS, as a person at a terminal meets it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import ROOT
from tests.support.scripted_station import connected
from tools.demo.bench import Child, start

WIDE = 100


@pytest.fixture
async def csms(tmp_path: Path) -> AsyncIterator[Child]:
    up = ("csms", "up", "--port=0", f"--state={tmp_path / 'cs'}")
    async with start("the bench CSMS", *up, log=tmp_path / "log") as child:
        yield child


async def _run(*words: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.cli", *words),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


async def test_a_second_bench_on_the_same_files_is_refused(csms: Child, tmp_path: Path) -> None:
    code, output, errors = await _run("csms", "up", "--port=0", f"--state={tmp_path / 'cs'}")
    assert (code, output) == (2, "")
    assert errors == f"baywatt csms: {tmp_path / 'cs'}: another bench CSMS uses it; choose another by --state\n"


async def test_a_port_in_use_is_named(csms: Child, tmp_path: Path) -> None:
    port = csms.ready["url"].rstrip("/").rpartition(":")[2]
    code, output, errors = await _run("csms", "up", f"--port={port}", f"--state={tmp_path / 'other'}")
    assert (code, output) == (2, "")
    assert errors == (
        f"baywatt csms: --port {port}: another program listens there; choose another, or 0 for any free one\n"
    )


async def test_an_unknown_station_is_an_error(csms: Child) -> None:
    async with connected(f"{csms.ready['ocpp']}/CP001"):
        code, output, errors = await _run("csms", "stations", "CP9", f"--url={csms.ready['url']}")
    assert (code, output) == (1, "")
    assert errors == "baywatt csms: no station CP9 has connected; known: CP001\n"


async def test_tables_fit_a_terminal(csms: Child) -> None:
    async with connected(f"{csms.ready['ocpp']}/{'CP' * 24}") as station:
        await station.request("BootNotification", _BOOT)
        await station.request("TransactionEvent", _STARTED)
        for verb in ("stations", "transactions", "messages"):
            code, output, errors = await _run("csms", verb, f"--url={csms.ready['url']}")
            assert (code, errors) == (0, "")
            assert "CPCPCP" in output
            assert max(map(len, output.splitlines())) <= WIDE


async def test_messages_can_be_followed_and_cut_off(csms: Child) -> None:
    """Like `csms messages --follow | head -2`: the end of the reader ends it, without a traceback."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.cli", "csms", "messages", "--follow", f"--url={csms.ready['url']}"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    async with connected(f"{csms.ready['ocpp']}/CP001") as station, asyncio.timeout(20):
        await station.request("BootNotification", _BOOT)
        lines = [(await process.stdout.readline()).decode() for _ in range(2)]
        process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]  # there is no public way
        while process.returncode is None:
            await station.request("Heartbeat", {})
            await asyncio.sleep(0.1)
    assert "CP001 --" in lines[0]
    assert "CP001 ->" in lines[1]
    assert (process.returncode, (await process.stderr.read()).decode()) == (0, "")


_BOOT = {"reason": "PowerUp", "chargingStation": {"model": "m", "vendorName": "v"}}
_STARTED = {
    "eventType": "Started",
    "timestamp": "2026-11-23T12:00:00.000Z",
    "triggerReason": "CablePluggedIn",
    "seqNo": 0,
    "transactionInfo": {"transactionId": "a-transaction-with-an-id-of-36-chars"},
    "evse": {"id": 1, "connectorId": 1},
    "idToken": {"idToken": "04A1B2C3D4E580", "type": "ISO14443"},
}
