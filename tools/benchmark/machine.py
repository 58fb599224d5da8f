# SPDX-License-Identifier: Apache-2.0
"""What Linux reports of processes: memory, CPU time, bytes written; and how fast the disk is."""

from __future__ import annotations

import os
import time
from pathlib import Path

__all__ = ["CpuShare", "bytes_written", "flushes", "load_per_core", "processor", "resident_mb"]

_BLOCK = 4096


class CpuShare:
    """Share of one core that some processes use from now on."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self._began = time.monotonic()
        self._ticks = self._read()

    def _read(self) -> int:
        total = 0
        for pid in self._pids:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def percent(self) -> float:
        spent = (self._read() - self._ticks) / os.sysconf("SC_CLK_TCK")
        return 100 * spent / (time.monotonic() - self._began)


def load_per_core() -> float:
    """Runnable processes of the last minute for each core; the benchmark itself makes about half."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def resident_mb(pid: int) -> float:
    return int(_field(Path(f"/proc/{pid}/status"), "VmRSS", "0 kB").split()[0]) / 1000


def bytes_written(pid: int) -> int:
    """To storage, since the process was started."""
    return int(_field(Path(f"/proc/{pid}/io"), "write_bytes", "0"))


def flushes(folder: Path, count: int) -> list[float]:
    """Milliseconds to write one block over another, to the medium: the least that a durable change costs here."""
    file = folder / "flush"
    file.write_bytes(bytes(16 * _BLOCK))
    descriptor = os.open(file, os.O_RDWR)
    try:
        os.fsync(descriptor)
        return [_flush(descriptor, number % 16) for number in range(count)]
    finally:
        os.close(descriptor)
        file.unlink()


def _flush(descriptor: int, block: int) -> float:
    began = time.monotonic()
    os.pwrite(descriptor, os.urandom(_BLOCK), block * _BLOCK)
    os.fdatasync(descriptor)
    return 1000 * (time.monotonic() - began)


def processor() -> str:
    return _field(Path("/proc/cpuinfo"), "model name", "unknown processor")


def _field(file: Path, name: str, default: str) -> str:
    for line in file.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return default
