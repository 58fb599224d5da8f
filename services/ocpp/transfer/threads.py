# SPDX-License-Identifier: Apache-2.0
"""Blocking work that a cancellation waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

__all__ = ["in_thread"]

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(work: Callable[_P, _T], *args: _P.args, **more: _P.kwargs) -> _T:
    """Like `asyncio.to_thread`, but a cancellation waits for the thread: until then it still writes to its files."""
    running = asyncio.ensure_future(asyncio.to_thread(work, *args, **more))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.gather(running, return_exceptions=True)
        raise
