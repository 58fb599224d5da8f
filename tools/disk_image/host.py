# SPDX-License-Identifier: Apache-2.0
"""The machine that makes images: its programs, where they come from, and how they are run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

__all__ = ["CACHE", "ImageError", "need", "need_root", "run"]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "baywatt"
"""What takes long to make and depends on nothing of this checkout but what its name is made of."""


class ImageError(Exception):
    """Why an image can't be made or booted, in a sentence."""


def need(programs: Mapping[str, str], *, what: str) -> None:
    """Install the Debian packages (`programs`: path or name of a program or file -> package) that are missing.

    Raises `ImageError` with their names when that is not possible.
    """
    missing = sorted({package for name, package in programs.items() if not _exists(name)})
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise ImageError(f"{what} needs these packages of Debian 12 (as root: apt-get install {' '.join(missing)})")
    print(f"installing {' '.join(missing)}", flush=True)
    apt = ["apt-get", "-o", "DPkg::Lock::Timeout=300"]
    run([*apt, "update"])
    run([*apt, "install", "-y", "--no-install-recommends", *missing], DEBIAN_FRONTEND="noninteractive")


def _exists(name: str) -> bool:
    return Path(name).exists() if name.startswith("/") else shutil.which(name) is not None


def need_root(what: str) -> None:
    if os.geteuid() != 0:
        raise ImageError(f"{what} needs root: the files of a Debian root have owners")


def run(command: Sequence[str | Path], *, limit_s: float = 3600.0, cwd: Path | None = None, **environment: str) -> str:
    """The command's output; raises `ImageError` with the end of what it says when it fails."""
    shown = " ".join(str(part) for part in command)
    try:
        done = subprocess.run(
            command,
            env={**os.environ, **environment},
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
        )
    except FileNotFoundError as error:
        raise ImageError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"{shown}: not done in {limit_s:g} s") from error
    if done.returncode != 0:
        raise ImageError(f"{shown}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
