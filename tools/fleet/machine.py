# SPDX-License-Identifier: Apache-2.0
"""What a fleet needs of this machine: files that may be open, room for the stations' state."""

from __future__ import annotations

import resource
import shutil
import tempfile
from pathlib import Path

from firmware.errors import ConfigError

__all__ = ["allow_files", "state_folder"]

_FILES_PER_STATION = 16
_FILES_BESIDE = 300
_STATION_BYTES = 6_000_000
"""A database with its log of 4 MiB, and the message log's beginning."""
_MEMORY = Path("/dev/shm")


def allow_files(stations_per_process: int) -> None:
    """Raise the limit of open files as far as that many stations need. Raises `ConfigError` if it is too low."""
    needed = stations_per_process * _FILES_PER_STATION + _FILES_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise ConfigError(
            f"{stations_per_process} stations in a process need {needed} open files, and this user may have {hard}: "
            "raise the hard limit (`nofile` in /etc/security/limits.conf), or use more --processes"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def state_folder(given: Path | None, stations: int) -> Path:
    """A new folder for the stations' files: in `given`, else in memory, else, where that is too small, on disk."""
    where = given
    if where is None:
        in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 2 * stations * _STATION_BYTES
        where = _MEMORY if in_memory else Path(tempfile.gettempdir())
    try:
        where.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="baywatt-fleet-", dir=where))
    except OSError as error:
        raise ConfigError(f"--state {where}: {error.strerror}") from error
