# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tools.conformance.cli import main


def test_list_shows_what_applies_and_what_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--cases", "B"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 40
    assert lines[0].split()[:2] == ["ready", "TC_B_01_CS"]
    assert any(line.startswith("skip     TC_B_25_CS") and line.endswith("(C-13 is No)") for line in lines)


def test_cases_that_do_not_apply_are_skipped_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", "B_25,B_26"]) == 0
    out = capsys.readouterr().out
    assert "SKIP TC_B_25_CS Reset EVSE - Without ongoing transaction: C-13 is No\n" in out
    assert out.endswith("0 passed, 0 failed, 2 skipped\n")


def test_bad_arguments_exit_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--cases", "TC_Q_*"]) == 2
    assert main(["--station-file", str(tmp_path / "none.toml")]) == 2
    assert main(["--nonsense"]) == 2
    (tmp_path / "station.toml").write_text('identity = "CP001"\nproduct = "nobody"\n')
    assert main(["--station-file", str(tmp_path / "station.toml")]) == 2
    assert "nobody" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--jobs", "0"], "expected a whole number of at least 1, got '0'"),
        (["--patience", "nan"], "expected a number above 0, got 'nan'"),
        (["--manual", "--listen", "9000"], "expected HOST:PORT, not '9000'"),
        (["--manual", "--listen", "localhost:99999"], "expected HOST:PORT"),
        (["--manual", "--control", "c.sock"], "not allowed with"),
        (["--control", "/nowhere/c.sock"], "--control /nowhere/c.sock: No such file or directory"),
        (["--cases", "B_01,b_99"], "no case matches B_99"),
        (["--identity", "CP9"], "--identity is for --control and --manual"),
        (["--listen", "127.0.0.1:9000"], "--listen is for --control and --manual"),
        (["--rerun-failed", "/nowhere"], "/nowhere: No such file or directory"),
    ],
)
def test_a_bad_argument_is_named(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert complaint in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--manual", "--listen", f"127.0.0.1:{port}"]) == 2
    assert f"--listen 127.0.0.1:{port}: Address already in use" in capsys.readouterr().err


def test_a_product_file_as_station_file_gets_a_hint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.toml").write_text('extends = "c7am-400-cc"\n')
    assert main(["--list", "--station-file", str(tmp_path / "other.toml")]) == 2
    assert f'this is a product file; name it in factory settings: product = "{tmp_path}' in capsys.readouterr().err


def test_a_product_file_with_the_projects_name_has_its_own_answers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c7am-400-cc.toml").write_text('extends = "c7am-400-cc"\n[features]\nreset_per_evse = true\n')
    (tmp_path / "station.toml").write_text('identity = "CP001"\nproduct = "./c7am-400-cc.toml"\n')
    assert main(["--list", "--cases", "B_25", "--station-file", str(tmp_path / "station.toml")]) == 0
    assert capsys.readouterr().out.startswith("ready    TC_B_25_CS")


def test_another_product_has_its_own_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.toml").write_text('extends = "c7am-400-cc"\n[features]\nreset_per_evse = true\n')
    (tmp_path / "station.toml").write_text('identity = "CP001"\nproduct = "other.toml"\n')
    assert main(["--list", "--cases", "B_25,B_28", "--station-file", str(tmp_path / "station.toml")]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert not first.startswith("skip")
    assert second.startswith("skip     TC_B_28_CS")
