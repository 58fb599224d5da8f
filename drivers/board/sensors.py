# SPDX-License-Identifier: Apache-2.0
"""What the board measures of itself: temperature, supply, free disk; read from `/sys`, without state."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["free_mb", "hottest_c", "supply_is_low"]


def hottest_c(root: Path) -> float | None:
    """The hottest thermal zone; None: the board has none that can be read."""
    found = [value / 1000.0 for value in _numbers(root, "sys/class/thermal/thermal_zone*/temp")]
    return max(found, default=None)


def supply_is_low(root: Path) -> bool:
    """Whether hwmon's alarm says that a voltage is below its critical limit (`rpi_volt` on a Raspberry Pi)."""
    return any(_numbers(root, "sys/class/hwmon/hwmon*/in*_lcrit_alarm"))


def free_mb(folder: Path) -> float | None:
    """What an unprivileged process may still write; None: there is no such folder."""
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize / 1e6


def _numbers(root: Path, pattern: str) -> list[int]:
    found = []
    for path in root.glob(pattern):
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):
            continue
    return found
