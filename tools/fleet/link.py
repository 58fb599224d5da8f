# SPDX-License-Identifier: Apache-2.0
"""From a Locust worker to its child process (host.py); runs under gevent, and imports nothing that waits by itself."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Callable

import gevent

from firmware.errors import BaywattError
from tools.fleet import orders
from tools.fleet.ledger import Sample
from tools.fleet.orders import Close, Final, Order, Plan, Samples, Status

__all__ = ["HostGone", "HostLink"]


class HostGone(BaywattError):
    """The child process has ended, and with it its stations."""


class HostLink:
    """The child and what it reports. `on_sample` gets each call of a station when it is over."""

    def __init__(self, plan: Plan, folder: str, log_file: str, on_sample: Callable[[Sample], None]) -> None:
        self.status = Status()
        self.gone = False
        self._on_sample = on_sample
        self._finals: dict[int, Final] = {}
        self._news: list[Final] = []
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "MALLOC_ARENA_MAX": "1"}
        self._child = subprocess.Popen(
            [sys.executable, "-m", "tools.fleet.host", str(theirs.fileno()), folder, log_file],
            pass_fds=[theirs.fileno()],
            env=environment,
            stdin=subprocess.DEVNULL,
        )
        theirs.close()
        self._socket = ours
        self._reader = gevent.spawn(self._read, ours)
        self.send(plan)

    def send(self, order: Order) -> None:
        """Raises `HostGone`."""
        try:
            self._socket.sendall(orders.encode(order))
        except OSError as error:
            raise HostGone(f"the process of the stations has ended: {error.strerror}") from error

    def final(self, number: int, patience_s: float) -> Final | None:
        """Wait for the end of a station; None if it does not come."""
        with gevent.Timeout(patience_s, False):
            while number not in self._finals and not self.gone:
                gevent.sleep(0.05)
        return self._finals.pop(number, None)

    def take_finals(self) -> list[Final]:
        """The ends that were not taken yet."""
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        """End the child."""
        if not self.gone:
            with contextlib.suppress(HostGone):
                self.send(Close())
        self._reader.kill()
        self._socket.close()
        self._child.wait()

    def _read(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            for line in lines:
                match orders.decode_report(line):
                    case Samples(calls):
                        for sample in calls:
                            self._on_sample(sample)
                    case Status() as status:
                        self.status = status
                    case Final() as final:
                        self._finals[final.number] = final
                        self._news.append(final)
        self.gone = True
