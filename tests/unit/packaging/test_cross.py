# SPDX-License-Identifier: Apache-2.0
"""What a package for the other architecture needs; that it is made and the same twice was tried by hand."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tools.package import cross
from tools.package.commands import PackageError


@pytest.mark.parametrize(
    ("architecture", "packages"),
    [("arm64", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"), ("amd64", "gcc-x86-64-linux-gnu libc6-dev-amd64-cross")],
)
def test_a_compiler_that_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, packages: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(PackageError, match=f"need these packages of Debian 12: {packages}"):
        cross.environment(architecture, tmp_path)


def test_no_path_of_this_machine_gets_into_what_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    python = tmp_path / "root/usr/lib/python3.11"
    python.mkdir(parents=True)
    (python / "_sysconfigdata__aarch64-linux-gnu.py").write_text("")
    given = cross.environment("arm64", tmp_path)
    assert f"-ffile-prefix-map={tmp_path}/root=" in given["CPPFLAGS"].split()
    assert given["_PYTHON_HOST_PLATFORM"] == "linux-aarch64"
    assert (Path(given["PYTHONPATH"]) / f"{given['_PYTHON_SYSCONFIGDATA_NAME']}.py").exists()
