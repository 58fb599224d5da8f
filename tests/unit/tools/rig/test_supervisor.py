# SPDX-License-Identifier: Apache-2.0
"""The supervisor with small processes: starts, ends and restarts."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.rig import ROOT, is_alive
from tests.support.sockets import eventually
from tools.rig.supervisor import Supervisor

SLEEPER = [sys.executable, "-S", "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-S",
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); open('ready', 'w').close(); time.sleep(60)",
]


class Log:
    def __init__(self, supervisor: Supervisor) -> None:
        self.restarts: list[str] = []
        self.exits: list[tuple[str, int, bool]] = []
        supervisor.on_restart = self.restarts.append
        supervisor.on_exit = lambda name, code, first: self.exits.append((name, code, first))


@pytest.fixture
async def supervisor(tmp_path: Path) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor({"hal": SLEEPER, "ocpp": SLEEPER}, tmp_path, os.environ)
    supervisor.attach(asyncio.get_running_loop())
    yield supervisor
    supervisor.kill_all()
    await eventually(lambda: supervisor.clear)


async def test_killed_process_comes_back_and_the_other_stays(supervisor: Supervisor) -> None:
    log = Log(supervisor)
    supervisor.spawn()
    before = supervisor.pids
    assert supervisor.kill("hal")
    assert supervisor.pids == {"hal": None, "ocpp": before["ocpp"]}
    assert not supervisor.kill("hal")
    await eventually(lambda: log.restarts == ["hal"])
    assert supervisor.pids["hal"] not in (None, before["hal"])
    assert supervisor.pids["ocpp"] == before["ocpp"]
    assert log.exits == [("hal", -signal.SIGKILL, True)]


async def test_orderly_stop_is_over_with_the_next_start(supervisor: Supervisor) -> None:
    supervisor.spawn()
    supervisor.stop_all()
    await eventually(lambda: supervisor.clear)
    log = Log(supervisor)
    supervisor.spawn()
    before = supervisor.pids
    assert supervisor.kill("hal")
    await eventually(lambda: log.restarts == ["hal"])
    assert supervisor.pids["ocpp"] == before["ocpp"]


async def test_spawned_before_the_loop_is_watched_after(tmp_path: Path) -> None:
    supervisor = Supervisor({"hal": [sys.executable, "-S", "-c", "raise SystemExit(2)"]}, tmp_path, os.environ)
    log = Log(supervisor)
    supervisor.spawn()
    supervisor.attach(asyncio.get_running_loop())
    await eventually(lambda: len(log.exits) >= 2)
    assert log.exits[:2] == [("hal", 2, True), ("hal", 2, False)]
    supervisor.kill_all()
    await eventually(lambda: supervisor.clear)


async def test_power_cut_brings_nothing_back(supervisor: Supervisor) -> None:
    log = Log(supervisor)
    supervisor.spawn()
    supervisor.kill_all()
    gone: list[bool] = []
    supervisor.when_clear(lambda: gone.append(True))
    await eventually(lambda: gone)
    assert supervisor.pids == {"hal": None, "ocpp": None}
    assert not supervisor.kill("hal")
    assert log.restarts == []
    supervisor.spawn()
    assert None not in supervisor.pids.values()


async def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    supervisor = Supervisor({"hal": STUBBORN}, tmp_path, os.environ, stop_s=0.2)
    log = Log(supervisor)
    supervisor.attach(asyncio.get_running_loop())
    supervisor.spawn()
    await eventually((tmp_path / "ready").exists)
    gone: list[bool] = []
    supervisor.stop_all()
    supervisor.when_clear(lambda: gone.append(True))
    await eventually(lambda: gone)
    assert log.exits == [("hal", -signal.SIGKILL, True)]


async def test_full_storage_lasts_over_a_restart_until_it_is_cleared(supervisor: Supervisor) -> None:
    supervisor.set_storage_full("ocpp", True)
    supervisor.spawn()
    assert _limit(supervisor) == 0
    log = Log(supervisor)
    supervisor.kill("ocpp")
    await eventually(lambda: log.restarts)
    assert _limit(supervisor) == 0
    supervisor.set_storage_full("ocpp", False)
    assert _limit(supervisor) == resource.getrlimit(resource.RLIMIT_FSIZE)[1]


def _limit(supervisor: Supervisor) -> int:
    pid = supervisor.pids["ocpp"]
    assert pid is not None
    return resource.prlimit(pid, resource.RLIMIT_FSIZE)[0]


async def test_processes_run_the_chosen_version(tmp_path: Path) -> None:
    """`run_from` decides which tree is imported; None: the rig's own."""
    for version in ("a", "b"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "hal_version.py").write_text(f"NAME = {version!r}\n")
    program = [sys.executable, "-P", "-c", "import hal_version; open(hal_version.NAME + '.ran', 'w').close()"]
    supervisor = Supervisor({"hal": program}, tmp_path, {**os.environ, "PYTHONPATH": str(tmp_path / "a")})
    supervisor.attach(asyncio.get_running_loop())
    for tree, ran in ((None, "a"), (tmp_path / "b", "b")):
        supervisor.run_from(tree)
        supervisor.spawn()
        assert supervisor.wanted
        await eventually((tmp_path / f"{ran}.ran").exists)
        supervisor.kill_all()
        assert not supervisor.wanted
        await eventually(lambda: supervisor.clear)


async def test_standard_output_is_not_for_processes(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from tools.rig.supervisor import Supervisor;"
        "s = Supervisor({'hal': [sys.executable, '-S', '-c', 'print(7)']}, pathlib.Path('.'), os.environ);"
        "s.spawn(); os.waitpid(s.pids['hal'], 0)"
    )
    done = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        timeout=30,
        check=True,
    )
    assert (done.stdout, done.stderr) == (b"", b"7\n")


async def test_processes_die_with_a_killed_rig(tmp_path: Path) -> None:
    """With a small parent that is killed: its child has asked the kernel to be killed with it."""
    child = (
        "import os, time; from firmware.lifecycle import die_with_parent;"
        "die_with_parent(int(os.environ['BAYWATT_DIE_WITH_PARENT']));"
        "open('pid', 'w').write(str(os.getpid())); os.rename('pid', 'child'); time.sleep(60)"
    )
    parent = (
        "import os, sys, pathlib, time; from tools.rig.supervisor import Supervisor;"
        f"s = Supervisor({{'hal': [sys.executable, '-c', {child!r}]}}, pathlib.Path('.'), os.environ);"
        "s.spawn(); time.sleep(60)"
    )
    process = subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", parent], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    await eventually((tmp_path / "child").exists)
    pid = int((tmp_path / "child").read_text())
    process.kill()
    process.wait()
    await eventually(lambda: not is_alive(pid))
