# SPDX-License-Identifier: Apache-2.0
"""`baywatt rig up` after the processes were started: the event loop, the clients of the station's sockets, the end."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Collection
from logging.handlers import RotatingFileHandler
from pathlib import Path

from firmware import log
from firmware.clock import SystemClock
from firmware.contract import Snapshot, Stamped
from firmware.contract.status import FromService
from firmware.ipc.hal_link import HalLink
from firmware.ipc.status import StatusClient
from tools.rig.rig import Rig
from tools.rig.station_dir import HAL_SOCKET, STATUS_SOCKET, StationDir
from tools.rig.supervisor import Supervisor

__all__ = ["Listening", "run"]

POLL_S = 0.02
LOG_BYTES = 1024 * 1024
_log = logging.getLogger(__name__)


class Listening:
    """The sockets that the rig serves; opened before the processes start, so that none of them is refused."""

    def __init__(self, world: socket.socket, dial: socket.socket, control: socket.socket, control_path: Path) -> None:
        self.world = world
        self.dial = dial
        self.control = control
        self.control_path = control_path


def run(
    station: StationDir,
    supervisor: Supervisor,
    listening: Listening,
    stop_asked: Collection[int],
    *,
    powered: bool,
    log_level: str,
) -> int:
    """Serve until SIGTERM or SIGINT and return the exit status; `stop_asked` are signals that came before.

    The working directory is the station's.
    """
    _set_up_log(log_level)
    return asyncio.run(_serve(station, supervisor, listening, stop_asked, powered))


async def _serve(
    station: StationDir, supervisor: Supervisor, listening: Listening, stop_asked: Collection[int], powered: bool
) -> int:
    loop = asyncio.get_running_loop()
    clock = SystemClock()
    rig = Rig(station, supervisor, clock)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, rig.stop)
    followers = _Followers(rig)
    rig.on_boot, rig.on_power_off = followers.start, followers.stop
    try:
        await rig.start(world=listening.world, dial=listening.dial, control=listening.control, powered=powered)
        if stop_asked:
            rig.stop()
        else:
            _report_ready(listening.control_path)
        return await rig.finished
    finally:
        followers.stop()
        await rig.close()
        listening.control_path.unlink(missing_ok=True)


def _report_ready(control: Path) -> None:
    line = json.dumps({"rig": "ready", "control": str(control), "pid": os.getpid()}, separators=(",", ":"))
    try:
        print(line, flush=True)
    except OSError:
        _log.warning("standard output is closed")


def _set_up_log(level: str) -> None:
    log.setup(level)
    root = logging.getLogger()
    file = RotatingFileHandler("log/rig.log", maxBytes=LOG_BYTES, backupCount=1, delay=True)
    file.setFormatter(root.handlers[0].formatter)
    root.addHandler(file)
    if level != "DEBUG":
        # At each start it warns once that a process does not serve yet, which is normal here.
        logging.getLogger("firmware.ipc.dialer").setLevel(logging.ERROR)


class _Followers:
    """The clients of the station's two sockets; new ones for each boot, whose pauses between attempts start anew."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        self.stop()
        watcher = _Watcher(self._rig)
        link = HalLink(HAL_SOCKET, watcher, software="rig")
        status = StatusClient(STATUS_SOCKET, watcher)
        self._tasks = [
            asyncio.create_task(_follow(HAL_SOCKET, link.run)),
            asyncio.create_task(_follow(STATUS_SOCKET, status.run)),
        ]

    def stop(self) -> None:
        for task in self._tasks:
            task.cancel()


async def _follow(path: Path, run: Callable[[], Awaitable[None]]) -> None:
    """Connect as soon as there is a socket: until then the pauses of the client would have grown to a second."""
    while not path.exists():  # noqa: ASYNC110 - a file system has no event
        await asyncio.sleep(POLL_S)
    await run()


class _Watcher:
    """Passes on what the station reports, and checks whether its boot is complete."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def on_hal_up(self, snapshot: Snapshot) -> None:
        self._rig.view.on_hal_up(snapshot)
        self._rig.saw_station()

    def on_hal_event(self, stamped: Stamped) -> None:
        self._rig.view.on_hal_event(stamped)

    def on_hal_down(self, reason: str) -> None:
        self._rig.view.on_hal_down(reason)

    def on_service_message(self, message: FromService) -> None:
        self._rig.view.on_service_message(message)
        self._rig.saw_station()

    def on_service_down(self, reason: str) -> None:
        self._rig.view.on_service_down(reason)
