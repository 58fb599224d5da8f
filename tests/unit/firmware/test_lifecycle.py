# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from firmware.errors import ConfigError, DriverError
from firmware.lifecycle import PARENT_VARIABLE, Lifecycle, Notifier, refuse, supervise

QUIET = Notifier({})


async def forever() -> None:
    await asyncio.Event().wait()


async def supervised(main: Callable[[Lifecycle], Awaitable[None]], notifier: Notifier = QUIET) -> int:
    async with asyncio.timeout(10):
        return await supervise(main, notifier=notifier)


# --- ways to end --------------------------------------------------------------------------------------


async def test_requested_stop_exits_with_0() -> None:
    async def main(life: Lifecycle) -> None:
        life.critical("work", forever())
        life.ready("ready")
        life.stop("enough")

    assert await supervised(main) == 0


async def test_garbage_is_collected_again_once_everything_is_started() -> None:
    async def main(life: Lifecycle) -> None:
        assert not gc.isenabled()
        life.ready("ready")
        life.stop("enough")

    gc.disable()
    try:
        assert await supervised(main) == 0
        assert gc.isenabled()
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals_request_a_stop(number: signal.Signals) -> None:
    async def main(life: Lifecycle) -> None:
        os.kill(os.getpid(), number)
        await life.stopped()

    assert await supervised(main) == 0


async def test_a_main_that_is_still_starting_is_cancelled() -> None:
    async def main(life: Lifecycle) -> None:
        life.stop("at once")
        await forever()

    assert await supervised(main) == 0


async def test_a_critical_task_that_ends_stops_the_process(caplog: pytest.LogCaptureFixture) -> None:
    async def returns() -> None:
        return None

    async def main(life: Lifecycle) -> None:
        life.critical("work", returns())

    assert await supervised(main) == 1
    assert "critical task work ended by itself" in caplog.text


async def test_a_critical_task_that_fails_stops_the_process(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise KeyError("inside")

    async def main(life: Lifecycle) -> None:
        life.critical("work", fails())

    assert await supervised(main) == 1
    assert "critical task work failed" in caplog.text
    assert "KeyError: 'inside'" in caplog.text


async def test_a_critical_task_that_is_cancelled_by_others_stops_the_process() -> None:
    async def main(life: Lifecycle) -> None:
        life.critical("work", forever()).cancel()

    assert await supervised(main) == 1


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (ConfigError("station.toml: identity is missing"), 2, "station.toml: identity is missing"),
        (DriverError("no meter"), 1, "DriverError: no meter"),
        (ZeroDivisionError("bug"), 1, "Traceback"),
    ],
)
async def test_a_start_that_fails(error: Exception, code: int, words: str, caplog: pytest.LogCaptureFixture) -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("socket")

    async def main(life: Lifecycle) -> None:
        life.on_stop("socket", close)
        raise error

    assert await supervised(main) == code
    assert words in caplog.text
    assert closed == ["socket"]


async def test_a_callback_that_raises_stops_the_process() -> None:
    def bug() -> None:
        raise ZeroDivisionError

    async def main(life: Lifecycle) -> None:
        asyncio.get_running_loop().call_soon(bug)

    assert await supervised(main) == 1


@pytest.mark.parametrize(
    "context",
    [
        {"message": "accept", "exception": OSError(24, "Too many open files"), "handle": None},
        {"message": "Future exception was never retrieved", "exception": ZeroDivisionError(), "future": None},
        {"message": "only logged"},
    ],
)
async def test_what_a_restart_would_not_fix_is_only_logged(
    context: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    async def main(life: Lifecycle) -> None:
        asyncio.get_running_loop().call_exception_handler(context)
        life.stop("still here")

    assert await supervised(main) == 0
    assert str(context["message"]) in caplog.text


# --- order --------------------------------------------------------------------------------------------


async def test_what_started_last_stops_first_and_a_bad_step_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    order: list[str] = []

    def closes(name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            order.append(name)

        return close

    async def works() -> None:
        try:
            await forever()
        finally:
            order.append("task")

    async def hangs() -> None:
        await forever()

    async def fails() -> None:
        raise OSError("no")

    async def main(life: Lifecycle) -> None:
        life.on_stop("first", closes("first"))
        life.on_stop("hanging", hangs)
        life.critical("task", works())
        life.on_stop("failing", fails)
        life.on_stop("last", closes("last"))
        await asyncio.sleep(0)
        life.stop("enough")

    assert await supervise(main, notifier=QUIET, step_timeout_s=0.02) == 0
    assert order == ["last", "task", "first"]
    assert "hanging did not stop within 0.02 s" in caplog.text
    assert "failing could not be stopped" in caplog.text


async def test_a_task_that_will_not_end_is_not_waited_for() -> None:
    release = asyncio.Event()
    abandoned: list[bool] = []

    async def stubborn() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    def abandon() -> None:
        abandoned.append(True)
        release.set()

    async def main(life: Lifecycle) -> None:
        life.critical("stubborn", stubborn())
        await asyncio.sleep(0)
        life.stop("enough")

    async with asyncio.timeout(10):
        await supervise(main, notifier=QUIET, step_timeout_s=0.02, abandon=abandon)
    assert abandoned == [True]


# --- systemd ------------------------------------------------------------------------------------------


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "n"))
        listening.setblocking(False)
        yield listening


def received(systemd: socket.socket) -> list[str]:
    lines: list[str] = []
    while True:
        try:
            lines.append(systemd.recv(4096).decode())
        except BlockingIOError:
            return lines


