# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig log --ocpp`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.rig.cli import main

TIME = "2027-01-15T08:00:00.000Z"
CALL = {"time": TIME, "type": "CALL", "direction": "out", "action": "Heartbeat", "id": "1", "payload": {}}


def test_a_file_of_a_diagnostics_archive(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "messages.jsonl"
    path.write_text(json.dumps(CALL) + "\n")
    assert main(["log", "--ocpp", "--file", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{TIME} -> CALL Heartbeat 1 {{}}\n"
    assert "MessageLogCtrlr.Enabled" in shown.err
    path.write_text(json.dumps(CALL) + "\n" + json.dumps({"time": TIME, "type": "RECORDING", "text": "on"}) + "\n")
    assert main(["log", "--ocpp", "--json", "--file", str(path)]) == 0
    shown = capsys.readouterr()
    assert shown.out == path.read_text()
    assert shown.err == ""


def test_without_a_rig_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["log", "--ocpp", "--control", str(tmp_path / "nowhere")]) == 2
    assert "no rig at" in capsys.readouterr().err
    assert main(["log", "--ocpp", "--file", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err
    assert main(["log"]) == 2
    assert "--ocpp" in capsys.readouterr().err
