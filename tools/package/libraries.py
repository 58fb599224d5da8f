# SPDX-License-Identifier: Apache-2.0
"""The libraries of `packaging/locks/device.txt` as wheels, for any architecture; pip checks the lock's hashes."""

from __future__ import annotations

import os
import re
import shutil
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

from tools.package import cross
from tools.package.commands import PackageError, run

__all__ = ["MACHINES", "PYTHON", "fetch", "native", "unpack"]

PYTHON = (3, 11)
"""Debian 12's."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
"""The kernel's name of each of Debian's architectures."""
SOURCES = ("pyscard", "systemd-python")
"""Have no wheels: they are built."""
_NOT_NEEDED = ("setuptools",)
_GLIBC_MINORS = range(17, 37)
"""Debian 12 has glibc 2.36."""
_NAME = re.compile(r"^([A-Za-z0-9._-]+)==")


def native() -> str:
    """Debian's name of this machine's architecture."""
    machine = os.uname().machine
    return next((name for name, kernel in MACHINES.items() if kernel == machine), machine)


def fetch(lock: Path, architecture: str, cache: Path) -> list[Path]:
    """The wheels of the lock for an architecture, in a folder of `cache` that depends on lock and architecture.

    Raises `PackageError`.
    """
    blocks = _blocks(lock.read_text())
    folder = cache / f"wheels-{architecture}-{sha256(lock.read_bytes()).hexdigest()[:12]}"
    if not folder.exists():
        making = cache / f"{folder.name}.part"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        wheels = {name: block for name, block in blocks.items() if name not in (*SOURCES, *_NOT_NEEDED)}
        _download(wheels, MACHINES[architecture], making)
        _build({name: blocks[name] for name in SOURCES}, architecture, making)
        making.rename(folder)
    return sorted(folder.glob("*.whl"))


def _blocks(lock: str) -> dict[str, str]:
    """A requirement with its hashes by the library's name."""
    blocks: dict[str, str] = {}
    name = ""
    for line in lock.splitlines():
        if found := _NAME.match(line):
            name = found[1]
            blocks[name] = ""
        if name and not line.startswith("#"):
            blocks[name] += line + "\n"
    return blocks


def _download(blocks: dict[str, str], machine: str, folder: Path) -> None:
    platforms = [f"--platform=manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS]
    python = f"{PYTHON[0]}{PYTHON[1]}"
    kinds = [f"--abi={abi}" for abi in (f"cp{python}", "abi3", "none")]
    target = ["--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *kinds, *platforms]
    _pip("download", blocks, folder, [*target, f"--platform=manylinux2014_{machine}", "--dest", str(folder)])


def _build(blocks: dict[str, str], architecture: str, folder: Path) -> None:
    """The same bytes each time: no debug information, and no path of this machine."""
    if sys.version_info[:2] != PYTHON:
        raise PackageError(f"{', '.join(blocks)} must be built by Python 3.11, and this is {sys.version.split()[0]}")
    temporary = (folder / "build").absolute()
    temporary.mkdir()
    foreign = (
        {} if architecture == native() else cross.environment(architecture, folder.with_name(f"cross-{architecture}"))
    )
    linked = f"-s {foreign.get('LDFLAGS', '')}"
    flags = {"CFLAGS": f"-g0 -O2 -ffile-prefix-map={temporary}=.", "LDFLAGS": linked, "TMPDIR": str(temporary)}
    arguments = ["--no-build-isolation", "--no-binary=:all:", "--no-cache-dir", "--wheel-dir", str(folder)]
    _pip("wheel", blocks, folder, arguments, foreign | flags)
    shutil.rmtree(temporary)


def _pip(
    verb: str, blocks: dict[str, str], folder: Path, arguments: list[str], environment: dict[str, str] | None = None
) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text("".join(blocks.values()))
    command = [sys.executable, "-m", "pip", verb, "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]
    command += ["--require-hashes", "-r", str(requirements), *arguments]
    try:
        run(command, environment=environment or {})
    finally:
        requirements.unlink()


def unpack(wheel: Path, site: Path) -> None:
    """Install a wheel's modules and metadata; its programs, tests and other data are left out."""
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            parts = Path(member.filename).parts
            if parts[0].endswith(".data"):
                if len(parts) < 3 or parts[1] not in ("purelib", "platlib"):
                    continue
                parts = parts[2:]
            if member.is_dir() or ".." in parts or "tests" in parts[1:-1]:
                continue
            target = site.joinpath(*parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(archive.read(member))
