# SPDX-License-Identifier: Apache-2.0
"""The client of the OCPP service's status feed (`firmware/contract/status.py`), for rig and commissioning page."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from firmware.contract.status import FromService, ServiceStatus
from firmware.ipc.connection import Connection
from firmware.ipc.dialer import Dialer
from firmware.ipc.framing import Decoder

__all__ = ["StatusClient", "StatusWatcher"]

_decode: Decoder[FromService] = Decoder(FromService)


class StatusWatcher(Protocol):
    """The listener of a client."""

    def on_service_message(self, message: FromService) -> None: ...

    def on_service_down(self, reason: str) -> None:
        """The connection to the feed has ended: the last status is no longer valid."""


class StatusClient:
    """Follows the status feed at `path`; `status` is the last one, None while not connected."""

    def __init__(self, path: Path, watcher: StatusWatcher) -> None:
        self._watcher = watcher
        self._dialer: Dialer[FromService] = Dialer(path, _decode, self)
        self._connection: Connection[FromService] | None = None
        self.status: ServiceStatus | None = None

    async def run(self) -> None:
        """Follow until cancelled; cancelling cuts the connection without a call to the watcher."""
        try:
            await self._dialer.run()
        finally:
            self._connection = None

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromService]) -> None:
        self._connection = connection

    def on_message(self, connection: Connection[FromService], message: FromService) -> None:
        if connection is not self._connection:
            return
        self._dialer.proven()
        if isinstance(message, ServiceStatus):
            self.status = message
        self._watcher.on_service_message(message)

    def on_closed(self, connection: Connection[FromService], reason: str) -> None:
        if connection is not self._connection:
            return
        self._connection = None
        self.status = None
        self._watcher.on_service_down(reason)
