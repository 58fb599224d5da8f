# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from pathlib import Path

import pytest

from firmware.errors import ConfigError
from tools.csms.cli import main
from tools.csms.settings import read_passwords


@pytest.mark.parametrize(
    ("argv", "code", "message"),
    [
        ([], 2, "COMMAND"),
        (["up", "--boot", "Maybe"], 2, "invalid choice"),
        (["up", "--port", "70000"], 2, "--port"),
        (["up", "--tls-port", "-1"], 2, "--tls-port"),
        (["up", "--https-port", "65536"], 2, "--https-port must be 0 to 65535, not 65536"),
        (["up", "--ftp-port", "x"], 2, "--ftp-port"),
        (["up", "--security-profile", "4"], 2, "invalid choice"),
        (["up", "--interval", "-1"], 2, "--interval"),
        (["up", "--passwords", "/nowhere.toml"], 2, "/nowhere.toml"),
        (["call", "CP001", "Reset", "[]"], 2, "JSON object"),
        (["tokens", "set"], 2, "needs an id token"),
        (["stations", "--url", "http://127.0.0.1:1"], 3, "no bench CSMS answers"),
        (["firmware", "CP001", "--url", "http://127.0.0.1:1"], 3, "no bench CSMS answers"),
        (["firmware", "CP001", "--json"], 2, "unrecognized arguments"),
        (["secure", "CP001", "--json"], 2, "unrecognized arguments"),
        (["secure", "CP001", "--profile", "1"], 2, "invalid choice"),
    ],
)
def test_wrong_arguments_are_reported_on_standard_error(
    argv: list[str], code: int, message: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if argv[:1] == ["up"]:
        argv = [*argv, "--state", str(tmp_path)]
    assert main(argv) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err


def test_passwords(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('CP001 = "secret"\n"CP 2" = "other"\n')
    assert read_passwords(tmp_path / "p.toml") == {"CP001": "secret", "CP 2": "other"}
    (tmp_path / "p.toml").write_text("CP001 = 1\n")
    with pytest.raises(ConfigError, match="CP001"):
        read_passwords(tmp_path / "p.toml")
