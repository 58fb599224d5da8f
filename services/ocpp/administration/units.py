# SPDX-License-Identifier: Apache-2.0
"""How a command reaches the station: as a unit of work, like every other event."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, TypeVar

from firmware.contract.administration import CommandRefused, Problem
from services.ocpp.context import DISK_FULL, Refusal

if TYPE_CHECKING:
    from services.ocpp.administration.bundle import Bundles
    from services.ocpp.administration.connection_test import ConnectionTester
    from services.ocpp.context import Context
    from services.ocpp.message_log import Formatter, MessageLog
    from services.ocpp.messages import Action
    from services.ocpp.product_choice import ProductChoice
    from services.ocpp.station import Station

__all__ = ["Shell", "Units", "refuse"]

_T = TypeVar("_T")


class Shell(Protocol):
    """The service around the station."""

    @property
    def station(self) -> Station | None:
        """None until it has started."""

    @property
    def identity(self) -> str:
        """The one that the service runs with."""

    @property
    def product(self) -> ProductChoice: ...

    @property
    def tester(self) -> ConnectionTester: ...

    @property
    def messages(self) -> MessageLog: ...

    @property
    def bundles(self) -> Bundles: ...

    def formatter(self) -> Formatter:
        """A new one, for one follower of the messages."""

    def handle(self, event: Callable[[Station, float], None]) -> None:
        """One unit of work, committed when this returns."""

    def order_factory_reset(self) -> None:
        """Make the next start forget everything; raises `StorageError`."""

    def stop(self, reason: str) -> None:
        """End the process, once the answer that is being made has been sent."""


class Units:
    """What commands do with the station; raises `CommandRefused` before it has started."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell

    @property
    def station(self) -> Station:
        station = self.shell.station
        if station is None:
            raise CommandRefused(Problem.NOT_READY, "the service waits for the HAL; try again in some seconds")
        return station

    @property
    def context(self) -> Context:
        return self.station.context

    def request(self, action: Action, payload: Any) -> Any:
        """What the CSMS can request, too: the response's payload, after the commit."""

        def answer(station: Station, now: float) -> Any:
            try:
                return station.request(action, payload, now)
            except Refusal as refusal:
                raise CommandRefused(Problem.BAD_REQUEST, refusal.description) from refusal

        return self.unit(answer)

    def unit(self, work: Callable[[Station, float], _T]) -> _T:
        """The value of `work`, which is one unit of work, after the commit."""
        self.station  # noqa: B018 - raises unless it has started
        values: list[_T] = []
        problems: list[CommandRefused] = []

        def event(station: Station, now: float) -> None:
            try:
                values.append(work(station, now))
            except CommandRefused as error:
                problems.append(error)

        self.shell.handle(event)
        if problems:
            raise problems[0]
        return values[0]


def refuse(response: Any) -> NoReturn:
    """What a response with another status than Accepted means here."""
    info = response.get("statusInfo") or {"reasonCode": response["status"]}
    full = info["reasonCode"] == DISK_FULL["reasonCode"] and "additionalInfo" in info
    problem = Problem.STORAGE if full or response["status"] == "Failed" else Problem.REFUSED
    raise CommandRefused(problem, info.get("additionalInfo") or info["reasonCode"])
