# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from pathlib import Path

import pytest

from firmware.errors import ConfigError
from tools.conformance import cli
from tools.conformance.run.history import compare, failed_cases, outcomes


def report(folder: Path, **outcome: str) -> Path:
    folder.mkdir()
    cases = [{"id": case, "outcome": how, "more": 1} for case, how in outcome.items()]
    (folder / "report.json").write_text(json.dumps({"cases": cases, "standard": ""}))
    return folder


def test_two_runs_are_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = report(tmp_path / "old", A="passed", B="failed", C="passed", D="skipped", E="missing")
    new = report(tmp_path / "new", A="failed", B="passed", C="passed", D="passed", F="failed")
    found = compare(outcomes(old), outcomes(new))
    assert found.worse == ["A: passed, then failed", "F: not run, then failed"]
    assert found.better == ["B: failed, then passed"]
    assert found.other == ["D: skipped, then passed", "E: missing, then not run"]
    assert cli.main(["--compare", str(old), str(new)]) == 1
    assert capsys.readouterr().out.endswith("2 worse, 1 better, 2 changed\n")
    assert cli.main(["--compare", str(old), str(old / "report.json")]) == 0


def test_what_failed_is_repeated(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = report(tmp_path / "run", TC_B_06_CS="failed", TC_B_07_CS="passed", TC_B_25_CS="missing")
    assert failed_cases(folder) == ["TC_B_06_CS", "TC_B_25_CS"]
    assert cli.main(["--rerun-failed", str(folder), "--list"]) == 0
    assert [line.split()[1] for line in capsys.readouterr().out.splitlines()] == ["TC_B_06_CS", "TC_B_25_CS"]
    assert cli.main(["--rerun-failed", str(report(tmp_path / "good", TC_B_06_CS="passed"))]) == 0
    assert capsys.readouterr().out == "no case failed in that run\n"


@pytest.mark.parametrize(("text", "complaint"), [("{", "not a report of this runner"), ("{}", "not a report")])
def test_other_files_are_refused(tmp_path: Path, text: str, complaint: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        outcomes(tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        outcomes(tmp_path / "none")
