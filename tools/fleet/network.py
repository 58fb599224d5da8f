# SPDX-License-Identifier: Apache-2.0
"""The network between the stations of this process and their CSMS, which can fail.

The stations open connections as everywhere, by the event loop's `create_connection`; this loop refuses them, and breaks
those that are open, while the network is down for the station whose task it is. The station's back-off decides when it
tries again.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any
from weakref import WeakSet

__all__ = ["STATION", "NetworkLoop"]

STATION: ContextVar[int] = ContextVar("station")
"""The number of the station that the running code belongs to; unset in what belongs to none."""


class NetworkLoop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self._open: dict[int, WeakSet[asyncio.Transport]] = {}
        self._is_down: Callable[[int], bool] = lambda station: False

    def fail(self, is_down: Callable[[int], bool]) -> None:
        """From now on there is no network for the stations for which `is_down`; for the others there is."""
        self._is_down = is_down
        for station, transports in self._open.items():
            if is_down(station):
                for transport in tuple(transports):
                    transport.abort()

    async def create_connection(self, *args: Any, **options: Any) -> Any:
        """As that of the base class; raises `OSError` while the network is down for this station."""
        station = STATION.get(0)
        if self._is_down(station):
            raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
        transport, protocol = await super().create_connection(*args, **options)
        if self._is_down(station):
            transport.abort()
        elif station:
            self._open.setdefault(station, WeakSet()).add(transport)
        return transport, protocol
