# SPDX-License-Identifier: Apache-2.0
"""The order of messages on the HAL's socket, as a client checks it; without I/O.

One `HalCore` lives as long as the client and is opened and closed with each connection. It enforces the order of
`firmware/contract/README.md`: greeting, snapshot, replayed events (to the service), then events whose `seq` rises by
one. Anything else is a `ContractError`. Request ids continue over reconnections, so that an answer can't be mistaken
for that of another request.
"""

from __future__ import annotations

import math
from enum import Enum

from firmware.contract.messages import (
    CONTRACT_VERSION,
    Acknowledge,
    Command,
    Done,
    FromHal,
    Greeting,
    Permit,
    Refused,
    Request,
    Role,
    SetLimit,
    Snapshot,
    Stamped,
)
from firmware.errors import ContractError

__all__ = ["HalCore", "LinkState", "VersionMismatch"]


class LinkState(Enum):
    """The state of the link to the HAL."""

    DOWN = "down"
    GREETING = "greeting"
    UP = "up"


class VersionMismatch(ContractError):
    """The HAL is of another release: reconnecting at once is useless."""


class HalCore:
    """The client's side of the contract."""

    def __init__(self, role: Role, software: str) -> None:
        self._greeting = Greeting(version=CONTRACT_VERSION, role=role, software=software)
        self._last_id = 0
        self.close()

    @property
    def state(self) -> LinkState:
        return self._state

    @property
    def run_id(self) -> str | None:
        """The run of the HAL that is followed; None unless UP."""
        return self._run_id

    def close(self) -> None:
        """The connection has ended; unanswered requests are void."""
        self._state = LinkState.DOWN
        self._greeted = False
        self._live = False
        self._seq = 0
        self._replayed_seq = 0
        self._run_id: str | None = None
        self._unanswered: set[int] = set()

    def open(self) -> Greeting:
        """A connection is established. Returns the first message to send."""
        self.close()
        self._state = LinkState.GREETING
        return self._greeting

    def receive(self, message: FromHal) -> None:
        """Check `message` against the order; raises `ContractError`, `VersionMismatch`."""
        if self._state is LinkState.UP:
            self._receive_up(message)
        elif not self._greeted:
            self._receive_greeting(message)
        elif isinstance(message, Snapshot):
            self._seq = message.seq
            self._run_id = message.run_id
            self._state = LinkState.UP
        else:
            raise ContractError(f"{_kind(message)} before the snapshot")

    def _receive_greeting(self, message: FromHal) -> None:
        if not isinstance(message, Greeting):
            raise ContractError(f"{_kind(message)} before the greeting")
        if message.version != CONTRACT_VERSION:
            raise VersionMismatch(
                f"the HAL ({message.software}) speaks version {message.version} of the contract, we {CONTRACT_VERSION}"
            )
        self._greeted = True

    def _receive_up(self, message: FromHal) -> None:
        if isinstance(message, Stamped):
            if message.replayed:
                self._check_replayed(message)
            elif message.seq != self._seq + 1:
                raise ContractError(f"event {message.seq} after {self._seq}")
            else:
                self._live = True
                self._seq = message.seq
        elif isinstance(message, Done | Refused):
            if message.id not in self._unanswered:
                raise ContractError(f"an answer to {message.id}, which was not requested or is answered")
            self._unanswered.discard(message.id)
        else:
            raise ContractError(f"a second {_kind(message)}")

    def _check_replayed(self, message: Stamped) -> None:
        if self._live or self._greeting.role is not Role.SERVICE:
            raise ContractError(f"event {message.seq} replayed out of order")
        if not self._replayed_seq < message.seq <= self._seq:
            raise ContractError(f"event {message.seq} replayed after {self._replayed_seq}, snapshot at {self._seq}")
        self._replayed_seq = message.seq

    def request(self, command: Command) -> Request:
        """The request to send; raises `ContractError` when not UP, `ValueError` for a number that is not finite.

        JSON has no NaN: it would arrive as null, and a null limit lifts the cap.
        """
        self._require_up()
        number = command.lease_s if isinstance(command, Permit) else None
        number = command.power_w if isinstance(command, SetLimit) else number
        if number is not None and not math.isfinite(number):
            raise ValueError(f"{type(command).__name__} with {number}")
        self._last_id += 1
        self._unanswered.add(self._last_id)
        return Request(id=self._last_id, command=command)

    def acknowledge(self, seq: int) -> Acknowledge:
        """The message to send; raises `ContractError` when not UP, or for an event that was not received."""
        self._require_up()
        if not 0 < seq <= self._seq:
            raise ContractError(f"event {seq} can't be acknowledged: received up to {self._seq}")
        return Acknowledge(seq=seq)

    def _require_up(self) -> None:
        if self._state is not LinkState.UP:
            raise ContractError(f"the link to the HAL is {self._state.value}")


def _kind(message: FromHal) -> str:
    return type(message).__name__.lower()
