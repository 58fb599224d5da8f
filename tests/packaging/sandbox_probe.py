# SPDX-License-Identifier: Apache-2.0
"""What a process that has been taken over would try. Run by a unit, before its service, in the service's sandbox.

Writes JSON of what was *not* refused, by name, into the unit's state folder. Only Debian's own Python is there. It ends
at once as root, who may set the clock and restart the machine.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

STATE = Path(os.environ["STATE_DIRECTORY"])
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER, CLONE_NEWNS, PTRACE_ATTACH, PER_LINUX32, CLOCK_REALTIME = 0x10000000, 0x00020000, 16, 8, 0
OTHERS = [path for path in map(Path, sys.argv[1:]) if path != STATE]
"""The state folders of the other services."""


def libc(name: str, *arguments: object) -> None:
    if getattr(LIBC, name)(*arguments) == -1:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def suid() -> None:
    file = STATE / "probe"
    file.touch()
    try:
        file.chmod(0o4755)
    finally:
        file.unlink()


def packet_socket() -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def raw_socket() -> None:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


def foreign_processes() -> None:
    if all(Path("/proc", name).stat().st_uid == os.getuid() for name in os.listdir("/proc") if name.isdecimal()):
        raise PermissionError("none is seen")


def write(path: str) -> Callable[[], object]:
    return lambda: Path(path).write_text("x")


TRIED: dict[str, Callable[[], object]] = {
    **{f"write {path}": write(path) for path in ("/usr/x", "/opt/baywatt/x", "/etc/baywatt/x", "/var/lib/x", "/x")},
    **{f"write {path}": write(path) for path in ("/proc/sys/kernel/domainname", "/sys/kernel/profiling", "/dev/kmsg")},
    **{f"read {path}": partial(os.listdir, path) for path in ("/root", "/home", *map(str, OTHERS))},
    "write code and run it": lambda: mmap.mmap(
        -1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    ).close(),
    "become root": lambda: os.setuid(0),
    "leave a program with the rights of its owner": suid,
    "trace PID 1": lambda: libc("ptrace", PTRACE_ATTACH, 1, None, None),
    "real-time priority": lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)),
    "another personality": lambda: libc("personality", PER_LINUX32),
    "set the clock": lambda: libc("clock_settime", CLOCK_REALTIME, (ctypes.c_long * 2)(0, 0)),
    "set the host's name": lambda: libc("sethostname", b"x", 1),
    "load a kernel module": lambda: libc("init_module", None, 0, b""),
    "the kernel's log": lambda: libc("klogctl", 3, ctypes.create_string_buffer(64), 64),
    "restart the machine": lambda: libc("reboot", 0x01234567),
    "packets of the network": packet_socket,
    "raw IP": raw_socket,
    "processes of others": foreign_processes,
    # Last: within a user namespace all uids look alike.
    "a user namespace": lambda: libc("unshare", CLONE_NEWUSER),
    "a mount namespace": lambda: libc("unshare", CLONE_NEWNS),
    "mount": lambda: libc("mount", b"none", b"/tmp", b"tmpfs", 0, None),
}


def allowed(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except (OSError, ValueError):
        return False
    return True


if __name__ == "__main__":
    if os.geteuid() == 0:
        sys.exit("not as root")
    found = [name for name, attempt in TRIED.items() if allowed(attempt)]
    (STATE / "probe.json").write_text(json.dumps({"tried": len(TRIED), "allowed": found}))
