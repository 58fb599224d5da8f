# SPDX-License-Identifier: Apache-2.0
"""The client of the HAL's socket: greets, takes the snapshot, passes on events, reconnects when the HAL restarts.

Observers (rig, commissioning page) only follow; the OCPP service also sends commands and acknowledgements. Listeners
are called on the loop's thread, in order.

Kept events may come more than once (they are replayed until acknowledged). The service recognises them by `run_id` and
`seq`, which it stores together with their consequences before it acknowledges.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from firmware.contract.messages import Answer, Command, Done, FromHal, Refused, Role, Snapshot, Stamped
from firmware.ipc.connection import Connection
from firmware.ipc.dialer import Dialer
from firmware.ipc.framing import Decoder, encode
from firmware.ipc.hal_core import HalCore, LinkState, VersionMismatch
from firmware.timer import LoopTimer, Scheduled, Timer

__all__ = ["HalLink", "HalWatcher", "LinkState"]

_SNAPSHOT_TIMEOUT_S = 2.0
_VERSION_RETRY_S = 5.0
_decode: Decoder[FromHal] = Decoder(FromHal)
_log = logging.getLogger(__name__)


class HalWatcher(Protocol):
    """The listener of a link."""

    def on_hal_up(self, snapshot: Snapshot) -> None:
        """The link is UP, with the HAL's whole state; after each reconnection again, and before any event."""

    def on_hal_event(self, stamped: Stamped) -> None: ...

    def on_hal_down(self, reason: str) -> None:
        """The link was UP and is not. Unanswered requests are void: whether they were executed is unknown."""


class HalLink:
    """Follows the HAL at `path`.

    Args:
        path: the HAL's socket; a relative one starts at the working directory.
        watcher: is called for each change.
        on_answer: is called with the one answer to each request; only who sends requests needs it.
        role: the HAL refuses the requests of observers.
        software: our name and version, for the HAL's log.
        version_retry_s: pause after the HAL has answered with another version of the contract.
        timer: for the wait for the snapshot and for the pauses between connections.
    """

    def __init__(
        self,
        path: Path,
        watcher: HalWatcher,
        *,
        on_answer: Callable[[Answer], None] | None = None,
        role: Role = Role.OBSERVER,
        software: str = "",
        snapshot_timeout_s: float = _SNAPSHOT_TIMEOUT_S,
        version_retry_s: float = _VERSION_RETRY_S,
        timer: Timer | None = None,
    ) -> None:
        self._watcher = watcher
        self._on_answer = on_answer
        self._core = HalCore(role, software)
        self._timer = timer or LoopTimer()
        self._dialer: Dialer[FromHal] = Dialer(path, _decode, self, timer=self._timer)
        self._snapshot_timeout_s = snapshot_timeout_s
        self._version_retry_s = version_retry_s
        self._connection: Connection[FromHal] | None = None
        self._snapshot_timeout: Scheduled | None = None

    @property
    def state(self) -> LinkState:
        return self._core.state

    @property
    def run_id(self) -> str | None:
        """The HAL's run that is followed; None unless UP."""
        return self._core.run_id

    async def run(self) -> None:
        """Follow the HAL until cancelled; cancelling cuts the connection without a call to the watcher."""
        try:
            await self._dialer.run()
        finally:
            self._forget()

    def request(self, command: Command) -> int:
        """Send a command; returns the id of its answer, which never comes before this returns.

        Raises `ContractError` when not UP, `ValueError` for a number that is not finite or a text that is too long.
        """
        request = self._core.request(command)
        self._send(encode(request))
        return request.id

    def acknowledge(self, seq: int, *, run_id: str | None = None) -> None:
        """Every kept event up to `seq` is on disk: the HAL can forget them.

        With `run_id` (that of the snapshot before the event) a late call is ignored if the HAL has restarted since:
        its numbers mean other events now. Raises `ContractError` when not UP or for an event that was not received;
        the HAL then replays it, so nothing is lost by not acknowledging.
        """
        if run_id is None or run_id == self.run_id:
            self._send(encode(self._core.acknowledge(seq)))

    def _send(self, line: bytes) -> None:
        if self._connection is not None:
            self._connection.send(line)

    def _forget(self) -> None:
        self._connection = None
        self._core.close()
        self._stop_waiting()

    def _stop_waiting(self) -> None:
        if self._snapshot_timeout is not None:
            self._snapshot_timeout.cancel()
            self._snapshot_timeout = None

    # --- Handler ------------------------------------------------------------------------------------

    def on_open(self, connection: Connection[FromHal]) -> None:
        self._connection = connection
        connection.send(encode(self._core.open()))
        self._snapshot_timeout = self._timer.call_later(
            self._snapshot_timeout_s, lambda: connection.abort(f"no snapshot within {self._snapshot_timeout_s} s")
        )

    def on_message(self, connection: Connection[FromHal], message: FromHal) -> None:
        if connection is not self._connection:
            return
        try:
            self._core.receive(message)
        except VersionMismatch:
            self._dialer.pause_once(self._version_retry_s)
            raise
        if isinstance(message, Stamped):
            self._watcher.on_hal_event(message)
        elif isinstance(message, Snapshot):
            self._on_snapshot(message)
        elif isinstance(message, Done | Refused) and self._on_answer is not None:
            self._on_answer(message)

    def _on_snapshot(self, snapshot: Snapshot) -> None:
        self._stop_waiting()
        self._dialer.proven()
        _log.info("HAL up, run %s at event %d", snapshot.run_id, snapshot.seq)
        self._watcher.on_hal_up(snapshot)

    def on_closed(self, connection: Connection[FromHal], reason: str) -> None:
        if connection is not self._connection:
            return
        was_up = self._core.state is LinkState.UP
        self._forget()
        if was_up:
            _log.warning("HAL down: %s", reason)
            self._watcher.on_hal_down(reason)
