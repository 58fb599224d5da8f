# SPDX-License-Identifier: Apache-2.0
"""The real pcscd with a virtual reader, for one test at a time on this machine.

pcscd has one socket a machine, so tests of other processes and checkouts wait for each other by a lock file. A pcscd
that is not ours is left alone: the test is skipped.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import socket
import tempfile
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.sockets import eventually

__all__ = ["READER", "Pcscd", "one_pcscd"]

READER = "ACS ACR122U PICC Interface"
"""The name by which the virtual reader goes."""
PATIENCE_S = 90.0
_PID_FILE = Path("/run/pcscd/pcscd.pid")
_DRIVER = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")


class Pcscd:
    """The service, and the ports of the reader's two slots."""

    def __init__(self, folder: Path) -> None:
        self.slots = _two_ports()
        self._folder = folder
        self._process: Process | None = None
        (folder / "vpcd").write_text(
            f'FRIENDLYNAME "{READER}"\nDEVICENAME /dev/null:0x{self.slots[0]:X}\nLIBPATH {_DRIVER}\n'
            f"CHANNELID 0x{self.slots[0]:X}\n"
        )

    async def start(self) -> None:
        """Returns when the reader is there. It ends with the process of the tests, however that ends."""
        with_parent = ("setpriv", "--pdeathsig", "TERM")
        command = ("pcscd", "--foreground", "--config", str(self._folder))
        self._process = await asyncio.create_subprocess_exec(*with_parent, *command, stdout=DEVNULL, stderr=DEVNULL)
        await eventually(lambda: _listens(self.slots[1]) and Path("/run/pcscd/pcscd.comm").exists())

    async def stop(self) -> None:
        if self._process is not None:
            process, self._process = self._process, None
            process.terminate()
            await process.wait()


@asynccontextmanager
async def one_pcscd(folder: Path) -> AsyncIterator[Pcscd]:
    """A running pcscd; skips the test where there can be none."""
    if shutil.which("pcscd") is None or not _DRIVER.exists():
        pytest.skip("needs pcscd and vsmartcard-vpcd (make hardware)")
    if os.geteuid() != 0:
        pytest.skip("pcscd runs as root only")
    with (Path(tempfile.gettempdir()) / "baywatt-pcscd.lock").open("w") as lock:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not _locked(lock.fileno()):  # noqa: ASYNC110 - another process has it
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.skip("tests of other checkouts use pcscd all the time")
        if _is_running():
            pytest.skip("another pcscd runs on this machine")
        pcscd = Pcscd(folder)
        await pcscd.start()
        try:
            yield pcscd
        finally:
            await pcscd.stop()


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_running() -> bool:
    try:
        os.kill(int(_PID_FILE.read_text()), 0)
    except (OSError, ValueError):
        return False
    return True


def _listens(port: int) -> bool:
    """Whether a socket of this machine listens on the port, without connecting: that would be a card."""
    wanted = f":{port:04X}"
    rows = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(row.split()[1].endswith(wanted) and row.split()[3] == "0A" for row in rows)


def _two_ports() -> tuple[int, int]:
    """Two free ports, one after the other, that nothing is given by chance."""
    for first in range(20_000 + os.getpid() % 4000 * 2, 30_000, 2):
        with socket.socket() as one, socket.socket() as two:
            try:
                one.bind(("127.0.0.1", first))
                two.bind(("127.0.0.1", first + 1))
            except OSError:
                continue
            return first, first + 1
    raise AssertionError("no free ports")
