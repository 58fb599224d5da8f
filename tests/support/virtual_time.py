# SPDX-License-Identifier: Apache-2.0
"""Runs a coroutine in virtual time: the loop never sleeps, and the monotonic clock jumps to whatever is due next.

Sockets of the loopback work as always, because what is sent there can be received at once. A story of minutes with
its time limits takes as long as its own computing, and a busy machine does not change what happens in it.
"""

from __future__ import annotations

import asyncio
import inspect
import selectors
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, TypeAlias, TypeVar
from unittest.mock import patch

import pytest

__all__ = ["in_virtual_time", "run_in_virtual_time"]

_T = TypeVar("_T")
_Story: TypeAlias = Callable[..., Coroutine[Any, Any, None]]
_THREAD_S = 0.0005
"""While a thread of the loop works, real time passes, too: so much for each look at it."""


class _Selector(selectors.DefaultSelector):
    """Waits for nothing: if no socket is ready, the time that it should wait has passed."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0.0)
        if ready or timeout == 0.0:
            return ready
        if timeout is None:
            return super().select(_THREAD_S)
        self.now += timeout
        return ready


def run_in_virtual_time(story: Coroutine[Any, Any, _T]) -> _T:
    """Run it to its end, with `time.monotonic` as the virtual clock."""
    selector = _Selector()
    with (
        patch("time.monotonic", lambda: selector.now),
        asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner,
    ):
        return runner.run(story)


def in_virtual_time(*benches: Any) -> Callable[[_Story], Callable[..., None]]:
    """Makes a test of a coroutine function, for each of the benches, in virtual time.

    A bench is a function (or a `pytest.param` of one) that returns an asynchronous context manager; what that yields
    is the story's first argument.
    """

    def decorate(story: _Story) -> Callable[..., None]:
        name = next(iter(inspect.signature(story).parameters))

        @wraps(story)
        def test(**arguments: Any) -> None:
            async def play() -> None:
                async with arguments.pop(name)() as bench:
                    await story(bench, **arguments)

            run_in_virtual_time(play())

        parametrized: Callable[..., None] = pytest.mark.parametrize(name, benches)(test)
        return parametrized

    return decorate
