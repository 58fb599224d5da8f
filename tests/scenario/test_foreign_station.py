# SPDX-License-Identifier: Apache-2.0
"""The runner against a station that is not ours, with a person (here: this test) for the manual actions."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import socket
import ssl
import sys
from pathlib import Path

import pytest

from tests.support.foreign_station import ForeignStation
from tests.support.rig import ROOT
from tools.csms.ca import BenchPki

pytestmark = pytest.mark.slow

IDENTITY, PASSWORD = "CP77", "a-password-of-16"
CASES = "B_06,B_07,F_20,C_02"
_ASKED = re.compile(rb">> (.*?) Then press Enter")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


class Runner:
    """`baywatt conformance --manual` on a port of its own."""

    def __init__(self, tmp_path: Path) -> None:
        self.port = _free_port()
        self.url = f"ws://127.0.0.1:{self.port}/ocpp"
        self.report = tmp_path / "report"
        self.output = b""

    async def play(self, *words: str, station: ForeignStation | None, end_of_input: bool = False) -> tuple[int, str]:
        """Exit status and standard error; does what the runner asks for until it ends."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tools.cli", "conformance", "--manual", f"--listen=127.0.0.1:{self.port}"),
            *(f"--identity={IDENTITY}", f"--password={PASSWORD}", f"--report={self.report}", *words),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if end_of_input:
            process.stdin.close()
        errors = asyncio.create_task(process.stderr.read())
        answered = 0
        while chunk := await process.stdout.read(4096):
            self.output += chunk
            for request in _ASKED.findall(self.output)[answered:]:
                answered += 1
                if station is not None and not end_of_input:
                    process.stdin.write(await _do(station, request.decode()))
        return await process.wait(), (await errors).decode()

    def verdicts(self) -> dict[str, str]:
        cases = json.loads((self.report / "report.json").read_text())["cases"]
        return {case["id"][3:7]: case["verdict"] for case in cases}

    def texts(self, case: str) -> str:
        cases = json.loads((self.report / "report.json").read_text())["cases"]
        return " ".join(f["text"] for found in cases if found["id"][3:7] == case for f in found["failures"])


async def _do(station: ForeignStation, request: str) -> bytes:
    words = request.rstrip(".").split()
    if request.startswith("Hold the card"):
        await station.present(words[3], int(words[-1].strip(").")))
    elif "cable" in request:
        await station.plug(int(words[words.index("EVSE") + 1]), plugged=request.startswith("Plug"))
    else:
        return b"n\n"
    return b"\n"


@pytest.mark.parametrize(
    ("fault", "failed", "text"),
    [
        (None, set(), ""),
        ("forgets_type", {"B_06", "B_07"}, "attributeType is None, expected 'Actual'"),
        ("starts_anyway", {"C_02"}, "TransactionEvent"),
    ],
)
async def test_the_planted_fault_is_found_and_no_other(
    tmp_path: Path, fault: str | None, failed: set[str], text: str
) -> None:
    runner = Runner(tmp_path)
    station = ForeignStation(runner.url, IDENTITY, PASSWORD, *filter(None, [fault]))
    try:
        code, _errors = await runner.play(f"--cases={CASES}", station=station)
    finally:
        await station.close()
    found = runner.verdicts()
    assert {case for case, verdict in found.items() if verdict == "Fail"} == failed, runner.output.decode()
    assert set(found.values()) == ({"Pass", "Fail"} if failed else {"Pass"})
    assert code == (1 if failed else 0)
    assert all(text in runner.texts(case) for case in failed)
    assert "Somebody" in (runner.report / "report.html").read_text()


async def test_a_station_whose_queue_is_stuck_is_named_once(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    station = ForeignStation(runner.url, IDENTITY, PASSWORD, "stuck")
    try:
        code, errors = await runner.play("--cases=F_20,F_23,F_24", "--patience=0.3", station=station)
    finally:
        await station.close()
    assert code == 1
    assert "Heartbeat" in runner.texts("F_20")
    for case in ("F_23", "F_24"):
        assert runner.texts(case) == "consequence: the station has not sent anything since TC_F_20_CS"
    assert errors.count("the station answers, but has not sent anything since TC_F_20_CS") == 1


@pytest.mark.parametrize(
    ("identity", "password", "subprotocol", "reason"),
    [
        ("CP78", PASSWORD, "ocpp2.0.1", "the path '/ocpp/CP78' does not end with the station's identity, CP77"),
        (IDENTITY, "another-password", "ocpp2.0.1", "the Authorization header has another password"),
        (IDENTITY, PASSWORD, "ocpp1.6", "it offers the sub-protocols ocpp1.6, not ocpp2.0.1"),
    ],
)
async def test_a_station_that_is_refused_reads_why(
    tmp_path: Path, identity: str, password: str, subprotocol: str, reason: str
) -> None:
    runner = Runner(tmp_path)
    station = ForeignStation(runner.url, identity, password, subprotocol=subprotocol)
    try:
        code, errors = await runner.play("--cases=B_06,B_07", "--patience=0.01", station=station)
    finally:
        await station.close()
    assert code == 1
    assert f"a connection was refused: {reason}" in errors
    assert "TC_B_07_CS 0.0 s" in runner.output.decode()  # the second case does not wait again
    assert "consequence: the station has not connected" in runner.texts("B_07")


async def test_the_end_of_the_input_is_a_failure(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    station = ForeignStation(runner.url, IDENTITY, PASSWORD)
    try:
        code, _errors = await runner.play("--cases=C_02", station=station, end_of_input=True)
    finally:
        with contextlib.suppress(asyncio.CancelledError):
            await station.close()
    assert code == 1
    assert "standard input has ended" in runner.texts("C_02")


@pytest.mark.parametrize("profile", [2, 3])
async def test_over_tls_with_the_keys_that_the_runner_hands_out(tmp_path: Path, profile: int) -> None:
    runner = Runner(tmp_path)
    pki = tmp_path / "pki"
    keys = BenchPki(pki, "127.0.0.1")  # a first use; the runner's keeps the root
    chain, key = keys.issue(IDENTITY)
    options = (f"--security-profile={profile}", f"--pki={pki}")
    tls = ssl.create_default_context(cafile=str(keys.csms_root))
    if profile == 3:
        tls.load_cert_chain(chain, key)
    station = ForeignStation(runner.url.replace("ws://", "wss://"), IDENTITY, PASSWORD, tls=tls)
    try:
        code, errors = await runner.play("--cases=B_06", *options, station=None)
    finally:
        await station.close()
    assert (code, runner.verdicts()) == (0, {"B_06": "Pass"}), errors
    assert str(keys.csms_root) in errors
