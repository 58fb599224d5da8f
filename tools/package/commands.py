# SPDX-License-Identifier: Apache-2.0
"""Running the programs that a package is made with."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["PackageError", "run"]


class PackageError(Exception):
    """Why the package can't be made, in a sentence."""


def run(command: list[str], *, folder: Path | None = None, environment: Mapping[str, str] = {}) -> str:
    """What the program prints, in a folder and with more in its environment. Raises `PackageError`."""
    settings = {**os.environ, **environment}
    try:
        done = subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise PackageError(f"{command[0]} is not installed") from error
    if done.returncode != 0:
        raise PackageError(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout
