# SPDX-License-Identifier: Apache-2.0
"""A machine that can't boot a container says why; it never looks as if it had been tried."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tools.package import container
from tools.package.container import ContainerError, debian_root, main


def test_root_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ContainerError, match="needs root"):
        debian_root(tmp_path)


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ContainerError, match="not installed: iproute2 mmdebstrap systemd-container util-linux"):
        debian_root(tmp_path)


def test_namespaces_are_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in container.TOOLS:
        (programs / name).symlink_to("/bin/true")
    refusing = programs / "unshare"
    refusing.write_text("#!/bin/sh\necho 'unshare failed: Operation not permitted' >&2\nexit 1\n")
    refusing.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ContainerError, match=r"no namespaces.*Operation not permitted"):
        debian_root(tmp_path)


def test_the_command_fails_and_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert main() == 1
    assert "needs root" in capsys.readouterr().err


def test_continuous_integration_boots_it() -> None:
    """Marked tests run in no other command: without this line they would be skipped unnoticed."""
    root = Path(__file__).parents[3]
    assert "make test-deb" in (root / ".ci/run").read_text().splitlines()
    assert (
        '\t$(BIN)/python -m pytest -m "container and not slow" tests/packaging'
        in (root / "Makefile").read_text().splitlines()
    )
