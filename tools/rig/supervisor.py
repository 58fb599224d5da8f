# SPDX-License-Identifier: Apache-2.0
"""Keeps the station's processes running: the bench's stand-in for systemd, and for the mains.

A process that ended is started again, at once the first time, then after a growing pause of at most a second. Every
process dies with the rig, even if the rig is killed: `firmware.lifecycle` requests that from the kernel when the
environment names the parent. No method waits; `when_clear` calls back when no process is left.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

__all__ = ["Supervisor"]

PARENT_VARIABLE = "BAYWATT_DIE_WITH_PARENT"
"""As in `firmware.lifecycle`, which takes too long to import before the processes are started."""
STOP_S = 3.0
PAUSES_S = (0.0, 0.1, 0.2, 0.4, 0.8, 1.0)
STEADY_S = 5.0
"""A process that ran for this long is restarted without a pause."""
WRONG_SETTINGS = 2
_log = logging.getLogger(__name__)


class _Child:
    """One program, running or not."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self.command = list(command)
        self.process: subprocess.Popen[bytes] | None = None
        self.started = 0.0
        self.failures = 0
        self.runs = 0
        self.restart: asyncio.TimerHandle | None = None
        self.pidfd = -1
        self.killed = False
        """SIGKILL has been sent: the process does nothing more, although its end has not been seen yet."""

    @property
    def pid(self) -> int | None:
        return None if self.process is None or self.killed else self.process.pid


