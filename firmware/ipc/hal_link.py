# SPDX-License-Identifier: Apache-2.0
"""The client of the HAL's socket: greets, takes the snapshot, hands on events, comes back when the HAL does.

As it stands it is an observer (rig, commissioning page). The OCPP service puts commands and acknowledgements on top
(`services/ocpp/hal_client.py`). Everything happens on the loop's thread, and listeners are called from it, in order.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Protocol

from firmware.clock import Clock
from firmware.contract.messages import Answer, Done, FromHal, Refused, Role, Snapshot, Stamped
from firmware.ipc.connection import Connection
from firmware.ipc.dialer import Dialer
from firmware.ipc.framing import Decoder, encode
from firmware.ipc.hal_core import HalCore, LinkState, VersionMismatch

__all__ = ["SNAPSHOT_TIMEOUT_S", "VERSION_RETRY_S", "HalLink", "HalWatcher", "LinkState"]

SNAPSHOT_TIMEOUT_S = 2.0
VERSION_RETRY_S = 5.0
_decode: Decoder[FromHal] = Decoder(FromHal)
_log = logging.getLogger(__name__)


class HalWatcher(Protocol):
    """What an observer is told."""

    def on_hal_up(self, snapshot: Snapshot) -> None:
        """The link is UP, with the HAL's whole state; each time anew."""

    def on_hal_event(self, stamped: Stamped) -> None: ...

    def on_hal_down(self, reason: str) -> None:
        """The link was UP and is not. Every unanswered request is void."""


class HalLink:
    """Follows the HAL at `path`.

    Args:
        path: the HAL's socket; a relative one starts at the working directory.
        watcher: told what happens.
        clock: stamps `heard_mono_s`.
        role: observers only listen.
        software: our name and version, for the HAL's log.
        version_retry_s: pause after a HAL of another version answered.
    """

    def __init__(
        self,
        path: Path,
        watcher: HalWatcher,
        *,
        clock: Clock,
        role: Role = Role.OBSERVER,
        software: str = "",
        snapshot_timeout_s: float = SNAPSHOT_TIMEOUT_S,
        version_retry_s: float = VERSION_RETRY_S,
    ) -> None:
        self._watcher = watcher
        self._clock = clock
        self._core = HalCore(role, software)
        self._dialer: Dialer[FromHal] = Dialer(path, _decode, self)
        self._snapshot_timeout_s = snapshot_timeout_s
        self._version_retry_s = version_retry_s
        self._connection: Connection[FromHal] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._heard: float | None = None

    @property
    def state(self) -> LinkState:
        return self._core.state

    @property
    def run_id(self) -> str | None:
        """The HAL's run that is followed; None unless UP."""
        return self._core.run_id

    @property
    def heard_mono_s(self) -> float | None:
        """When the HAL last said anything."""
        return self._heard

    async def run(self) -> None:
        """Follow the HAL until cancelled; cancelling cuts the connection without a call to the watcher."""
        try:
            await self._dialer.run()
        finally:
            self._forget()

    def _forget(self) -> None:
        self._connection = None
        self._core.close()
        self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self, line: bytes) -> None:
        if self._connection is not None:
            self._connection.send(line)

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromHal]) -> None:
        self._connection = connection
        connection.send(encode(self._core.open()))
        self._timer = asyncio.get_running_loop().call_later(
            self._snapshot_timeout_s, connection.abort, f"no snapshot within {self._snapshot_timeout_s} s"
        )

    def on_message(self, connection: Connection[FromHal], message: FromHal) -> None:
        if connection is not self._connection:
            return
        self._heard = self._clock.monotonic()
        try:
            self._core.receive(message)
        except VersionMismatch:
            self._dialer.pause_once(self._version_retry_s)
            raise
        if isinstance(message, Stamped):
            self._watcher.on_hal_event(message)
        elif isinstance(message, Snapshot):
            self._on_snapshot(message)
        elif isinstance(message, Done | Refused):
            self._on_answer(message)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._stop_timer()
        self._dialer.proven()
        _log.info("HAL up, run %s at event %d", snapshot.run_id, snapshot.seq)
        self._watcher.on_hal_up(snapshot)

    def _on_answer(self, answer: Answer) -> None:
        """An observer asks nothing, so the core lets no answer through to it."""

    def on_closed(self, connection: Connection[FromHal], reason: str) -> None:
        if connection is not self._connection:
            return
        was_up = self._core.state is LinkState.UP
        self._forget()
        if was_up:
            _log.warning("HAL down: %s", reason)
            self._watcher.on_hal_down(reason)
