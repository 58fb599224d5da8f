# SPDX-License-Identifier: Apache-2.0
"""The command line: an error is one line and an exit status."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.rig import verbs
from tools.rig.cli import main


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["up"],
        ["up", "--state"],
        ["up", "--state", ""],
        ["up", "--state", "x", "--colour", "red"],
        ["up", "--state", "x", "--log-level", "LOUD"],
        ["plug"],
        ["plug", "one"],
        ["network", "sideways"],
        ["op", "{"],
        ["op", "[]"],
        ["op", "{}"],
    ],
)
def test_bad_argument_is_one_line_and_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("baywatt rig")
    assert said.err.count("\n") == 1


def test_bad_file_is_one_line_and_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "station.toml"
    file.write_text('identity = "CP1"\nspeed = 3\n')
    assert main(["up", "--state", str(tmp_path / "cp"), "--station", str(file)]) == 2
    said = capsys.readouterr().err
    assert str(file) in said
    assert "speed" in said
    assert said.count("\n") == 1


def test_state_directory_that_can_not_be_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["up", "--state", str(tmp_path / "file" / "cp")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_control_socket_that_can_not_be_leaves_no_station(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    control = tmp_path / "no" / "such" / "control.sock"
    assert main(["up", "--state", str(tmp_path / "cp"), "--control", str(control)]) == 2
    assert str(control) in capsys.readouterr().err
    assert not (tmp_path / "cp" / "station.toml").exists()


@pytest.mark.parametrize(
    ("running", "advice"),
    [([], "`make run` or `baywatt rig up` starts one"), (["a.sock"], "running: --control a.sock")],
)
def test_no_rig_is_2_and_what_to_do(
    running: list[str],
    advice: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(verbs, "controls", lambda: [Path(path) for path in running])
    assert main(["state", "--control", str(tmp_path / "none.sock")]) == 2
    error = capsys.readouterr().err
    assert "no rig" in error
    assert advice in error
