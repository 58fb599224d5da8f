# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tools import doctor
from tools.running import Running, is_free, running

_LISTEN = (
    "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); input()"
)


@pytest.mark.parametrize(
    ("line", "verb", "folder", "control"),
    [
        ("-m tools.cli rig up --state here", "rig", "", "control.sock"),
        ("/x/bin/baywatt rig up --state=here --control /run/c.sock", "rig", "", "/run/c.sock"),
        ("/x/bin/baywatt csms up --state cs", "csms", "cs", None),
        ("/x/bin/baywatt csms stations", None, "", None),
    ],
)
def test_what_runs_is_found(tmp_path: Path, line: str, verb: str | None, folder: str, control: str | None) -> None:
    command = [sys.executable, "-c", _LISTEN, *line.split()]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        found = [each for each in running() if each.pid == process.pid]
        taken = not is_free("127.0.0.1", port)
        process.communicate("\n")
    path = control and tmp_path / folder / control
    assert found == ([Running(process.pid, verb, tmp_path / folder, path or None, (port,))] if verb else [])
    assert taken
    assert is_free("127.0.0.1", port)


def test_doctor_is_content_here(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main([]) == 0
    printed = capsys.readouterr().out
    assert "station and bench CSMS  installed" in printed
    assert all(len(line) <= 100 or os.sep in line for line in printed.splitlines())


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(doctor, "_PORTS", {taken.getsockname()[1]: "a test"})
        doctor.main([])
    assert "a test  used by another program" in capsys.readouterr().out
