# SPDX-License-Identifier: Apache-2.0
"""The end of a firmware version on trial that does not work: what the boot loader and its watchdog do in reality."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

__all__ = ["Trial"]

CRASHES = 3
"""After this many ended processes in one boot, a version on trial has failed."""
TRIAL_S = 1200.0
"""How long a version may be on trial; after that it is assumed to hang."""
_log = logging.getLogger(__name__)


class Trial:
    """From `begin`, at each boot, to `end`; calls `failed` when the version on trial has failed."""

    def __init__(self, on_trial: Callable[[], bool], failed: Callable[[], None]) -> None:
        self._on_trial = on_trial
        self._failed = failed
        self._crashes = 0
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        self.end()
        self._timer = asyncio.get_running_loop().call_later(TRIAL_S, self._time_is_up)

    def end(self) -> None:
        self._crashes = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def process_crashed(self) -> None:
        """A process has ended that should run."""
        if self._on_trial():
            self._crashes += 1
            if self._crashes >= CRASHES:
                _log.error("the processes of the version on trial ended %d times", self._crashes)
                self._failed()

    def _time_is_up(self) -> None:
        if self._on_trial():
            _log.error("the version on trial was not confirmed within %g s", TRIAL_S)
            self._failed()
