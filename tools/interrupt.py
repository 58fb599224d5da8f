# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C ends a command in the orderly way, however often it is pressed, and without a traceback."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run"]

_T = TypeVar("_T")


def run(main: Coroutine[Any, Any, _T]) -> _T:
    """`asyncio.run`, but the first SIGINT or SIGTERM cancels `main`, and later ones do not disturb its cleaning up.

    Raises `KeyboardInterrupt` when `main` has ended because of that.
    """
    outcome: list[_T] = []
    interrupted = False

    async def supervised() -> None:
        task = asyncio.ensure_future(main)

        def interrupt() -> None:
            nonlocal interrupted
            if not interrupted:
                interrupted = True
                task.cancel()

        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupt)
        try:
            outcome.append(await task)
        except asyncio.CancelledError:
            if not interrupted:
                raise

    asyncio.run(supervised())
    if not outcome:
        raise KeyboardInterrupt
    return outcome[0]
