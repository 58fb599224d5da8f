# SPDX-License-Identifier: Apache-2.0
"""`baywatt doctor`: what is installed, what of this project runs where, and which ports it uses.

Exits with 1 if something is missing that `make run` needs.
"""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from firmware.version import VERSION
from tools.arguments import Parser
from tools.columns import table
from tools.running import is_free, running

__all__ = ["main", "parser"]

_LEAST_FREE_MB = 500


@dataclass(frozen=True, slots=True)
class _Need:
    """Modules or programs, what they are for, and what installs them."""

    purpose: str
    modules: tuple[str, ...]
    programs: tuple[str, ...]
    install: str
    required: bool = False


_NEEDS = (
    _Need(
        "station and bench CSMS",
        ("aiohttp", "cryptography", "jsonschema_rs", "msgspec", "ocpp", "websockets"),
        (),
        "make setup",
        required=True,
    ),
    _Need("lint and tests", ("hypothesis", "mypy", "pytest"), ("git", "make"), "make setup"),
    _Need(
        "real drivers",
        ("can", "dbus_fast", "gpiod", "gpiozero", "pymodbus", "serial", "smartcard", "systemd"),
        ("pcscd", "dbus-daemon"),
        "make hardware",
    ),
    _Need("pages in a browser", ("playwright",), ("chromium",), "make hardware"),
    _Need("fleet", ("locust",), (), "the first baywatt fleet"),
    _Need("package and container", (), ("dpkg-deb", "mmdebstrap", "systemd-nspawn"), "make test-deb, as root"),
    _Need("image and emulator", (), ("qemu-system-x86_64", "rauc"), "make image, as root"),
)
_PORTS = {9000: "bench CSMS: ws, page, API", 9443: "bench CSMS: wss", 8080: "commissioning page"}


def parser() -> Parser:
    return Parser(prog="baywatt doctor", description=__doc__)


def main(argv: Sequence[str] | None = None) -> int:
    """Prints the findings. Returns 0, or 1 if `make run` would not work."""
    parser().parse_args(argv)
    sound = True
    print(f"baywatt {VERSION}, Python {platform.python_version()} in {sys.prefix}, {platform.machine()}")
    free_mb = shutil.disk_usage(Path.cwd()).free // 1_000_000
    if free_mb < _LEAST_FREE_MB:
        sound = False
    print(f"{free_mb} MB free in {Path.cwd()}{'' if free_mb >= _LEAST_FREE_MB else ': too little'}\n")
    rows = []
    for need in _NEEDS:
        missing = _missing(need)
        sound = sound and not (need.required and missing)
        rows.append((need.purpose, f"missing: {', '.join(missing)}" if missing else "installed", need.install))
    print(table(("for", "found", "installed by"), rows))
    print(f"\n{_running()}\n")
    print(table(("port", "for", "now"), [(port, use, _user_of(port)) for port, use in _PORTS.items()]))
    return 0 if sound else 1


def _missing(need: _Need) -> list[str]:
    modules = [name for name in need.modules if find_spec(name) is None]
    return modules + [name for name in need.programs if shutil.which(name) is None and not _in_sbin(name)]


def _in_sbin(program: str) -> bool:
    """Daemons are not in the PATH of every user."""
    return any((Path(folder) / program).exists() for folder in ("/usr/sbin", "/sbin"))


def _running() -> str:
    rows = [
        (each.verb, each.pid, each.control or each.folder, " ".join(map(str, each.ports)) or None) for each in running()
    ]
    if not rows:
        return "no rig and no bench CSMS of yours runs (`make run` starts both)"
    return table(("running", "pid", "control socket or folder", "ports"), rows)


def _user_of(port: int) -> str:
    ours = [f"{each.verb} {each.pid}" for each in running() if port in each.ports]
    return ours[0] if ours else "free" if is_free("127.0.0.1", port) else "used by another program"
