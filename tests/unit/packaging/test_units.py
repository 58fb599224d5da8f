# SPDX-License-Identifier: Apache-2.0
"""The units as systemd rates and reads them, and the maintainer scripts as a shell reads them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
UNITS = ROOT / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
SCRIPTS = [ROOT / "packaging/deb" / name for name in ("postinst", "prerm", "postrm", "baywatt-hal", "baywattctl")]
analyze = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


@analyze
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_exposure_is_rated_at_1_5_or_better(unit: Path) -> None:
    rated = run("systemd-analyze", "security", "--offline=true", "--threshold=15", unit)
    assert rated.returncode == 0, rated.stdout


@analyze
def test_systemd_finds_no_mistake(tmp_path: Path) -> None:
    """In a root of its own, where the programs that the units start exist."""
    folder = tmp_path / "usr/lib/systemd/system"
    folder.mkdir(parents=True)
    for unit in [*SERVICES, *UNITS.glob("*.target")]:
        shutil.copy(unit, folder)
    for name in ("multi-user", "basic", "sysinit", "shutdown", "network"):
        (folder / f"{name}.target").write_text(f"[Unit]\nDescription={name}\n")
    program = tmp_path / "opt/baywatt/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_text("")
    program.chmod(0o755)
    verified = run("systemd-analyze", "verify", "--man=no", f"--root={tmp_path}", *(unit.name for unit in SERVICES))
    assert (verified.returncode, verified.stderr) == (0, "")


@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.name)
def test_a_service_is_started_again_without_end(unit: Path) -> None:
    lines = unit.read_text().splitlines()
    for line in ("StartLimitIntervalSec=0", "Restart=always", "Type=notify", "PartOf=baywatt.target"):
        assert line in lines
    assert any(line.startswith("WatchdogSec=") for line in lines)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_posix_shell(script: Path) -> None:
    text = script.read_text()
    assert text.startswith("#!/bin/sh\n")
    checked = run("dash", "-n", script) if shutil.which("dash") else run("sh", "-n", script)
    assert checked.returncode == 0, checked.stderr
    for word in ("[[", "local ", "function ", "$(( ", "&>", "source "):
        assert word not in text
    assert "\nset -e\n" in text or "\nexec " in text


def test_scripts_know_every_unit() -> None:
    units = " ".join(sorted(each.name for each in UNITS.glob("baywatt*.*")))
    for name in ("postinst", "postrm"):
        line = next(each for each in SCRIPTS[0].with_name(name).read_text().splitlines() if each.startswith("units="))
        assert " ".join(sorted(line.removeprefix("units=").strip('"').split())) == units


def test_every_file_of_the_folder_is_in_the_package() -> None:
    from tools.package.deb import PLACES

    packaged = {path for pattern in PLACES for path in ROOT.glob(pattern)}
    assert {path for path in UNITS.rglob("*") if path.is_file()} <= packaged
