# SPDX-License-Identifier: Apache-2.0
"""The board's hardware watchdog, `/dev/watchdog` (Documentation/watchdog/watchdog-api.rst).

Opening it starts it; from then on it resets the board unless it is fed within its time. An orderly stop writes `V`
before closing, which stops it. A process that dies does not: its successor has until the time-out to feed it.
"""

from __future__ import annotations

import fcntl
import logging
import os
import struct
from collections.abc import Callable
from pathlib import Path

from firmware.errors import DeviceLost

__all__ = ["WDIOC_SETTIMEOUT", "Watchdog", "set_timeout"]

WDIOC_SETTIMEOUT = 0xC0045706
"""_IOWR('W', 6, int)"""
_INT = struct.Struct("i")
_log = logging.getLogger(__name__)


def set_timeout(descriptor: int, seconds: int, ioctl: Callable[[int, int, bytes], bytes] = fcntl.ioctl) -> int:
    """Set the time-out; returns the one that the hardware has chosen. Raises `OSError`."""
    (chosen,) = _INT.unpack(ioctl(descriptor, WDIOC_SETTIMEOUT, _INT.pack(seconds)))
    return int(chosen)


class Watchdog:
    """Opened when it is fed for the first time."""

    def __init__(self, path: Path, timeout_s: int) -> None:
        self.path = path
        self._timeout_s = timeout_s
        self._descriptor: int | None = None

    @property
    def exists(self) -> bool:
        return os.access(self.path, os.W_OK)

    def feed(self) -> None:
        """Raises `DeviceLost`; the next call tries to open it again."""
        try:
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            os.write(self._descriptor, b"\0")
        except OSError as error:
            self._let_go()
            raise DeviceLost(f"{self.path}: {error.strerror}") from error

    def close(self) -> None:
        """Stop the watchdog: an orderly end."""
        if self._descriptor is not None:
            try:
                os.write(self._descriptor, b"V")
            except OSError as error:
                _log.warning("the watchdog can't be stopped: %s", error.strerror)
            self._let_go()

    def _open(self) -> None:
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            chosen = set_timeout(self._descriptor, self._timeout_s)
            _log.info("%s resets the board after %d s without a sign of life", self.path, chosen)
        except OSError as error:
            _log.warning("%s keeps its own time-out: %s", self.path, error.strerror)

    def _let_go(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
