# SPDX-License-Identifier: Apache-2.0
"""Processor, memory and disk of the board, from /proc and statvfs."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from msgspec import Struct

__all__ = ["Machine", "MachineStatus"]


class MachineStatus(Struct, frozen=True):
    """Memory and disk in bytes; `cpu_percent` of all cores since it was last asked, None at first."""

    cpu_percent: float | None
    load: float
    cores: int
    memory_total: int
    memory_available: int
    disk_total: int
    disk_available: int
    up_s: float | None
    kernel: str
    python: str


class Machine:
    """`folder` is on the disk that counts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before: tuple[float, float] | None = None

    def status(self) -> MachineStatus:
        memory, disk = _memory(), os.statvfs(self._folder)
        return MachineStatus(
            cpu_percent=self._cpu_percent(),
            load=round(os.getloadavg()[0], 2),
            cores=os.cpu_count() or 1,
            memory_total=memory.get("MemTotal", 0),
            memory_available=memory.get("MemAvailable", 0),
            disk_total=disk.f_frsize * disk.f_blocks,
            disk_available=disk.f_frsize * disk.f_bavail,
            up_s=_up_s(),
            kernel=platform.release(),
            python=platform.python_version(),
        )

    def _cpu_percent(self) -> float | None:
        try:
            ticks = [float(each) for each in _first_line("/proc/stat").split()[1:9]]
        except (OSError, ValueError):  # hidden by the sandbox
            return None
        now = sum(ticks), ticks[3] + ticks[4]
        before, self._before = self._before, now
        if before is None or now[0] <= before[0]:
            return None
        return round(100.0 * (1.0 - (now[1] - before[1]) / (now[0] - before[0])), 1)


def _first_line(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.readline()


def _memory() -> dict[str, int]:
    """In bytes; empty where the sandbox hides it."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()[:8]
    except OSError:
        return {}
    return {name: int(rest.split()[0]) * 1024 for name, _, rest in (line.partition(":") for line in lines)}


def _up_s() -> float | None:
    try:
        return float(_first_line("/proc/uptime").split()[0])
    except (OSError, ValueError):
        return None
