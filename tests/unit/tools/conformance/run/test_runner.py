# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Fixtures
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.expected import CaseSkipped
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.registry import Case
from tools.conformance.run.results import Outcome, Result
from tools.conformance.run.runner import Options, run

ENTRY = Entry("TC_B_01_CS", "Core", "Cold Boot Charging Station", "Accepted", "M", "", True, "mandatory")


async def passes(t: Bench) -> None:
    await reusable_states.booted(t)


async def fails(t: Bench) -> None:
    t.step(2)
    await t.call("Reset", {"type": "OnIdle"}, {"status": "Scheduled"}, req="B12.FR.01")
    await t.expect("BootNotification")


async def breaks(t: Bench) -> None:
    raise KeyError("typo")


async def hangs(t: Bench) -> None:
    await asyncio.sleep(60)


async def skips(t: Bench) -> None:
    raise CaseSkipped("no such hardware")


@pytest.fixture
def run_case(station_double: Callable[..., Any], fixtures: Fixtures, tmp_path: Path) -> Callable[..., Any]:
    async def run_case(body: Any, *faults: str, limit_s: float = 30) -> tuple[Result, list[str]]:
        options = Options(
            fixtures, logs=tmp_path, durations=tmp_path / "durations.json", attach=lambda: station_double(*faults)
        )
        lines: list[str] = []
        case = Case(ENTRY.id, body, Preconditions(), limit_s)
        (result,) = await run([(ENTRY, case)], options, lambda r: lines.append(r.line()))
        return result, lines

    return run_case


async def test_a_pass_is_one_line_and_leaves_no_log(run_case: Callable[..., Any], tmp_path: Path) -> None:
    result, (line,) = await run_case(passes)
    assert result.outcome is Outcome.PASSED
    assert line.startswith("PASS TC_B_01_CS ")
    assert line.endswith(" s Cold Boot Charging Station - Accepted")
    assert not (tmp_path / "TC_B_01_CS.log").exists()
    assert "TC_B_01_CS" in json.loads((tmp_path / "durations.json").read_text())


async def test_a_failure_names_step_requirement_and_message_and_keeps_the_log(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(fails)
    assert result.outcome is Outcome.FAILED
    assert ": step 2, B12.FR.01: Reset: status is" in line
    log = Path(result.log).read_text()
    assert "BootNotification" in log
    assert "step 2" in log


async def test_a_bug_in_a_case_is_a_failure_and_the_run_continues(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(breaks)
    assert "the case is broken: KeyError" in line
    assert "Traceback" in Path(result.log).read_text()


async def test_a_case_has_a_time_limit(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(hangs, limit_s=0.1)
    assert "not done within 0.1 s" in line
    assert result.outcome is Outcome.FAILED


async def test_an_interrupted_case_stops_its_station(
    station_double: Callable[..., Any], fixtures: Fixtures, tmp_path: Path
) -> None:
    station, playing = station_double(), asyncio.Event()
    stopped: list[bool] = []

    async def plays(t: Bench) -> None:
        playing.set()
        await asyncio.sleep(60)

    async def stop() -> None:
        stopped.append(True)
        await stop_station()

    stop_station, station.stop = station.stop, stop
    options = Options(fixtures, logs=tmp_path, durations=tmp_path / "durations.json", attach=lambda: station)
    running = asyncio.create_task(run([(ENTRY, Case(ENTRY.id, plays, Preconditions(), 30))], options, lambda _: None))
    await playing.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert stopped == [True]


async def test_a_case_that_can_not_be_run_is_skipped(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(skips)
    assert line == "SKIP TC_B_01_CS Cold Boot Charging Station - Accepted: no such hardware"
    assert result.outcome is Outcome.SKIPPED


async def test_a_violation_fails_a_case_that_notices_nothing(run_case: Callable[..., Any]) -> None:
    async def looks_away(t: Bench) -> None:
        await t.call("RequestStartTransaction", {"idToken": t.card.id_token, "remoteStartId": 1})

    result, _ = await run_case(looks_away, "bad_schema")
    assert result.failures[0].requirement == "part 6, 1.2"


async def test_no_case_is_begun_after_a_failure_if_that_is_asked_for(
    station_double: Callable[..., Any], fixtures: Fixtures, tmp_path: Path
) -> None:
    played: list[Result] = []
    durations = tmp_path / "durations.json"
    options = Options(fixtures, logs=tmp_path, durations=durations, attach=station_double, stop_on_first=True)
    case = Case(ENTRY.id, fails, Preconditions(), 30)
    others = [replace(ENTRY, id=f"TC_B_0{number}_CS") for number in (2, 3)]
    found = await run([(ENTRY, case), *((entry, case) for entry in others)], options, played.append)
    assert [result.entry.id for result in found] == [ENTRY.id]
    assert found == played
