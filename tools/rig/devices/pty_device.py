# SPDX-License-Identifier: Apache-2.0
"""What simulators of serial devices share: a pseudo terminal that can be unplugged, and mischief on the line."""

from __future__ import annotations

import asyncio
import os
import tty
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["PtyDevice"]

_MOST_VIOLATIONS = 20


class PtyDevice(ABC):
    """A device where `port` is: a symbolic link to the terminal, which exists while the device is plugged in.

    Attributes:
        silent: no answer to anything.
        babbling: garbage without end, set by `babble`.
        split: every byte arrives by itself.
        mangle: what arrives of each message, piece by piece; nothing if it gets lost.
        violations: what the host did against the protocol, the last ones.
    """

    def __init__(self, port: Path) -> None:
        self.silent = self.babbling = self.split = False
        self.mangle: Callable[[bytes], Sequence[bytes]] = lambda message: [message]
        self.violations: list[str] = []
        self._port = port
        self._fds: tuple[int, ...] = ()
        self._babble: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Plug it in."""
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        self._fds = (master, slave)
        self._port.unlink(missing_ok=True)
        self._port.symlink_to(os.ttyname(slave))
        loop = asyncio.get_running_loop()
        loop.add_reader(master, lambda: self._received(os.read(master, 4096)))
        self.babble(self.babbling)

    def close(self) -> None:
        """Unplug it."""
        self.cut_power()
        if self._fds:
            asyncio.get_running_loop().remove_reader(self._fds[0])
            self._port.unlink(missing_ok=True)
            for fd in self._fds:
                os.close(fd)
            self._fds = ()
        self._stop_babbling()

    def babble(self, present: bool) -> None:
        """Send garbage from now on, or no more."""
        self.babbling = present
        self._stop_babbling()
        if present and self._fds:
            self._babble = asyncio.get_running_loop().create_task(self._babble_on())

    def _stop_babbling(self) -> None:
        if self._babble is not None:
            self._babble.cancel()
            self._babble = None

    @abstractmethod
    def cut_power(self) -> None:
        """The device begins anew, while the port stays."""

    @abstractmethod
    def _received(self, data: bytes) -> None: ...

    def _write(self, message: bytes) -> None:
        for data in self.mangle(message):
            for piece in [data[i : i + 1] for i in range(len(data))] if self.split else [data]:
                with suppress(BlockingIOError):  # the host does not read
                    os.write(self._fds[0], piece)

    async def _babble_on(self) -> None:
        while True:
            with suppress(BlockingIOError):
                os.write(self._fds[0], os.urandom(40))
            await asyncio.sleep(0.005)

    def _violated(self, what: str) -> None:
        self.violations = [*self.violations, what][-_MOST_VIOLATIONS:]
