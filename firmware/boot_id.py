# SPDX-License-Identifier: Apache-2.0
"""The id of this boot of the machine: the unit's, because a sandbox hides /proc/sys, else the kernel's."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from pathlib import Path

__all__ = ["VARIABLE", "boot_id"]

VARIABLE = "BAYWATT_BOOT_ID"
"""Environment: systemd's specifier %b, which is the kernel's id without its hyphens."""

_KERNEL = Path("/proc/sys/kernel/random/boot_id")


def boot_id(environment: Mapping[str, str] = os.environ, *, kernel: Path = _KERNEL) -> str:
    """The id as the kernel writes it; an empty text if it can't be known."""
    try:
        return str(uuid.UUID(environment.get(VARIABLE, "") or kernel.read_text().strip()))
    except (OSError, ValueError):
        return ""
