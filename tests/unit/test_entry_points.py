# SPDX-License-Identifier: Apache-2.0
"""Every program of the package starts, called as the installed script calls it."""

from __future__ import annotations

import importlib
import sys
import tomllib
from pathlib import Path

import pytest

SCRIPTS: dict[str, str] = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]


@pytest.mark.parametrize(("name", "target"), SCRIPTS.items(), ids=str)
def test_a_program_says_how_it_is_used(
    name: str, target: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _, function = target.partition(":")
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    try:
        status = getattr(importlib.import_module(module), function)()
    except SystemExit as end:
        status = end.code
    assert not status
    assert capsys.readouterr().out.startswith(f"usage: {name}")
