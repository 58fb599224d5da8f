# SPDX-License-Identifier: Apache-2.0
"""Each command of the administration socket: what it asks of station and device model, and how that is answered."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from firmware.contract import administration as contract
from firmware.contract.administration import Command, Problem
from services.ocpp.administration import variables
from services.ocpp.administration.refused import CommandRefused
from services.ocpp.context import Refusal

if TYPE_CHECKING:
    from services.ocpp.administration.server import Answer, Client
    from services.ocpp.messages import Action
    from services.ocpp.station import Station

__all__ = ["Commands", "Shell"]

_MAX_VALUES = 100
_T = TypeVar("_T")


class Shell(Protocol):
    """The service around the station."""

    @property
    def station(self) -> Station | None:
        """None until it has started."""

    def handle(self, event: Callable[[Station, float], None]) -> None:
        """One unit of work, committed when this returns."""


class Commands:
    """Carries out commands; `publish` is called after each unit of work."""

    def __init__(self, shell: Shell) -> None:
        self._shell = shell
        self._subscribers: set[Client] = set()

    def execute(self, client: Client, command: Command) -> Answer:
        """The result; raises `CommandRefused`."""
        match command:
            case contract.GetVariables():
                return self._get_variables(command)
            case contract.SetVariables():
                return self._set_variables(command)
            case contract.Subscribe():
                self._subscribe(client)
            case _:
                raise CommandRefused(Problem.UNSUPPORTED, "not in this release")
        return None

    def publish(self) -> None:
        """Send what has changed in this unit of work."""
        station = self._shell.station
        if station is None:
            return
        model = station.context.model
        changed, model.changed = model.changed, set()
        if changed and self._subscribers:
            for message in variables.changes(model, changed):
                for client in tuple(self._subscribers):
                    client.send(message)

    # --- variables ----------------------------------------------------------------------------------

    def _get_variables(self, command: contract.GetVariables) -> contract.Variables:
        if command.start < 0:
            raise CommandRefused(Problem.BAD_REQUEST, "`start` is a number from 0")
        return variables.page(self._station.context.model, command.start)

    def _set_variables(self, command: contract.SetVariables) -> contract.SetResults:
        if not 1 <= len(command.values) <= _MAX_VALUES:
            raise CommandRefused(Problem.BAD_REQUEST, f"expected 1 to {_MAX_VALUES} values, got {len(command.values)}")
        response = self._request("SetVariables", variables.set_variables_request(command.values))
        return contract.SetResults(variables.set_results(command.values, response))

    def _subscribe(self, client: Client) -> None:
        if client not in self._subscribers:
            self._subscribers.add(client)
            client.closed.append(lambda: self._subscribers.discard(client))

    # --- the station --------------------------------------------------------------------------------

    @property
    def _station(self) -> Station:
        station = self._shell.station
        if station is None:
            raise CommandRefused(Problem.NOT_READY, "the service waits for the HAL; try again in some seconds")
        return station

    def _request(self, action: Action, payload: Any) -> Any:
        """What the CSMS can request, too: the response's payload, after the commit."""

        def answer(station: Station, now: float) -> Any:
            try:
                return station.request(action, payload, now)
            except Refusal as refusal:
                raise CommandRefused(Problem.BAD_REQUEST, refusal.description) from refusal

        return self._unit(answer)

    def _unit(self, work: Callable[[Station, float], _T]) -> _T:
        """The value of `work`, which is one unit of work, after the commit."""
        self._station  # noqa: B018 - raises unless it has started
        values: list[_T] = []
        problems: list[CommandRefused] = []

        def event(station: Station, now: float) -> None:
            try:
                values.append(work(station, now))
            except CommandRefused as error:
                problems.append(error)

        self._shell.handle(event)
        if problems:
            raise problems[0]
        return values[0]
