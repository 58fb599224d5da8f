# SPDX-License-Identifier: Apache-2.0
"""The kernel's own view of the links, for what NetworkManager does not manage or while it is away.

`operstate` and not `carrier`: a device that is down may still report a carrier. `unknown` counts as up only for
point-to-point links of a modem, whose drivers never say `up`.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["default_interface", "exists", "is_up"]

_MODEM_PREFIXES = ("wwan", "ppp", "mhi")
_RTF_UP = 0x1


def is_up(interface: str, sysfs: Path) -> bool:
    """Whether the interface carries traffic; `sysfs` is /sys/class/net."""
    try:
        state = (sysfs / interface / "operstate").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return False
    return state == "up" or (state == "unknown" and interface.startswith(_MODEM_PREFIXES))


def exists(interface: str, sysfs: Path) -> bool:
    return bool(interface) and (sysfs / interface).is_dir()


def default_interface(routes: Path) -> str | None:
    """The interface of the IPv4 default route with the lowest metric; `routes` is /proc/net/route."""
    try:
        rows = [line.split() for line in routes.read_text(encoding="ascii").splitlines()[1:]]
    except (OSError, ValueError):
        return None
    found = [(int(row[6]), row[0]) for row in rows if _is_default(row)]
    return min(found)[1] if found else None


def _is_default(row: list[str]) -> bool:
    """Columns: interface, destination, gateway, flags, reference count, use, metric, mask."""
    return len(row) > 7 and row[1] == row[7] == "00000000" and bool(int(row[3], 16) & _RTF_UP) and row[6].isdecimal()
