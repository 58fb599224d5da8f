# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tools.conformance.checks.expected import Failure
from tools.conformance.run import report
from tools.conformance.run.catalogue import Entry
from tools.conformance.run.product import product_under_test
from tools.conformance.run.results import Outcome, Result, last_line

ENTRY = Entry("TC_B_01_CS", "Core", "Cold Boot Charging Station", "Accepted", "M", "", True, "mandatory")


def results() -> list[Result]:
    failure = Failure("3", "E07.FR.03", "stoppedReason is <wrong>", "TransactionEvent {}")
    return [
        Result(ENTRY, Outcome.PASSED, 1.25, measured={"response": [0.1, 0.3]}),
        Result(ENTRY, Outcome.FAILED, 2.0, [failure, failure], log="/somewhere/TC_B_01_CS.log"),
        Result(ENTRY, Outcome.SKIPPED, reason="C-13 is No"),
        Result(ENTRY, Outcome.MISSING, reason="not written"),
    ]


def test_a_missing_case_counts_as_failed() -> None:
    assert last_line(results()) == "1 passed, 2 failed, 1 skipped"
    assert results()[1].line().endswith("TransactionEvent {} (and 1 more)")
    assert results()[3].line().startswith("MISSING TC_B_01_CS")


def test_the_report_has_three_formats(tmp_path: Path) -> None:
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
    assert "C-13, Reset per EVSE: No" in page
    assert (
        page.index("<h2>Failed</h2>") < page.index("<h2>Test cases</h2>") < page.index("<h2>Product and station</h2>")
    )
    assert '<a href="logs/TC_B_01_CS.log">log</a>' in page
    assert "C7AM-400-CC" in page
    assert (
        "End by RequestStopTransaction, request to TransactionEvent</td><td></td><td>0</td><td>not measurable" in page
    )


def test_the_station_is_named(tmp_path: Path) -> None:
    said = [
        {"vendorName": "V", "model": "M", "serialNumber": f"SN{n}", "firmwareVersion": "7", "x": "y"} for n in range(5)
    ]
    found = [Result(ENTRY, Outcome.PASSED, 1.0, station=station) for station in said]
    report.write(tmp_path, found, product_under_test(None), started=1e9, finished=1e9)
    data = json.loads((tmp_path / "report.json").read_text())
    assert data["station"] == {
        "Station's vendor": "V",
        "Station's model": "M",
        "Serial number": "SN0 and 4 others (a station a case)",
        "Firmware version": "7",
    }
    assert data["runner"].startswith("baywatt ")
    assert [case["verdict"] for case in data["cases"]] == ["Pass"] * 5


def test_junit_stays_valid_with_any_text_of_the_station(tmp_path: Path) -> None:
    failure = Failure("1", "", "a \x00 and \uffff", "")
    product = product_under_test(None)
    report.write(tmp_path, [Result(ENTRY, Outcome.FAILED, 1.0, [failure])], product, started=1e9, finished=1e9)
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert suite[0][0].get("message") == "step 1: a \ufffd and \ufffd"
