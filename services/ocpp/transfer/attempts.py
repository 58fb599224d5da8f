# SPDX-License-Identifier: Apache-2.0
"""Retries, and the detection of stalled transfers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from types import TracebackType

from services.ocpp.transfer.rules import Rules, TransferError

__all__ = ["Watch", "run"]

_log = logging.getLogger(__name__)

_MAX_RETRIES = 100
_FINAL = ("scheme", "too_large")
"""Kinds of failure that another attempt can't change."""


async def run(
    attempt: Callable[[int], Awaitable[None]],
    retries: int,
    interval_s: float,
    *,
    on_attempt: Callable[[], None],
) -> None:
    """Call `attempt` with 0, 1, 2 ... until one succeeds; raises the last one's `TransferError`."""
    loop = asyncio.get_running_loop()
    last = min(max(0, retries), _MAX_RETRIES)
    for number in range(last + 1):
        started = loop.time()
        on_attempt()
        try:
            await attempt(number)
            return
        except TransferError as error:
            if error.kind in _FINAL or number == last:
                raise
            _log.warning("attempt %d of %d: %s", number + 1, last + 1, error)
        await asyncio.sleep(max(0.0, started + interval_s - loop.time()))


class Watch:
    """Ends the block with a `stalled` error when `moved` is not called in time, or with too few bytes."""

    def __init__(self, rules: Rules) -> None:
        self._stall_s = rules.stall_s
        self._least, self._window_s = rules.slowest
        self._timeout = asyncio.timeout(rules.stall_s)
        self._since = asyncio.get_running_loop().time()
        self._bytes = 0

    async def __aenter__(self) -> Watch:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timeout.__aexit__(kind, error, trace)
        except TimeoutError:
            raise TransferError("stalled", f"nothing was transferred for {self._stall_s:g} s") from None

    def moved(self, size: int) -> None:
        """`size` bytes were received or sent."""
        now = asyncio.get_running_loop().time()
        self._bytes += size
        if now - self._since >= self._window_s:
            if self._bytes < self._least:
                raise TransferError("stalled", f"only {self._bytes} bytes in {now - self._since:.0f} s")
            self._since, self._bytes = now, 0
        if not self._timeout.expired():
            self._timeout.reschedule(now + self._stall_s)
