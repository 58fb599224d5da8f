# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tools.conformance.bench import reusable_states
from tools.conformance.bench.bench import Bench, Fixtures
from tools.conformance.bench.preconditions import Preconditions
from tools.conformance.checks.expected import CaseSkipped, Failure
from tools.conformance.peer.transcript import Entry as Line
from tools.conformance.run import report
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.measure import measure, summarise
from tools.conformance.run.product import product_under_test
from tools.conformance.run.registry import Case
from tools.conformance.run.results import Outcome, Result, last_line
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
def run_case(fake: Callable[..., Any], fixtures: Fixtures, tmp_path: Path) -> Callable[..., Any]:
    async def run_case(body: Any, *faults: str, limit_s: float = 30) -> tuple[Result, list[str]]:
        options = Options(fixtures, logs=tmp_path, durations=tmp_path / "durations.json", attach=lambda: fake(*faults))
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


async def test_a_mistake_in_a_case_is_a_failure_not_the_end(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(breaks)
    assert "the case is broken: KeyError" in line
    assert "Traceback" in Path(result.log).read_text()


async def test_a_case_has_a_time_limit(run_case: Callable[..., Any]) -> None:
    result, (line,) = await run_case(hangs, limit_s=0.1)
    assert "not done within 0.1 s" in line
    assert result.outcome is Outcome.FAILED


async def test_an_interrupted_case_puts_its_station_away(
    fake: Callable[..., Any], fixtures: Fixtures, tmp_path: Path
) -> None:
    station, playing = fake(), asyncio.Event()
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


def results() -> list[Result]:
    failure = Failure("3", "E07.FR.03", "stoppedReason is <wrong>", "TransactionEvent {}")
    return [
        Result(ENTRY, Outcome.PASSED, 1.25, measured={"response": [0.1, 0.3]}),
        Result(ENTRY, Outcome.FAILED, 2.0, [failure, failure]),
        Result(ENTRY, Outcome.SKIPPED, reason="C-13 is No"),
        Result(ENTRY, Outcome.MISSING, reason="not written"),
    ]


def test_a_missing_case_counts_as_failed() -> None:
    assert last_line(results()) == "1 passed, 2 failed, 1 skipped"
    assert results()[1].line().endswith("TransactionEvent {} (and 1 more)")
    assert results()[3].line().startswith("MISSING TC_B_01_CS")


def test_the_report_has_three_shapes(tmp_path: Path) -> None:
    report.write(tmp_path, results(), product_under_test(None), started=1e9, finished=1e9 + 60)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["summary"] == {"passed": 1, "failed": 1, "skipped": 1, "missing": 1}
    assert data["performance"][0]["mean_s"] == pytest.approx(0.2)
    assert data["cases"][1]["failures"][0]["requirement"] == "E07.FR.03"
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "2", "1")
    assert [len(case.findall("failure")) for case in suite] == [0, 1, 0, 1]
    assert (suite[1][0].text or "").count("E07.FR.03") == 2
    page = (tmp_path / "report.html").read_text()
    assert "stoppedReason is &lt;wrong&gt;" in page
    assert "<td>C-08</td><td>Master pass without UI</td><td>Yes</td>" in page
    assert "C7AM-400-CC" in page


def test_junit_stays_readable_whatever_the_station_said(tmp_path: Path) -> None:
    failure = Failure("1", "", "a \x00 and \uffff", "")
    product = product_under_test(None)
    report.write(tmp_path, [Result(ENTRY, Outcome.FAILED, 1.0, [failure])], product, started=1e9, finished=1e9)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert suite[0][0].get("message") == "step 1: a \ufffd and \ufffd"


def line(at: float, who: str, what: str, action: str, body: Any, uid: str = "") -> Line:
    return Line(at, who, what, action, body, uid)


def test_measured_are_answers_and_their_consequences() -> None:
    entries = [
        line(1.0, "csms", "call", "TriggerMessage", {"requestedMessage": "Heartbeat"}, "a"),
        line(1.1, "station", "result", "TriggerMessage", {"status": "Accepted"}, "a"),
        line(1.5, "station", "call", "Heartbeat", {}),
        line(2.0, "csms", "call", "RequestStartTransaction", {"remoteStartId": 7}, "b"),
        line(2.2, "station", "result", "RequestStartTransaction", {"status": "Accepted"}, "b"),
        line(2.3, "station", "call", "TransactionEvent", {"transactionInfo": {"remoteStartId": 6}}),
        line(3.0, "station", "call", "TransactionEvent", {"transactionInfo": {"remoteStartId": 7}}),
        line(4.0, "csms", "call", "RequestStopTransaction", {}, "c"),
        line(4.1, "station", "result", "RequestStopTransaction", {"status": "Rejected"}, "c"),
        line(4.2, "station", "call", "TransactionEvent", {"triggerReason": "RemoteStop"}),
        line(5.0, "csms", "call", "Reset", {}, "d"),
        line(5.1, "station", "error", "Reset", {}, "d"),
    ]
    found = measure(entries)
    assert found["response"] == [pytest.approx(0.1), pytest.approx(0.2), pytest.approx(0.1)]
    assert found["triggered"] == [pytest.approx(0.5)]
    assert found["remote_start"] == [pytest.approx(1.0)]
    assert found["remote_stop"] == []
    figures = summarise([found, found], {"response": 5, "triggered": 5, "remote_start": 2, "remote_stop": 30})
    assert [(f.count, f.limit_s) for f in figures] == [(6, 5), (2, 5), (2, 2)]
