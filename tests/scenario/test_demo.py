# SPDX-License-Identifier: Apache-2.0
"""`make run ONCE=1`: the demonstration works, and its summary agrees with its output."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.support.bench_alone import HARDWARE, bench_alone
from tests.support.rig import ROOT

PROCESSES = 4
"""The demonstration, CSMS, rig, and the station's two at least."""
SUMMARY = re.compile(r"session complete: EVSE 2, (\d+\.\d) kWh, (\d+) TransactionEvents, 0 queued")
SHOWN = re.compile(r"EVSE 2 +(\S+) +(\d+\.\d) kW +(\d+\.\d\d) kWh")


async def _demo(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tools.demo",
        *arguments,
        cwd=ROOT,
        env=environment or {**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    return process.returncode, output.decode(), errors.decode()


@pytest.mark.parametrize(
    ("profile", "security"),
    [
        ("1", "security profile 1: Basic authentication, no TLS"),
        ("2", "security profile 2: TLSv1.3, TLS_AES_256_GCM_SHA384, Basic authentication"),
        ("3", "security profile 3: TLSv1.3, TLS_AES_256_GCM_SHA384, certificate of BW"),
    ],
)
async def test_demo_once(tmp_path: Path, profile: str, security: str) -> None:
    """On a laptop without any library of hardware it exits with 0; its last line agrees with the values before."""
    known = ("can", "dbus_fast", "gpiod", "gpiozero", "pymodbus", "serial", "smartcard", "systemd")
    assert all(name in HARDWARE or find_spec(name) is None for name in known)
    code, text, errors = await _demo("--once", "--profile", profile, environment=bench_alone(tmp_path))
    assert code == 0, text + errors
    assert len(list(tmp_path.glob("started-*"))) >= PROCESSES
    assert security in text
    lines = text.strip().splitlines()
    found = SUMMARY.fullmatch(lines[-1])
    assert found, text
    shown = [SHOWN.search(line) for line in lines]
    phases = [each[1] for each in shown if each]
    assert phases[0] == "idle"
    assert [each for each in ("cable_check", "charging", "stopping") if each not in phases] == []
    last = [float(each[3]) for each in shown if each][-1]
    assert abs(float(found[1]) - last) <= 0.06, text
    assert float(found[1]) >= 10.0
    assert 5 <= int(found[2]) <= 200
    assert errors == ""
    assert not any("Traceback" in line for line in lines)


async def test_demo_once_on_the_wire() -> None:
    """The same session on the real drivers."""
    code, text, errors = await _demo("--once", "--wire")
    assert code == 0, text + errors
    assert "a simulator of each device" in text
    assert SUMMARY.fullmatch(text.strip().splitlines()[-1]), text
    assert errors == ""


@pytest.mark.parametrize("profile", ["0", "4", "best"])
async def test_unknown_security_profile_is_refused(profile: str) -> None:
    code, text, errors = await _demo("--profile", profile)
    assert (code, text, errors.count("\n")) == (2, "", 1)
    assert profile in errors


async def test_ctrl_c_ends_it_in_the_orderly_way() -> None:
    """Pressed twice while the session plays: no traceback, and no process is left."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tools.demo", "--once"),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    while b"EVSE 2" not in await process.stdout.readline():
        assert process.returncode is None
    children = set(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    output = (await process.stdout.read()).decode()
    assert (await process.wait(), (await process.stderr.read()).decode()) == (130, "")
    assert output.endswith("stopped\n")
    assert len(children) == 2
    assert [child for child in children if Path(f"/proc/{child}").exists()] == []
