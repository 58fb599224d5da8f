# SPDX-License-Identifier: Apache-2.0
"""What of this project runs on this machine, for this user: rigs, bench CSMSs, and who listens on a port.

It is read from /proc, so it needs no files that a killed process would leave behind. Other users' processes are not
looked at.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Running", "controls", "is_free", "running"]

_PROC = Path("/proc")
_LISTENING = "0A"
"""The state in /proc/net/tcp."""


@dataclass(frozen=True, slots=True)
class Running:
    """One process: `baywatt VERB up` with its folder, its control socket (a rig), its TCP ports (a bench CSMS)."""

    pid: int
    verb: str
    folder: Path
    control: Path | None
    ports: tuple[int, ...]


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        socket.create_server((host, port), family=family).close()
    except OSError:
        return False
    return True


def controls() -> list[Path]:
    """The control sockets of this user's running rigs, the newest first."""
    return [each.control for each in running() if each.control is not None]


def running() -> list[Running]:
    """This user's rigs and bench CSMSs, the newest first."""
    found = [each for pid in _own_processes() if (each := _read(pid)) is not None]
    return sorted(found, key=lambda each: -each.pid)


def _own_processes() -> Iterator[int]:
    for entry in _PROC.iterdir():
        if entry.name.isdecimal():
            try:
                if entry.stat().st_uid == os.getuid():
                    yield int(entry.name)
            except OSError:  # it has ended
                continue


def _read(pid: int) -> Running | None:
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        home = Path(os.readlink(_PROC / str(pid) / "cwd"))
    except OSError:
        return None
    for verb in ("rig", "csms"):
        start = _up(words, verb)
        if start is not None:
            state = _option(words[start:], "--state") or "csms-state"
            folder = home if verb == "rig" else home / state  # a rig works in its folder
            control = _option(words[start:], "--control")
            return Running(pid, verb, folder, _control(folder, control) if verb == "rig" else None, _ports(pid))
    return None


def _up(words: list[str], verb: str) -> int | None:
    """The place after `baywatt VERB up` in a command line, however the program was started."""
    for place, word in enumerate(words[:-2]):
        ours = Path(word).name == "baywatt" or (word == "-m" and words[place + 1] == "tools.cli")
        skip = place + (2 if word == "-m" else 1)
        if ours and words[skip : skip + 2] == [verb, "up"]:
            return skip + 2
    return None


def _option(words: list[str], name: str) -> str | None:
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word == name:
            return following
        if word.startswith(f"{name}="):
            return word.removeprefix(f"{name}=")
    return None


def _control(folder: Path, given: str | None) -> Path | None:
    """A relative `--control` was relative to a working directory that the rig has left."""
    if given is not None and not Path(given).is_absolute():
        return None
    return Path(given) if given is not None else folder / "control.sock"


def _ports(pid: int) -> tuple[int, ...]:
    """The TCP ports on which the process listens."""
    sockets = {link for link in _links(pid) if link.startswith("socket:[")}
    ports = set()
    for table in ("tcp", "tcp6"):
        try:
            lines = (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and f"socket:[{fields[9]}]" in sockets:
                ports.add(int(fields[1].rpartition(":")[2], 16))
    return tuple(sorted(ports))


def _links(pid: int) -> Iterator[str]:
    try:
        descriptors = list((_PROC / str(pid) / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield os.readlink(descriptor)
        except OSError:
            continue
