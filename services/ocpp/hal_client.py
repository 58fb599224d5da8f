# SPDX-License-Identifier: Apache-2.0
"""The OCPP service's door to the HAL: events and the snapshot in, commands and acknowledgements out.

Kept events may come more than once (they are replayed until acknowledged): the listener tells them apart by
`run_id` and `seq`, which it writes down together with their consequences before it acknowledges.
"""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from firmware.clock import Clock
from firmware.contract.messages import Answer, Command, Role, Snapshot, Stamped
from firmware.ipc.framing import encode
from firmware.ipc.hal_link import HalLink, LinkState

__all__ = ["HalClient", "HalListener", "LinkState"]


class HalListener(Protocol):
    """What the service is told, on the loop's thread, in order."""

    def on_hal_up(self, snapshot: Snapshot) -> None:
        """The link is UP, with the HAL's whole state; each time anew, and before any event."""

    def on_hal_event(self, stamped: Stamped) -> None: ...

    def on_hal_answer(self, request_id: int, answer: Answer) -> None:
        """The one answer to a request."""

    def on_hal_down(self, reason: str) -> None:
        """The link was UP and is not. Every unanswered request is void: done or not, nobody can say."""


class HalClient(HalLink):
    """Follows and asks the HAL at `path`; see `HalLink` for the arguments."""

    def __init__(
        self, path: Path, listener: HalListener, *, clock: Clock, role: Role = Role.SERVICE, software: str = ""
    ) -> None:
        super().__init__(path, listener, clock=clock, role=role, software=software)
        self._listener = listener

    def request(self, command: Command) -> int:
        """Ask the HAL; returns the id of the answer to come, which never comes before this returns.

        Raises `ContractError` when not UP, `ValueError` for a number that is none or a text that is too long.
        """
        request = self._core.request(command)
        self._send(encode(request))
        return request.id

    def acknowledge(self, seq: int, *, run_id: str | None = None) -> None:
        """Every kept event up to `seq` is on disk; the HAL forgets them.

        With `run_id` (that of the snapshot before the event) a late call is ignored when another run of the HAL is
        followed meanwhile: its numbers mean other events. Raises `ContractError` when not UP or for an event that
        was not received; the HAL then replays it, so that nothing is lost by not acknowledging.
        """
        if run_id is None or run_id == self.run_id:
            self._send(encode(self._core.acknowledge(seq)))

    def _on_answer(self, answer: Answer) -> None:
        self._listener.on_hal_answer(answer.id, answer)
