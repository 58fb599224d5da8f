# SPDX-License-Identifier: Apache-2.0
"""Publishes the OCPP service's state to local observers (`firmware/contract/status.py`).

A new connection gets the last status first, then everything that is published. The feed takes no messages: a peer that
sends one is disconnected. So is a slow reader, which gets the status again when it reconnects.
"""

from __future__ import annotations

import logging
from pathlib import Path

from msgspec import Struct

from firmware.contract.status import FromService, ServiceStatus
from firmware.errors import ContractError
from firmware.ipc.connection import Connection
from firmware.ipc.framing import encode
from firmware.ipc.listener import UnixListener

__all__ = ["StatusFeed"]

_log = logging.getLogger(__name__)


def _refuse(line: bytes) -> Struct:
    raise ContractError("the status feed takes no messages")


class StatusFeed:
    """The feed at `path`, for our own uid, root, `allowed_uids` and the members of the group `allowed_gid`."""

    def __init__(
        self, path: Path, *, allowed_uids: frozenset[int] = frozenset(), allowed_gid: int | None = None
    ) -> None:
        self._listener: UnixListener[Struct] = UnixListener(
            path, _refuse, self, allowed_uids=allowed_uids, allowed_gid=allowed_gid, file_gid=allowed_gid
        )
        self._connections: set[Connection[Struct]] = set()
        self._status: ServiceStatus | None = None

    async def start(self) -> None:
        """Listen; raises `ConfigError`."""
        await self._listener.start()

    async def close(self) -> None:
        await self._listener.close()

    def publish(self, message: FromService) -> None:
        """Send to all observers; a status equal to the last one is not repeated. Also works before `start`."""
        if isinstance(message, ServiceStatus):
            if message == self._status:
                return
            self._status = message
        if not self._connections:
            return
        line = encode(message)
        for connection in tuple(self._connections):
            connection.send(line)

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[Struct]) -> None:
        self._connections.add(connection)
        if self._status is not None:
            connection.send(encode(self._status))

    def on_message(self, connection: Connection[Struct], message: Struct) -> None:
        """Never called: `_refuse` lets nothing through."""

    def on_closed(self, connection: Connection[Struct], reason: str) -> None:
        self._connections.discard(connection)
        _log.debug("an observer of the status feed has disconnected: %s", reason)
