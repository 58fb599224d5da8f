# SPDX-License-Identifier: Apache-2.0
"""The command line: what is wrong is said in one line, and every verb is one operation."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from tools.rig.cli import _parse, main


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


def test_no_rig_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["state", "--control", str(tmp_path / "none.sock")]) == 2
    assert "no rig" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "request_made"),
    [
        ("plug 1", ("plug_in", {"evse": 1})),
        ("plug 2 --soc 55", ("plug_in", {"evse": 2, "car": {"soc_percent": 55.0}})),
        ("unplug 1", ("plug_out", {"evse": 1, "force": False})),
        ("unplug 1 --force", ("plug_out", {"evse": 1, "force": True})),
        ("card 04A1", ("present_card", {"uid": "04A1"})),
        ("card 04A1 --evse 2", ("present_card", {"uid": "04A1", "evse": 2})),
        ("select 2", ("select_evse", {"evse": 2})),
        ("stop 2", ("press_stop", {"evse": 2})),
        ("fault door_open", ("fault", {"code": "door_open"})),
        ("clear meter --evse 1", ("clear_fault", {"code": "meter", "evse": 1})),
        ("network down", ("network", {"mode": "down"})),
        ("network up --interface Wired0", ("network", {"mode": "up", "interface": "Wired0"})),
        ("power off", ("power_off", {})),
        ("power cycle", ("power_cycle", {})),
        ("reboot", ("reboot", {})),
        ("kill hal", ("process", {"kill": "hal"})),
        ("state", ("state", {})),
        ("watch", ("subscribe", {})),
        ('op {"op":"car","evse":1,"ready":false}', ("car", {"evse": 1, "ready": False})),
    ],
)
def test_verb_is_an_operation(line: str, request_made: tuple[str, dict[str, Any]]) -> None:
    args: argparse.Namespace = _parse(line.split(" ", 3) if line.startswith("op") else line.split())
    assert args.request(args) == request_made
