# SPDX-License-Identifier: Apache-2.0
"""How the package is put together, with two small wheels in place of the libraries."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from firmware.version import VERSION
from tools.package import deb, libraries

needs_dpkg = pytest.mark.skipif(
    shutil.which("dpkg-deb") is None or sys.version_info[:2] != libraries.PYTHON,
    reason="needs dpkg-deb and Python 3.11",
)


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "example-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("example/__init__.py", "ANSWER = 42\n")
        archive.writestr("example-1.0.dist-info/METADATA", "Name: example\nVersion: 1.0\n")
        archive.writestr("example-1.0.data/scripts/example", "#!/bin/sh\n")
        archive.writestr("example-1.0.data/platlib/example/more.py", "MORE = 1\n")
        archive.writestr("example/tests/test_example.py", "")
        archive.writestr("../outside.py", "")
    return path


def test_a_wheel_is_unpacked_without_programs_and_tests_and_inside_its_folder(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site" / "packages"
    libraries.unpack(wheel, site)
    found = sorted(
        str(path.relative_to(tmp_path / "site")) for path in (tmp_path / "site").rglob("*") if path.is_file()
    )
    assert found == [
        "packages/example-1.0.dist-info/METADATA", "packages/example/__init__.py", "packages/example/more.py",
    ]  # fmt: skip


@pytest.fixture
def package(wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(deb, "BUILD", tmp_path / "build")
    monkeypatch.setattr(deb, "OURS", ("firmware", "hal"))
    monkeypatch.setattr(deb, "fetch", lambda *_: [wheel])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return deb.build("arm64", output=tmp_path, compression="none")


@needs_dpkg
def test_contents(package: Path, tmp_path: Path) -> None:
    listed = subprocess.run(["dpkg-deb", "-c", package], capture_output=True, text=True, check=True).stdout
    names = {line.split()[5].removeprefix("./") for line in listed.splitlines()}
    assert {line.split()[1] for line in listed.splitlines()} == {"root/root"}
    site = deb.SITE
    assert f"{site}/hal/__pycache__/server.cpython-311.pyc" in names
    assert f"{site}/firmware/product/c7am-400-cc.toml" in names
    assert "usr/lib/systemd/system/baywatt-hal.service" in names
    assert not any(f"{site}/{other}" in name for other in ("tools", "tests") for name in names)
    assert not any(name.startswith((".git", "home")) for name in names)
    shown = subprocess.run(["dpkg-deb", "-I", package, "conffiles"], capture_output=True, text=True, check=True).stdout
    assert shown.split() == [f"/etc/baywatt/{name}.toml" for name in ("commissioning", "hal", "ocpp")]
    control = subprocess.run(["dpkg-deb", "-f", package], capture_output=True, text=True, check=True).stdout
    assert f"Version: {VERSION}\nArchitecture: arm64\n" in control
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "unpacked"], check=True)
    bill = json.loads((tmp_path / "unpacked" / deb.BILL).read_text())
    assert bill["metadata"]["component"]["version"] == VERSION


@needs_dpkg
def test_the_same_bytes_twice(package: Path, tmp_path: Path) -> None:
    first = package.read_bytes()
    assert deb.build("arm64", output=tmp_path / "again", compression="none").read_bytes() == first


@needs_dpkg
def test_an_unknown_architecture_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert deb.main(["riscv64"]) == 1
    assert "no architecture riscv64" in capsys.readouterr().err
