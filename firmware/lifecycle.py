# SPDX-License-Identifier: Apache-2.0
"""Runs a daemon: start, readiness, health, an orderly stop.

    async def main(life: Lifecycle) -> None:
        server = Server(...)
        await server.start()
        life.on_stop("server", server.close)
        life.critical("link", link.run())
        life.watch(server.is_healthy)
        life.ready("serving")

    sys.exit(run(main))

`main` starts everything and returns (or keeps running). SIGTERM or SIGINT stops the daemon: tasks and callbacks, the
last started first, each within its time limit. A critical task that ends by itself, or a callback of the loop that
raises, stops the process with exit code 1, and its supervisor restarts it: half a daemon is worse than none. systemd
is notified (sd_notify) if the environment says so (NOTIFY_SOCKET, WATCHDOG_USEC).
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from firmware.errors import BaywattError, ConfigError
from firmware.log import fields
from firmware.message_ids import MessageId

__all__ = [
    "PARENT_VARIABLE",
    "STOP_STEP_TIMEOUT_S",
    "Lifecycle",
    "Notifier",
    "die_with_parent",
    "refuse",
    "run",
    "serve",
    "supervise",
]

STATUS_S = 1.0
STOP_STEP_TIMEOUT_S = 5.0
PARENT_VARIABLE = "BAYWATT_DIE_WITH_PARENT"
"""Environment: pid of the parent whose end ends this process (the rig's children)."""

_PR_SET_PDEATHSIG = 1
_EXIT_OK, _EXIT_FAILED, _EXIT_CONFIG = 0, 1, 2
_log = logging.getLogger(__name__)


class Notifier:
    """Reports the daemon's state to systemd; without NOTIFY_SOCKET it does nothing. Never raises."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._address = environment.get("NOTIFY_SOCKET", "")
        self._reason = ""
        self.watchdog_s = _watchdog_period(environment)

    @property
    def listens(self) -> bool:
        """Whether systemd, or who has started the process in its place, wants to be notified."""
        return bool(self._address)

    def send(self, state: str) -> bool:
        """Send `READY=1`, `STATUS=...`, `STOPPING=1`, `WATCHDOG=1`; returns whether it has left."""
        if not self._address:
            return False
        try:
            _notify(self._address, state)
        except OSError as error:
            if str(error) != self._reason:
                self._reason = str(error)
                _log.warning("can't send %s to systemd: %s", state, error)
            return False
        self._reason = ""
        return True


def _watchdog_period(environment: Mapping[str, str]) -> float | None:
    """The period in s within which systemd expects a WATCHDOG=1 of this process; None if it expects none."""
    usec = environment.get("WATCHDOG_USEC", "")
    pid = environment.get("WATCHDOG_PID", "")
    if not usec.isdecimal() or int(usec) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(usec) / 1e6


def _notify(address: str, state: str) -> None:
    """As sd_notify(3), without waiting: systemd's own library waits while PID 1 reads nothing, and the HAL must not."""
    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notify:
        notify.setblocking(False)
        notify.sendto(state.encode(), name)


def _line(text: str) -> str:
    """A text as the one line of a state: a line break would begin another assignment."""
    return " ".join(text.split())


class Lifecycle:
    """The daemon's tasks and stop callbacks; the argument of its `main`."""

    def __init__(self, group: asyncio.TaskGroup, notifier: Notifier) -> None:
        self._group = group
        self._notifier = notifier
        self._steps: list[tuple[str, Callable[[], Awaitable[None]]]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._asked = asyncio.Event()
        self._health: Callable[[], bool] | None = None
        self._healthy = True
        self.exit_code = _EXIT_OK

    @property
    def stopping(self) -> bool:
        return self._asked.is_set()

    def on_stop(self, name: str, close: Callable[[], Awaitable[None]]) -> None:
        """Await `close()` at the stop, after everything that was started later has stopped."""
        self._steps.append((name, close))

    def critical(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until the stop, which cancels it; if it ends before, the process stops."""
        task = self._group.create_task(self._guard(name, work), name=name)
        # A task that is cancelled before its first step never enters `_guard`.
        task.add_done_callback(lambda _: work.close())
        task.add_done_callback(self._on_task_done)
        self._tasks.append(task)
        self.on_stop(name, lambda: _cancel(task))
        return task

    def watch(self, health: Callable[[], bool]) -> None:
        """Feed systemd's watchdog, if there is one, for as long as `health()` is true."""
        self._health = health
        if self._notifier.watchdog_s is not None:
            self.critical("watchdog", self._feed_watchdog(self._notifier.watchdog_s / 2))

    def ready(self, status: str = "") -> None:
        """Report that everything is started, with one line for `systemctl status`."""
        if self.stopping:
            return
        if not gc.isenabled():  # a `main` that wants to be quick has switched it off
            gc.freeze()  # what is there stays: to look for garbage in it would cost time and copied pages
            gc.enable()
        _log.info("ready %s", status, extra=fields(message_id=MessageId.READY))
        self._notifier.send(f"READY=1\nSTATUS={_line(status)}")

    def status(self, text: str) -> bool:
        """Set the line that `systemctl status` shows; returns whether systemd has got it."""
        return self._notifier.send(f"STATUS={_line(text)}")

    def describe(self, status: Callable[[], str], *, every_s: float = STATUS_S) -> None:
        """Keep the line of `systemctl status` true: `status()` is asked once a second if systemd listens."""
        if self._notifier.listens:
            self.critical("status", self._keep_status(status, every_s))

    async def _keep_status(self, status: Callable[[], str], every_s: float) -> None:
        shown = ""
        while True:
            line = _line(status())
            if line != shown and self.status(line):
                shown = line
            await asyncio.sleep(every_s)

    def stop(self, reason: str) -> None:
        """Stop in an orderly way; the exit code stays as it is."""
        if not self.stopping:
            _log.info("stopping: %s", reason, extra=fields(message_id=MessageId.STOPPING))
            self._asked.set()

    def fail(self, reason: str, exit_code: int = _EXIT_FAILED) -> None:
        """Stop in an orderly way with this exit code; no effect on it if the stop has already begun."""
        if not self.stopping:
            self.exit_code = exit_code
        self.stop(reason)

    async def stopped(self) -> None:
        """Wait until a stop is requested."""
        await self._asked.wait()

    async def _guard(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            _log.exception("critical task %s failed", name)
            self.fail(f"critical task {name} failed")
        else:
            if not self.stopping:
                _log.error("critical task %s ended by itself", name)
                self.fail(f"critical task {name} ended by itself")

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and not self.stopping:
            self.fail(f"critical task {task.get_name()} was cancelled")

    async def _feed_watchdog(self, period_s: float) -> None:
        while True:
            assert self._health is not None
            healthy = self._health()
            if healthy:
                self._notifier.send("WATCHDOG=1")
            if healthy != self._healthy:
                self._healthy = healthy
                level, word = (logging.INFO, "good") if healthy else (logging.ERROR, "bad")
                _log.log(level, "health: %s", word, extra=fields(message_id=MessageId.HEALTH))
            await asyncio.sleep(period_s)

    async def _stop_all(self, step_timeout_s: float) -> bool:
        """Run every stop step, the last first; returns False if a task has not ended."""
        self._notifier.send("STOPPING=1")
        while self._steps:
            name, close = self._steps.pop()
            try:
                async with asyncio.timeout(step_timeout_s):
                    await close()
            except TimeoutError:
                _log.error("%s did not stop within %g s", name, step_timeout_s)
            except Exception:
                _log.exception("%s could not be stopped", name)
        return all(task.done() for task in self._tasks)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def supervise(
    main: Callable[[Lifecycle], Awaitable[None]],
    *,
    notifier: Notifier | None = None,
    step_timeout_s: float = STOP_STEP_TIMEOUT_S,
    abandon: Callable[[], None] = lambda: os._exit(_EXIT_FAILED),
) -> int:
    """`run` inside a running loop, whose signal and exception handlers it replaces. Returns the exit code.

    `abandon` is called when a task ignores its cancellation, because a loop doesn't end before its tasks do.
    """
    loop = asyncio.get_running_loop()

    def began(life: Lifecycle) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, life.stop, signal.Signals(number).name)
        loop.set_exception_handler(lambda _, context: _on_loop_error(life, context))

    return await serve(main, began, notifier=notifier or Notifier(), step_timeout_s=step_timeout_s, abandon=abandon)


async def serve(
    main: Callable[[Lifecycle], Awaitable[None]],
    began: Callable[[Lifecycle], None],
    *,
    notifier: Notifier,
    step_timeout_s: float = STOP_STEP_TIMEOUT_S,
    abandon: Callable[[], None],
) -> int:
    """`supervise` without handlers of signals and errors, for one of several daemons in a loop; `began` gets its life
    before anything runs. Returns the exit code."""
    async with asyncio.TaskGroup() as group:
        life = Lifecycle(group, notifier)
        began(life)
        starting = group.create_task(_start(main, life), name="main")
        await life.stopped()
        await _cancel(starting)
        if not await life._stop_all(step_timeout_s):
            abandon()
    _log.info("stopped, exit code %d", life.exit_code)
    return life.exit_code


async def _start(main: Callable[[Lifecycle], Awaitable[None]], life: Lifecycle) -> None:
    """Log a `BaywattError` in one line, because it is no bug of this process; anything else with its traceback."""
    try:
        await main(life)
    except ConfigError as error:
        _log.error("can't start: %s", error)
        life.status(f"can't start: {error}")
        life.fail("wrong settings", _EXIT_CONFIG)
    except BaywattError as error:
        _log.error("can't start: %s: %s", type(error).__name__, error)
        life.status(f"can't start: {error}")
        life.fail("can't start")
    except Exception:
        _log.exception("can't start")
        life.fail("can't start")


def _on_loop_error(life: Lifecycle, context: dict[str, Any]) -> None:
    """Fail if a callback has raised: a bug, as in a critical task. Anything else is only logged.

    asyncio also reports exceptions of futures that were never awaited, and its own trouble (`OSError`); a restart
    would fix neither.
    """
    error = context.get("exception")
    _log.error("%s", context.get("message"), exc_info=error)
    raised_in_callback = "handle" in context or "protocol" in context
    if raised_in_callback and isinstance(error, Exception) and not isinstance(error, OSError):
        life.fail(f"a callback raised {type(error).__name__}")


def run(main: Callable[[Lifecycle], Awaitable[None]], *, step_timeout_s: float = STOP_STEP_TIMEOUT_S) -> int:
    """Run a daemon to its end.

    Returns:
        The exit code: 0 after a requested stop, 2 if `main` raised `ConfigError`, 1 for any other failure.
    """
    parent = os.environ.get(PARENT_VARIABLE, "")
    if parent.isdecimal():
        die_with_parent(int(parent))
    return asyncio.run(supervise(main, step_timeout_s=step_timeout_s))


def refuse(error: BaywattError, *, notifier: Notifier | None = None) -> int:
    """Report why a daemon can't be started at all, in the log and in `systemctl status`; returns its exit code."""
    print(error, file=sys.stderr)
    (notifier or Notifier()).send("STATUS=" + _line(f"can't start: {error}"))
    return _EXIT_CONFIG


def die_with_parent(parent_pid: int, signal_number: int = signal.SIGKILL) -> None:
    """Have the kernel send this process `signal_number` when the parent ends, however it ends.

    Exits at once if the parent has already ended. "Parent" is the thread that started this process.
    """
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0) != 0:
        _log.warning("can't set the parent-death signal: %s", os.strerror(ctypes.get_errno()))
    if os.getppid() != parent_pid:
        raise SystemExit(_EXIT_FAILED)
