# SPDX-License-Identifier: Apache-2.0
"""The tasks of a driver: loops that read a device until the driver is closed.

A loop that ends with an error is logged, once as long as the error stays the same, and started again after a pause: a
driver's mistake or an unforeseen answer of a device costs a reading, not the device.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from firmware.log import fields

__all__ = ["Background"]

RESTART_S = 1.0
_log = logging.getLogger(__name__)


class Background:
    """Tasks on the running event loop; `device` names them in the log."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, name: str, run: Callable[[], Awaitable[None]], *, restart_s: float = RESTART_S) -> None:
        """Run the coroutine function until it returns; after an error start it again."""
        task = asyncio.get_running_loop().create_task(self._keep(name, run, restart_s), name=f"{self._device} {name}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]], restart_s: float) -> None:
        reason = ""
        while True:
            try:
                await run()
                return
            except Exception as error:
                described = f"{type(error).__name__}: {error}"
                if described != reason:
                    reason = described
                    _log.exception(
                        "%s: %s failed and is started again every %g s",
                        self._device,
                        name,
                        restart_s,
                        extra=fields(device=self._device),
                    )
            await asyncio.sleep(restart_s)