class Supervisor:
    """The station's processes, by name. `spawn` works before there is a loop; `attach` gives it one.

    Those in `late` wait for `spawn_late`: they must not take time from the others.
    """

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        directory: Path,
        environment: Mapping[str, str],
        *,
        late: Collection[str] = (),
        stop_s: float = STOP_S,
    ) -> None:
        self._children = {name: _Child(name, command) for name, command in commands.items()}
        self._late = frozenset(late)
        self._directory = directory
        self._stop_s = stop_s
        self._own_path = environment.get("PYTHONPATH", "")
        self._environment = {**environment, PARENT_VARIABLE: str(os.getpid())}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wanted = self._stopping = False
        self._storage_full: set[str] = set()
        self._when_clear: Callable[[], None] | None = None
        self._kill_timer: asyncio.TimerHandle | None = None
        self.on_restart: Callable[[str], None] = lambda name: None
        self.on_exit: Callable[[str, int, bool], None] = lambda name, code, first: None

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on processes that end are noticed."""
        self._loop = loop
        for child in self._children.values():
            if child.process is not None:
                self._watch(child)

    @property
    def pids(self) -> dict[str, int | None]:
        return {name: child.pid for name, child in self._children.items()}

    @property
    def wanted(self) -> bool:
        """Whether the processes should run: if so, an end is a failure."""
        return self._wanted

    def run_from(self, tree: Path | None) -> None:
        """Start the version in `tree` from now on; None: the rig's own."""
        self._environment["PYTHONPATH"] = self._own_path if tree is None else str(tree)

    @property
    def clear(self) -> bool:
        """Whether no process is left."""
        return all(child.process is None for child in self._children.values())

    # --- what the mains and the board cause -------------------------------------------------------------------

    def spawn(self) -> None:
        """Start every process but the late ones; none may be left from before."""
        self._wanted, self._stopping = True, False
        for child in self._children.values():
            child.failures = 0
            if child.name not in self._late:
                self._start(child)

    def spawn_late(self) -> None:
        """Start the late ones, unless the power has gone meanwhile."""
        for child in self._children.values():
            if self._wanted and child.name in self._late and child.process is None and child.restart is None:
                self._start(child)

    def kill_all(self) -> None:
        """SIGKILL: nothing is flushed, nothing restarts."""
        self._stop_supervising()
        self._kill_rest()

    def stop_all(self) -> None:
        """SIGTERM in reverse order of starting, as systemd does, and SIGKILL to those that still run after `stop_s`.

        The HAL ends last: a service that lost it would report a fault.
        """
        self._stop_supervising()
        self._stopping = True
        self._stop_next()
        if self._loop is not None and not self.clear:
            self._kill_timer = self._loop.call_later(self._stop_s, self._kill_rest)

    def when_clear(self, callback: Callable[[], None] | None) -> None:
        """Call once, as soon as no process is left (which may be now). A later callback replaces an earlier one."""
        self._when_clear = callback
        self._maybe_clear()

    def kill(self, name: str) -> bool:
        """SIGKILL to one process, which is then restarted; False if it is not running."""
        return self._signal(self._children[name], signal.SIGKILL)

    def set_storage_full(self, name: str, full: bool) -> None:
        """From now on that process can't make a file longer, nor can its successors."""
        (self._storage_full.add if full else self._storage_full.discard)(name)
        child = self._children[name]
        if child.pid is not None:
            self._limit_files(child)

    def _stop_next(self) -> None:
        running = [child for child in self._children.values() if child.process is not None]
        if running:
            self._signal(running[-1], signal.SIGTERM)

    def _kill_rest(self) -> None:
        for child in self._children.values():
            self._signal(child, signal.SIGKILL)

    # --- processes -------------------------------------------------------------------------------------------

    def _stop_supervising(self) -> None:
        self._wanted = self._stopping = False
        self._when_clear = None
        if self._kill_timer is not None:
            self._kill_timer.cancel()
            self._kill_timer = None
        for child in self._children.values():
            if child.restart is not None:
                child.restart.cancel()
                child.restart = None

    def _start(self, child: _Child) -> None:
        child.restart = None
        # Standard output is the rig's own: the output of processes goes to standard error.
        child.process = subprocess.Popen(
            child.command,
            cwd=self._directory,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )
        child.started = time.monotonic()
        child.killed = False
        child.runs += 1
        if child.name in self._storage_full:
            self._limit_files(child)
        _log.info("%s started, pid %d", child.name, child.process.pid)
        if self._loop is not None:
            self._watch(child)

    def _watch(self, child: _Child) -> None:
        assert self._loop is not None
        assert child.process is not None
        child.pidfd = os.pidfd_open(child.process.pid)
        self._loop.add_reader(child.pidfd, self._ended, child)

    def _ended(self, child: _Child) -> None:
        assert self._loop is not None
        assert child.process is not None
        code = child.process.wait()
        self._loop.remove_reader(child.pidfd)
        os.close(child.pidfd)
        child.process = None
        if self._wanted:
            _log.warning("%s ended with %d", child.name, code)
            self._restart_later(child)
        else:
            _log.info("%s ended with %d", child.name, code)
        if self._stopping:
            self._stop_next()
        self.on_exit(child.name, code, child.runs == 1)
        self._maybe_clear()

    def _restart_later(self, child: _Child) -> None:
        assert self._loop is not None
        if time.monotonic() - child.started > STEADY_S:
            child.failures = 0
        pause = PAUSES_S[min(child.failures, len(PAUSES_S) - 1)]
        child.failures += 1
        child.restart = self._loop.call_later(pause, self._start_again, child)

    def _start_again(self, child: _Child) -> None:
        self._start(child)
        self.on_restart(child.name)

    def _maybe_clear(self) -> None:
        if self.clear and self._when_clear is not None:
            callback, self._when_clear = self._when_clear, None
            if self._kill_timer is not None:
                self._kill_timer.cancel()
                self._kill_timer = None
            callback()

    def _signal(self, child: _Child, number: signal.Signals) -> bool:
        """The child has not been waited for, so its pid can't have been reused."""
        if child.process is None or child.killed:
            return False
        child.process.send_signal(number)
        child.killed = number == signal.SIGKILL
        return True

    def _limit_files(self, child: _Child) -> None:
        assert child.pid is not None
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        soft = 0 if child.name in self._storage_full else hard
        try:
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (soft, hard))
        except (ProcessLookupError, PermissionError) as error:
            _log.warning("%s: cannot limit its files: %s", child.name, error)
