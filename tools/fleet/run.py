# SPDX-License-Identifier: Apache-2.0
"""Locust's processes: one that coordinates, and workers; started, watched and ended.

They have a session of their own, so that Ctrl-C reaches only the verb, which then asks the coordinator to end the run
in the orderly way.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from firmware.errors import BaywattError
from tools.fleet.orders import Job

__all__ = ["Master", "RunFailed", "play", "work"]

_LOCUSTFILE = Path(__file__).with_name("locustfile.py")
_ROOT = Path(__file__).resolve().parents[2]
_END_S = 120.0
"""What the coordinator may need on top of the time of the stations."""
_FEW_S = 5.0


class RunFailed(BaywattError):
    """A process of the fleet has ended early; the text says where its log is."""


@dataclass(frozen=True)
class Master:
    """Where the coordinator listens for workers, and where its page is; `page_port` None: no page."""

    host: str
    port: int
    page_port: int | None


async def play(job: Job, master: Master, *, start_per_s: float, processes: int, state: Path) -> bool:
    """A whole run; returns whether it was interrupted. Raises `RunFailed`."""
    folder = Path(job.folder)
    bind = ["--master-bind-host", master.host, "--master-bind-port", str(master.port)]
    page = ["--headless"]
    if master.page_port is not None:
        page = ["--autostart", "--web-host", "127.0.0.1", "--web-port", str(master.page_port)]
    users = ["--users", str(job.stations), "--spawn-rate", f"{start_per_s:g}", "--expect-workers", str(job.workers)]
    quiet = ["--only-summary", "--json-file", str(folder / "locust")]
    arguments = ["--master", *bind, *page, *users, *quiet, "--host", job.plan.url]
    environment = {"BAYWATT_FLEET_JOB": msgspec.json.encode(job).decode()}
    coordinator = await _start("coordinator", arguments, folder, environment)
    local = "127.0.0.1" if master.host in ("*", "0.0.0.0") else master.host
    workers = None
    interrupted = False
    try:
        workers = await _workers(local, master.port, processes, state=state, logs=folder)
        try:
            await _first(coordinator, workers)
        except asyncio.CancelledError:
            interrupted = True
            with contextlib.suppress(ProcessLookupError):
                coordinator.send_signal(signal.SIGUSR1)
        await _ended(coordinator, job.plan.end_s + _END_S)
        await _ended(workers, _FEW_S)
    finally:
        await _kill(coordinator)
        if workers is not None:
            await _kill(workers)
    if not (folder / "summary.json").exists():
        raise RunFailed(f"the fleet has ended early: {_last_line(folder)}")
    return interrupted


async def work(host: str, port: int, processes: int, *, state: Path, logs: Path) -> None:
    """Workers for the coordinator of another machine, until it ends. Raises `RunFailed`."""
    workers = await _workers(host, port, processes, state=state, logs=logs)
    try:
        code = await workers.wait()
    finally:
        await _kill(workers)
    if code:
        raise RunFailed(f"the workers have ended with {code}: {_last_line(logs)}")


async def _workers(host: str, port: int, processes: int, *, state: Path, logs: Path) -> asyncio.subprocess.Process:
    arguments = ["--worker", "--processes", str(processes), "--master-host", host, "--master-port", str(port)]
    environment = {"BAYWATT_FLEET_STATE": str(state), "BAYWATT_FLEET_LOGS": str(logs.resolve())}
    return await _start("workers", arguments, logs, environment)


async def _start(
    name: str, arguments: Sequence[str], logs: Path, environment: dict[str, str]
) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "locust", "--locustfile", str(_LOCUSTFILE), *arguments]
    command += ["--logfile", str(logs.resolve() / f"{name}.log")]
    own = {name: value for name, value in os.environ.items() if not name.startswith("LOCUST_")}
    path = os.pathsep.join(filter(None, (str(_ROOT), own.get("PYTHONPATH"))))
    with (logs / f"{name}.err").open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *command,
            cwd=logs,
            env={**own, **environment, "PYTHONPATH": path, "BAYWATT_FLEET_PARENT": str(os.getpid())},
            stdin=asyncio.subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )


async def _first(*processes: asyncio.subprocess.Process) -> None:
    """Wait until one of them has ended."""
    waits = [asyncio.ensure_future(each.wait()) for each in processes]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


async def _ended(process: asyncio.subprocess.Process, patience_s: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(patience_s):
            await process.wait()


async def _kill(process: asyncio.subprocess.Process) -> None:
    """The process and its children, which are one group."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        await _ended(process, _FEW_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _last_line(folder: Path) -> str:
    """What the processes have said last."""
    for name in ("workers.err", "coordinator.err", "workers.log", "coordinator.log"):
        file = folder / name
        lines = file.read_text(errors="replace").strip().splitlines() if file.exists() else []
        if lines:
            return f"{lines[-1]} ({file})"
    return f"no process has said why; see {folder}"
