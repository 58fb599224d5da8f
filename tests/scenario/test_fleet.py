# SPDX-License-Identifier: Apache-2.0
"""`baywatt fleet` as a user starts it, with Locust's processes, against a bench CSMS."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tools.csms.server import Running, running
from tools.csms.settings import Settings

_ROOT = Path(__file__).resolve().parents[2]
_QUICK = """
[sessions]
arrival_s = 4
shortest_s = 1
longest_s = 2
"""
_OUTAGE = """
[[outage]]
at_s = 10
length_s = 2
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffWaitMinimum"
value = "1"
[[variable]]
component = "OCPPCommCtrlr"
variable = "RetryBackOffRandomRange"
value = "1"
"""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Running]:
    async with running(Settings(tmp_path / "csms" / "csms.sqlite3", port=0)) as found:
        yield found


def _command(folder: Path, csms: str, *options: str) -> list[str]:
    (folder / "quick.toml").write_text(_QUICK + _OUTAGE)
    scenario = ["--scenario", str(folder / "quick.toml"), "--output", str(folder / "results"), "--page-port", "0"]
    return [sys.executable, "-m", "tools.cli", "fleet", "--csms", csms, "--stations", "4", *scenario, *options]


async def _play(folder: Path, csms: str, *options: str, interrupt: bool = False) -> tuple[int, str, str]:
    """Exit status and output; `interrupt`: by Ctrl-C, as soon as the first line of figures is there."""
    process = await asyncio.create_subprocess_exec(
        *_command(folder, csms, *options), cwd=_ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    seen = b""
    if interrupt:
        while b"online" not in seen:
            seen += await process.stdout.readline()
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, (seen + out).decode(), err.decode()


@pytest.mark.slow
async def test_nothing_is_lost_in_an_outage_and_the_bench_has_stored_all(bench: Running, tmp_path: Path) -> None:
    code, out, err = await _play(tmp_path, bench.ocpp_url, "--minutes", "0.4", "--processes", "2")
    assert (code, err) == (0, ""), out
    summary = json.loads((tmp_path / "results" / "summary.json").read_bytes())
    assert summary["events_sent"] == summary["events_answered"] > 0
    assert summary["verified"] == {
        "whole": summary["transactions"],
        "incomplete": 0,
        "missing": 0,
        "forgotten": 0,
    }
    assert {"lost": 0, "not_ended": 0, "left_over": 0, "missing": 0, "failed": {}}.items() <= summary.items()
    assert [record.id for record in bench.office.stations()] == [f"FLEET-{number:05}" for number in (1, 2, 3, 4)]
    assert max(record.connections for record in bench.office.stations()[1:]) >= 2
    assert "Nothing was lost." in out
    assert "<svg" in (tmp_path / "results" / "report.html").read_text()


@pytest.mark.slow
async def test_ctrl_c_ends_the_run_in_the_orderly_way(bench: Running, tmp_path: Path) -> None:
    code, out, err = await _play(tmp_path, bench.ocpp_url, "--minutes", "60", "--processes", "1", interrupt=True)
    assert (code, err) == (130, ""), out
    assert json.loads((tmp_path / "results" / "summary.json").read_bytes())["ended"] == "interrupted"
    assert bench.office.links() == []


@pytest.mark.parametrize(
    ("options", "code", "expected"),
    [
        (["--csms", "http://127.0.0.1:1/ocpp"], 2, "--csms: expected a ws:// or wss:// URL"),
        (["--scenario", "none"], 2, "no scenario 'none': expected a file or one of "),
        (["--others", "2"], 2, "--others: expected --bind, the address at which they join"),
        (["--stations", "0"], 2, "argument --stations: expected a whole number of at least 1, got '0'"),
        (["--page-port", "70000"], 2, "--page-port 70000: expected a port from 1 to 65535"),
    ],
)
async def test_what_cannot_be_is_said_in_one_line(
    bench: Running, tmp_path: Path, options: list[str], code: int, expected: str
) -> None:
    given = await _play(tmp_path, bench.ocpp_url, *options)
    assert given[0] == code
    assert given[2].startswith(f"baywatt fleet: {expected}")
    assert given[2].count("\n") == 1


async def test_without_a_csms_the_first_try_says_why(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    code, _, err = await _play(tmp_path, f"ws://127.0.0.1:{port}/ocpp")
    assert code == 3
    assert err.startswith(f"baywatt fleet: no connection to ws://127.0.0.1:{port}/ocpp as FLEET-00001: ")
    assert err.count("\n") == 1


async def test_a_wrong_password_is_said_before_any_station_starts(tmp_path: Path) -> None:
    settings = Settings(tmp_path / "csms" / "csms.sqlite3", port=0, passwords={"FLEET-00001": "another"})
    async with running(settings) as bench:
        code, _, err = await _play(tmp_path, bench.ocpp_url)
    assert code == 3
    assert "does not accept this station's identity or credentials" in err
    assert err.count("\n") == 1
