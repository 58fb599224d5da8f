# SPDX-License-Identifier: Apache-2.0
"""What one display shows, between its driver and the pages that are open of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from drivers.screen.messages import FromPage

__all__ = ["Shown"]


class Shown:
    """What the pages of one display show. A page that is slow gets the newest model, and none of those before it."""

    def __init__(self, hello: str, on_message: Callable[[FromPage], None]) -> None:
        self.hello = hello
        self.on_message = on_message
        self._model = ""
        self._newer: set[asyncio.Event] = set()

    @property
    def pages(self) -> int:
        """How many are open."""
        return len(self._newer)

    def show(self, model: str) -> None:
        self._model = model
        for newer in self._newer:
            newer.set()

    async def feed(self, send: Callable[[str], Awaitable[None]]) -> None:
        """Send what is shown to one page, from now on, until this is cancelled or `send` raises."""
        newer = asyncio.Event()
        self._newer.add(newer)
        try:
            await send(self.hello)
            newer.set()
            while await newer.wait():
                newer.clear()
                if self._model:
                    await send(self._model)
        finally:
            self._newer.discard(newer)
