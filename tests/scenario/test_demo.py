# SPDX-License-Identifier: Apache-2.0
"""`make run ONCE=1`: what a newcomer sees first has to work, and its figures have to be true."""

from __future__ import annotations

import asyncio
import os
import re
import sys

from tests.support.rig import ROOT

SUMMARY = re.compile(r"session complete: EVSE 2, (\d+\.\d) kWh, (\d+) TransactionEvents, 0 queued")
SHOWN = re.compile(r"EVSE 2 +(\S+) +(\d+\.\d) kW +(\d+\.\d\d) kWh")


async def test_demo_once() -> None:
    """It exits with 0, and its last line agrees with what it showed on the way."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tools.demo",
        "--once",
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate()
    text = output.decode()
    assert process.returncode == 0, text + errors.decode()
    lines = text.strip().splitlines()
    found = SUMMARY.fullmatch(lines[-1])
    assert found, text
    shown = [SHOWN.search(line) for line in lines]
    phases = [each[1] for each in shown if each]
    assert phases[0] == "idle"
    assert [each for each in ("cable_check", "charging", "stopping") if each not in phases] == []
    last = [float(each[3]) for each in shown if each][-1]
    assert abs(float(found[1]) - last) <= 0.06, text
    assert float(found[1]) >= 20.0
    assert 5 <= int(found[2]) <= 200
    assert errors == b""
    assert not any("Traceback" in line for line in lines)