async def test_systemd_is_notified(systemd: socket.socket) -> None:
    async def main(life: Lifecycle) -> None:
        life.ready("two EVSEs")
        life.status("charging")
        life.stop("enough")

    assert await supervised(main, Notifier({"NOTIFY_SOCKET": systemd.getsockname()})) == 0
    assert received(systemd) == ["READY=1\nSTATUS=two EVSEs", "STATUS=charging", "STOPPING=1"]


async def test_the_status_is_asked_for_and_sent_when_it_changes(systemd: socket.socket) -> None:
    states = iter(["EVSE 1 idle", "EVSE 1 idle", "EVSE 1\nREADY=1 charging"])

    async def main(life: Lifecycle) -> None:
        def state() -> str:
            line = next(states, "")
            if not line:
                life.stop("seen enough")
            return line

        life.describe(state, every_s=0.001)

    assert await supervised(main, Notifier({"NOTIFY_SOCKET": systemd.getsockname()})) == 0
    assert received(systemd)[:2] == ["STATUS=EVSE 1 idle", "STATUS=EVSE 1 READY=1 charging"]


async def test_nobody_is_asked_for_a_status_without_systemd() -> None:
    async def main(life: Lifecycle) -> None:
        def state() -> str:
            raise AssertionError("asked")

        life.describe(state)
        life.ready()
        life.stop("enough")

    assert await supervised(main) == 0


def test_a_systemd_that_reads_nothing_does_not_stop_the_process(
    systemd: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    """The HAL would open its contactors for it."""
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    while notifier.send("WATCHDOG=1"):
        pass
    assert not notifier.send("WATCHDOG=1")
    assert caplog.text.count("can't send WATCHDOG=1 to systemd") == 1
    assert received(systemd)
    assert notifier.send("WATCHDOG=1")


async def test_an_abstract_socket(tmp_path: Path) -> None:
    name = f"baywatt-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        listening.setblocking(False)
        Notifier({"NOTIFY_SOCKET": "@" + name}).send("READY=1")
        assert received(listening) == ["READY=1"]


def test_systemd_gone_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier({"NOTIFY_SOCKET": str(tmp_path / "none")}).send("READY=1")
    assert "can't send READY=1 to systemd" in caplog.text


@pytest.mark.parametrize(
    ("environment", "period_s"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "20000000"}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": str(os.getpid())}, 20.0),
        ({"WATCHDOG_USEC": "20000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_period_is_systemds(environment: dict[str, str], period_s: float | None) -> None:
    assert Notifier(environment).watchdog_s == period_s


async def test_the_watchdog_is_fed_while_healthy(systemd: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    checks = iter([True, True, False, False])

    async def main(life: Lifecycle) -> None:
        def health() -> bool:
            healthy = next(checks, None)
            if healthy is None:
                life.stop("seen enough")
            return bool(healthy)

        life.watch(health)

    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname(), "WATCHDOG_USEC": "2000"})
    assert await supervised(main, notifier) == 0
    assert received(systemd) == ["WATCHDOG=1", "WATCHDOG=1", "STOPPING=1"]
    assert caplog.text.count("health: bad") == 1


async def test_a_health_check_that_raises_ends_the_process() -> None:
    def health() -> bool:
        raise ZeroDivisionError

    async def main(life: Lifecycle) -> None:
        life.watch(health)

    assert await supervised(main, Notifier({"WATCHDOG_USEC": "2000"})) == 1


# --- as a process -------------------------------------------------------------------------------------

DAEMON = """
import sys
from firmware.lifecycle import run
async def main(life):
    print("started", flush=True)
    life.ready()
sys.exit(run(main))
"""
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], env={**os.environ, sys.argv[2]: str(os.getpid())})
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopped_process_exits_with_0(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", DAEMON], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        process.send_signal(number)
        assert process.wait(10) == 0


def test_a_killed_parent_ends_its_child() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, DAEMON, PARENT_VARIABLE], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        lines = {parent.stdout.readline().strip(), parent.stdout.readline().strip()}
        assert "started" in lines
        parent.kill()
        # The child holds the pipe's other end: its end is the end of the stream.
        assert parent.stdout.read() == ""


def test_an_orphan_does_not_start() -> None:
    environment = {**os.environ, PARENT_VARIABLE: "1" if os.getppid() != 1 else "2"}
    result = subprocess.run(
        [sys.executable, "-c", DAEMON], env=environment, capture_output=True, timeout=10, check=False
    )
    assert (result.returncode, result.stdout) == (1, b"")


def test_why_it_can_not_be_started_at_all_is_in_the_status(
    systemd: socket.socket, capsys: pytest.CaptureFixture[str]
) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": systemd.getsockname()})
    assert refuse(ConfigError("/etc/x.toml: unknown key a,\nexpected b"), notifier=notifier) == 2
    assert received(systemd) == ["STATUS=can't start: /etc/x.toml: unknown key a, expected b"]
    assert capsys.readouterr().err == "/etc/x.toml: unknown key a,\nexpected b\n"


async def test_a_start_that_fails_is_in_the_status(systemd: socket.socket) -> None:
    async def main(life: Lifecycle) -> None:
        raise ConfigError("no user x")

    assert await supervised(main, Notifier({"NOTIFY_SOCKET": systemd.getsockname()})) == 2
    assert received(systemd) == ["STATUS=can't start: no user x", "STOPPING=1"]
